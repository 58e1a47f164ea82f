"""Going on: ``partial_fit``, ``warm_start``, seeds and pickles."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import EpochScoring
from torch import nn

from sklkl.modules import MLP
from sklkl.penalties import PENALTIES, Prior


class Noisy(nn.Sequential):
    """A user's network with torch's own dropout, which draws from the global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, n_classes))


class NoisyMLP(MLP):
    """The built-in network with torch's own dropout in front."""

    def forward(self, x):
        return super().forward(torch.nn.functional.dropout(x, 0.5, self.training))


KINDS = {
    "own": {"dropout": 0.3},
    "user": {"module": Noisy},
    "instance": {"module": Noisy(5, 3)},
    "derived": {"module": NoisyMLP, "module__hidden_layer_sizes": (8,)},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


# partial_fit


def test_a_stream_learns(stream, make_table):
    X, y = make_table(300)
    clf = stream(batch_size=20)
    for _ in range(3):
        for start in range(0, 300, 100):
            clf.partial_fit(X[start : start + 100], y[start : start + 100], classes=[0, 1, 2])
    assert clf.n_iter_ == 9
    assert clf.score(X, y) > 0.8


def test_a_stream_knows_classes_it_has_not_seen(stream, table):
    X, y = table
    clf = stream().partial_fit(X[y == 1], y[y == 1], classes=[0, 1, 2])
    assert clf.predict_proba(X).shape == (120, 3)
    clf.partial_fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2]


def test_classes_are_needed_at_first(stream, table):
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        stream().partial_fit(*table)


def test_classes_given_in_any_order_are_sorted(stream, table):
    X, codes = table
    y = np.array(["cat", "dog", "emu"])[codes]
    clf = stream().partial_fit(X, y, classes=["emu", "cat", "dog"])
    assert clf.classes_.tolist() == ["cat", "dog", "emu"]
    assert np.array_equal(clf.predict_proba(X), stream().partial_fit(X, codes, classes=range(3)).predict_proba(X))


def test_other_classes_later_are_refused(stream, table):
    X, y = table
    clf = stream().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        clf.partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("classes", [[], 3, "abc", [0, None], [0.0, np.nan], [[0], [1, 2]], ["a", 1]], ids=str)
def test_classes_that_are_none_are_named(quick, table, classes):
    with pytest.raises(ValueError, match="'classes' parameter of partial_fit must be"):
        quick().partial_fit(*table, classes=classes)


def test_labels_of_another_kind_later_are_refused(stream, table):
    X, y = table
    clf = stream().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="y has labels .* that are not among the classes"):
        clf.partial_fit(X, np.datetime64("2020-01-01") + y)


@pytest.mark.parametrize("label", [7, -1])
def test_unknown_labels_are_refused(stream, table, label):
    X, y = table
    clf = stream().partial_fit(X, y, classes=[0, 1, 2])
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=rf"labels \[{label}\] that are not among the classes \[0, 1, 2\]"):
        clf.partial_fit(X, np.where(np.arange(120) == 3, label, y))
    assert np.array_equal(clf.predict_proba(X), before)


def test_labels_of_another_type_later_are_refused(stream, table):
    X, codes = table
    clf = stream().partial_fit(X, np.array(["a", "b", "c"])[codes], classes=["a", "b", "c"])
    with pytest.raises((ValueError, TypeError)):
        clf.partial_fit(X, codes)


def test_another_width_later_is_refused(stream, table):
    X, y = table
    clf = stream().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="X has 3 features, but KLClassifier is expecting 5"):
        clf.partial_fit(X[:, :3], y)


def test_partial_fit_goes_on_after_fit(quick, table):
    X, y = table
    clf = quick(max_epochs=30, lr=0.05, learning_rate="onecycle").fit(X, y)
    before = clf.predict_proba(X)
    clf.set_params(lr=1e-9).partial_fit(X, y)
    assert clf.n_iter_ == 31
    np.testing.assert_allclose(clf.predict_proba(X), before, atol=1e-5)


