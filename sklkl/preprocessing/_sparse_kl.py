"""Kullback-Leibler divergence of sparse rows from a few dense ones, by one sparse product."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import xlogy

from sklkl.divergences import kl_divergence

__all__ = ["sparse_kl"]

# Smaller entries are recomputed by the definition: the difference of entropies cancels there.
_SMALL = 1e-5

# Values that are dense at one time.
_BLOCK = 2**22


def sparse_kl(P: csr_matrix, Q: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """Return ``Σ p log p - P @ log Q.T``, the divergence of each row of `P` from each row of `Q`, in nats.

    Parameters
    ----------
    P : sparse matrix of shape (n, K)
        Distributions in CSR format without duplicate entries.
    Q : array of shape (m, K)
        Distributions.
    smoothing : float, default=0.0
        Share of the uniform distribution mixed into both; `P` stays sparse nevertheless.
    """
    keep, share = 1 - smoothing, smoothing / P.shape[1]
    smooth = keep * Q + share
    empty = smooth == 0
    log_q = np.log(np.where(empty, 1.0, smooth))
    values = _negative_entropy(P, keep, share)[:, None] - keep * (P @ log_q.T) - share * log_q.sum(axis=1)
    if empty.any():
        values[(P > 0).astype(np.float64) @ empty.T.astype(np.float64) > 0] = np.inf
    _refine(values, P, Q, smoothing)
    return values


def _negative_entropy(P: csr_matrix, keep: float, share: float) -> np.ndarray:
    """Return ``Σ p log p`` of each row of ``keep P + share``."""
    p = keep * P.data + share
    terms = csr_matrix((p * np.log(np.where(p > 0, p, 1.0)), P.indices, P.indptr), shape=P.shape)
    elsewhere = P.shape[1] - np.diff(P.indptr)
    return np.asarray(terms @ np.ones(P.shape[1])) + elsewhere * xlogy(share, share)


def _refine(values: np.ndarray, P: csr_matrix, Q: np.ndarray, smoothing: float) -> None:
    """Replace the entries of `values` that are nearly zero by those of the definition, in place."""
    rows, columns = np.nonzero(values < _SMALL)
    step = max(1, _BLOCK // P.shape[1])
    for start in range(0, len(rows), step):
        i, j = rows[start : start + step], columns[start : start + step]
        values[i, j] = kl_divergence(P[i].toarray(), Q[j], normalize=True, smoothing=smoothing)
