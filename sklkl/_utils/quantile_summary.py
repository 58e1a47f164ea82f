"""What is known of the distribution of each column: some of its values, and how many rows are near each."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

# How many values describe a column.
N_KEPT = 64
# Masses are compared with levels that are lower by this, so that their rounding decides nothing.
_ROUNDING = 1e-9
# How many are kept of a stream, before the half of them is: each time a little is lost.
_MOST_OF_A_STREAM = 256
# How many numbers of a table are sorted together.
_AT_ONCE = 2**18
# Shares beyond the ends of the ranges that stand for the interquartile range where that is 0.
_TAILS = (0.1, 0.05, 0.02, 0.01, 0.0)


class QuantileSummary(NamedTuple):
    """Values of each column in rising order, and their masses.

    Parameters
    ----------
    values : ndarray of shape (n_columns, n_kept), float64
        Distinct values; the last one is repeated to the end.
    mass : ndarray of shape (n_columns, n_kept), float64
        Weight of the rows at that value or nearer to it than to the others; 0 for what is repeated.
    """

    values: np.ndarray
    mass: np.ndarray

    @property
    def n_values(self) -> np.ndarray:
        """Number of values of each column."""
        return (self.mass > 0).sum(axis=1)

    def quantile(self, level: float) -> np.ndarray:
        """Return of each column the smallest value that this share of the mass does not exceed."""
        return self._quantiles(level)[0]

    def _quantiles(self, *levels: float) -> list[np.ndarray]:
        cumulative, columns = self.mass.cumsum(axis=1), np.arange(len(self.values))
        least = cumulative[:, -1:] * (1 - _ROUNDING)
        return [self.values[columns, (cumulative >= level * least).argmax(axis=1)] for level in levels]

    def center_and_scale(self, eps: float) -> tuple[np.ndarray, np.ndarray]:
        """Return each column's center, and one divided by its scale; 0 for one that varies no more than rounding."""
        lowest, lower, median, upper, highest = self._quantiles(0.0, 0.25, 0.5, 0.75, 1.0)
        scale = upper / 4 - lower / 4
        for tail in _TAILS:
            if (scale > 0).all():
                break
            lower, upper = self._quantiles(tail, 1 - tail)
            scale = np.where(scale > 0, scale, upper / 4 - lower / 4)
        noise = np.maximum(2 * eps * np.maximum(abs(lowest), abs(highest)), 1e-30)
        varies = highest / 4 - lowest / 4 > noise
        inverse_scale = np.divide(0.25, scale, out=np.zeros_like(scale), where=varies)
        return np.where(self.n_values == 2, lowest, median), inverse_scale

    def normal_scores(self) -> np.ndarray:
        """Return the standard normal quantile of each value's mid-rank."""
        last = self.mass[np.arange(len(self.mass)), self.n_values - 1]
        mass, total = np.where(self.mass > 0, self.mass, last[:, None]), self.mass.sum(axis=1, keepdims=True)
        ranks = (np.minimum(self.mass.cumsum(axis=1), total) - mass / 2) / total
        # a value of next to no weight is not infinitely far
        return np.asarray(ndtri(np.minimum(np.maximum(ranks, _ROUNDING), 1 - _ROUNDING)))

    def shortened(self) -> QuantileSummary:
        """Return a summary of at most `N_KEPT` values."""
        return _stacked([_compressed(*column, N_KEPT) for column in self._columns()], N_KEPT)

    def merged(self, other: QuantileSummary) -> QuantileSummary:
        """Return the summary of the rows of both, for a stream."""
        both = [np.concatenate(parts, axis=1) for parts in zip(self, other, strict=True)]
        columns = [_distinct(*column) for column in QuantileSummary(*both)._columns()]
        half = _MOST_OF_A_STREAM // 2
        short = [column if len(column[0]) <= _MOST_OF_A_STREAM else _compressed(*column, half) for column in columns]
        return _stacked(short, _MOST_OF_A_STREAM)

    def _columns(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(values[mass > 0], mass[mass > 0]) for values, mass in zip(self.values, self.mass, strict=True)]