def test_fit_begins_anew_after_partial_fit(quick, stream, table):
    X, y = table
    clf = stream().partial_fit(X[:, :3], y, classes=[0, 1, 2]).set_params(max_epochs=3).fit(X, y)
    assert clf.n_iter_ == 3
    assert np.array_equal(clf.predict_proba(X), quick().fit(X, y).predict_proba(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_optimizer_goes_on_with_the_network(quick, table, method):
    """Four batches an epoch; three epochs by the first fit and three, or one, by the next."""
    X, y = table
    clf = quick(batch_size=30, warm_start=True).fit(X, y)
    getattr(clf, method)(X, y)
    parameters = list(clf.module_.parameters())
    assert [id(p) for group in clf.net_.optimizer_.param_groups for p in group["params"]] == list(map(id, parameters))
    steps = {int(clf.net_.optimizer_.state[p]["step"]) for p in parameters}
    assert steps == {24 if method == "fit" else 16}


def test_one_row_after_another(stream, table):
    X, y = table
    clf = stream()
    for row in range(10):
        clf.partial_fit(X[[row]], y[[row]], classes=[0, 1, 2])
    assert clf.n_iter_ == 10


def test_sparse_parts_after_a_dense_one(stream, table, same_but_for_rounding):
    X, y = table[0] * (table[0] > 0), table[1]
    kinds = (np.asarray, sparse.csr_array)
    streams = [stream().partial_fit(X[:50], y[:50], classes=[0, 1, 2]).partial_fit(kind(X), y) for kind in kinds]
    same_but_for_rounding(*(clf.predict_proba(X) for clf in streams))


def test_the_automatic_batch_size_is_that_of_each_part(stream, make_table):
    X, y = make_table(1000)
    clf = stream().partial_fit(X[:1], y[:1], classes=[0, 1, 2]).partial_fit(X, y)
    assert (
        clf.history_[-1, "train_batch_count"]
        == stream().partial_fit(X, y, classes=[0, 1, 2]).history_[-1, "train_batch_count"]
    )


@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalties_in_a_stream(stream, table, penalty):
    X, y = table
    clf = stream(kl_penalty=penalty, kl_strength=0.1)
    for start in (0, 1, 40):
        clf.partial_fit(X[start : start + 40], y[start : start + 40], classes=[0, 1, 2])
    assert np.isfinite(clf.history_[:, "train_kl_penalty"]).all()


@pytest.mark.parametrize("penalty", ["prior", Prior()], ids=str)
@pytest.mark.parametrize("pickled", [False, True])
def test_the_prior_of_a_stream_is_that_of_all_rows_so_far(stream, table, penalty, pickled):
    X, y = table
    clf = stream(kl_penalty=penalty, kl_strength=0.1)
    for part in (slice(0, 7), slice(7, 60), slice(60, 120)):
        clf.partial_fit(X[part], y[part], classes=[0, 1, 2])
        clf = pickle.loads(pickle.dumps(clf)) if pickled else clf
    np.testing.assert_allclose(clf.net_.penalty_.prior_, np.bincount(y) / 120, rtol=1e-6)


# warm_start


def test_warm_start_goes_on(quick, table):
    X, y = table
    clf = quick(warm_start=True, learning_rate="constant", lr=0.01).fit(X, y)
    first = clf.history_[-1, "train_loss"]
    clf.fit(X, y)
    assert clf.n_iter_ == 6
    assert clf.history_[-1, "train_loss"] < first


def test_without_warm_start_every_fit_is_the_same(quick, table):
    X, y = table
    clf = quick().fit(X, y)
    before = clf.predict_proba(X)
    assert np.array_equal(clf.fit(X, y).predict_proba(X), before)
    assert clf.n_iter_ == 3


def test_warm_start_with_other_classes_is_refused(quick, table):
    X, y = table
    clf = quick(warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"\[0, 1, 2\] were learned, y has \[0, 1\]"):
        clf.fit(X, (y > 0).astype(int))
    assert np.array_equal(clf.predict_proba(X), before)


def test_warm_start_with_another_width_is_refused(quick, table):
    X, y = table
    clf = quick(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="3 features, but KLClassifier is expecting 5"):
        clf.fit(X[:, :3], y)
    assert clf.predict(X).shape == (120,)


@pytest.mark.parametrize(
    ("params", "seen"),
    [
        ({"max_epochs": 7}, lambda clf: clf.n_iter_ == 10),
        ({"batch_size": 10}, lambda clf: clf.history_[-1, "train_batch_count"] == 12),
        ({"early_stopping": True}, lambda clf: "valid_loss" in clf.history_[-1]),
        ({"learning_rate": "onecycle"}, lambda clf: clf.history_[-1, "lr"] != clf.history_[-2, "lr"]),
        (
            {"callbacks": [EpochScoring("accuracy", on_train=True, name="acc")]},
            lambda clf: "acc" in clf.history_[-1],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_warm_start_uses_parameters_that_were_set_in_between(quick, table, params, seen):
    clf = quick(warm_start=True, learning_rate="constant", early_stopping=False).fit(*table)
    assert not seen(clf)
    assert seen(clf.set_params(**params).fit(*table))


def test_another_penalty_set_in_between_is_used(quick, table):
    clf = quick(warm_start=True, kl_strength=0.1).fit(*table)
    clf.set_params(kl_penalty="prior").fit(*table)
    assert type(clf.net_.penalty_) is PENALTIES["prior"]


def test_the_prior_of_a_warm_start_is_that_of_the_new_rows(quick, table):
    """fit learns from the rows it is given; only partial_fit goes on counting."""
    X, y = table
    clf = quick(warm_start=True, kl_penalty="prior", kl_strength=0.1, early_stopping=False).fit(X, y)
    keep = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y > 0)[:20]]
    clf.fit(X[keep], y[keep])
    np.testing.assert_allclose(clf.net_.penalty_.prior_, np.bincount(y[keep]) / len(keep), rtol=1e-6)


# Seeds


@each_kind
def test_the_same_seed_gives_the_same_model_to_the_bit(quick, make_table, kind, global_state_untouched):
    X, y = make_table(240)
    with global_state_untouched():
        first, second, other = (quick(random_state=seed, **KINDS[kind]).fit(X, y) for seed in (5, 5, 6))
        proba = [clf.predict_proba(X) for clf in (first, second, other)]
    assert np.array_equal(proba[0], proba[1])
    assert not np.array_equal(proba[0], proba[2])
    assert first.history_[:, "train_loss"] == second.history_[:, "train_loss"]


@each_kind
@pytest.mark.parametrize("seed", [None, 0])
def test_global_states_are_neither_used_nor_changed(quick, table, kind, seed, global_state_untouched):
    X, y = table
    clf = quick(random_state=seed, **KINDS[kind])
    with global_state_untouched():
        clf.fit(X, y).partial_fit(X, y)
        clf.predict(X)
    with global_state_untouched(), pytest.raises(ValueError, match="NaN"):
        clf.fit(X * np.nan, y)


@each_kind
def test_the_global_seed_does_not_matter(quick, table, kind):
    proba = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            proba.append(quick(**KINDS[kind]).fit(*table).predict_proba(table[0]))
    assert np.array_equal(*proba)


def test_no_seed_gives_another_model_each_time(quick, table):
    X, y = table
    first, second = (quick(random_state=None).fit(X, y).predict_proba(X) for _ in range(2))
    assert not np.array_equal(first, second)


def test_a_random_state_is_drawn_from(quick, table):
    X, y = table
    random_state = np.random.RandomState(0)
    first, second = (quick(random_state=random_state).fit(X, y).predict_proba(X) for _ in range(2))
    again = quick(random_state=np.random.RandomState(0)).fit(X, y).predict_proba(X)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


@each_kind
def test_prediction_is_without_chance(quick, table, kind, same_but_for_rounding):
    X, y = table
    clf = quick(**KINDS[kind]).fit(X, y)
    same_but_for_rounding(clf.predict_proba(X), clf.predict_proba(X))  # in float64


# Pickles


def through_joblib(clf, tmp_path):
    joblib.dump(clf, tmp_path / "clf.joblib")
    return joblib.load(tmp_path / "clf.joblib")


WAYS = {
    "pickle": lambda clf, path: pickle.loads(pickle.dumps(clf)),
    "copy": lambda clf, path: copy.deepcopy(clf),
    "joblib": through_joblib,
}


@pytest.mark.parametrize(
    ("way", "kind"), [*(("pickle", kind) for kind in KINDS), ("copy", "own"), ("copy", "user"), ("joblib", "derived")]
)
def test_a_copy_predicts_the_same_and_goes_on_to_the_bit(quick, table, kind, way, tmp_path):
    X, y = table
    clf = quick(kl_strength=0.1, kl_penalty="prior", **KINDS[kind]).fit(X, y)
    copied = WAYS[way](clf, tmp_path)
    assert np.array_equal(copied.predict_proba(X), clf.predict_proba(X))
    for either in (copied, clf):
        either.partial_fit(X, y).partial_fit(X[:50], y[:50])
    assert np.array_equal(copied.predict_proba(X), clf.predict_proba(X))
    assert copied.history_[:, "train_loss"] == clf.history_[:, "train_loss"]


def test_an_unfitted_classifier_survives_pickling_and_cloning(quick, table):
    clf = quick(module=MLP, module__hidden_layer_sizes=(4,), optimizer__betas=(0.8, 0.9))
    for copied in (pickle.loads(pickle.dumps(clf)), clone(clf)):
        assert copied.get_params() == clf.get_params()
        assert np.array_equal(copied.fit(*table).predict_proba(table[0]), clf.fit(*table).predict_proba(table[0]))


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_pickle_holds_no_training_rows(quick, make_table, early_stopping):
    X, y = make_table(8000, n_features=20)
    scoring = EpochScoring("accuracy", name="acc", on_train=True)
    fast = {"batch_size": 4000, "max_epochs": 1}
    clf = quick(early_stopping=early_stopping, callbacks=[scoring], kl_penalty="prior", kl_strength=0.1, **fast)
    for method in (clf.fit, clf.partial_fit):
        method(X, y, sample_weight=np.ones(8000))
        assert len(pickle.dumps(clf)) < 50_000  # X takes 640 kB as float32, y 64 kB
