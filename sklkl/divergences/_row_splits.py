"""P-value of a divergence in bins that were made from one of the samples: for each random split they are made anew."""

from __future__ import annotations

import numpy as np

from sklkl._binning import numeric_bins
from sklkl.divergences._columns import counts_in_use
from sklkl.divergences._two_samples import _TIE, count_divergence

__all__ = ["row_split_p_value"]


def row_split_p_value(
    statistic: str,
    x: np.ndarray,
    y: np.ndarray,
    n_bins: int,
    pseudo_count: float,
    n_permutations: int,
    rng: np.random.Generator,
) -> float:
    """Return the share of random splits of all rows whose divergence is at least that observed, which counts as one.

    Bins are quantiles of the first sample, hence fit it better than any other sample: were they kept for all splits,
    they would fit their first parts less well, and with few rows a bin equal distributions would seem to differ.

    Parameters
    ----------
    statistic : str
        A key of `STATISTICS`.
    x, y : arrays of shapes (n,) and (m,)
        The samples, NaN where a value is missing.
    n_bins : int
        Number of intervals, see `numeric_bins`.
    pseudo_count : float
        Added to every count.
    n_permutations : int
        Number of splits.
    rng : Generator
        Draws them.
    """
    rows = np.sort(np.concatenate([x, y]))  # sorted rows are quickly sorted again
    chosen = np.arange(len(rows)) < len(x)
    tables = [counts_in_use(x, y, numeric_bins(x, n_bins))]
    for _ in range(n_permutations):
        rng.shuffle(chosen)
        first, second = rows[chosen], rows[~chosen]
        tables.append(counts_in_use(first, second, numeric_bins(first, n_bins)))
    values = _divergences(statistic, tables, pseudo_count)
    return float(np.mean(values >= values[0] * (1 - _TIE)))


def _divergences(statistic: str, tables: list[np.ndarray], pseudo_count: float) -> np.ndarray:
    """Return the divergence of each table; those of one size are computed together."""
    values, sizes = np.empty(len(tables)), np.array([table.shape[1] for table in tables])
    for size in np.unique(sizes):
        same = np.flatnonzero(sizes == size)
        a, b = np.moveaxis(np.array([tables[i] for i in same]), 1, 0)
        values[same] = count_divergence(statistic, a, b, pseudo_count)
    return values
