"""A teacher's probabilities, checked and put into the order of the student's classes."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from sklkl._utils.class_alignment import align_columns, class_positions
from sklkl._utils.probabilities import proba_array, unit_rows

__all__ = ["aligned", "checked_proba"]

Policy = Literal["same", "common", "union", "closed"]
POLICIES = get_args(Policy)


def checked_proba(
    proba: Any, n_rows: int, name: str = "teacher", *, multilabel: bool = False, numbers: np.ndarray | None = None
) -> np.ndarray:
    """Return probabilities as an array whose rows sum to 1.

    Parameters
    ----------
    proba : array-like of shape (n_rows, n_classes), or what ``predict_proba`` gives for a multilabel target
        Rows whose sums are off by up to 1e-3 (2**-7 for values in bfloat16) are renormalised. For multilabel targets a
        list of one array of shape (n_rows, 2) for each label, or of shape (n_rows, n_labels) the probability of each.
    n_rows : int
        Number of rows that are expected.
    name : str
        Where they come from, for messages.
    multilabel : bool
        Whether each label has probabilities of its own.
    numbers : ndarray of shape (n_rows,) or None
        What the rows are called in messages; None counts them.

    Returns
    -------
    ndarray of shape (n_rows, n_classes), or (n_rows, n_labels, 2), float64
        Probabilities.

    Raises
    ------
    ValueError
        If the shape is wrong, or a row has a value that is NaN, infinite or negative, or does not sum to 1.

    Examples
    --------
    >>> from sklkl.distillation import checked_proba
    >>> checked_proba([[0.5, 0.5], [0.2501, 0.75]], n_rows=2).sum(axis=1)
    array([1., 1.])
    """
    proba = np.stack(proba, axis=1) if isinstance(proba, list) and np.ndim(proba[0]) == 2 else proba
    proba = np.asarray(proba_array(proba, name), dtype=np.float64)
    if multilabel and proba.ndim == 2:  # of each label the probability that it is on
        proba = np.stack([1 - proba, proba], axis=-1)
    if proba.ndim != 2 + multilabel or len(proba) != n_rows:
        shape = "(n_rows, n_labels)" if multilabel else "(n_rows, n_classes)"
        raise ValueError(
            f"The {name} must give probabilities of shape {shape} for {n_rows} rows. Got the shape {proba.shape}."
        )
    unit, wrong = unit_rows(proba)
    bad = wrong.any(axis=tuple(range(1, wrong.ndim)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        number = row if numbers is None else numbers[row]
        raise ValueError(
            f"The {name} must give probabilities >= 0 that sum to 1. Row {number} is {proba[row].tolist()}."
        )
    return unit


def aligned(
    proba: np.ndarray, teacher_classes: np.ndarray | None, classes: np.ndarray, policy: str
) -> tuple[np.ndarray, list[int] | None]:
    """Return the probabilities of the classes that teacher and student know, in the student's order.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_teacher_classes)
        Of the teacher.
    teacher_classes : ndarray or None
        Labels of its columns; None means that they are the student's.
    classes : ndarray of shape (n_classes,)
        The student's labels.
    policy : {"same", "common", "union", "closed"}
        ``"same"`` demands the same labels, the others take what is common and renormalise it; ``"closed"`` adds zeros
        for the labels that the teacher does not know.

    Returns
    -------
    proba : ndarray of shape (n_rows, n_common), or (n_rows, n_classes) for ``"closed"``
        Renormalised; a row whose probability lies on other classes only is zero.
    common : list of int or None
        Codes of the columns among ``classes``; None if these are all.

    Raises
    ------
    ValueError
        If the classes differ and the policy does not allow it, nothing is common, or a label names two columns.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import aligned
    >>> teacher_classes, classes = np.array(["c", "a", "b"]), np.array(["b", "c"])
    >>> proba = np.array([[0.5, 0.25, 0.25]])
    >>> proba, common = aligned(proba, teacher_classes, classes, "common")
    >>> proba.round(4), common
    (array([[0.3333, 0.6667]]), None)
    """
    if teacher_classes is None:
        if proba.shape[1] != len(classes):
            raise ValueError(
                f"The teacher gives {proba.shape[1]} columns, but there are {len(classes)} classes: "
                f"{classes.tolist()}. Columns that are named, by a teacher with 'classes_' or by 'teacher_proba' as a "
                "DataFrame, can be aligned."
            )
        return proba, None
    n_teacher = len(set(teacher_classes.tolist()))
    if not n_teacher == len(teacher_classes) == proba.shape[1]:
        raise ValueError(
            f"The teacher's {proba.shape[1]} columns must have a label each. Got {teacher_classes.tolist()} instead."
        )
    labels = classes.tolist()
    same = np.array_equal(classes, teacher_classes)
    columns = np.arange(len(classes)) if same else class_positions(classes, teacher_classes)
    common = np.flatnonzero(columns >= 0)
    if policy == "same" and (len(common) < len(labels) or n_teacher > len(labels)):
        raise ValueError(
            f"The teacher knows the classes {teacher_classes.tolist()}, the student {labels}. Set "
            "teacher_classes='common' to learn from it on the classes both know, or 'union' or 'closed' to give the "
            "student the teacher's classes as well."
        )
    if not len(common):
        raise ValueError(f"The teacher's classes {teacher_classes.tolist()} and the student's {labels} are disjoint.")
    shared = proba[:, columns[common]]
    sums = shared.sum(1, keepdims=True)
    shared = np.divide(shared, sums, out=np.zeros_like(shared), where=sums > 0)
    if policy == "closed" and len(common) < len(labels):
        return align_columns(shared, classes[common], classes), None
    return shared, None if len(common) == len(labels) else common.tolist()
