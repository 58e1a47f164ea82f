"""Several networks in one classifier: ``n_members``."""

import copy
import pickle
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, special
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from sklkl import Distiller, KLClassifier
from sklkl._fit.members import validation_parts
from sklkl._fit.parameters import FitData
from sklkl._fit.together import fit_together
from sklkl.callbacks import BestWeights
from sklkl.modules import MLP, Ensemble
from sklkl.net import members_of


@pytest.fixture
def several(quick):
    """Return ``several(**params)``: a quick classifier of three networks, which set rows aside."""

    def make(**params):
        return quick(**{"n_members": 3, "early_stopping": True, **params})

    return make


class Linear(nn.Linear):
    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


def parametrised(n_features, n_classes):
    layer = nn.Linear(n_features, n_classes)
    register_parametrization(layer, "weight", Doubled())
    return layer


def indicator(y):
    return np.eye(3, dtype=int)[y]


# What is predicted

KINDS = {
    "plain": ({}, lambda X, y: (X, y)),
    "no hidden layer": ({"hidden_layer_sizes": ()}, lambda X, y: (X, y)),
    "unscaled": ({"scale_inputs": False}, lambda X, y: (X, y)),
    "labels": ({}, lambda X, y: (X, indicator(y))),
    "sparse": ({}, lambda X, y: (sparse.csr_array(np.where(X > 0, X, 0)), y)),
    "texts": ({}, lambda X, y: (X, np.array(["a", "b", "c"])[y])),
    "frame": ({}, lambda X, y: (pd.DataFrame(X, columns=list("abcde")), y)),
    "penalty": ({"kl_strength": 0.1}, lambda X, y: (X, y)),
    "two masks": ({"kl_strength": 0.1, "kl_penalty": "rdrop"}, lambda X, y: (X, y)),
    "module": ({"module": Linear}, lambda X, y: (X, y)),
    "sgd": ({"optimizer": "sgd"}, lambda X, y: (X, y)),
    "few rows": ({"early_stopping": "auto"}, lambda X, y: (X[:30], y[:30])),
}


@pytest.mark.parametrize(("params", "data"), KINDS.values(), ids=KINDS)
def test_predicts_the_mean_of_its_members(several, table, params, data):
    X, y = data(*table)
    clf = several(max_epochs=1, **params).fit(X, y)
    assert type(clf.module_) is Ensemble
    dense = torch.tensor(X.toarray() if sparse.issparse(X) else np.asarray(X))
    dense = dense.float() if params.get("module") else dense
    squash = special.expit if np.ndim(y) == 2 else lambda logits: special.softmax(logits, -1)
    each = [squash(net.module_.eval()(dense).detach().numpy()) for net in clf.net_.members_]
    assert len(each) == 3
    np.testing.assert_allclose(clf.predict_proba(X), np.mean(each, axis=0), rtol=1e-5)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)), rtol=1e-6)
    assert (each[0] != each[1]).any()


@pytest.mark.parametrize("params", [{}, {"hidden_layer_sizes": ()}])
def test_a_row_gets_the_same_alone(several, table, params):
    clf = several(**params).fit(*table)
    one = [clf.predict_proba(table[0][[number]]) for number in range(5)]
    np.testing.assert_allclose(np.concatenate(one), clf.predict_proba(table[0])[:5], atol=1e-9)


def test_is_reproducible_and_leaves_global_states_alone(several, table, global_state_untouched, same_but_for_rounding):
    with global_state_untouched():
        first, second = (several(dtype="float64").fit(*table) for _ in range(2))
    same_but_for_rounding(first.predict_proba(table[0]), second.predict_proba(table[0]))


