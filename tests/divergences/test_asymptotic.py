"""The asymptotic null: its moments against enumerated splits, its tail against chi-square and false alarms."""

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from sklkl.divergences._asymptotic import SCALES, _null_moments, asymptotic_p_value
from sklkl.divergences._table import count_divergence

each_divergence = pytest.mark.parametrize("divergence", SCALES)


def all_splits(pooled, n):
    """Return every first part of n rows, and its probability."""
    parts = np.array([part for part in product(*(range(count + 1) for count in pooled)) if sum(part) == n])
    ways = np.array([np.prod([comb(count, k) for count, k in zip(pooled, part, strict=True)]) for part in parts])
    return parts, ways / ways.sum()


@each_divergence
@pytest.mark.parametrize(("pooled", "n"), [([12, 9, 6], 13), ([30, 4], 17), ([5, 5, 5, 5], 8), ([1] * 9, 4)])
def test_moments_are_those_of_all_splits(divergence, pooled, n):
    parts, chance = all_splits(pooled, n)
    values = count_divergence(divergence, parts, np.array(pooled) - parts, 0.5)
    mean, variance = _null_moments(divergence, parts[0], np.array(pooled) - parts[0], 0.5)
    exact = chance @ values
    assert mean == pytest.approx(exact, rel=1e-9)
    # the variance is an approximation; where all splits are alike its excess is no more than a small share of the mean
    assert variance == pytest.approx(chance @ (values - exact) ** 2, rel=0.25, abs=0.05 * exact**2)


@each_divergence
def test_large_samples_agree_with_pearson(divergence):
    random = np.random.default_rng(0)
    for _ in range(5):
        a, b = random.multinomial(400_000, [0.1, 0.2, 0.3, 0.4]), random.multinomial(100_000, [0.1, 0.2, 0.3, 0.4])
        expected = chi2_contingency(np.array([a, b]), correction=False).pvalue
        assert asymptotic_p_value(divergence, a, b, 0.5) == pytest.approx(expected, rel=0.02)


# the way to a p-value is one for all divergences: together they meet the four cases
@pytest.mark.parametrize(
    ("divergence", "n_categories", "n", "m"),
    [
        ("jeffreys", 3, 100, 100),
        ("jeffreys", 100, 1000, 100),
        ("kl", 100, 100, 100),
        ("js", 3, 1000, 100),
    ],
)
def test_one_in_twenty_is_a_false_alarm_even_if_most_counts_are_small(divergence, n_categories, n, m):
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, n_categories + 1)
    a, b = (rng.multinomial(size, shares / shares.sum(), 250) for size in (n, m))
    used = a + b > 0
    p_values = [asymptotic_p_value(divergence, x[k], y[k], 0.5) for x, y, k in zip(a, b, used, strict=True)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.035)


@each_divergence
def test_a_table_that_cannot_differ_is_no_drift(divergence):
    assert asymptotic_p_value(divergence, np.array([7]), np.array([3]), 0.5) == 1
    assert asymptotic_p_value(divergence, np.array([3, 5, 2]), np.array([3, 5, 2]), 0.5) == 1


@each_divergence
def test_distinct_samples_differ(divergence):
    assert asymptotic_p_value(divergence, np.array([50, 0]), np.array([0, 50]), 0.5) < 1e-6


@pytest.mark.parametrize("divergence", ["jeffreys", "kl"])
def test_without_pseudo_counts_the_tail_is_chi_square(divergence):
    a, b = np.array([30, 20, 10]), np.array([20, 20, 20])
    observed = count_divergence(divergence, a, b, 0) / SCALES[divergence]
    assert asymptotic_p_value(divergence, a, b, 0) == pytest.approx(chi2.sf(observed * 30, 2))
    assert asymptotic_p_value(divergence, np.array([30, 20]), np.array([30, 0]), 0) == 0
