"""How large a divergence is by chance: splits of the pooled rows, drawn as tables of counts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sklkl.divergences._two_samples import _TIE, count_divergence
from sklkl.drift._references import Table

__all__ = ["random_splits", "split_p_value"]

# Counts in a block of splits, and the number of larger divergences from which a p-value is known well enough.
_BLOCK = 2**21
_ENOUGH = 10


def split_p_value(
    statistic: str, table: Table, pseudo_count: float, n_splits: int, at_most: int, rng: np.random.Generator
) -> float:
    """Return the share of random splits whose divergence is at least that observed, the observed one included.

    `n_splits` splits are drawn, and up to `at_most` if fewer than ten of these reach the observed divergence.
    Drawing on cannot make the p-value valid any less: below the p-value where it happens all `at_most` count.
    """
    observed = float(count_divergence(statistic, table.a, table.b, pseudo_count)) * (1 - _TIE)

    def reached(n: int) -> int:
        blocks = (count_divergence(statistic, *split, pseudo_count) for split in _in_blocks(table, n, rng))
        return sum(int(np.sum(null >= observed)) for null in blocks)

    found = reached(n_splits)
    if found < _ENOUGH and at_most > n_splits:
        found, n_splits = found + reached(at_most - n_splits), at_most
    return (found + 1) / (n_splits + 1)


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
    mass = rng.standard_gamma(filled + np.eye(len(counts))[-1])
    return filled, rng.multinomial(second[:, 0], mass / mass.sum(axis=1, keepdims=True))