@pytest.mark.parametrize("penalty", ["confidence", "rdrop", "vat"])
def test_a_stack_gives_what_one_training_after_the_other_does(several, table, monkeypatch, penalty):
    kwargs = {"dtype": "float64", "max_epochs": 8, "n_iter_no_change": 2, "kl_strength": 0.1, "kl_penalty": penalty}
    weight = np.linspace(0.1, 2.0, len(table[1]))
    stack = several(**kwargs).fit(*table, sample_weight=weight)
    monkeypatch.setattr("sklkl.net._ensemble.why_apart", lambda nets, sets: "to compare")
    apart = several(**kwargs).fit(*table, sample_weight=weight)
    np.testing.assert_allclose(stack.predict_proba(table[0]), apart.predict_proba(table[0]), rtol=1e-6)
    assert [len(net.history) for net in stack.net_.members_] == [len(net.history) for net in apart.net_.members_]
    np.testing.assert_allclose(stack.history_[:, "valid_loss"], apart.history_[:, "valid_loss"], rtol=1e-6)


def test_built_in_networks_are_a_stack(several, table, monkeypatch):
    def alone(*args, **kwargs):
        raise AssertionError("a member was trained alone")

    monkeypatch.setattr("sklkl.net._loop.TrainingLoop.train_on", alone)
    several().fit(*table)


@pytest.mark.parametrize(
    ("params", "decay"),
    [({}, 0.1), ({"weight_decay": 0.3}, 0.3), ({"optimizer": "sgd"}, 1e-4), ({"n_members": 1}, 0.3)],
)
def test_members_need_less_weight_decay(several, table, params, decay):
    net = members_of(several(**params).fit(*table).net_)[0]
    assert net.optimizer_.param_groups[0]["weight_decay"] == decay


# What it shows


def test_the_history_is_of_those_that_got_so_far(several, table):
    clf = several(max_epochs=30, n_iter_no_change=1).fit(*table)
    histories = [net.history for net in clf.net_.members_]
    lengths = [len(history) for history in histories]
    assert len(set(lengths)) > 1
    assert clf.n_iter_ == len(clf.history_) == max(lengths)
    assert clf.history_[:, "n_members"] == [sum(n > epoch for n in lengths) for epoch in range(max(lengths))]
    for name in ("train_loss", "valid_loss", "lr"):
        means = [np.mean([h[epoch][name] for h in histories if len(h) > epoch]) for epoch in range(max(lengths))]
        np.testing.assert_allclose(clf.history_[:, name], means)
    assert clf.history_[:, "epoch"] == list(range(1, max(lengths) + 1))
    np.testing.assert_allclose(clf.lr_, np.prod([net.lr_ for net in clf.net_.members_]) ** (1 / 3))


def test_one_bar_shows_the_progress(several, table, capsys):
    clf = several(verbose=1, warm_start=True)
    for _ in range(2):
        clf.fit(*table)
        (bar,) = capsys.readouterr().err.strip("\n").split("\n")  # a slow machine shows its end twice, in one line
        assert "3/3" in bar


# Uncertainty


def test_the_uncertainty_is_the_mean_divergence_from_the_mean(several, table):
    X, _ = table
    clf = several().fit(*table)
    each = np.stack(
        [special.softmax(net.module_(torch.as_tensor(X)).detach().numpy(), -1) for net in members_of(clf.net_)]
    )
    expected = special.rel_entr(each, each.mean(0)).sum(-1).mean(0)
    np.testing.assert_allclose(clf.predict_uncertainty(X), expected, atol=1e-12)
    np.testing.assert_allclose(clf.predict_uncertainty(X[:1]), expected[:1], atol=1e-12)
    assert clf.predict_uncertainty(X).max() <= np.log(3)


def test_the_uncertainty_about_labels_is_their_sum(several, table):
    X, y = table
    clf = several().fit(X, indicator(y))
    p = np.stack([special.expit(net.module_(torch.as_tensor(X)).detach().numpy()) for net in members_of(clf.net_)])
    by_label = special.rel_entr(p, p.mean(0)) + special.rel_entr(1 - p, 1 - p.mean(0))
    np.testing.assert_allclose(clf.predict_uncertainty(X), by_label.mean(0).sum(-1), atol=1e-12)


