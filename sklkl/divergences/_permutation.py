"""How large a divergence is by chance: splits of the pooled rows, drawn as tables of counts or row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np

from sklkl._utils.binning import bin_counts, reference_bins
from sklkl._utils.quantities import Quantity
from sklkl.divergences._table import TIE, Table, count_divergence

__all__ = ["permutation_p_value", "random_splits", "row_splits"]

# Counts in a block of splits, and the number of larger divergences from which a p-value is known well enough.
_BLOCK = 2**21
_ENOUGH = 10

# The counts of both parts of so many random splits, one or more at a time.
Splits: TypeAlias = Callable[[int, np.random.Generator], Iterator[tuple[np.ndarray, np.ndarray]]]


def permutation_p_value(
    divergence: str,
    table: Table,
    pseudo_count: float,
    n_splits: int,
    rng: np.random.Generator,
    *,
    at_most: int = 0,
    splits: Splits | None = None,
) -> float:
    """Return the share of random splits whose divergence is at least that observed, the observed one included.

    Parameters
    ----------
    divergence : str
        A key of `DIVERGENCES`.
    table : Table
        The observed counts.
    pseudo_count : float
        Added to every count.
    n_splits, at_most : int
        Number of splits, and of those that are drawn if fewer than ten of the first reach the observed divergence.
        Drawing more leaves the p-value valid: wherever it happens all `at_most` splits count.
    rng : Generator
        Draws them.
    splits : callable, optional
        How to draw them instead of by `random_splits` of the table: `row_splits` of the samples.
    """
    draw = splits or partial(_in_blocks, table)
    observed = float(count_divergence(divergence, table.a, table.b, pseudo_count)) * (1 - TIE)

    def reached(n: int) -> int:
        return sum(int(np.sum(count_divergence(divergence, *both, pseudo_count) >= observed)) for both in draw(n, rng))

    found = reached(n_splits)
    if found < _ENOUGH and at_most > n_splits:
        found, n_splits = found + reached(at_most - n_splits), at_most
    return (found + 1) / (n_splits + 1)


def row_splits(
    x: Quantity, y: Quantity, n_bins: int, n: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the counts of both parts of `n` random splits of the rows, in bins made anew from each first part.

    That is exact for every column, and takes time in proportion to the rows of `x`. `random_splits` uses the counts of
    a column only: with few rows in each bin, some of them repeated, its quantiles of other rows are wrong.
    """
    resolution, size = x.resolution, len(x.values)
    rows = np.sort(np.concatenate([x.values, y.values]))  # missing values come last
    n_present = len(rows) - np.count_nonzero(np.isnan(rows))
    for _ in range(n):
        first = rows[rng.choice(len(rows), size, replace=False, shuffle=False)]
        bins, _, _ = reference_bins(first, n_bins, resolution)
        pooled = np.diff([0, *np.searchsorted(rows, bins.edges, side="right"), n_present, len(rows)])
        a = bin_counts(bins, first)
        table = Table.of(a, pooled - a)
        yield table.a, table.b


def _in_blocks(table: Table, n: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    step = max(1, _BLOCK // len(table.a))
    return (random_splits(table, min(step, n - start), rng) for start in range(0, n, step))


def random_splits(table: Table, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts, of shape (n, n_bins) each, of both parts of `n` random splits of the pooled rows.

    Rows move between the samples by whole segments, as multivariate hypergeometric counts: that is a permutation of
    the rows. Bins within a segment are made anew from the quantiles of each split's first part: the first part then
    always fills them alike, and the second part, whatever the distribution, as blocks between order statistics do.

    References
    ----------
    Tukey, Non-parametric estimation II: statistically equivalent blocks and tolerance regions, Annals of Mathematical
    Statistics 18, 1947.
    """
    starts = np.flatnonzero(np.diff(table.segments, prepend=-1))
    pooled = np.add.reduceat(table.a + table.b, starts)
    first = rng.multivariate_hypergeometric(pooled, int(np.sum(table.a)), size=n, method="marginals")
    segments = zip(np.split(table.a, starts[1:]), first.T, (pooled - first).T, strict=True)
    firsts, seconds = zip(*(_blocks(*segment, rng) for segment in segments), strict=True)
    return np.concatenate(firsts, axis=1), np.concatenate(seconds, axis=1)


def _blocks(
    counts: np.ndarray, first: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return how each split's rows in one segment, `first` and `second`, lie in its bins.

    The probabilities of blocks that hold k_1, ... k_r of a sample are Dirichlet(k_1, ... k_r + 1).
    """
    first, second = first[:, None], second[:, None]
    if len(counts) == 1:
        return first, second
    filled = first * (counts / np.sum(counts))
    in_last = np.arange(len(counts)) == len(counts) - 1
    mass = rng.standard_gamma(filled + in_last)
    return filled, rng.multinomial(second[:, 0], mass / mass.sum(axis=1, keepdims=True))
