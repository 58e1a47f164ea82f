"""The detector's p-values: by the rate of false alarms, and on real data."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.datasets import load_iris

from sklkl.divergences._table import NULLS
from sklkl.drift import DriftDetector
from sklkl.drift._detector import STATISTICS

N_COLUMNS = 250


def normal(rng, size):
    return rng.normal(size=size)


def holed(rng, size):
    return np.where(rng.random(size) < 0.1, np.nan, rng.normal(size=size))


def with_zeros(rng, size):
    return np.where(rng.random(size) < 0.3, 0, rng.normal(size=size))


def codes(rng, size):
    return rng.choice(5, size, p=[0.5, 0.25, 0.15, 0.08, 0.02])


# the columns, the sizes of the two samples; 30 and 300 rows need the bins made anew, as three rows fill a bin
UNDRIFTED = [(normal, 100, 100), (normal, 30, 300), (holed, 100, 200), (with_zeros, 100, 200), (codes, 100, 100)]


def false_alarms(statistic, sampler, n, m, rng):
    detector = DriftDetector(statistic, n_permutations=99, correction=None, random_state=0)
    return detector.fit(sampler(rng, (n, N_COLUMNS))).detect(sampler(rng, (m, N_COLUMNS))).drifted.mean()


def test_one_in_twenty_columns_without_drift_is_a_false_alarm():
    rng = np.random.default_rng(0)
    rates = [false_alarms("psi", *case, rng) for case in UNDRIFTED]
    np.testing.assert_allclose(rates, 0.05, atol=0.042)  # three standard deviations of the rate of 250 columns
    assert np.mean(rates) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("statistic", sorted(STATISTICS.keys() - {"psi"}))
def test_that_is_so_for_every_statistic(statistic):
    rng = np.random.default_rng(1)
    assert false_alarms(statistic, normal, 30, 300, rng) == pytest.approx(0.05, abs=0.042)


def test_few_columns_without_drift_are_reported_with_the_correction():
    rng = np.random.default_rng(0)
    detector = DriftDetector(n_permutations=99, random_state=0)
    false = [detector.fit(rng.normal(size=(50, 5))).detect(rng.normal(size=(50, 5))).drifted.any() for _ in range(60)]
    assert binomtest(int(np.sum(false)), len(false), 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_real_drift_is_found(statistic, null):
    X, y = load_iris(return_X_y=True)
    report = DriftDetector(statistic, null=null, random_state=0).fit(X[y != 2]).detect(X[y == 2])
    assert report.drifted.tolist() == [True, False, True, True]  # sepals of the third kind are as wide
    assert not DriftDetector(statistic, null=null, random_state=0).fit(X[::2]).detect(X[1::2]).drifted.any()
