"""An estimator's probabilities with their classes, brought into the order of given labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklkl._utils.arrays import as_array, to_numpy
from sklkl._utils.checks import invalid_input
from sklkl._utils.class_alignment import align_columns, class_positions, shown
from sklkl._utils.types import MatrixLike
from sklkl.metrics._validation import check_probabilities, in_order

__all__ = ["align", "class_probabilities", "match_truth"]

_ONE_TARGET = "one target (neither multilabel nor multioutput)"


def class_probabilities(estimator: Any, X: MatrixLike, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted probabilities and the class of each column; `labels` serve where ``classes_`` is missing.

    The columns of a frame that are named by class are brought into their order.
    """
    name = type(estimator).__name__
    proba = _predict(estimator, X, name)
    classes = getattr(estimator, "classes_", labels)
    if classes is None:
        allowed = "a fitted classifier with classes_, or pass labels=, its classes"
        raise invalid_input("estimator", f"a {name} without", allowed)
    if isinstance(proba, list) or isinstance(classes, list) and np.ndim(classes[0]):
        raise invalid_input("estimator", f"a {name} of several", f"a classifier of {_ONE_TARGET}")
    table, proba, classes = proba, as_array("y_proba", proba), np.asarray(classes)
    if proba.ndim == 1 and len(classes) == 2:
        proba = check_probabilities("y_proba", proba)
    if proba.shape[1:] != classes.shape:
        found = f"a {name} of {len(classes)} classes that gives the shape {proba.shape}"
        allowed = f"a classifier of {_ONE_TARGET} with a probability of each class"
        raise invalid_input("estimator", found, allowed)
    return in_order("y_proba", proba, table, classes), classes


def _predict(estimator: Any, X: MatrixLike, name: str) -> Any:
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    if not hasattr(estimator, "predict_log_proba"):
        raise AttributeError(f"{name} has none of the following attributes: predict_proba, predict_log_proba.")
    log_proba = estimator.predict_log_proba(X)
    return (
        log_proba
        if isinstance(log_proba, list)
        else np.exp(np.asarray(to_numpy("y_proba", log_proba), dtype=np.float64))
    )


def match_truth(
    truth: np.ndarray, names: np.ndarray | None, classes: np.ndarray, labels: np.ndarray | None, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels or distributions, and all classes in the order of its columns, `labels` if they are given.

    `names` are those of the columns of a distribution. Where they are no classes, columns count by position.
    """
    if truth.ndim == 1:
        return truth, _with_further(classes, truth) if labels is None else labels
    known = set((classes if labels is None else labels).tolist())
    if names is not None and len(names) == truth.shape[1] and known.intersection(names.tolist()):
        labels = _with_further(classes, names) if labels is None else labels
        return align(truth, names, labels), labels
    if labels is None and truth.shape[1] != len(classes):
        allowed = f"of {len(classes)} columns, the estimator's classes {shown(classes)}"
        hint = "or pass labels=, the class of each column, to the scorer"
        raise invalid_input(name, f"{truth.shape[1]} columns", f"{allowed}, {hint}")
    return truth, classes if labels is None else labels


def _with_further(classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return `classes`, then those that occur in `y` only."""
    known = set(classes.tolist())
    further = [label for label in dict.fromkeys(y.tolist()) if label not in known]
    if not further:
        return classes
    if isinstance(further[0], str) != isinstance(classes[0], str):  # such as 0 and "0": no new class, but a mistake
        raise invalid_input("y", shown(further), f"labels of the type of the estimator's classes, {shown(classes)}")
    return np.array([*classes.tolist(), *further], dtype=object)


def align(proba: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one column for each label, of zeros where the estimator does not know it."""
    missing = classes[class_positions(classes, labels) < 0]
    if len(missing):
        raise invalid_input("labels", shown(labels), f"all classes, also {shown(missing)}")
    return align_columns(proba, classes, labels)
