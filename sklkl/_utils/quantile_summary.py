"""What is known of the distribution of each column: some of its values, and how many rows are near each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

# Quantiles that are kept of a longer column: evenly spaced, and as many more on the scale of a normal variable, whose
# tails they resolve. With the extremes these are at most `N_KEPT`.
_LEVELS = np.sort(np.r_[np.linspace(0, 1, 33)[1:-1], ndtr(np.linspace(-3.1, 3.1, 31))])
N_KEPT = len(_LEVELS) + 2


class QuantileSummary(NamedTuple):
    """Values of each column in rising order, and their masses.

    Parameters
    ----------
    values : ndarray of shape (n_columns, N_KEPT), float64
        Distinct values; the last one is repeated to the end.
    mass : ndarray of shape (n_columns, N_KEPT), float64
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
        cumulative = self.mass.cumsum(axis=1)
        # rounding must not carry the last level beyond the last value
        at = (cumulative >= level * (1 - 1e-12) * cumulative[:, -1:]).argmax(axis=1)
        return self.values[np.arange(len(at)), at]

    def normal_scores(self) -> np.ndarray:
        """Return the standard normal quantile of each value's mid-rank."""
        last = np.take_along_axis(self.mass, self.n_values[:, None] - 1, axis=1)
        mass = np.where(self.mass > 0, self.mass, last)
        middle = np.minimum(self.mass.cumsum(axis=1), self.mass.sum(axis=1, keepdims=True)) - mass / 2
        return np.asarray(ndtri(middle / self.mass.sum(axis=1, keepdims=True)))


def summarised(X: np.ndarray, weight: np.ndarray | None = None) -> QuantileSummary:
    """Return the summary of columns.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_columns)
        Finite numbers.
    weight : ndarray of shape (n_rows,) or None
        Weights >= 0 of the rows; their mean counts as 1.
    """
    mass = np.ones(len(X)) if weight is None else weight / weight.mean()
    return _stacked([_compressed(column, mass) for column in X.T.astype(np.float64)])


def merged(first: QuantileSummary, second: QuantileSummary) -> QuantileSummary:
    """Return the summary of the rows of both."""
    columns = zip(np.hstack([first.values, second.values]), np.hstack([first.mass, second.mass]), strict=True)
    return _stacked([_compressed(values[mass > 0], mass[mass > 0]) for values, mass in columns])


def _compressed(values: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct values in rising order with their masses; of many, quantiles."""
    values, place = np.unique(values, return_inverse=True)
    mass = np.bincount(place, mass)
    values, mass = values[mass > 0], mass[mass > 0]
    if len(values) <= N_KEPT:
        return values, mass
    middle = (mass.cumsum() - mass / 2) / mass.sum()
    inner = np.searchsorted(middle, _LEVELS).clip(max=len(values) - 1)
    kept = np.unique(np.r_[0, inner, len(values) - 1])
    starts = np.r_[0, (kept[:-1] + kept[1:] + 1) // 2]
    return values[kept], np.add.reduceat(mass, starts)


def _stacked(columns: list[tuple[np.ndarray, np.ndarray]]) -> QuantileSummary:
    values, mass = np.empty((len(columns), N_KEPT)), np.zeros((len(columns), N_KEPT))
    for i, (of_column, its_mass) in enumerate(columns):
        values[i], values[i, : len(of_column)], mass[i, : len(of_column)] = of_column[-1], of_column, its_mass
    return QuantileSummary(values, mass)
