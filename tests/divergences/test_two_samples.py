"""P-values of two rows of counts: against exact enumeration, Pearson's test, and their own level."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import chi2_contingency, multivariate_hypergeom

from sklkl.divergences._two_samples import (
    NULLS,
    STATISTICS,
    asymptotic_p_value,
    count_divergence,
    permutation_p_value,
)

from .oracles import by_oracle

each_statistic = pytest.mark.parametrize("statistic", STATISTICS)
REGISTERED = {"psi": "jeffreys", "kl": "kl", "js": "js"}


def test_names():
    assert set(STATISTICS) == set(REGISTERED)
    assert set(NULLS) == {"permutation", "asymptotic"}


@each_statistic
@pytest.mark.parametrize("pseudo_count", [0.0, 0.5, 3.0])
def test_divergence_of_counts(statistic, pseudo_count):
    a, b = np.array([[5, 1, 4], [3, 3, 4]]), np.array([[2, 2, 16], [7, 7, 7]])
    p, q = ((counts + pseudo_count) / (counts + pseudo_count).sum(axis=1, keepdims=True) for counts in (a, b))
    found = count_divergence(statistic, a, b, pseudo_count)
    np.testing.assert_allclose(found, by_oracle(REGISTERED[statistic], p, q), rtol=1e-12)


def test_empty_bins_without_pseudo_counts():
    a, b = np.array([2, 2]), np.array([4, 0])
    assert count_divergence("psi", a, b, 0.0) == np.inf
    assert count_divergence("kl", a, b, 0.0) == np.inf
    js = 0.25 * np.log(2 / 3) + 0.25 * np.log(2) + 0.5 * np.log(4 / 3)
    assert count_divergence("js", a, b, 0.0) == pytest.approx(js, rel=1e-12)


def exact_p_value(statistic, a, b, pseudo_count):
    pooled, n = a + b, a.sum()
    observed = count_divergence(statistic, a, b, pseudo_count)
    total = 0.0
    for first in product(*(range(count + 1) for count in pooled)):
        first = np.array(first)
        if first.sum() == n and count_divergence(statistic, first, pooled - first, pseudo_count) >= observed - 1e-12:
            total += multivariate_hypergeom.pmf(first, pooled, n)
    return total


@each_statistic
@pytest.mark.parametrize("pseudo_count", [0.0, 0.5])
@pytest.mark.parametrize(
    ("a", "b"), [([3, 1, 2], [1, 4, 1]), ([4, 0, 0], [0, 2, 3]), ([2, 2, 2], [2, 2, 2]), ([5, 1], [1, 1])]
)
def test_permutation_agrees_with_enumeration(statistic, pseudo_count, a, b):
    a, b = np.array(a), np.array(b)
    found = permutation_p_value(statistic, a, b, pseudo_count, 9999, np.random.default_rng(0))
    expected = exact_p_value(statistic, a, b, pseudo_count)
    assert abs(found - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-4) / 9999) + 1e-4


@each_statistic
def test_equal_samples_have_p_value_1(statistic):
    counts = np.array([3, 5, 2])
    assert permutation_p_value(statistic, counts, counts, 0.5, 99, np.random.default_rng(0)) == 1
    assert asymptotic_p_value(statistic, counts, counts, 0.5) == 1


@each_statistic
def test_distinct_samples_have_the_least_p_value(statistic):
    a, b = np.array([50, 0]), np.array([0, 50])
    assert permutation_p_value(statistic, a, b, 0.5, 99, np.random.default_rng(0)) == 0.01
    assert asymptotic_p_value(statistic, a, b, 0.5) < 1e-6


@each_statistic
def test_asymptotic_agrees_with_pearson_for_large_samples(statistic):
    random = np.random.default_rng(0)
    for _ in range(5):
        a, b = random.multinomial(400_000, [0.1, 0.2, 0.3, 0.4]), random.multinomial(100_000, [0.1, 0.2, 0.3, 0.4])
        expected = chi2_contingency(np.array([a, b]), correction=False).pvalue
        assert asymptotic_p_value(statistic, a, b, 0.5) == pytest.approx(expected, rel=0.02)


@each_statistic
@pytest.mark.parametrize(("n", "m"), [(60, 60), (300, 40)])
def test_p_values_keep_their_level(statistic, n, m):
    random = np.random.default_rng(0)
    shares = np.array([0.05, 0.15, 0.2, 0.25, 0.35])
    tables = [(random.multinomial(n, shares), random.multinomial(m, shares)) for _ in range(300)]
    permutation = np.array([permutation_p_value(statistic, a, b, 0.5, 99, random) for a, b in tables])
    asymptotic = np.array([asymptotic_p_value(statistic, a, b, 0.5) for a, b in tables])
    for level in (0.1, 0.5):
        error = np.sqrt(level * (1 - level) / len(tables))
        assert abs(np.mean(permutation <= level) - level) < 4 * error
        assert np.mean(asymptotic <= level) < level + 4 * error


def test_one_bin():
    one = np.array([5])
    assert permutation_p_value("psi", one, one + 2, 0.5, 9, np.random.default_rng(0)) == 1
    assert asymptotic_p_value("psi", one, one + 2, 0.5) == 1
