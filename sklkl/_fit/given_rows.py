"""Rows in the form in which they were given to ``fit``, which is the one that a teacher knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sklkl._utils.sklearn_private import _num_samples, _safe_indexing
from sklkl.data import Rows, is_sparse


@dataclass(frozen=True)
class GivenRows:
    """What was given to ``fit``, to be taken by the numbers of rows.

    Parameters
    ----------
    X, y : array, sparse matrix or frame
        Inputs and labels.
    sample_weight : array, number or None
        Weights.
    class_weighted : bool
        Whether class weights are a part of the weights.
    """

    X: Any
    y: Any
    sample_weight: Any
    class_weighted: bool

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> Self:
        """Return them in containers from which rows can be taken."""
        return cls(*map(indexable_rows, (X, y, sample_weight)), class_weighted=class_weight is not None)

    def __len__(self) -> int:
        return int(_num_samples(self.X))

    def inputs(self, rows: Rows) -> Any:
        """Return X of numbered rows."""
        return _safe_indexing(self.X, numbers(rows))

    def taken(self, rows: Rows) -> list[Any]:
        """Return X, y and weights of numbered rows."""
        index = numbers(rows)
        weight = _weights(self.sample_weight, index)
        if self.class_weighted and rows.weight is not None:
            weight = rows.weight.cpu().numpy()
        return [_safe_indexing(self.X, index), _safe_indexing(self.y, index), weight]


def indexable_rows(values: Any) -> Any:
    """Return rows that can be taken by number: sparse matrices as CSR, what is no array or frame as an array."""
    if is_sparse(values):
        return values.tocsr()
    by_number = hasattr(values, "shape") and hasattr(values, "__getitem__")
    return values if values is None or by_number else np.asarray(values)


def numbers(rows: Rows) -> np.ndarray:
    """Return the places of rows in X."""
    found: np.ndarray = rows.columns["number"].cpu().numpy()
    return found


def _weights(weight: Any, index: np.ndarray) -> Any:
    """Return the weights of some rows; a number is the weight of each."""
    if weight is None:
        return None
    return np.full(len(index), weight) if weight.shape == () else _safe_indexing(weight, index)
