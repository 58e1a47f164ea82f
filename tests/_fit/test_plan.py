"""Fits that a search has announced."""

from dataclasses import fields, replace
from itertools import product
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

from sklkl._fit.parameters import FitData
from sklkl._fit.plan import Candidate, Plan, planned, train_here


@pytest.fixture
def candidates(quick):
    """Three candidates that get the same rows; in float64, as a stack multiplies its matrices in another way."""
    return [Candidate(number, quick(kl_strength=0.1 * number, dtype="float64"), "") for number in range(3)]


def test_the_first_fit_trains_all(candidates, table):
    plan = Plan(candidates, 3)
    with plan.active():
        fitted = [clone(candidate.estimator).fit(*table) for candidate in candidates]
    assert plan.stacked == [3, 3, 3]
    for one, candidate in zip(fitted, candidates, strict=True):
        alone = candidate.estimator.fit(*table).predict_proba(table[0])
        np.testing.assert_allclose(one.predict_proba(table[0]), alone)


def test_only_what_is_announced(candidates, quick, table):
    plan, data = Plan(candidates, 3), FitData(*table)
    assert not planned(candidates[0].estimator, data)
    with plan.active():
        assert not planned(quick(kl_strength=7.0), data)
        assert planned(clone(candidates[0].estimator), data)
    assert not planned(candidates[0].estimator, data)


def test_a_candidate_without_company(candidates, table):
    with Plan(candidates[:1], 1).active():
        assert not planned(candidates[0].estimator, FitData(*table))


@pytest.mark.parametrize("name", [field.name for field in fields(FitData)])
def test_other_data_are_another_fold(candidates, table, name):
    def train(estimators, data):
        return [SimpleNamespace(data_=data) for _ in estimators]

    data = FitData(*table)
    folds = data, replace(data, **{name: np.ones(120)})
    with Plan(candidates, 3, train).active():
        for number, data in product((0, 1, 0, 1), folds):  # the second time around each fold is trained anew
            fitted = clone(candidates[number].estimator)
            assert planned(fitted, data)
            assert fitted.data_ is data


def test_another_thread_trains_its_fold_meanwhile(candidates, table):
    X, y = table
    taken = []

    def fetch():
        taken.append(planned(clone(candidates[0].estimator), FitData(-X, y)))

    def train(estimators, data):
        if data.X is X:  # the thread ends before this training does
            other = Thread(target=fetch, daemon=True)
            other.start()
            other.join(timeout=10)
        return train_here(estimators, data)

    with Plan(candidates, 3, train).active():
        assert planned(clone(candidates[0].estimator), FitData(X, y))
    assert taken == [True]


def test_what_was_trained_is_dropped_once_fetched(candidates, table):
    plan, data = Plan(candidates, 3), FitData(*table)
    with plan.active():
        for candidate in candidates:
            planned(clone(candidate.estimator), data)
        assert [sum(map(len, fold.trained.values())) for fold in plan._folds.values()] == [0]
    assert not plan._folds


def test_who_is_left_behind_by_an_interrupted_search_does_not_go_on(candidates, table):
    def train(estimators, data):
        plan._leave()
        raise RuntimeError("the process was killed")

    plan = Plan(candidates, 3, train)
    with pytest.raises(RuntimeError, match="killed"), plan.active():
        planned(candidates[0].estimator, FitData(*table))
