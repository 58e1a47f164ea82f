"""Bins of one column, fixed on reference values: the way from samples to discrete distributions.

Every column has one more bin than its values need for missing ones, so that "missing" is a value like any other.
Values that differ by no more than rounding are one value: see `Clusters`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklkl._utils.columns import is_missing

__all__ = [
    "CategoryBins",
    "Clusters",
    "NumericBins",
    "bin_counts",
    "category_bins",
    "clusters",
    "numeric_bins",
    "reference_bins",
    "rounded",
]

# Numbers that differ by less than this share of them, as 0.3 and 0.1 + 0.2, are one value with noise, but only if that
# is also less than this share of the column's spread.
_NOISE = 1e-8
_SHARE_OF_SPREAD = 1e-6
# Results near zero have the rounding error of what they are the difference of.
_ZERO = 1e-14
# The outermost value of a sample, found so often, is taken for the outermost one there is.
_OFTEN = 5
# New values this near to a reference value, as a share of the gap to the next one, are that value.
_SAME = 0.01


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


@dataclass(frozen=True)
class Clusters:
    """The distinct values of a column, those that differ by rounding only taken as one.

    Parameters
    ----------
    low, high : arrays of shape (n_distinct,)
        Least and largest of the numbers taken as one value, ascending.
    counts : array of shape (n_distinct,)
        How often they occur.
    """

    low: np.ndarray
    high: np.ndarray
    counts: np.ndarray

    def reach(self, resolution: float) -> np.ndarray:
        """Return how far from each value a new number may be to be the same, numbers being rounded by `resolution`."""
        gaps = np.concatenate([[np.inf], self.low[1:] - self.high[:-1], [np.inf]])
        gap = np.minimum(gaps[1:], gaps[:-1])
        gap = np.where(np.isfinite(gap), gap, 0.0 if len(gap) < 2 else np.inf)
        size = np.maximum(np.abs(self.low), np.abs(self.high))
        by_rounding = np.where(np.isfinite(size), max(_NOISE, 1.5 * resolution) * size, 0.0)
        widest = np.where(np.isfinite(gap) & (gap > 0), gap / 2, np.inf)
        return np.minimum(np.maximum(_SAME * np.where(np.isfinite(gap), gap, 0.0), by_rounding), widest)

    def cuts(self) -> np.ndarray:
        """Return an edge above each value but the last: midway to the next if one of them repeats, else at it."""
        middle = self.high[:-1] / 2 + self.low[1:] / 2
        repeated = (self.counts[:-1] > 1) | (self.counts[1:] > 1)
        between = np.isfinite(middle) & (self.high[:-1] <= middle) & (middle < self.low[1:])
        return np.where(repeated & between, middle, self.high[:-1])


def clusters(values: np.ndarray, resolution: float = 0.0) -> Clusters:
    """Return the distinct values of numbers without NaN.

    Integers are exact; other numbers are the same if they differ by rounding, and so are those around zero that differ
    by as much as others do. Chains of such numbers that go on and on are no value with noise and stay apart.
    """
    distinct, counts = np.unique(values, return_counts=True)
    with np.errstate(invalid="ignore"):
        gaps = np.diff(distinct)
    tolerance = _tolerance(values, distinct, resolution)
    close = (gaps <= tolerance) & np.isfinite(gaps)
    if not close.any() or (distinct == np.floor(distinct)).all():
        return Clusters(distinct, distinct, counts)
    close = _without_chains(distinct, close, tolerance)
    if close.any():
        longest = float(np.max(_lengths(distinct, _starts(close))))
        close |= gaps <= 4 * float(np.max(gaps[close]))
        close = _without_chains(distinct, close, np.maximum(tolerance, longest))
    starts = _starts(close)
    return Clusters(distinct[starts], distinct[_ends(starts, len(distinct))], np.add.reduceat(counts, starts))


def _tolerance(values: np.ndarray, distinct: np.ndarray, resolution: float) -> np.ndarray:
    """Return which difference of neighbouring values is rounding."""
    finite = distinct[np.isfinite(distinct)]
    if len(finite) < 2:
        return np.zeros(max(0, len(distinct) - 1))
    low, high = np.quantile(values[np.isfinite(values)], [0.1, 0.9], method="inverted_cdf")
    spread = high - low if high > low else finite[-1] - finite[0]
    size = np.maximum(np.abs(distinct[1:]), np.abs(distinct[:-1]))
    by_size = np.maximum(np.minimum(_NOISE * size, _SHARE_OF_SPREAD * spread), 1.5 * resolution * size)
    return np.maximum(by_size, _ZERO * spread)


def _without_chains(distinct: np.ndarray, close: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Return which neighbours are one value, without runs of them that are much longer than the tolerance."""
    starts = _starts(close)
    chains = _lengths(distinct, starts) > 10 * np.append(tolerance, np.inf)[starts]
    return close & ~np.repeat(chains, np.diff(np.append(starts, len(distinct))))[1:]


