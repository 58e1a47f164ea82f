"""Bins of one column, fixed on reference values: the way from samples to discrete distributions.

Every column has one more bin than its values need for missing ones, so that "missing" is a value like any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklkl._utils.columns import is_missing

__all__ = ["CategoryBins", "NumericBins", "bin_counts", "category_bins", "numeric_bins"]


@dataclass(frozen=True)
class NumericBins:
    """Half-open intervals ``(edge, next edge]`` that cover all numbers, then one bin for NaN.

    Parameters
    ----------
    edges : array of shape (n_bins - 2,)
        Inner edges, ascending.
    """

    edges: np.ndarray

    @property
    def n_bins(self) -> int:
        """Number of bins, that of the missing values included."""
        return len(self.edges) + 2

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, from 0 to ``n_bins - 1``."""
        found = np.searchsorted(self.edges, values, side="left")
        return np.where(np.isnan(values), self.n_bins - 1, found)


@dataclass(frozen=True)
class CategoryBins:
    """One bin for each known category, then one for unknown and one for missing values.

    Parameters
    ----------
    categories : tuple
        The known categories.
    """

    categories: tuple[object, ...]

    @property
    def n_bins(self) -> int:
        """Number of bins, those of unknown and missing values included."""
        return len(self.categories) + 2

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value, from 0 to ``n_bins - 1``."""
        known = {category: code for code, category in enumerate(self.categories)}
        unknown, missing = len(known), len(known) + 1
        found = [missing if is_missing(value) else known.get(value, unknown) for value in values]
        return np.asarray(found, dtype=np.intp)


def numeric_bins(values: np.ndarray, n_bins: int) -> NumericBins:
    """Return at most `n_bins` intervals with about equally many of `values` each.

    Columns of at most `n_bins` distinct values get an interval for each. The edges are observed values, so that ties
    stay together; a value frequent enough for several intervals makes them fewer.

    Parameters
    ----------
    values : array of shape (n,)
        Reference values; NaN is missing.
    n_bins : int
        Number of intervals, >= 1, not counting the bin of missing values.
    """
    present = np.asarray(values, dtype=np.float64)
    present = present[~np.isnan(present)]
    if not len(present):
        return NumericBins(np.empty(0))
    distinct = np.unique(present)
    if len(distinct) > n_bins:
        shares = np.arange(1, n_bins) / n_bins
        distinct = np.unique([*np.quantile(present, shares, method="inverted_cdf"), distinct[-1]])
    return NumericBins(distinct[:-1])


def category_bins(values: np.ndarray) -> CategoryBins:
    """Return a bin for each distinct value of `values` that is not missing, in order of first appearance."""
    return CategoryBins(tuple(dict.fromkeys(value for value in values if not is_missing(value))))


def bin_counts(bins: NumericBins | CategoryBins, values: np.ndarray) -> np.ndarray:
    """Return the number of `values` in each bin, of shape (n_bins,)."""
    return np.bincount(bins.codes(values), minlength=bins.n_bins)
