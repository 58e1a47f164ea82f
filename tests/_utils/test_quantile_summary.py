"""Summaries of columns, against numpy's quantiles and scipy's ranks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import rankdata

from sklkl._utils.quantile_summary import N_KEPT, summarised

SKEWED = np.random.RandomState(0).lognormal(size=(5000, 2))


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=60))
def test_the_summary_of_few_values_is_exact(values):
    values, counts = np.unique(values, return_counts=True)
    column = np.repeat(values, counts).astype(float)
    summary = summarised(column[:, None])
    n = int(summary.n_values[0])
    assert summary.values[0, :n].tolist() == values.tolist()
    assert summary.mass[0].tolist() == [*counts, *[0.0] * (N_KEPT - n)]
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert summary.quantile(level)[0] == np.quantile(column, level, method="inverted_cdf")
    middle = (rankdata(column) - 0.5) / len(column)
    expected = ndtri([middle[column == value][0] for value in values])
    np.testing.assert_allclose(summary.normal_scores()[0, :n], expected, atol=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 1.0])
def test_the_quantiles_of_many_values_are_near(level):
    found = summarised(SKEWED).quantile(level)
    for column, value in zip(SKEWED.T, found, strict=True):
        assert abs((column <= value).mean() - level) < 0.02


def test_a_weight_is_a_number_of_rows():
    X = SKEWED[:50]
    counts = np.random.RandomState(1).randint(0, 4, len(X))
    weighted, repeated = summarised(X, 1e30 * counts), summarised(np.repeat(X, counts, axis=0))
    assert np.array_equal(weighted.values, repeated.values)
    np.testing.assert_allclose(weighted.normal_scores(), repeated.normal_scores(), atol=1e-12)


@pytest.mark.parametrize("n_rows", [1, 63, 200, 3000])
@pytest.mark.parametrize("digits", [0, 1, 6], ids=["few values", "ties", "hardly any ties"])
def test_all_columns_at_once_are_each_on_its_own(n_rows, digits):
    """Rows of one weight are summarised column by column, as all weights are."""
    X = np.random.RandomState(0).lognormal(size=(n_rows, 100)).round(digits).astype(np.float32)
    together, apart = summarised(X), summarised(X, np.full(n_rows, 3.0))
    assert np.array_equal(together.values, apart.values)
    assert np.array_equal(together.mass, apart.mass)


@pytest.mark.parametrize(("size", "n_rows"), [(1, 1500), (7, 5000), (100, 5000), (2500, 5000)])
def test_a_stream_in_parts_has_the_quantiles_of_the_whole(size, n_rows):
    rows = SKEWED[:n_rows]
    summary = summarised(rows[:size], stream=True)
    for start in range(size, n_rows, size):
        summary = summary.merged(summarised(rows[start : start + size], stream=True))
    assert summary.mass.sum(axis=1) == pytest.approx([n_rows, n_rows])
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        for column, value in zip(rows.T, summary.shortened().quantile(level), strict=True):
            assert abs((column <= value).mean() - level) < 0.05
    assert summary.quantile(1.0).tolist() == rows.max(axis=0).tolist()


def test_values_of_next_to_no_weight_are_not_infinitely_far():
    scores = summarised(SKEWED[:50], np.where(np.arange(50) < 25, 1e-300, 1.0)).normal_scores()
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() < 7