def summarised(X: np.ndarray, weight: np.ndarray | None = None, *, stream: bool = False) -> QuantileSummary:
    """Return the summary of columns.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Finite numbers.
    weight : ndarray of shape (n_rows,) or None
        Weights >= 0 of the rows; their mean counts as 1.
    stream : bool
        Whether it is to be merged with others: it then keeps more values.
    """
    n_kept = _MOST_OF_A_STREAM if stream else N_KEPT
    if weight is None:
        if X.size <= _AT_ONCE:
            return _counted(X.T, n_kept)
        parts = np.array_split(X.T, -(-X.size // _AT_ONCE))
        return QuantileSummary(*map(np.concatenate, zip(*(_counted(part, n_kept) for part in parts), strict=True)))
    mass = weight / weight.mean()
    return _stacked([_compressed(*_distinct(column, mass), n_kept) for column in X.T.astype(np.float64)], n_kept)


def _counted(columns: np.ndarray, n_kept: int) -> QuantileSummary:
    """Return the summary of columns, of shape (n_columns, n_rows), whose rows count the same: all columns at once."""
    columns = np.array(columns, order="C")
    columns.sort(axis=1)
    n_columns, n_rows = columns.shape
    is_new = np.ones(columns.shape, dtype=bool)
    np.not_equal(columns[:, 1:], columns[:, :-1], out=is_new[:, 1:])
    # the distinct values, column by column: where the rows of each begin, and twice where their middle is
    starts, n_distinct = np.flatnonzero(is_new), is_new.sum(axis=1)
    middle = starts + np.concatenate([starts[1:], [is_new.size]])
    last = n_distinct.cumsum() - 1
    first = last + 1 - n_distinct
    levels = 2 * n_rows * (np.arange(n_columns)[:, None] + _levels(n_kept))
    at = np.minimum(middle.searchsorted(np.ceil(levels).astype(np.int64)), last[:, None])
    is_kept = np.repeat(n_distinct <= n_kept, n_distinct)
    is_kept[at] = is_kept[first] = is_kept[last] = True
    kept = np.flatnonzero(is_kept)
    column = last.searchsorted(kept)
    place = np.arange(len(kept)) - kept.searchsorted(first)[column]
    # each takes the rows of the values that are nearer to it than to the next one
    before = np.concatenate([kept[:1], kept[:-1]])
    borders = starts[np.where(place == 0, kept, (before + kept + 1) // 2)]
    values, mass = np.repeat(columns[:, -1:].astype(np.float64), n_kept, axis=1), np.zeros((n_columns, n_kept))
    values[column, place] = columns.reshape(-1)[starts[kept]]
    mass[column, place] = np.concatenate([borders[1:], [is_new.size]]) - borders
    return QuantileSummary(values, mass)


def _distinct(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values in rising order, and their masses."""
    values, place = np.unique(values[mass > 0], return_inverse=True)
    return values, np.bincount(place, mass[mass > 0])


def _compressed(values: np.ndarray, mass: np.ndarray, n_kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many of the values: the extremes, and quantiles, with the masses of those nearest to each."""
    if len(values) <= n_kept:
        return values, mass
    last = len(values) - 1
    middle = (mass.cumsum() - mass / 2) / mass.sum()
    at = np.minimum(middle.searchsorted(_levels(n_kept)), last)
    is_kept = np.zeros(len(values), dtype=bool)
    is_kept[at] = is_kept[0] = is_kept[last] = True
    kept = np.flatnonzero(is_kept)
    starts = np.concatenate([[0], (kept[:-1] + kept[1:] + 1) // 2])
    return values[kept], np.add.reduceat(mass, starts)


@cache
def _levels(n_kept: int) -> np.ndarray:
    """Return shares: half are evenly spaced, half on the scale of a normal variable, whose tails they resolve."""
    even = n_kept // 2
    levels = [np.linspace(0, 1, even + 1)[1:-1], ndtr(np.linspace(-3.1, 3.1, n_kept - even - 1))]
    return np.sort(np.concatenate(levels)) - _ROUNDING


def _stacked(columns: list[tuple[np.ndarray, np.ndarray]], n_kept: int) -> QuantileSummary:
    values, mass = np.empty((len(columns), n_kept)), np.zeros((len(columns), n_kept))
    for i, (of_column, its_mass) in enumerate(columns):
        values[i], values[i, : len(of_column)], mass[i, : len(of_column)] = of_column[-1], of_column, its_mass
    return QuantileSummary(values, mass)
