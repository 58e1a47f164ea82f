"""An estimator's probabilities with their classes, brought into the order of given labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklkl.metrics._validation import check_probabilities, shown

__all__ = ["align", "class_probabilities", "match_truth"]


def class_probabilities(estimator: Any, X: Any, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted probabilities and the class of each column; `labels` serve where ``classes_`` is missing."""
    name = type(estimator).__name__
    proba = _predict(estimator, X, name)
    classes = getattr(estimator, "classes_", labels)
    if classes is None:
        raise ValueError(f"{name} without classes_ given; allowed: a fitted classifier, or pass labels=, its classes")
    if isinstance(proba, list) or isinstance(classes, list) and np.ndim(classes[0]):
        raise ValueError(f"{name} of several outputs given; allowed: one target (neither multilabel nor multioutput)")
    proba, classes = np.asarray(proba), np.asarray(classes)
    if proba.ndim == 1 and len(classes) == 2:
        proba = check_probabilities("y_proba", proba)
    if proba.shape[1:] != classes.shape:
        raise ValueError(
            f"{name} of {len(classes)} classes and probabilities of shape {proba.shape} given; allowed: (n_samples, "
            f"{len(classes)}) (neither multilabel nor multioutput)"
        )
    return proba, classes


def _predict(estimator: Any, X: Any, name: str) -> Any:
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    if not hasattr(estimator, "predict_log_proba"):
        raise AttributeError(f"{name} has none of the following attributes: predict_proba, predict_log_proba.")
    log_proba = estimator.predict_log_proba(X)
    return log_proba if isinstance(log_proba, list) else np.exp(np.asarray(log_proba, dtype=np.float64))


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
        raise ValueError(
            f"{name} of {truth.shape[1]} columns given; allowed: {len(classes)}, the estimator's classes "
            f"{shown(classes)}, or pass labels=, the class of each column, to the scorer"
        )
    return truth, classes if labels is None else labels


def _with_further(classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return `classes`, then those that occur in `y` only."""
    known = set(classes.tolist())
    further = [label for label in dict.fromkeys(y.tolist()) if label not in known]
    if not further:
        return classes
    if isinstance(further[0], str) != isinstance(classes[0], str):  # such as 0 and "0": no new class, but a mistake
        given = f"y with {shown(further)} and an estimator of classes {shown(classes)}"
        raise ValueError(f"{given} given; allowed: labels of one type")
    return np.array([*classes.tolist(), *further], dtype=object)


def align(proba: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one column for each label, of zeros where the estimator does not know it."""
    position = {label: column for column, label in enumerate(labels.tolist())}
    missing = [label for label in classes.tolist() if label not in position]
    if missing:
        raise ValueError(f"labels={shown(labels)} given; allowed: all classes, also {shown(missing)}")
    aligned = np.zeros((len(proba), len(labels)), dtype=proba.dtype)
    aligned[:, [position[label] for label in classes.tolist()]] = proba
    return aligned
