"""What is remembered of a reference column, counts only, and the table of counts that new values give with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from sklkl._binning import NumericBins, is_missing, numeric_bins

__all__ = ["QuantileReference", "Table", "ValueReference", "numeric_reference"]


@dataclass(frozen=True)
class Table:
    """Counts of reference and new rows in the bins that at least one of them uses.

    Parameters
    ----------
    a, b : arrays of shape (n_bins,)
        Counts of the reference and of the new rows.
    segments : array of shape (n_bins,)
        Ascending numbers. Bins of one segment are parted by quantiles of the reference rows; segments are parted by
        values that any sample would have given.
    """

    a: np.ndarray
    b: np.ndarray
    segments: np.ndarray

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray, segments: np.ndarray) -> Table:
        """Return the table without the bins that both samples leave empty."""
        used = (a > 0) | (b > 0)
        return cls(a[used], b[used], segments[used])


@dataclass(frozen=True)
class ValueReference:
    """A column whose every value is a bin, and so is each new value that the reference lacks.

    Parameters
    ----------
    counts : dict
        Number of reference rows of each value.
    n_missing : int
        Number of reference rows without a value.
    """

    counts: dict[Hashable, int]
    n_missing: int

    @classmethod
    def fit(cls, values: Iterable[Hashable]) -> ValueReference:
        """Count the reference values."""
        return cls(*_count(values))

    def table(self, values: Iterable[Hashable]) -> Table:
        """Return the counts beside those of new values."""
        new, n_missing = _count(values)
        union = self.counts | new
        a = np.asarray([*(self.counts.get(value, 0) for value in union), self.n_missing])
        b = np.asarray([*(new.get(value, 0) for value in union), n_missing])
        return Table.of(a, b, np.arange(len(a)))


@dataclass(frozen=True)
class QuantileReference:
    """A numeric column in bins of about equally many reference values, and a bin of the missing ones.

    Parameters
    ----------
    bins : NumericBins
        The bins.
    counts : array of shape (n_bins,)
        Number of reference rows in each.
    segments : array of shape (n_bins,)
        Segment of each bin, see `Table`.
    """

    bins: NumericBins
    counts: np.ndarray
    segments: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, n_bins: int) -> QuantileReference:
        """Fix the bins and count the reference values."""
        bins = numeric_bins(values, n_bins)
        counts = _bin_counts(bins, values)
        return cls(bins, counts, _segments(bins, counts, values))

    def table(self, values: np.ndarray) -> Table:
        """Return the counts beside those of new values."""
        return Table.of(self.counts, _bin_counts(self.bins, values), self.segments)


def numeric_reference(values: np.ndarray, n_bins: int) -> QuantileReference | ValueReference:
    """Return the reference of a numeric column: by value if it has at most `n_bins`, each repeated, else by quantile.

    A column without any value is one of values, all of which will be new.
    """
    present = values[~np.isnan(values)]
    n_distinct = len(np.unique(present))
    if n_distinct <= n_bins and 2 * n_distinct <= len(present):
        return ValueReference.fit(values.tolist())
    return QuantileReference.fit(values, n_bins)


def _count(values: Iterable[Hashable]) -> tuple[dict[Hashable, int], int]:
    counts = Counter(values)
    missing = [value for value in counts if is_missing(value)]  # several, as NaN is not equal to itself
    return counts, sum(counts.pop(value) for value in missing)


def _bin_counts(bins: NumericBins, values: np.ndarray) -> np.ndarray:
    return np.bincount(bins.codes(values), minlength=bins.n_bins)


def _segments(bins: NumericBins, counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the segment of each bin: one ends after a bin at least half of which is its last value, repeated."""
    ordered = np.sort(values)
    ties = np.searchsorted(ordered, bins.edges, "right") - np.searchsorted(ordered, bins.edges, "left")
    ends = (ties >= 2) & (2 * ties >= counts[: len(ties)])
    return np.cumsum([0, *ends, True])  # the missing values are a segment of their own
