"""Two samples of one column as counts in bins, and the divergence of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklkl._utils.binning import CategoryBins, NumericBins, bin_counts
from sklkl.divergences._registry import DIVERGENCES

__all__ = ["MOST_CATEGORIES", "NULLS", "TIE", "Table", "count_divergence"]

# Where p-values of a divergence of counts come from.
NULLS = ("permutation", "asymptotic")

# Relative tolerance of divergences: those of equal tables, summed in another order, are equal.
TIE = 1e-10

# Up to so many bins, each is drawn by itself in random splits.
MOST_CATEGORIES = 1000


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
    names : array of shape (n_bins,), optional
        What the bins are called.
    """

    a: np.ndarray
    b: np.ndarray
    segments: np.ndarray
    names: np.ndarray | None = None

    @classmethod
    def of(
        cls, a: np.ndarray, b: np.ndarray, segments: np.ndarray | None = None, names: np.ndarray | None = None
    ) -> Table:
        """Return the table without the bins that both samples leave empty; by default each bin is a segment."""
        used = (a > 0) | (b > 0)
        segments = np.arange(np.sum(used)) if segments is None else segments[used]
        return cls(a[used], b[used], segments, None if names is None else names[used])

    @classmethod
    def count(cls, x: np.ndarray, y: np.ndarray, bins: CategoryBins | NumericBins) -> Table:
        """Return the counts of the values of two samples in bins that do not depend on them."""
        return cls.of(bin_counts(bins, x), bin_counts(bins, y))

    def grouped(self, most: int) -> Table:
        """Return the table with at most `most` bins, each of a segment of its own: the rare ones are put together.

        The more frequent half of the bins, by both samples together, are left as they are, all others shared out at
        random among the other half. That depends on the pooled counts only, so that p-values stay correct, and keeps
        what distinguishes the samples: with one bin for all rare categories, new ones would not be seen.
        """
        if len(self.a) <= most:
            return self
        shuffled = np.random.default_rng(0).permutation(len(self.a))
        order = shuffled[np.argsort(-(self.a + self.b)[shuffled], kind="stable")]
        codes = np.empty(len(order), dtype=np.intp)
        kept = most // 2
        codes[order[:kept]] = np.arange(kept)
        codes[order[kept:]] = kept + np.arange(len(order) - kept) % (most - kept)
        a, b = (np.bincount(codes, counts, most).astype(np.int64) for counts in (self.a, self.b))
        names = None
        if self.names is not None:
            names = np.array([*self.names[order[:kept]], *(f"group {i + 1}" for i in range(most - kept))], dtype=object)
        return Table.of(a, b, names=names)


def count_divergence(divergence: str, a: np.ndarray, b: np.ndarray, pseudo_count: float) -> np.ndarray:
    """Return the divergence of the shares of `a` from those of `b`, counts of shape (..., n_bins).

    `pseudo_count` is added to every count, so that no bin has the share 0.
    """
    return DIVERGENCES[divergence](a + pseudo_count, b + pseudo_count, normalize=True)