def test_the_uncertainty_is_less_with_more_rows(several, make_table):
    X, y = make_table(1000)
    few, many = (several(max_epochs=10, batch_size=n // 5).fit(X[:n], y[:n]) for n in (50, 900))
    assert many.predict_uncertainty(X[900:]).mean() < few.predict_uncertainty(X[900:]).mean() / 2


def test_one_network_has_no_uncertainty(quick, table):
    assert not hasattr(quick(), "predict_uncertainty")
    with pytest.raises(AttributeError) as error:
        quick().predict_uncertainty  # noqa: B018
    assert str(error.value.__cause__) == "predict_uncertainty needs several networks, which differ. Got n_members=1."
    with pytest.raises(AttributeError) as error:
        quick().fit(*table).set_params(n_members=2).predict_uncertainty  # noqa: B018
    assert "Got a classifier fitted with n_members=1." in str(error.value.__cause__)


def test_the_uncertainty_is_of_the_networks_that_were_fitted(several, table):
    clf = several().fit(*table)
    expected = clf.predict_uncertainty(table[0])
    np.testing.assert_array_equal(clf.set_params(n_members=1).predict_uncertainty(table[0]), expected)


# Validation parts

SPLITS = {
    "classes": (np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [8, 4, 3])),
    "one row of a class": (np.repeat([0, 1, 2], [60, 39, 1]), np.repeat([0, 1], [9, 6])),
    "too few rows for all classes": (np.repeat(np.arange(20), 2), np.array([3, 5])),
    "labels": (np.ones((40, 2), dtype=int), np.ones((6, 2), dtype=int)),
}


@pytest.mark.parametrize(("codes", "of_one"), SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("n_parts", [2, 8, 50])
def test_validation_parts_are_spread_evenly(codes, of_one, n_parts):
    parts = validation_parts(codes, of_one, n_parts, np.random.RandomState(0))
    assert [len(set(part)) for part in parts] == [len(of_one)] * n_parts
    times = np.bincount(np.concatenate(parts), minlength=len(codes))
    if codes.ndim == 1 and len(of_one) > 2:
        assert all((np.bincount(codes[part]) == np.bincount(of_one)).all() for part in parts)
        groups = [times[codes == code] for code in np.unique(of_one)]
        assert not times[np.bincount(codes)[codes] == 1].any()
    else:
        groups = [times]
    assert all(np.ptp(group) <= 1 for group in groups)


def test_each_member_has_a_validation_part_of_its_own(several, table, monkeypatch):
    X, y = table
    seen = []
    monkeypatch.setattr(
        "sklkl.net._ensemble.train_together", lambda nets, sets, **options: seen.extend(sets) or [None] * len(nets)
    )
    monkeypatch.setattr("sklkl.net._ensemble.KLEnsemble._gather", lambda net: None)
    monkeypatch.setattr("sklkl._fit.fitting.check_outcome", lambda *args: None)
    monkeypatch.setattr(KLClassifier, "_take_over", lambda clf, *args: setattr(clf, "interrupted_", False))
    several(n_members=6, validation_fraction=0.2).fit(X, y)
    aside = [{tuple(row) for row in data.valid.X.tolist()} for data in seen]
    kept = [{tuple(row) for row in data.train.X.tolist()} for data in seen]
    every = {tuple(row) for row in X.astype(np.float32).tolist()}
    assert all(part | rest == every and not part & rest for part, rest in zip(aside, kept, strict=True))
    assert set.union(*aside) == every
    assert len({frozenset(part) for part in aside}) == 6


def test_a_validation_part_that_is_given_serves_all(several, table):
    X, y = table
    clf = several(early_stopping="auto").fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:])
    assert all("valid_loss" in net.history[-1] for net in clf.net_.members_)


# Further training, copies


