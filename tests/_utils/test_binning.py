"""Bins of one column: every value has one, ties stay together, missing values are a bin of their own."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklkl._utils.binning import CategoryBins, NumericBins, bin_counts, category_bins, numeric_bins

columns = arrays(np.float64, st.integers(1, 40), elements=st.floats(allow_nan=True, allow_infinity=True, width=16))


@given(columns, st.integers(1, 8))
def test_codes_are_intervals_in_order(values, n_bins):
    bins = numeric_bins(values, n_bins)
    codes = bins.codes(values)
    missing = np.isnan(values)
    assert (codes[missing] == bins.n_bins - 1).all()
    assert (codes[~missing] < bins.n_bins - 1).all()
    bounds = np.array([-np.inf, *bins.edges, np.inf])
    for value, code in zip(values[~missing], codes[~missing], strict=True):
        assert bounds[code] < value <= bounds[code + 1] or value == -np.inf


@given(columns, st.integers(1, 8))
def test_no_interval_of_the_reference_is_empty_and_none_too_many(values, n_bins):
    bins = numeric_bins(values, n_bins)
    present = values[~np.isnan(values)]
    counts = bin_counts(bins, present)[:-1]
    assert len(counts) == bins.n_bins - 1 <= n_bins
    assert (counts > 0).all() or not len(present)


@given(columns, st.integers(1, 8))
def test_bins_follow_an_increasing_transformation(values, n_bins):
    expected = numeric_bins(values, n_bins).codes(values)
    np.testing.assert_array_equal(numeric_bins(values / 4, n_bins).codes(values / 4), expected)
    np.testing.assert_array_equal(numeric_bins(values[::-1], n_bins).codes(values), expected)


@pytest.mark.parametrize("n_bins", [2, 4, 5, 10, 25])
def test_equal_shares_of_distinct_values(n_bins):
    values = np.random.default_rng(0).permutation(1000) ** 2
    counts = bin_counts(numeric_bins(values, n_bins), values)
    np.testing.assert_array_equal(counts, [1000 // n_bins] * n_bins + [0])


def test_shares_agree_with_pandas():
    values = np.random.default_rng(0).normal(size=137)
    counts = bin_counts(numeric_bins(values, 7), values)
    expected = [*pd.qcut(values, 7).value_counts(), 0]
    assert np.abs(counts - expected).max() <= 1


@pytest.mark.parametrize(
    ("values", "n_bins", "edges"),
    [
        ([3, 1, 2], 3, [1, 2]),  # an interval for each distinct value
        ([3, 1, 2], 10, [1, 2]),
        ([1, 1, 1], 5, []),
        ([1, 2, 3, 4], 2, [2]),
        ([1, 2, 3, 4], 1, []),
        ([0] * 8 + [1, 2, 3], 3, [0]),  # 0 is frequent enough for several intervals
        ([5, 6] + [7] * 8, 2, []),  # the median is the largest value
        ([1, 2, np.nan, np.nan], 2, [1]),
        ([np.nan, np.nan], 2, []),
        ([], 2, []),
        ([-np.inf, 0, np.inf], 3, [-np.inf, 0]),
    ],
)
def test_edges(values, n_bins, edges):
    np.testing.assert_array_equal(numeric_bins(np.array(values, dtype=float), n_bins).edges, edges)


def test_values_never_seen_fall_into_the_nearest_interval():
    bins = numeric_bins(np.array([1.0, 2.0, 3.0]), 3)
    np.testing.assert_array_equal(bins.codes(np.array([-np.inf, 0, 1.5, 2, 9, np.inf, np.nan])), [0, 0, 1, 1, 2, 2, 3])


def test_integers_have_no_missing_values():
    np.testing.assert_array_equal(NumericBins(np.array([2.0])).codes(np.array([1, 2, 3])), [0, 0, 1])


MISSING = [None, float("nan"), np.float32("nan"), np.datetime64("NaT", "s"), pd.NaT, pd.NA]


def test_categories_unknown_and_missing():
    bins = category_bins(np.array(["b", None, "a", "b", np.nan], dtype=object))
    assert bins == CategoryBins(("b", "a"))
    assert bins.n_bins == 4
    np.testing.assert_array_equal(bins.codes(np.array(["a", "c", "b", *MISSING], dtype=object)), [1, 2, 0] + [3] * 6)


def test_categories_of_numbers_and_of_one_type_in_another():
    bins = category_bins(np.array([2.0, 1.0, np.nan]))
    np.testing.assert_array_equal(bins.codes(np.array([1, 2, 3])), [1, 0, 2])
    np.testing.assert_array_equal(category_bins(np.array(["a", "b"])).codes(np.array(["b"], dtype=object)), [1])


def test_counts_include_empty_bins():
    assert bin_counts(category_bins(np.array(["a", "b"])), np.array(["b", "b", None], dtype=object)).tolist() == [
        0,
        2,
        0,
        1,
    ]
    assert bin_counts(NumericBins(np.array([2.0, 5.0])), np.array([1, 2, 9])).tolist() == [2, 0, 1, 0]


def test_no_categories_at_all():
    bins = category_bins(np.array([None, None], dtype=object))
    assert bins.n_bins == 2
    np.testing.assert_array_equal(bins.codes(np.array(["a", None], dtype=object)), [0, 1])
    assert bins.codes(np.array([], dtype=object)).shape == (0,)


def test_bins_pickle():
    values = np.array([3.0, 1.0, 2.0])
    for bins in (numeric_bins(values, 2), category_bins(values)):
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(bins)).codes(values), bins.codes(values))
