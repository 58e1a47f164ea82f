"""What is remembered of a numeric reference sample, counts only, and the table that new values give with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sklkl._utils.binning import Clusters, NumericBins, bin_counts, clusters, reference_bins
from sklkl._utils.quantities import Quantity
from sklkl.divergences._table import Table

__all__ = ["BinnedReference", "NumberReference", "numeric_reference"]


@dataclass(frozen=True)
class BinnedReference:
    """Numbers in intervals, and a bin of the missing ones.

    Parameters
    ----------
    bins : NumericBins
        The intervals.
    counts : array of shape (n_bins,)
        Number of values in each.
    segments : array of shape (n_bins,)
        Segment of each bin, see `Table`.
    kind : str
        What the numbers are, see `Quantity`.
    anchors : array
        Values that new ones are if they differ from it by rounding only: those with narrow bins, or given edges.
    """

    bins: NumericBins
    counts: np.ndarray
    segments: np.ndarray
    kind: str = "numbers"
    anchors: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def by_quantiles(cls, column: Quantity, n_bins: int) -> BinnedReference:
        """Fix the bins of about equally many values, and count these."""
        bins, fixed, anchors = reference_bins(column.values, n_bins, column.resolution)
        segments = np.cumsum([0, *fixed, True])  # the missing values are a segment of their own
        return cls(bins, bin_counts(bins, column.values), segments, column.kind, anchors)

    @classmethod
    def by_edges(cls, column: Quantity, edges: np.ndarray) -> BinnedReference:
        """Count the values between given edges."""
        bins = NumericBins(edges)
        counts = bin_counts(bins, anchored(column, edges))
        return cls(bins, counts, np.arange(bins.n_bins), column.kind, edges)

    def table(self, column: Quantity) -> Table:
        """Return the counts beside those of a second sample."""
        counts = bin_counts(self.bins, anchored(column, self.anchors))
        return Table.of(self.counts, counts, self.segments, interval_names(self.bins.edges, self.kind))


@dataclass(frozen=True)
class NumberReference:
    """Numbers of a few values, each of which is a bin; so is each new value that the reference lacks.

    Parameters
    ----------
    found : Clusters
        The values and their counts.
    n_missing : int
        Number of reference rows without a value.
    kind, resolution : object
        As in `Quantity`.
    """

    found: Clusters
    n_missing: int
    kind: str = "numbers"
    resolution: float = 0.0

    def table(self, column: Quantity) -> Table:
        """Return the counts beside those of new values, which are the nearest value if they differ by rounding."""
        present = column.values[~np.isnan(column.values)]
        resolution = max(self.resolution, column.resolution)
        codes = self._codes(present, resolution)
        others = clusters(present[codes < 0], column.resolution)
        counts = np.bincount(codes[codes >= 0], minlength=len(self.found.counts))
        new = np.zeros_like(others.counts)
        a = np.concatenate([self.found.counts, new, [self.n_missing]])
        b = np.concatenate([counts, others.counts, [len(column.values) - len(present)]])
        names = [shown_number(x, self.kind) for x in (*self.found.low, *others.low)]
        return Table.of(a, b, names=np.array([*names, "missing"], dtype=object))

    def _codes(self, values: np.ndarray, resolution: float) -> np.ndarray:
        """Return the position of the reference value that each new one is, -1 for others."""
        low, high = self.found.low, self.found.high
        if not len(low):
            return np.full(len(values), -1)
        reach = self.found.reach(resolution)
        right = np.minimum(np.searchsorted(high, values, side="left"), len(high) - 1)
        left = np.maximum(right - 1, 0)
        with np.errstate(invalid="ignore"):
            in_right = (values >= low[right] - reach[right]) & (values <= high[right] + reach[right])
            in_left = (values >= low[left] - reach[left]) & (values <= high[left] + reach[left])
        return np.where(in_right, right, np.where(in_left, left, -1))


def numeric_reference(column: Quantity, n_bins: int) -> NumberReference | BinnedReference:
    """Return the reference of a numeric column: by value if it has at most `n_bins`, each repeated, else by quantile.

    A column without any value is one of values, all of which will be new.
    """
    present = column.values[~np.isnan(column.values)]
    found = clusters(present, column.resolution)
    if len(found.counts) <= n_bins and 2 * len(found.counts) <= len(present):
        return NumberReference(found, len(column.values) - len(present), column.kind, column.resolution)
    return BinnedReference.by_quantiles(column, n_bins)


def anchored(column: Quantity, anchors: np.ndarray) -> np.ndarray:
    """Return the values with those that differ from an anchor by the rounding of their type only moved to it."""
    values = column.values
    if not len(anchors) or not column.resolution:
        return values
    above = np.minimum(np.searchsorted(anchors, values, side="left"), len(anchors) - 1)
    for nearest in (above, np.maximum(above - 1, 0)):
        anchor = anchors[nearest]
        with np.errstate(invalid="ignore"):
            same = np.abs(values - anchor) <= 1.5 * column.resolution * np.abs(anchor)
        values = np.where(same & np.isfinite(anchor), anchor, values)
    return values


def interval_names(edges: np.ndarray, kind: str) -> np.ndarray:
    """Return what the intervals between edges are called, and last the missing values."""
    shown = [shown_number(edge, kind) for edge in edges]
    inner = [f"({low}, {high}]" for low, high in zip(shown, shown[1:], strict=False)]
    names = [f"<= {shown[0]}", *inner, f"> {shown[-1]}"] if shown else ["any value"]
    return np.array([*names, "missing"], dtype=object)


def shown_number(value: float, kind: str) -> str:
    """Return a number in words, dates as such."""
    if kind == "dates" and np.isfinite(value):
        return str(np.datetime64(round(value), "s")).removesuffix("T00:00:00")
    return f"{value:.6g}"