@pytest.mark.parametrize(
    ("params", "labels"),
    [({}, False), ({}, True), ({"module": Linear}, True), ({"module": parametrised}, False)],
    ids=["own", "own, labels", "module, labels", "parametrised"],
)
def test_is_stored_and_resumed(several, table, params, labels, same_but_for_rounding):
    X, y = table[0], indicator(table[1]) if labels else table[1]
    clf = several(**params, max_epochs=2, dtype="float64").fit(X, y)
    copies = pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)
    for again in copies:
        same_but_for_rounding(again.predict_proba(X), clf.predict_proba(X))
        assert again.n_iter_ == 2
    for each in (clf, *copies):
        assert each.set_params(warm_start=True).fit(X, y).n_iter_ == 4
    for again in copies:
        same_but_for_rounding(again.predict_proba(X), clf.predict_proba(X))


def test_a_pickle_is_the_same_again(several, table):
    clf = several(max_epochs=1).fit(*table)
    assert pickle.dumps(clf) == pickle.dumps(clf)


def test_a_pickle_has_the_weights_once(several, table):
    clf = several(hidden_layer_sizes=(300, 300), max_epochs=1).fit(*table)
    numbers = sum(parameter.numel() for parameter in clf.module_.parameters())
    assert len(pickle.dumps(clf)) < 4 * numbers * 3.3  # weights and two moments


def test_a_copy_is_independent(several, table):
    clf = several().fit(*table)
    before = clf.predict_proba(table[0])
    copy.deepcopy(clf).set_params(warm_start=True).fit(*table)
    np.testing.assert_array_equal(clf.predict_proba(table[0]), before)
    assert clone(clf).n_members == 3


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 2), (2, 1)])
def test_the_number_of_members_cannot_change(several, table, before, after):
    clf = several(n_members=before, warm_start=True).fit(*table)
    with pytest.raises(ValueError, match=f"'n_members'.*must be {before}, as in the training.*Got {after} instead"):
        clf.set_params(n_members=after).fit(*table)


def test_a_stream(stream, make_table):
    X, y = make_table(300)
    clf = stream(n_members=3)
    losses = []
    for start in range(0, 300, 100):
        clf.partial_fit(X[start : start + 100], y[start : start + 100], classes=[0, 1, 2])
        losses.append(clf.history_[-1]["train_loss"])
    assert losses[-1] < losses[0]
    assert clf.n_iter_ == 3
    scales = [net.module_.scaling.center for net in clf.net_.members_]
    assert torch.equal(scales[0], scales[1])
    assert pickle.loads(pickle.dumps(clf)).partial_fit(X, y).n_iter_ == 4


# Interruptions


class Press(Callback):
    """Presses the keys after an epoch, counted over all members."""

    def __init__(self, at):
        self.at, self.count = at, []

    def on_epoch_end(self, net, **kwargs):
        self.count.append(net)
        if len(self.count) == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("params", "at", "lengths"),
    [
        ({}, 5, [2, 2, 1]),  # the last has not come to the end of its second epoch
        ({}, 1, [1, 0, 0]),
        ({}, 2, [1, 1, 0]),
        ({"module": Linear}, 5, [3, 2, 0]),  # one after the other
    ],
)
def test_an_interruption_keeps_what_was_learned(several, table, monkeypatch, params, at, lengths):
    press, end_epoch = Press(at), BestWeights.on_epoch_end

    def pressed(self, net, **kwargs):  # no callback of the user's: what has one is not stacked
        end_epoch(self, net, **kwargs)
        press.on_epoch_end(net)

    monkeypatch.setattr(BestWeights, "on_epoch_end", pressed)
    clf = several(**params)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    learned = [net for net in clf.net_.members_ if len(net.history)]
    assert all(net.has_learned_ and not net.module_.training for net in learned)
    assert clf.interrupted_
    assert [len(net.history) for net in clf.net_.members_] == lengths
    assert len(clf.module_.members) == sum(length > 0 for length in lengths)
    assert np.isfinite(clf.predict_proba(table[0])).all()
    assert (clf.predict_uncertainty(table[0]) <= np.log(len(clf.module_.members))).all()
    assert clf.set_params(callbacks=None, warm_start=True).fit(*table).n_iter_ == max(lengths) + 3
    assert len(clf.module_.members) == 3


