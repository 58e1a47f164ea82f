"""Sparse rows of those features only that they have."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["gathered", "is_wide"]

# Up to so many features a dense batch takes less time than to look for those that it has.
_FEW_FEATURES = 2**11


def is_wide(X: Any) -> bool:
    """Whether rows are sparse, and of so many features that a batch had better not be dense in all of them.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklkl.modules import is_wide
    >>> is_wide(sparse.csr_array((10, 100_000))), is_wide(sparse.csr_array((10, 100)))
    (True, False)
    """
    return bool(sparse.issparse(X)) and X.shape[1] > _FEW_FEATURES


def gathered(X: Any) -> tuple[Any, np.ndarray]:
    """Return rows without the features that none of them has an entry of.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_features)
        Few rows.

    Returns
    -------
    found : CSR array of shape (n_rows, n_found)
        The features that are found.
    features : ndarray of shape (n_found,)
        Their numbers, ascending.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklkl.modules import gathered
    >>> X = sparse.csr_array(([1.0, 2.0], ([0, 1], [7, 900])), shape=(2, 1000))
    >>> found, features = gathered(X)
    >>> found.toarray()
    array([[1., 0.],
           [0., 2.]])
    >>> features.tolist()
    [7, 900]
    """
    features, positions = np.unique(X.indices, return_inverse=True)
    shape = X.shape[0], len(features)
    return sparse.csr_array((X.data, positions, X.indptr), shape=shape), features
