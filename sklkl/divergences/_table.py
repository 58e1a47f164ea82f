"""Two samples of one column as counts in bins, and the divergence of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklkl._utils.binning import CategoryBins, NumericBins, bin_counts, numeric_bins
from sklkl.divergences._registry import DIVERGENCES

__all__ = ["NULLS", "TIE", "QuantileReference", "Table", "count_divergence"]

# Where p-values of a divergence of counts come from.
NULLS = ("permutation", "asymptotic")

# Relative tolerance of divergences: those of equal tables, summed in another order, are equal.
TIE = 1e-10


@dataclass(frozen=True)
class Table:
    """Counts of two samples in the bins that at least one of them uses.

    Parameters
    ----------
    a, b : arrays of shape (n_bins,)
        Counts of the first sample, the reference, and of the second.
    segments : array of shape (n_bins,)
        Ascending numbers. Bins of one segment are parted by quantiles of the first sample; segments are parted by
        values that any sample would have given.
    """

    a: np.ndarray
    b: np.ndarray
    segments: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, segments: np.ndarray | None = None) -> Table:
        """Return the table without the bins that both samples leave empty; by default each bin is a segment."""
        used = (a > 0) | (b > 0)
        return cls(a[used], b[used], np.arange(np.sum(used)) if segments is None else segments[used])

    @classmethod
    def count(cls, x: np.ndarray, y: np.ndarray, bins: CategoryBins | NumericBins) -> Table:
        """Return the counts of the values of two samples in bins that do not depend on them."""
        return cls.of(bin_counts(bins, x), bin_counts(bins, y))


@dataclass(frozen=True)
class QuantileReference:
    """A sample of numbers in bins of about equally many of its values, and a bin of the missing ones.

    Parameters
    ----------
    bins : NumericBins
        The bins.
    counts : array of shape (n_bins,)
        Number of values in each.
    segments : array of shape (n_bins,)
        Segment of each bin, see `Table`.
    """

    bins: NumericBins
    counts: np.ndarray
    segments: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, n_bins: int) -> QuantileReference:
        """Fix the bins and count the values."""
        bins = numeric_bins(values, n_bins)
        counts = bin_counts(bins, values)
        return cls(bins, counts, _segments(bins, counts, values))

    def table(self, values: np.ndarray) -> Table:
        """Return the counts beside those of a second sample."""
        return Table.of(self.counts, bin_counts(self.bins, values), self.segments)


def count_divergence(divergence: str, a: np.ndarray, b: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Return the divergence of the shares of `a` from those of `b`, counts of shape (..., n_bins).

    `pseudo_count` is added to every count, so that no bin has the share 0.
    """
    return DIVERGENCES[divergence](a + pseudo_count, b + pseudo_count, normalize=True)


def _segments(bins: NumericBins, counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the segment of each bin: one ends after a bin at least half of which is its last value, repeated."""
    ordered = np.sort(values)
    ties = np.searchsorted(ordered, bins.edges, "right") - np.searchsorted(ordered, bins.edges, "left")
    ends = (ties >= 2) & (2 * ties >= counts[: len(ties)])
    return np.cumsum([0, *ends, True])  # the missing values are a segment of their own
