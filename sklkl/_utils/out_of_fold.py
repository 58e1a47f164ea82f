"""Predicted probabilities with one column for each class, also of rows that the classifier was not trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import clone

from sklkl._utils.class_alignment import align_columns, class_codes
from sklkl._utils.probabilities import proba_array
from sklkl._utils.sklearn_private import _check_method_params, _num_samples, _safe_split
from sklkl._utils.types import MatrixLike

__all__ = ["Splits", "aligned_proba", "checked_splits", "out_of_fold_proba"]

Splits = Iterable[tuple[np.ndarray, np.ndarray]]


def aligned_proba(estimator: Any, X: MatrixLike, classes: np.ndarray) -> np.ndarray:
    """Return the estimator's probabilities in float64, in the order of `classes`; 0 for classes it does not know."""
    proba = proba_array(estimator.predict_proba(X), f"'predict_proba' of {type(estimator).__name__}").astype(np.float64)
    if proba.ndim != 2 or proba.shape[1] != len(estimator.classes_):
        wanted = (
            f"{type(estimator).__name__}.predict_proba must give a column for each of {len(estimator.classes_)} classes"
        )
        raise ValueError(f"{wanted}. Got the shape {proba.shape} instead.")
    class_codes("y", np.asarray(estimator.classes_), classes)  # raises if there are further classes
    return align_columns(proba, np.asarray(estimator.classes_), classes)


def checked_splits(name: str, cv: Any, splits: Iterable[Any], n_rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what a splitter gives as pairs of arrays of row numbers; it may give numbers or masks.

    Raises
    ------
    ValueError
        If it fails, or gives something else or the number of no row; `name` is the name of the parameter `cv`.
    """
    numbers = np.arange(n_rows)
    try:
        pairs = [tuple(np.atleast_1d(numbers[np.asarray(part)]) for part in split) for split in splits]
        return [(train, test) for train, test in pairs]
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{name}={cv!r} cannot split these rows: {error}") from error


def out_of_fold_proba(
    estimator: Any, X: MatrixLike, y: np.ndarray, splits: Splits, params: dict[str, Any], classes: np.ndarray
) -> np.ndarray:
    """Return the probabilities of each row from clones that were not trained on it, averaged if there are several.

    Unlike `cross_val_predict` this leaves the labels as they are, which estimators may refer to (``class_weight``), and
    takes splits that are no partition; rows in no test part are NaN.
    """
    total, times = np.zeros((_num_samples(X), len(classes))), np.zeros((_num_samples(X), 1))
    for train, test in splits:
        X_train, y_train = _safe_split(estimator, X, y, train)
        X_test, _ = _safe_split(estimator, X, y, test, train)
        fold = clone(estimator).fit(X_train, y_train, **_check_method_params(X, params, indices=train))
        total[test] += aligned_proba(fold, X_test, classes)
        times[test] += 1
    return np.where(times > 0, total / np.maximum(times, 1), np.nan)
