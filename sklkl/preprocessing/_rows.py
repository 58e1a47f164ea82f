"""The way from non-negative rows of any sum, dense or sparse, to rows that are distributions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklkl._utils.arrays import to_numpy
from sklkl._utils.types import MatrixLike
from sklkl._utils.validation import checked_data

__all__ = [
    "INPUT",
    "Rows",
    "RowsTransformer",
    "check_rows",
    "dense_blocks",
    "distributions",
    "is_sparse",
    "mean_distribution",
]

Rows: TypeAlias = Any  # an ndarray, or a sparse matrix in CSR format

# What `checked_data` is to make of the input.
INPUT: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32]}

# Values of a sparse matrix that are dense at one time.
_BLOCK = 2**22


class RowsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What transformers of rows that are distributions have in common: their input, read and described."""

    def _rows(self, X: MatrixLike) -> tuple[Rows, np.dtype[Any]]:
        """Return the distributions that new rows are, and the type of the output."""
        check_is_fitted(self)
        rows = check_rows(
            checked_data(self, to_numpy("X", X), **INPUT, reset=False), f"{type(self).__name__}.transform"
        )
        return distributions(rows, self.mean_distribution_), rows.dtype

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def check_rows(X: Rows, whom: str) -> Rows:
    """Return validated rows, a sparse matrix without duplicate entries.

    Raises
    ------
    ValueError
        If an entry is negative, or the sum of a row is too large for a float.
    """
    if is_sparse(X) and not X.has_canonical_format:
        X = X.copy()  # the caller's matrix stays as it is
        X.sum_duplicates()
    negative = np.asarray((X < 0).sum(axis=1)).ravel() > 0
    if negative.any():
        raise ValueError(f"Negative values in data passed to {whom}: row {np.argmax(negative)} has one")
    with np.errstate(over="ignore"):
        infinite = np.isinf(_totals(X))
    if infinite.any():
        raise ValueError(f"Values too large in data passed to {whom}: the sum of row {np.argmax(infinite)} is infinite")
    return X


def distributions(X: Rows, empty: np.ndarray) -> Rows:
    """Return each row of `X` divided by its sum, in float64; rows that are all zero become `empty`."""
    totals = _totals(X)
    nothing = totals == 0
    totals = np.where(nothing, 1.0, totals)
    if is_sparse(X):
        P = X.astype(np.float64, copy=True)
        P.data /= np.repeat(totals, np.diff(P.indptr))
        rows = np.flatnonzero(nothing)
        filled = csr_matrix((np.ones(len(rows)), (rows, np.zeros_like(rows))), shape=(X.shape[0], 1))
        return (P + filled @ csr_matrix(empty)).tocsr() if len(rows) else P
    P = X / totals[:, None]
    P[nothing] = empty
    return P


def mean_distribution(X: Rows, weight: np.ndarray | None = None) -> np.ndarray:
    """Return the weighted mean of the distributions that the rows of `X` are, the empty ones left out.

    The uniform distribution if there are no others.
    """
    n_rows, n_features = X.shape
    weight = np.ones(n_rows) if weight is None else weight
    mean = weight @ distributions(X, np.zeros(n_features))
    return mean / mean.sum() if mean.any() else np.full(n_features, 1 / n_features)


def dense_blocks(P: Rows) -> Iterator[np.ndarray]:
    """Yield the rows of `P` in dense blocks of bounded size; an array is one block."""
    if not is_sparse(P):
        yield P
        return
    step = max(1, _BLOCK // P.shape[1])
    for start in range(0, P.shape[0], step):
        yield P[start : start + step].toarray()


def is_sparse(X: Rows) -> bool:
    """Return whether `X` is a sparse matrix or array."""
    return bool(issparse(X))


def _totals(X: Rows) -> np.ndarray:
    if is_sparse(X):
        return X @ np.ones(X.shape[1])  # its sum() would add float32 in float32 whatever the dtype asked for
    return X.sum(axis=1, dtype=np.float64)
