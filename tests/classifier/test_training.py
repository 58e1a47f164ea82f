"""How training goes, goes on, stops and fails - and that a failure never leaves a half-new model."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler
from torch import nn

from sklkl.optim import LEARNING_RATES, OPTIMIZERS
from sklkl.penalties import PENALTIES, Confidence, Prior


class Troubled(nn.Linear):
    """A linear network that gets into trouble in the training steps given, counted from 1."""

    def __init__(self, n_features, n_classes, trouble="nan", steps=()):
        super().__init__(n_features, n_classes)
        self.trouble = trouble
        self.steps = steps
        self.step = 0

    def forward(self, x):
        self.step += self.training
        if not self.training or self.step not in self.steps:
            return super().forward(x)
        if self.trouble == "interrupt":
            raise KeyboardInterrupt
        if self.trouble == "error":
            raise RuntimeError("module in trouble")
        return super().forward(x) * torch.nan


def troubled(quick, trouble, *steps, **params):
    """A classifier of four batches an epoch over ``table`` with a module in trouble."""
    settings = {"learning_rate": "constant", "batch_size": 30, "early_stopping": False, "lr": 0.05}
    return quick(module=Troubled, module__trouble=trouble, module__steps=steps, **{**settings, **params})


# the defaults of what a stream has no use for
STREAM = {"max_epochs": 100, "early_stopping": "auto"}


class RaiseAt(Callback):
    """Raise at the end of an epoch."""

    def __init__(self, epoch, error):
        self.epoch = epoch
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error


def weights_of(clf):
    return [values.clone() for values in clf.module_.state_dict().values()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(second), strict=True))


# It learns


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, torch.optim.Adagrad])
def test_every_rule_and_optimizer_learns(exact, table, learning_rate, optimizer):
    X, y = table
    lr = 0.3 if optimizer in ("sgd", torch.optim.Adagrad) else 0.03
    given = {} if learning_rate == "kl_adaptive" else {"lr": lr}
    clf = exact(learning_rate=learning_rate, optimizer=optimizer, max_epochs=25, **given).fit(X, y)
    assert clf.score(X, y) > 0.75
    assert clf.history_[-1, "train_loss"] < 0.7 * clf.history_[0, "train_loss"]


def test_lbfgs_works(exact, table):
    X, y = table
    clf = exact(optimizer=torch.optim.LBFGS, lr=0.5, learning_rate="constant").fit(X, y)
    assert clf.history_[-1, "train_loss"] < 0.5 * clf.history_[0, "train_loss"]


@pytest.mark.parametrize("penalty", [p for p, kind in PENALTIES.items() if not kind.needs_net])
def test_a_strong_penalty_pulls_probabilities_to_its_target(exact, once, table, penalty):
    X, y = table
    y = np.where(y == 2, 1, y)
    target = np.bincount(y) / 120 if penalty == "prior" else [0.5, 0.5]
    free = once("free", lambda: exact(max_epochs=40).fit(X, y))
    held = [exact(kl_penalty=penalty, kl_strength=strength, max_epochs=40).fit(X, y) for strength in (0.5, 100.0)]
    distance = [np.abs(clf.predict_proba(X) - target).mean() for clf in (free, *held)]
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] < 0.02


def test_label_smoothing_is_training_on_smoothed_labels(exact, table):
    """Cross-entropy plus 1/4 of the penalty is 5/4 of the cross-entropy with a fifth of the label spread evenly."""
    X, y = table
    params = {"optimizer": torch.optim.SGD, "learning_rate": "constant", "weight_decay": 0.0}
    ours = exact(kl_penalty="label_smoothing", kl_strength=0.25, lr=0.1, **params).fit(X, y)
    spread = np.repeat(X, 3, axis=0), np.tile([0, 1, 2], 120)
    weight = np.where(spread[1] == np.repeat(y, 3), 0.8, 0.0) + 0.2 / 3
    smoothed = exact(lr=0.125, **params).fit(*spread, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), smoothed.predict_proba(X), rtol=1e-6)


def test_probabilities(quick, table):
    X, y = table
    clf = quick().fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-12)
    assert clf.score(X, y) == np.mean(clf.predict(X) == y)


def test_log_probabilities_are_finite_where_probabilities_round_to_zero(quick, table):
    X, y = table
    clf = quick(scale_inputs=False).fit(X, y)
    far = X * 1e6
    assert (clf.predict_proba(far) == 0).any()
    assert np.isfinite(clf.predict_log_proba(far)).all()


# What is recorded


def test_the_history_has_every_term_by_name(quick, make_table):
    clf = quick(kl_strength=0.1).fit(*make_table(300))
    assert clf.n_iter_ == len(clf.history_) == 3
    for name in ("train_loss", "train_data_fit", "train_kl_penalty", "valid_loss", "lr", "dur"):
        assert np.isfinite(clf.history_[:, name]).all()
    total = np.add(clf.history_[:, "train_data_fit"], clf.history_[:, "train_kl_penalty"])
    np.testing.assert_allclose(total, clf.history_[:, "train_loss"])


def test_verbose_shows_a_progress_bar_with_the_losses(quick, make_table, capsys):
    quick(verbose=1).fit(*make_table(300))
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert "train_loss=" in shown.err
    assert "valid_loss=" in shown.err
    assert shown.out == ""


def test_by_default_nothing_is_shown(quick, make_table, capsys):
    quick().fit(*make_table(300))
    assert capsys.readouterr() == ("", "")


# Early stopping


@pytest.mark.parametrize(
    ("early_stopping", "n_rows", "split"),
    [("auto", 39, False), ("auto", 40, True), (True, 30, True), (False, 400, False)],
)
def test_a_validation_part_is_set_aside(quick, make_table, early_stopping, n_rows, split):
    clf = quick(early_stopping=early_stopping).fit(*make_table(n_rows))
    assert ("valid_loss" in clf.history_[-1]) is split


@pytest.mark.parametrize(
    ("n_classes", "n_rows", "split"), [(10, 66, False), (10, 67, True), (50, 199, False), (50, 200, True)]
)
def test_of_many_classes_more_rows_are_needed(quick, n_classes, n_rows, split):
    """Up to 200 rows, every class is to have a row in the part set aside, by default 15 %."""
    X = np.random.RandomState(0).randn(n_rows, 5)
    assert ("valid_loss" in quick().fit(X, np.arange(n_rows) % n_classes).history_[-1]) is split


def test_the_best_epoch_is_kept(quick, make_table):
    """The model is that of training which ends at the best epoch."""
    X, y = make_table(240)
    y = np.random.RandomState(0).permutation(y)  # nothing to learn: the validation loss soon rises
    params = {"lr": 0.05, "learning_rate": "constant", "early_stopping": True, "averaged_epochs": 1}
    clf = quick(max_epochs=30, **params).fit(X, y)
    best = int(np.argmin(clf.history_[:, "valid_loss"]))
    assert best < 29
    assert same(clf, quick(max_epochs=best + 1, **params).fit(X, y))


def test_training_stops_after_some_epochs_without_gain(quick, make_table):
    X, y = make_table(240)
    y = np.random.RandomState(0).permutation(y)
    clf = quick(max_epochs=200, early_stopping=True, n_iter_no_change=4).fit(X, y)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) < 200
    assert len(losses) == np.argmin(losses) + 1 + 4


def test_the_validation_fraction(quick, make_table):
    clf = quick(early_stopping=True, validation_fraction=0.5, batch_size=1).fit(*make_table(60))
    assert clf.history_[-1, "train_batch_count"] == 30


def test_the_validation_loss_is_the_log_loss(exact, make_table):
    """A validation part that is half of twice the same rows is the training part."""
    X, y = make_table(40)
    clf = exact(early_stopping=True, validation_fraction=0.5, max_epochs=1, lr=1e-12, learning_rate="constant").fit(
        X, y
    )
    whole = log_loss(y, clf.predict_proba(X))
    halves = clf.history_[-1, "train_loss"] + clf.history_[-1, "valid_loss"]
    assert halves / 2 == pytest.approx(whole, rel=1e-6)


# What is not finite


def test_a_step_that_is_not_finite_is_undone_with_a_warning(quick, table):
    """Steps 5 to 8 are the second epoch."""
    with pytest.warns(ConvergenceWarning, match="not finite after 1 epochs"):
        clf = troubled(quick, "nan", 6, max_epochs=4).fit(*table)
    assert clf.history_[:, "lr"] == pytest.approx([0.05, 0.05, 0.005, 0.005])
    assert [bool(row.get("event_not_finite")) for row in clf.history_] == [False, True, False, False]
    assert np.isfinite(clf.predict_proba(table[0])).all()


def test_the_sixth_epoch_that_is_not_finite_is_the_last(quick, table):
    """Four steps an epoch; every second epoch, from the second on, has one in trouble."""
    with pytest.warns(ConvergenceWarning):
        clf = troubled(quick, "nan", *range(5, 1000, 8), max_epochs=30).fit(*table)
    assert sum(bool(row.get("event_not_finite")) for row in clf.history_) == 6
    assert clf.n_iter_ == 12


@pytest.mark.parametrize("warm_start", [False, True])
def test_never_finite_is_an_error_and_no_model(quick, table, warm_start):
    clf = troubled(quick, "nan", *range(1, 1000), max_epochs=30, warm_start=warm_start)
    with pytest.raises(ValueError, match="Training failed"):
        clf.fit(*table)
    with pytest.raises(NotFittedError):
        clf.predict(table[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:The 'lr' parameter of KLClassifier has no effect")  # which is to be shown
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("lr", [1e3, 1e20, 1e38])
def test_an_absurd_rate_ends_in_probabilities_or_an_error(quick, table, message_of, optimizer, lr):
    X, y = table
    clf = quick(lr=lr, optimizer=optimizer, batch_size=20, max_epochs=5)
    message = message_of(lambda: clf.fit(X, y))
    if message is None:
        np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1)
    else:
        assert "learning rate" in message


# Interrupts


def test_an_interrupt_keeps_the_finished_epochs_and_is_raised_again(quick, table):
    clf = troubled(quick, "interrupt", 11, max_epochs=9)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert clf.interrupted_
    assert clf.n_iter_ == 2
    assert np.isfinite(clf.history_[:, "train_loss"]).all()
    assert same(clf, troubled(quick, "interrupt", max_epochs=2).fit(*table))


def test_a_finished_fit_is_not_marked(quick, table):
    clf = troubled(quick, "interrupt", 11, max_epochs=9)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert not clf.set_params(module__steps=()).fit(*table).interrupted_


# Failures


def failures():
    """What makes a second fit fail, as a function of the classifier and the data: parameters and data."""
    X, y = np.ones((120, 5)), np.arange(120) % 3
    nan = {"module": Troubled, "module__steps": range(1, 1000), "max_epochs": 30}
    return {
        "NaN in X": ({}, X * np.nan, y),
        "other width": ({}, X[:, :3], y[:7]),
        "labels": ({}, X, np.linspace(0, 1, 120)),
        "parameter": ({"kl_strength": -1.0}, X, y),
        "penalty": ({"kl_penalty": Confidence(-1.0), "kl_strength": 1.0}, X, y),
        "prior": ({"kl_penalty": Prior([1.0]), "kl_strength": 1.0}, X, y),
        "module": ({"module": lambda: nn.Linear(5, 9)}, X, y),
        "error in the module": ({"module": Troubled, "module__trouble": "error", "module__steps": [3]}, X, y),
        "error in a callback": ({"callbacks": [RaiseAt(2, RuntimeError("mine"))]}, X, y),
        "never finite": (nan, X, y),
    }


@pytest.mark.parametrize("kind", failures())
def test_a_failed_refit_keeps_the_old_model(quick, once, table, kind):
    X, y = table
    # the default number of layers, for modules have their own
    old = quick(hidden_layer_sizes=(384, 256), kl_strength=0.1)
    clf = copy.deepcopy(once("old", lambda: old.fit(X, np.array(["a", "b", "c"])[y])))
    before, fitted = clf.predict_proba(X), {name: value for name, value in vars(clf).items() if name.endswith("_")}
    params, bad_X, bad_y = failures()[kind]
    clf.set_params(**params)
    with pytest.raises((ValueError, RuntimeError)):
        clf.fit(bad_X, bad_y)
    assert np.array_equal(clf.predict_proba(X), before)
    assert clf.classes_.tolist() == ["a", "b", "c"]
    assert {name: value for name, value in vars(clf).items() if name.endswith("_")} == fitted


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("trouble", ["error", "nan", "interrupt"])
def test_going_on_that_fails_keeps_the_old_model(quick, table, method, trouble):
    """Step 13 is the first after three epochs; 15 is in the middle of the fourth."""
    X, y = table
    steps = range(13, 1000) if trouble == "nan" else [15]
    clf = troubled(quick, trouble, *steps, warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises((ValueError, RuntimeError, KeyboardInterrupt)):
        getattr(clf, method)(X, y)
    assert np.array_equal(clf.predict_proba(X), before)
    assert clf.n_iter_ == 3


def test_a_part_that_fails_does_not_count_for_the_prior(quick, table):
    X, y = table
    clf = troubled(quick, "error", 7, kl_penalty="prior", kl_strength=0.1, **STREAM)
    clf.partial_fit(X, y, classes=range(3))
    with pytest.raises(RuntimeError, match="in trouble"):
        clf.partial_fit(X, np.zeros(120, dtype=int))
    np.testing.assert_allclose(clf.net_.penalty_.prior_, np.bincount(y) / 120, rtol=1e-6)


def test_training_goes_on_after_a_failure_as_if_it_had_not_been(quick, table):
    X, y = table
    clf = troubled(quick, "error", 15, **STREAM).partial_fit(X, y, classes=range(3))
    for _ in range(2):
        clf.partial_fit(X, y)
    with pytest.raises(RuntimeError, match="in trouble"):
        clf.partial_fit(X, y)
    clf.module_.steps = ()
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 4
    assert np.isfinite(clf.history_[:, "train_loss"]).all()
    assert clf.history_[-1, "train_loss"] < clf.history_[0, "train_loss"]


# Callbacks


def test_callbacks_are_copied(quick, make_table):
    stop = EarlyStopping(patience=1, threshold=0.9, sink=lambda text: None)
    before = dict(vars(stop))
    clf = quick(callbacks=[stop], max_epochs=50).fit(*make_table(240))
    assert clf.n_iter_ == 2
    assert vars(stop) == before
    assert clf.get_params()["callbacks"] == [stop]


def test_skorchs_callbacks_see_the_training(quick, make_table):
    scoring = EpochScoring("accuracy", lower_is_better=False, name="valid_accuracy")
    scheduler = ("schedule", LRScheduler("ExponentialLR", gamma=0.5))
    clf = quick(callbacks=[scoring, scheduler], learning_rate="constant", lr=0.01).fit(*make_table(240))
    assert all(0 <= value <= 1 for value in clf.history_[:, "valid_accuracy"])
    assert clf.history_[:, "lr"] == pytest.approx([0.01, 0.005, 0.0025])


def test_a_callback_that_stops_training_does_not_lose_its_last_epoch(exact, table):
    params = {"learning_rate": "constant", "lr": 0.01}
    clf = exact(callbacks=[RaiseAt(2, KeyboardInterrupt())], max_epochs=9, **params).fit(*table)
    assert clf.n_iter_ == 2
    assert not clf.interrupted_
    assert same(clf, exact(max_epochs=2, **params).fit(*table))
