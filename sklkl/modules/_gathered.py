"""Sparse rows as dense ones of the features that they have."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["gathered", "is_wide"]

# Up to so many features a dense batch takes less time than to look for those that it has.
_FEW_FEATURES = 2**10


def is_wide(X: Any) -> bool:
    """Whether rows are sparse, and of so many features that a batch had better not be dense in all of them.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklkl.modules import is_wide
    >>> is_wide(sparse.csr_array((10, 100_000))), is_wide(sparse.csr_array((10, 100)))
    (True, False)
    """
    return bool(sparse.issparse(X) and X.shape[1] > _FEW_FEATURES)


def gathered(X: Any) -> tuple[Tensor, Tensor]:
    """Return rows without the features that are 0 in all of them.

    Parameters
    ----------
    X : CSR matrix of shape (n_rows, n_features)
        Few rows, of a floating type.

    Returns
    -------
    x : Tensor of shape (n_rows, n_found)
        Values of the features that are found.
    features : Tensor of shape (n_found,)
        Their numbers, ascending.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklkl.modules import gathered
    >>> X = sparse.csr_array(([1.0, 2.0], ([0, 1], [7, 900])), shape=(2, 1000))
    >>> gathered(X)
    (tensor([[1., 0.],
            [0., 2.]], dtype=torch.float64), tensor([  7, 900]))
    """
    features, positions = np.unique(X.indices, return_inverse=True)
    found = sparse.csr_array((X.data, positions.reshape(-1), X.indptr), shape=(X.shape[0], len(features)))
    return torch.from_numpy(found.toarray()), torch.from_numpy(features).long()