def _lengths(distinct: np.ndarray, starts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(distinct[_ends(starts, len(distinct))] - distinct[starts], nan=0.0)


def _starts(close: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.concatenate([[True], ~close]))


def _ends(starts: np.ndarray, n: int) -> np.ndarray:
    return np.append(starts[1:], n) - 1


def rounded(values: np.ndarray, resolution: float = 0.0) -> np.ndarray:
    """Return numbers with those that differ by rounding only made equal; NaN stays."""
    present = ~np.isnan(values)
    found = clusters(values[present], resolution)
    if len(found.counts) == len(np.unique(values[present])):
        return values
    result = values.copy()
    result[present] = found.low[np.searchsorted(found.high, values[present], side="left")]
    return result


def reference_bins(
    values: np.ndarray, n_bins: int, resolution: float = 0.0
) -> tuple[NumericBins, np.ndarray, np.ndarray]:
    """Return intervals with about equally many of `values` each, for comparing other values with them.

    They are those of `numeric_bins`, except that a value frequent enough for an interval has one of its own, and that
    numbers beyond the outermost values are in intervals of their own if these values occur often: what any sample
    has is not mixed up with what none has.

    Parameters
    ----------
    values : array of shape (n,)
        Reference values; NaN is missing.
    n_bins : int
        Number of intervals of equal frequency, >= 1.
    resolution : float
        Rounding error of the values, see `Quantity`.

    Returns
    -------
    bins : NumericBins
        The intervals.
    fixed : bool array of shape (n_edges,)
        Which edges any sample would have given: those at values that repeat, not at quantiles.
    anchors : array
        The values whose intervals are narrow: frequent ones and the outermost.
    """
    present = values[~np.isnan(values)]
    if not len(present):
        return NumericBins(np.empty(0)), np.zeros(0, dtype=bool), np.empty(0)
    found = clusters(present, resolution)
    below, above = _outermost(found, resolution)
    uppers = np.concatenate([[below], found.cuts(), [above]])  # of the value i: from uppers[i] to uppers[i + 1]
    ends = _interval_ends(found, n_bins)
    in_interval = np.add.reduceat(found.counts, np.append(0, ends[:-1] + 1))
    repeats = (found.counts[ends] > 1) & (2 * found.counts[ends] >= in_interval)
    frequent = np.flatnonzero((found.counts > 1) & (found.counts * n_bins >= len(present)))
    fixed = np.concatenate([[below, above], uppers[1:][ends[repeats]], uppers[frequent], uppers[frequent + 1]])
    edges = np.unique(np.concatenate([uppers[1:][ends], fixed]))
    edges = edges[(edges < np.inf) & ~np.isnan(edges)]
    anchors = np.unique([found.low[0], *found.low[frequent], found.high[-1]])
    return NumericBins(edges), np.isin(edges, fixed), anchors


def _interval_ends(found: Clusters, n_bins: int) -> np.ndarray:
    """Return the positions of the values at which intervals of about equal frequency end, the last included."""
    last = len(found.counts) - 1
    if last < n_bins:
        return np.arange(last + 1)
    shares = np.arange(1, n_bins) / n_bins
    positions = np.repeat(np.arange(last + 1), found.counts)
    return np.unique([*np.quantile(positions, shares, method="inverted_cdf"), last]).astype(np.intp)


def _outermost(found: Clusters, resolution: float) -> tuple[float, float]:
    """Return edges below the least and above the largest value, NaN where new values may well be beyond."""
    reach = found.reach(resolution)
    low, high = found.low[0], found.high[-1]
    closed = (found.counts[[0, -1]] >= _OFTEN) & np.isfinite([low, high])
    below = min(low - reach[0], np.nextafter(low, -np.inf)) if closed[0] else np.nan
    return below, high + reach[-1] if closed[1] else np.nan


def category_bins(values: np.ndarray) -> CategoryBins:
    """Return a bin for each distinct value of `values` that is not missing, in order of first appearance."""
    return CategoryBins(tuple(dict.fromkeys(value for value in values if not is_missing(value))))


def bin_counts(bins: NumericBins | CategoryBins, values: np.ndarray) -> np.ndarray:
    """Return the number of `values` in each bin, of shape (n_bins,)."""
    return np.bincount(bins.codes(values), minlength=bins.n_bins)
