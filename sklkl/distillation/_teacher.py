"""The interface of a teacher."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

__all__ = ["Teacher"]


class Teacher(Protocol):
    """What a student's rows get their soft targets from.

    Attributes
    ----------
    classes_ : ndarray or None
        Labels of the columns; None if they are the student's classes.
    closed_ : bool
        Whether classes that it does not know have probability zero, since the rows it was fitted to have none.
    ready : bool
        Whether it need not be fitted.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import Teacher, make_teacher
    >>> teacher: Teacher = make_teacher(GaussianNB())
    >>> teacher.fit([[0.0], [1.0]], [0, 1]).predict_proba([[0.0]]).shape
    (1, 2)
    """

    classes_: np.ndarray | None
    closed_: bool
    ready: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Teacher:
        """Learn from rows, if the teacher is not ready."""

    def predict_proba(self, X: Any, *, multilabel: bool = False, numbers: np.ndarray | None = None) -> np.ndarray:
        """Return checked probabilities of rows, ``numbers`` being their places among all that were given."""
