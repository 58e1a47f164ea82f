"""The distribution without drift: against enumerated permutations of rows, and by the rate of false alarms."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest, multivariate_hypergeom
from sklearn.datasets import load_iris

from sklkl.divergences._two_samples import NULLS, STATISTICS
from sklkl.drift import DriftDetector
from sklkl.drift._null import random_splits, split_p_value
from sklkl.drift._references import QuantileReference, Table, ValueReference

N_COLUMNS = 400


def table_of(a, b, segments=None):
    a, b = np.array(a), np.array(b)
    return Table(a, b, np.arange(len(a)) if segments is None else np.array(segments))


def frequencies(rows):
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    return {tuple(kind): count / len(rows) for kind, count in zip(kinds.tolist(), counts, strict=True)}


def test_splits_of_values_are_multivariate_hypergeometric():
    table, rng = table_of([3, 1, 0], [1, 2, 2]), np.random.default_rng(0)
    first, second = random_splits(table, 20000, rng)
    assert (first + second == table.a + table.b).all()
    for split, share in frequencies(first).items():
        assert share == pytest.approx(multivariate_hypergeom.pmf(split, [4, 3, 2], 4), abs=0.015)


def test_splits_of_quantile_bins_are_permutations_of_rows_with_bins_made_anew():
    # distinct values, so that their order is all that matters: 6 of 9 rows in 3 bins, all 84 choices
    values = np.arange(9.0)
    exact = []
    for chosen in combinations(range(9), 6):
        reference, new = values[list(chosen)], np.delete(values, chosen)
        exact.append(QuantileReference.fit(reference, 3).table(new).b)
    table = QuantileReference.fit(values[:6], 3).table(values[6:] - 3.5)
    first, second = random_splits(table, 20000, np.random.default_rng(0))
    assert (first == 2).all()
    expected, found = frequencies(np.array([b for b in exact if len(b) == 3])), frequencies(second)
    assert len(found) == 10
    for split, share in expected.items():
        assert found[split] == pytest.approx(share, abs=0.015)


def test_missing_values_move_between_the_samples_as_a_whole_segment():
    values = np.concatenate([np.arange(80.0), np.full(20, np.nan)])
    table = QuantileReference.fit(values, 4).table(values[:50])
    first, second = random_splits(table, 5000, np.random.default_rng(0))
    np.testing.assert_allclose(first.sum(axis=1), 100)
    np.testing.assert_allclose(second.sum(axis=1), 50)
    np.testing.assert_array_equal(first[:, -1] + second[:, -1], 20)
    assert first[:, -1].mean() == pytest.approx(20 * 100 / 150, abs=0.1)


def test_segments_end_at_repeated_values_only():
    zeros_and_more = np.concatenate([np.zeros(50), np.arange(1.0, 51)])
    assert QuantileReference.fit(zeros_and_more, 4).segments.tolist() == [0, 1, 1, 2]
    assert QuantileReference.fit(np.arange(100.0), 4).segments.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("statistic", STATISTICS)
def test_p_value_counts_the_observed_split(statistic):
    table = table_of([50, 0], [0, 50])
    assert split_p_value(statistic, table, 0.5, 99, 99, np.random.default_rng(0)) == 1 / 100
    assert split_p_value(statistic, table_of([5, 5], [5, 5]), 0.5, 99, 99, np.random.default_rng(0)) == 1


def test_more_splits_are_drawn_where_the_first_do_not_tell():
    rng = np.random.default_rng(0)
    assert split_p_value("psi", table_of([50, 0], [0, 50]), 0.5, 99, 4999, rng) == 1 / 5000
    p_value = split_p_value("psi", table_of([5, 6], [5, 6]), 0.5, 99, 4999, rng)
    assert p_value == 1  # ten of the 99 were as large, and that was that


def test_p_values_do_not_depend_on_the_blocks_they_are_worked_off_in(monkeypatch):
    table = ValueReference.fit("abacbc" * 5).table("aaabbb" * 3)
    whole = split_p_value("js", table, 0.5, 999, 999, np.random.default_rng(0))
    monkeypatch.setattr("sklkl.drift._null._BLOCK", 10)
    assert split_p_value("js", table, 0.5, 999, 999, np.random.default_rng(0)) == whole


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


@pytest.mark.parametrize("statistic", STATISTICS)
def test_one_in_twenty_columns_without_drift_is_a_false_alarm(statistic):
    rng = np.random.default_rng(0)
    rates = [false_alarms(statistic, *case, rng) for case in UNDRIFTED]
    np.testing.assert_allclose(rates, 0.05, atol=0.033)  # three standard deviations of the rate of 400 columns
    assert np.mean(rates) == pytest.approx(0.05, abs=0.01)


def test_few_columns_without_drift_are_reported_with_the_correction():
    rng = np.random.default_rng(0)
    detector = DriftDetector(n_permutations=99, random_state=0)
    false = [detector.fit(rng.normal(size=(50, 5))).detect(rng.normal(size=(50, 5))).drifted.any() for _ in range(100)]
    assert binomtest(int(np.sum(false)), len(false), 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_real_drift_is_found(statistic, null):
    X, y = load_iris(return_X_y=True)
    report = DriftDetector(statistic, null=null, random_state=0).fit(X[y != 2]).detect(X[y == 2])
    assert report.drifted.tolist() == [True, False, True, True]  # sepals of the third kind are as wide
    assert not DriftDetector(statistic, null=null, random_state=0).fit(X[::2]).detect(X[1::2]).drifted.any()
