"""A function as a teacher: asked in batches, its answers checked. Other kinds of teachers are made from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sklkl._utils.probabilities import proba_array
from sklkl._utils.sklearn_private import _num_samples, _safe_indexing
from sklkl.distillation._alignment import checked_proba

__all__ = ["FunctionTeacher"]

# Rows a teacher predicts at once.
_BATCH = 10_000


class FunctionTeacher:
    """A function from inputs to probabilities.

    Parameters
    ----------
    function : callable
        ``function(X) -> array of shape (n_rows, n_classes)``.
    classes : ndarray or None, default=None
        Labels of its columns; None if they are the student's classes.

    Attributes
    ----------
    classes_ : ndarray or None
        The labels.
    closed_ : bool
        Whether classes that it does not know have probability zero, since the rows it was fitted to have none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import FunctionTeacher
    >>> teacher = FunctionTeacher(lambda X: np.full((len(X), 2), 0.5))
    >>> teacher.predict_proba(np.zeros((1, 3)))
    array([[0.5, 0.5]])
    """

    classes_: np.ndarray | None = None
    closed_: bool = False
    ready: bool = True

    def __init__(self, function: Any, classes: np.ndarray | None = None) -> None:
        self.function, self.classes_ = function, classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> FunctionTeacher:
        """Do nothing: the function is what it is."""
        return self

    def predict_proba(self, X: Any, *, multilabel: bool = False, numbers: np.ndarray | None = None) -> np.ndarray:
        """Return checked probabilities, computed in batches of bounded size.

        Parameters
        ----------
        X : array-like
            Rows.
        multilabel : bool
            Whether each label has probabilities of its own.
        numbers : ndarray of shape (n_rows,) or None
            What the rows are called in messages; None counts them.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), or (n_rows, n_labels, 2) for multilabel targets
            Rows that sum to 1.

        Raises
        ------
        ValueError
            If the teacher's values are no probabilities.
        """
        parts = [self._proba(part, multilabel) for part in _batches(X)]
        proba = parts[0] if len(parts) == 1 else _joined(parts)
        return checked_proba(proba, _num_samples(X), multilabel=multilabel, numbers=numbers)

    def _proba(self, X: Any, multilabel: bool) -> Any:
        return self.function(X)


def _batches(X: Any) -> Iterable[Any]:
    n_rows = _num_samples(X)
    if n_rows <= _BATCH:
        return [X]
    starts = range(0, n_rows, _BATCH)
    return (_safe_indexing(X, np.arange(start, min(start + _BATCH, n_rows))) for start in starts)


def _joined(parts: list[Any]) -> Any:
    """Return what ``predict_proba`` gave for some batches, an array each or a list of one a label, as for one."""
    labels = [np.concatenate(label) for label in zip(*map(_as_lists, parts), strict=True)]
    return labels if len(labels) > 1 else labels[0]


def _as_lists(proba: Any) -> list[Any]:
    """Return the arrays of ``predict_proba``: one, or one a label."""
    if isinstance(proba, list) and proba and np.ndim(proba[0]) == 2:
        return list(proba)
    return [np.atleast_1d(proba_array(proba))]
