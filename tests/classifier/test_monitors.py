"""Callbacks that look at a validation part: there is one, or they are refused before training."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from skorch.callbacks import BatchScoring, Callback, Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.callbacks import PassthroughScoring as Passthrough

from sklkl import KLClassifier, KLNet
from sklkl.modules import MLP


class Never(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("nothing should be trained")


def stopping(monitor="valid_loss", **params):
    return EarlyStopping(monitor, sink=lambda text: None, **params)


def plateau(monitor):
    return LRScheduler("ReduceLROnPlateau", monitor=monitor)


def accuracy(**params):
    return EpochScoring("accuracy", lower_is_better=False, **params)


def better(net):
    return all(net.history[-1, ("train_loss_best", "valid_loss_best")])


# What needs a validation part, and what an error says of it; functions of a folder for checkpoints.
MONITORS = {
    "stopping": (lambda folder: [stopping()], "EarlyStopping monitors 'valid_loss'"),
    "named": (lambda folder: [("stop", stopping())], "EarlyStopping monitors 'valid_loss'"),
    "class": (lambda folder: [EarlyStopping], "EarlyStopping monitors 'valid_loss'"),
    "plateau": (lambda folder: [plateau("valid_loss")], "LRScheduler monitors 'valid_loss'"),
    "function": (
        lambda folder: [plateau(lambda net: net.history[-1, "valid_loss"])],
        "LRScheduler monitors a value of the validation part",
    ),
    "checkpoint": (lambda folder: [Checkpoint(dirname=folder)], "Checkpoint monitors 'valid_loss_best'"),
    "checkpoint function": (
        lambda folder: [Checkpoint(monitor=better, dirname=folder)],
        "Checkpoint monitors a value of the validation part",
    ),
    "score": (
        lambda folder: [accuracy(), stopping("accuracy", lower_is_better=False)],
        "EarlyStopping monitors 'accuracy'",
    ),
    "best score": (
        lambda folder: [accuracy(name="acc"), Checkpoint(monitor="acc_best", dirname=folder)],
        "Checkpoint monitors 'acc_best'",
    ),
    "function of a score": (
        lambda folder: [BatchScoring("accuracy", name="acc"), plateau(lambda net: -net.history[-1]["acc"])],
        "LRScheduler monitors a value of the validation part",
    ),
}
monitors = pytest.mark.parametrize(("make", "words"), MONITORS.values(), ids=MONITORS)


@monitors
def test_few_rows_get_a_validation_part(quick, table, tmp_path, make, words):
    clf = quick(callbacks=make(str(tmp_path)), learning_rate="constant").fit(*table)
    assert "valid_loss" in clf.history_[-1]
    assert clf.n_iter_ == 3


def test_few_rows_with_a_teacher_get_a_validation_part(quick, table):
    clf = quick(callbacks=[stopping()], teacher=LogisticRegression(), augment=None).fit(*table)
    assert "valid_loss" in clf.history_[-1]


@monitors
def test_without_one_training_does_not_begin(quick, table, tmp_path, make, words):
    clf = quick(callbacks=make(str(tmp_path)), teacher=Never(), early_stopping=False)
    with pytest.raises(
        ValueError, match=rf"'early_stopping' .* must be 'auto' or True, as the callback {words}. Got F"
    ):
        clf.fit(*table)
    X, y = table
    rows = [0, int(np.argmax(y != y[0]))]
    for early_stopping in ("auto", True):
        clf.set_params(early_stopping=early_stopping)
        message = rf"The callback {words}, but no row can be set aside.*'X_val'.* Got early_stopping={early_stopping!r}"
        with pytest.warns(UserWarning, match="one row only"), pytest.raises(ValueError, match=message):
            clf.fit(X[rows], y[rows])
    assert not hasattr(clf, "net_")


@monitors
def test_a_part_of_ones_own_is_one(quick, table, tmp_path, make, words):
    X, y = table
    clf = quick(callbacks=make(str(tmp_path)), learning_rate="constant").fit(X, y, X_val=X[:9], y_val=y[:9])
    assert clf.n_iter_ == 3


@monitors
def test_a_stream_has_none(quick, table, tmp_path, make, words):
    with pytest.raises(ValueError, match=f"The callback {words}, which partial_fit does not have"):
        quick(callbacks=make(str(tmp_path))).partial_fit(*table, classes=[0, 1, 2])


def test_a_cross_validation_of_few_rows(quick, make_table):
    """280 rows have a validation part, two thirds of them would have none."""
    scores = cross_val_score(quick(callbacks=[stopping()]), *make_table(280), cv=3, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "callback",
    [accuracy(), BatchScoring("accuracy"), Passthrough("valid_loss"), accuracy(use_caching=False, name="valid_acc")],
)
def test_a_score_of_the_validation_part_wants_one_but_can_do_without(quick, table, callback):
    assert "valid_loss" in quick(callbacks=[callback]).fit(*table).history_[-1]
    assert "valid_loss" not in quick(callbacks=[callback], early_stopping=False).fit(*table).history_[-1]
    KLClassifier(callbacks=[callback]).partial_fit(*table, classes=[0, 1, 2])


class Untouched(Callback):
    monitor = None


@pytest.mark.parametrize(
    "callbacks",
    {
        "train": [stopping("train_loss")],
        "train score": [accuracy(on_train=True), stopping("accuracy", lower_is_better=False)],
        "train function": [plateau(lambda net: net.history[-1, "train_loss"])],
        "forgiving function": [plateau(lambda net: net.history[-1].get("valid_loss", 0.0))],
        "function of the net": [plateau(lambda net: net.optimizer_.param_groups[0]["lr"])],
        "no monitor": [Untouched(), LRScheduler("ExponentialLR", gamma=0.5)],
    }.items(),
    ids=lambda item: item[0],
)
def test_what_looks_at_training_rows_changes_nothing(quick, make_table, callbacks):
    table = make_table(39)
    clf = quick(callbacks=callbacks[1], learning_rate="constant").fit(*table)
    assert "valid_loss" not in clf.history_[-1]
    KLClassifier(callbacks=callbacks[1], learning_rate="constant").partial_fit(*table, classes=[0, 1, 2])


class Reader(Callback):
    """A callback of the user's own, as those that report to a study."""

    def __init__(self, by_name):
        self.by_name = by_name

    def on_epoch_end(self, net, **kwargs):
        self.seen = net.history[-1]["valid_loss"] if self.by_name else net.history[-1, "valid_loss"]


@pytest.mark.parametrize("by_name", [True, False])
def test_what_reads_it_unasked_is_told_how_to_get_one(quick, make_table, by_name):
    table = make_table(39)
    clf = quick(callbacks=[Reader(by_name)])
    with pytest.raises(ValueError, match=r"there is none: .*valid_loss.* Set 'early_stopping' to True, or pass"):
        clf.fit(*table)
    assert not hasattr(clf, "net_")
    assert clf.set_params(early_stopping=True).fit(*table).n_iter_ == 3


class Lookup(Callback):
    def on_epoch_end(self, net, **kwargs):
        return {}["missing"]


def test_other_errors_of_callbacks_are_their_own(quick, table):
    with pytest.raises(KeyError, match="missing"):
        quick(callbacks=[Lookup()]).fit(*table)


def test_a_net_has_skorchs_rules(table):
    X, y = table[0].astype("f4"), table[1]
    params = {"module__n_features": 5, "module__n_classes": 3, "max_epochs": 2, "verbose": 0}
    net = KLNet(MLP, **params, callbacks=[stopping()], train_split=None)
    with pytest.raises(KeyError, match="valid_loss"):
        net.fit(X, y)