def test_an_interruption_before_the_first_epoch_leaves_the_estimator_as_it_was(several, table):
    class Early(Callback):
        def on_epoch_begin(self, net, **kwargs):
            signal.raise_signal(signal.SIGINT)

    clf = several(callbacks=[Early()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert not hasattr(clf, "net_")


# With all the rest


def test_members_learn_from_one_teacher(several, table):
    X, y = table
    clf = several(teacher=LogisticRegression(), distill_weight=0.5).fit(X, y)
    assert clf.history_[-1]["train_distillation"] > 0
    worth = several(teacher=LogisticRegression(), augment_factor=1).fit(X, y)
    assert 0 <= worth.distill_weight_ <= 0.5


@pytest.mark.parametrize("params", [{}, {"early_stopping": False}])
def test_generations(several, table, params):
    clf = several(n_generations=2, distill_weight=0.5, **params).fit(*table)
    assert clf.history_[-1]["train_distillation"] > 0


def test_is_a_teacher(quick, several, table):
    X, y = table
    student = quick(teacher=several(), distill_weight=0.5).fit(X, y)
    assert type(student.module_) is MLP
    ready = quick(teacher=FrozenEstimator(several().fit(X, y)), distill_weight=0.5).fit(X, y)
    assert ready.predict_proba(X).shape == (120, 3)


@pytest.mark.parametrize("n_members", [1, 2])
def test_in_a_distiller(quick, several, table, n_members):
    student = quick(n_members=n_members, distill_weight=0.5, augment=None)
    distiller = Distiller(student, several(), report_fraction=None, random_state=0).fit(*table)
    assert distiller.predict_proba(table[0]).shape == (120, 3)


def test_starts_from_a_network(quick, several, table):
    old = FrozenEstimator(quick(hidden_layer_sizes=(8,)).fit(*table))
    assert (
        several(init_from=old).fit(*table).history_[0]["train_loss"] < several().fit(*table).history_[0]["train_loss"]
    )


def test_in_scikit_learns_tools(several, table):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), several(max_epochs=1))
    search = GridSearchCV(pipeline, {"klclassifier__n_members": [1, 2]}, cv=2)
    assert search.fit(X, y).predict_proba(X).shape == (120, 3)
    calibrated = CalibratedClassifierCV(FrozenEstimator(several().fit(X, y))).fit(X, y)
    assert calibrated.predict_proba(X).shape == (120, 3)


def test_among_fits_together(several, quick, table):
    classifiers = [several(dtype="float64"), quick(), quick(kl_strength=0.1)]
    assert fit_together(classifiers, FitData(*table)) == [None] * 3
    np.testing.assert_allclose(
        classifiers[0].predict_proba(table[0]), several(dtype="float64").fit(*table).predict_proba(table[0]), rtol=1e-9
    )


# As a net


def test_the_net_of_several_networks_is_copied_but_not_cloned(quick, table):
    net = quick(n_members=2).fit(*table).net_
    with pytest.raises(TypeError, match="A KLEnsemble cannot be cloned, .* Clone its classifier, or one of the 'mem"):
        clone(net)
    assert not clone(net.members_[0]).initialized_
    rows = table[0].astype(np.float32)
    assert np.array_equal(copy.deepcopy(net).predict_proba(rows), net.predict_proba(rows))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_net_of_several_networks_takes_training_sets(quick, table, method):
    net = quick(n_members=2).fit(*table).net_
    with pytest.raises(TypeError, match="The 'X' parameter of KLEnsemble must be a TrainingSet, .* Got ndarray inst"):
        getattr(net, method)(*table)
