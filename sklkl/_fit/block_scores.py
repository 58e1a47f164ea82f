"""What is said of rows that are read block by block: predictions, and their score."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from sklkl._utils.checks import invalid_input
from sklkl._utils.types import MatrixLike, Weight
from sklkl.data import RowBlocks
from sklkl.data._row_blocks import told_of


def of_blocks(blocks: RowBlocks, per_row: Callable[[Any], np.ndarray]) -> np.ndarray:
    """Return what a function gives of the X of each block, in one array."""
    values = []
    for number, (X, _, _) in blocks.blocks():
        if X.shape[0] if hasattr(X, "shape") else len(X):
            with told_of(number):
                values.append(per_row(X))
    if not values:
        raise invalid_input("X", "none", "RowBlocks with rows")
    return np.concatenate(values)


class ScoresBlocks(ClassifierMixin):
    """A classifier whose accuracy is that of rows in memory, or of blocks."""

    def score(self, X: MatrixLike | RowBlocks, y: MatrixLike | None = None, sample_weight: Weight = None) -> float:
        """Return the accuracy, of a multilabel target the share of rows all of whose labels are right.

        Parameters
        ----------
        X : array-like, sparse matrix, frame or RowBlocks
            Inputs; labels and weights of :class:`sklkl.data.RowBlocks` are in its blocks.
        y : array-like of shape (n_rows,) or (n_rows, n_labels), default=None
            Labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights.

        Returns
        -------
        float
            Share of the rows that are predicted right, from 0 to 1.
        """
        if not isinstance(X, RowBlocks):
            return float(super().score(X, y, sample_weight))
        if y is not None or sample_weight is not None:
            raise invalid_input(("y", "sample_weight"), "an array", "None where X is RowBlocks", of="score")
        return self._score_of_blocks(X)

    def _score_of_blocks(self, blocks: RowBlocks) -> float:
        right = total = 0.0
        for number, (X, y, weight) in blocks.blocks():
            with told_of(number):
                if y is None:
                    raise invalid_input("y", "None", "labels in each block that is scored", of="RowBlocks")
                mass = float(len(y) if weight is None else np.sum(weight))
                right += mass * accuracy_score(y, self.predict(X), sample_weight=weight) if mass else 0.0
                total += mass
        if not total:
            raise invalid_input("X", "none", "RowBlocks with rows of positive weight")
        return right / total
