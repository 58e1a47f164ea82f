"""From what callers pass to rows that sum to one: the checks that all metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Comparison",
    "check_labels",
    "check_probabilities",
    "check_weight",
    "compare",
    "one_hot",
    "shown",
]

# By how much the sum of a row may differ from 1. bfloat16 rounds a probability near 1 by up to 0.002.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Comparison:
    """True and predicted distributions of the rows that count.

    Parameters
    ----------
    truth, proba : array of shape (n_rows, n_classes)
        Rows that sum to one, in float64.
    weight : array of shape (n_rows,)
        Positive weights.
    hard : bool
        Whether the truth came as labels.
    """

    truth: np.ndarray
    proba: np.ndarray
    weight: np.ndarray
    hard: bool

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean over the rows."""
        return np.average(values, axis=0, weights=self.weight)


def compare(
    y_true: Any, y_proba: Any, sample_weight: Any = None, labels: Any = None, *, truth_name: str = "y_true"
) -> Comparison:
    """Return checked inputs of a metric, rows of weight 0 left out."""
    proba = check_probabilities("y_proba", y_proba)
    truth, hard = _check_truth(truth_name, y_true, labels, proba.shape[1])
    if len(truth) != len(proba):
        raise ValueError(
            f"{truth_name} of {len(truth)} and y_proba of {len(proba)} rows given; allowed: equal numbers of rows"
        )
    weight = check_weight(sample_weight, len(proba))
    rows = Comparison(truth, proba, weight, hard)
    counts = weight > 0
    return rows if counts.all() else Comparison(truth[counts], proba[counts], weight[counts], hard)


def check_probabilities(name: str, values: Any) -> np.ndarray:
    """Return `values` as float64 rows divided by their sums; one column becomes two."""
    rows = _as_floats(name, values)
    if rows.ndim == 1 or (rows.ndim == 2 and rows.shape[1] == 1):
        rows = _two_columns(name, rows.ravel())
    if rows.ndim != 2 or not rows.size:
        raise ValueError(
            f"{name} of shape {rows.shape} given; allowed: (n_samples, n_classes) or (n_samples,), not empty"
        )
    if (negative := rows < 0).any():
        row, column = np.argwhere(negative)[0]
        raise ValueError(f"{name}[{row}, {column}]={rows[row, column]:.6g} given; allowed: probabilities, numbers >= 0")
    return rows / _checked_sums(name, rows)


def _as_floats(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biufO":
        raise ValueError(f"{name} of type {array.dtype} given; allowed: a dense array of real numbers")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of {type(values).__name__} given; allowed: a dense array of real numbers") from error


def _two_columns(name: str, second: np.ndarray) -> np.ndarray:
    outside = (second < 0) | (second > 1)
    if outside.any():
        row = np.flatnonzero(outside)[0]
        raise ValueError(
            f"{name}[{row}]={second[row]:.6g} given; allowed: probabilities of the second class, in [0, 1]"
        )
    return np.column_stack([1 - second, second])


def _checked_sums(name: str, rows: np.ndarray) -> np.ndarray:
    sums = rows.sum(axis=1, keepdims=True)
    off = np.abs(sums[:, 0] - 1) > _TOLERANCE  # False for NaN, which stays NaN
    if off.any():
        row = np.flatnonzero(off)[0]
        raise ValueError(
            f"{name} given, whose row {row} sums to {sums[row, 0]:.6g}; allowed: one distribution per row, with a sum "
            f"within {_TOLERANCE} of 1 (neither scores nor multilabel targets)"
        )
    return sums


def check_weight(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Return weights in [0, 1] whose maximum is 1."""
    if sample_weight is None:
        return np.ones(n_rows)
    weight = _as_floats("sample_weight", sample_weight)
    if weight.shape != (n_rows,):
        raise ValueError(f"sample_weight of shape {weight.shape} given; allowed: ({n_rows},), one weight a row")
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise ValueError(f"sample_weight[{row}]={weight[row]:.6g} given; allowed: finite numbers >= 0")
    if not weight.any():
        raise ValueError("sample_weight of zeros only given; allowed: at least one positive weight")
    return weight / weight.max()  # so that no sum of them overflows


def check_labels(labels: Any) -> np.ndarray:
    """Return `labels` as an array of at least two different ones."""
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) < 2 or len(set(array.tolist())) < len(array):
        given = shown(array) if array.ndim == 1 else repr(labels)
        raise ValueError(f"labels={given} given; allowed: a list of at least two different labels")
    return array


def _check_truth(name: str, y: Any, labels: Any, n_classes: int) -> tuple[np.ndarray, bool]:
    """Return the truth as distributions over `n_classes` columns, and whether it was given as labels."""
    labels = None if labels is None else check_labels(labels)
    y = np.asarray(y)
    hard = not (y.ndim == 2 and y.shape[1] > 1)
    truth = one_hot(name, y, _distinct(name, y) if labels is None else labels) if hard else check_probabilities(name, y)
    found = truth.shape[1] if labels is None else len(labels)
    if found != n_classes or truth.shape[1] != n_classes:
        source = f"{name} of {truth.shape[1]}" if labels is None else f"labels={shown(labels)} of {len(labels)}"
        hint = "; pass labels=, the class of each column" if hard and labels is None else ""
        raise ValueError(f"{source} classes given; allowed: {n_classes}, as many as y_proba has columns{hint}")
    return truth, hard


def one_hot(name: str, y: Any, labels: np.ndarray) -> np.ndarray:
    """Return rows with a one in the column of their label."""
    found, inverse = _unique(name, y)
    columns = {label: column for column, label in enumerate(labels.tolist())}
    unknown = [label for label in found if label not in columns]
    if unknown:
        raise ValueError(f"{name} with {shown(unknown)} given; allowed: the labels {shown(labels)}")
    return np.eye(len(labels))[np.array([columns[label] for label in found])[inverse]]


def _distinct(name: str, y: np.ndarray) -> np.ndarray:
    found, _ = _unique(name, y)
    if len(found) < 2:
        raise ValueError(
            f"{name} with the one label {found[0]!r} given; allowed: two or more, or pass labels=, all classes"
        )
    return np.asarray(found)


def _unique(name: str, y: Any) -> tuple[list[Any], np.ndarray]:
    """Return the distinct labels, sorted, and the position of each row's label among them."""
    y = np.asarray(y)
    if not (y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)) or not y.size:
        raise ValueError(f"{name} of shape {y.shape} given; allowed: (n_samples,) or (n_samples, n_classes), not empty")
    try:
        found, inverse = np.unique(y.ravel(), return_inverse=True)
        missing = any(label != label for label in found.tolist())
    except TypeError as error:
        raise ValueError(f"{name} of labels that cannot be sorted given; allowed: one type, none missing") from error
    if missing:
        raise ValueError(f"{name} with missing values given; allowed: a label in every row")
    if found.dtype.kind == "f" and (fractions := found[found != np.floor(found)]).size:
        raise ValueError(
            f"{name} with {fractions[0]!s} given; allowed: labels, or soft labels of shape (n_samples, n_classes)"
        )
    return found.tolist(), inverse


def shown(labels: Any) -> str:
    """Return the first few labels for a message."""
    values = np.asarray(labels).tolist() if not isinstance(labels, list) else labels
    return f"[{', '.join(map(repr, values[:8]))}{', ...' if len(values) > 8 else ''}]"
