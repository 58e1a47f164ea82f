"""Processes and threads: the same answers, and never a hang."""

import os
from concurrent.futures import ThreadPoolExecutor

import joblib
import pytest
from joblib import parallel_config
from joblib.externals.loky import cloudpickle_wrapper as cloudpickle
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from tests.net.test_storage import Keeps, with_lambda


class Noisy(nn.Sequential):
    """A user's network with torch's own dropout, which draws from the global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, n_classes))


# float64, so that what other threads and processes may make of the same numbers is within `same_but_for_rounding`
KINDS = {"own": {"dropout": 0.3, "dtype": "float64"}, "user": {"module": Noisy, "dtype": "float64"}}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def search(quick, make_table):
    """Return ``search(kind, n_jobs) -> scores`` of a grid search."""
    X, y = make_table(240)

    def run(kind, n_jobs):
        grid = GridSearchCV(
            quick(**KINDS[kind]), {"kl_strength": [0.0, 0.1]}, cv=3, n_jobs=n_jobs, scoring="neg_log_loss"
        )
        results = grid.fit(X, y).cv_results_
        return [results[f"split{fold}_test_score"].tolist() for fold in range(3)]

    return run


def test_two_threads_give_the_same_scores_as_one(search, same_but_for_rounding, global_state_untouched):
    with global_state_untouched(), parallel_config(backend="threading"):
        same_but_for_rounding(search("user", 2), search("user", 1))


@each_kind
def test_another_process_gives_the_same_scores(quick, table, kind, other_process, same_but_for_rounding):
    clf = quick(**KINDS[kind])
    there = other_process.submit(cross_val_score, clf, *table, cv=3, scoring="neg_log_loss").result()
    same_but_for_rounding(there, cross_val_score(clf, *table, cv=3, scoring="neg_log_loss"))


def test_what_cannot_be_imported_is_loaded_in_another_process(quick, table, tmp_path, other_process):
    file = tmp_path / "model.pkl"
    file.write_bytes(cloudpickle.dumps(quick(module=with_lambda, callbacks=[Keeps]).fit(*table)))
    assert other_process.submit(joblib.load, file).result().n_iter_ == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_torch_used_threads_never_hangs_and_keeps_them_if_it_trains_nothing(fresh_process):
    assert fresh_process["forks"] == ""


@each_kind
def test_predictions_from_eight_threads_are_the_same(quick, table, kind, same_but_for_rounding):
    X, y = table
    clf = quick(**KINDS[kind]).fit(X, y)
    expected = clf.predict_proba(X)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: clf.predict_proba(X), range(64)))
    for answer in answers:
        same_but_for_rounding(answer, expected)


@each_kind
def test_fits_from_four_threads_are_the_same(quick, table, kind, same_but_for_rounding, global_state_untouched):
    X, y = table

    def fit(seed):
        return quick(random_state=seed, max_epochs=8, **KINDS[kind]).fit(X, y).predict_proba(X)

    alone = [fit(seed) for seed in range(4)]
    with global_state_untouched(), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    same_but_for_rounding(together, alone)


def test_predictions_while_another_model_trains_are_the_same(quick, table, same_but_for_rounding):
    X, y = table
    clf = quick(**KINDS["user"]).fit(X, y)
    expected = clf.predict_proba(X)
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(lambda: quick(max_epochs=30, **KINDS["user"]).fit(X, y))
        answers = [clf.predict_proba(X) for _ in range(20)]
        training.result()
    for answer in answers:
        same_but_for_rounding(answer, expected)
