"""The permutation null: against enumerated permutations of rows and their own level."""

from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from scipy.stats import multivariate_hypergeom

from sklkl._utils.quantities import Quantity
from sklkl.divergences._asymptotic import SCALES
from sklkl.divergences._permutation import permutation_p_value, random_splits, row_splits
from sklkl.divergences._references import BinnedReference
from sklkl.divergences._table import Table, count_divergence

each_divergence = pytest.mark.parametrize("divergence", SCALES)


def table_of(a, b):
    return Table.of(np.array(a), np.array(b))


def frequencies(rows):
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    return {tuple(kind): count / len(rows) for kind, count in zip(kinds.tolist(), counts, strict=True)}


def test_splits_of_values_are_multivariate_hypergeometric():
    table, rng = table_of([3, 1, 0], [1, 2, 2]), np.random.default_rng(0)
    first, second = random_splits(table, 20000, rng)
    assert (first + second == table.a + table.b).all()
    for split, share in frequencies(first).items():
        assert share == pytest.approx(multivariate_hypergeom.pmf(split, [4, 3, 2], 4), abs=0.015)


def by_quantiles(reference, n_bins, new):
    return BinnedReference.by_quantiles(Quantity(reference), n_bins).table(Quantity(new))


def test_splits_of_quantile_bins_are_permutations_of_rows_with_bins_made_anew():
    # distinct values, so that their order is all that matters: 6 of 9 rows in 3 bins, all 84 choices
    values = np.arange(9.0)
    exact = []
    for chosen in combinations(range(9), 6):
        reference, new = values[list(chosen)], np.delete(values, chosen)
        exact.append(by_quantiles(reference, 3, new).b)
    table = by_quantiles(values[:6], 3, values[6:] - 3.5)
    first, second = random_splits(table, 20000, np.random.default_rng(0))
    assert (first == 2).all()
    expected, found = frequencies(np.array([b for b in exact if len(b) == 3])), frequencies(second)
    assert len(found) == 10
    for split, share in expected.items():
        assert found[split] == pytest.approx(share, abs=0.015)


def test_missing_values_move_between_the_samples_as_a_whole_segment():
    values = np.concatenate([np.arange(80.0), np.full(20, np.nan)])
    table = by_quantiles(values, 4, values[:50])
    first, second = random_splits(table, 5000, np.random.default_rng(0))
    np.testing.assert_allclose(first.sum(axis=1), 100)
    np.testing.assert_allclose(second.sum(axis=1), 50)
    np.testing.assert_array_equal(first[:, -1] + second[:, -1], 20)
    assert first[:, -1].mean() == pytest.approx(20 * 100 / 150, abs=0.1)


@pytest.mark.parametrize(
    ("values", "n"),
    [([1, 1, 2, 3, 3, 3, 4, 8], 3), ([1, 2, 2, 2, 2, 5, np.nan, np.nan], 5), (np.arange(8), 3)],
    ids=str,
)
def test_splits_of_rows_are_all_choices_with_bins_made_anew(values, n):
    values = np.array(values, dtype=float)
    exact = []
    for chosen in map(list, combinations(range(8), n)):
        table = by_quantiles(values[chosen], 2, np.delete(values, chosen))
        exact.append((tuple(table.a), tuple(table.b)))
    x, y = values[::-1][:n], values[::-1][n:]
    splits = row_splits(Quantity(x), Quantity(y), 2, 1000, np.random.default_rng(0))
    found = Counter((tuple(a), tuple(b)) for a, b in splits)
    assert set(found) == set(exact)
    for split, count in Counter(exact).items():
        assert found[split] / 1000 == pytest.approx(count / len(exact), abs=0.06)


def exact_p_value(divergence, a, b, pseudo_count):
    pooled, n = a + b, a.sum()
    observed = count_divergence(divergence, a, b, pseudo_count)
    total = 0.0
    for first in product(*(range(count + 1) for count in pooled)):
        first = np.array(first)
        if first.sum() == n and count_divergence(divergence, first, pooled - first, pseudo_count) >= observed - 1e-12:
            total += multivariate_hypergeom.pmf(first, pooled, n)
    return total


@each_divergence
@pytest.mark.parametrize("pseudo_count", [0.0, 0.5])
@pytest.mark.parametrize(
    ("a", "b"), [([3, 1, 2], [1, 4, 1]), ([4, 0, 0], [0, 2, 3]), ([2, 2, 2], [2, 2, 2]), ([5, 1], [1, 1])]
)
def test_permutation_agrees_with_enumeration(divergence, pseudo_count, a, b):
    a, b = np.array(a), np.array(b)
    found = permutation_p_value(divergence, Table.of(a, b), pseudo_count, 9999, np.random.default_rng(0))
    expected = exact_p_value(divergence, a, b, pseudo_count)
    assert abs(found - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-4) / 9999) + 1e-4


@each_divergence
def test_equal_samples_have_p_value_1(divergence):
    assert permutation_p_value(divergence, table_of([3, 5, 2], [3, 5, 2]), 0.5, 99, np.random.default_rng(0)) == 1


@each_divergence
def test_distinct_samples_have_the_least_p_value(divergence):
    assert permutation_p_value(divergence, table_of([50, 0], [0, 50]), 0.5, 99, np.random.default_rng(0)) == 0.01


def test_one_bin():
    assert permutation_p_value("jeffreys", table_of([5], [7]), 0.5, 9, np.random.default_rng(0)) == 1


@each_divergence
@pytest.mark.parametrize(("n", "m"), [(60, 60), (300, 40)])
def test_p_values_keep_their_level(divergence, n, m):
    random = np.random.default_rng(0)
    shares = np.array([0.05, 0.15, 0.2, 0.25, 0.35])
    tables = [(random.multinomial(n, shares), random.multinomial(m, shares)) for _ in range(120)]
    p_values = np.array([permutation_p_value(divergence, Table.of(a, b), 0.5, 99, random) for a, b in tables])
    for level in (0.1, 0.5):
        error = np.sqrt(level * (1 - level) / len(tables))
        assert abs(np.mean(p_values <= level) - level) < 4 * error


def test_more_splits_are_drawn_where_the_first_do_not_tell():
    rng = np.random.default_rng(0)
    assert permutation_p_value("jeffreys", table_of([50, 0], [0, 50]), 0.5, 99, rng, at_most=4999) == 1 / 5000
    p_value = permutation_p_value("jeffreys", table_of([5, 6], [5, 6]), 0.5, 99, rng, at_most=4999)
    assert p_value == 1  # ten of the 99 were as large, and that was that


def test_memory_is_in_proportion_to_the_bins():
    counts = np.full(30_000, 2)
    table = Table(counts, counts, np.zeros(30_000, dtype=int))
    first, second = random_splits(table, 1, np.random.default_rng(0))  # a square matrix would have 7 GB
    assert first.sum() == second.sum() == 60_000


def test_p_values_do_not_depend_on_the_blocks_they_are_worked_off_in(monkeypatch):
    table = table_of([10, 10, 10], [9, 9, 0])
    whole = permutation_p_value("js", table, 0.5, 999, np.random.default_rng(0))
    monkeypatch.setattr("sklkl.divergences._permutation._BLOCK", 10)
    assert permutation_p_value("js", table, 0.5, 999, np.random.default_rng(0)) == whole
