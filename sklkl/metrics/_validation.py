"""From what callers pass to rows that sum to one: the checks that all metrics share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import invalid_input
from sklkl._utils.class_alignment import align_columns, class_positions, shown
from sklkl._utils.columns import floats, is_hashable, is_missing
from sklkl._utils.frames import column_labels
from sklkl._utils.probabilities import SUM_TOLERANCE, unit_rows
from sklkl._utils.types import ArrayLike, Labels, Proba, Weight

__all__ = [
    "Comparison",
    "check_labels",
    "check_probabilities",
    "check_weight",
    "class_order",
    "compare",
    "in_order",
    "is_soft",
    "label_codes",
    "one_hot",
]

_SHAPES = "(n_samples,) or (n_samples, n_classes)"
_DISTRIBUTIONS = (
    f"rows of probabilities >= 0 that sum to 1 within {SUM_TOLERANCE} (neither scores nor multilabel targets)"
)


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
    y_true: ArrayLike,
    y_proba: Proba,
    sample_weight: Weight = None,
    labels: Labels = None,
    *,
    truth_name: str = "y_true",
) -> Comparison:
    """Return checked inputs of a metric, rows of weight 0 left out."""
    proba = check_probabilities("y_proba", y_proba)
    labels = None if labels is None else check_labels(labels)
    soft = is_soft(truth_name, y_true)
    order = labels if labels is not None else class_order(truth_name, y_true, y_proba, soft)
    proba = in_order("y_proba", proba, y_proba, order)
    truth, hard = _check_truth(truth_name, y_true, order if labels is None and not soft else labels, proba.shape[1])
    truth = in_order(truth_name, truth, y_true, order) if soft else truth
    if len(truth) != len(proba):
        found = f"{len(truth)} and {len(proba)} rows"
        raise invalid_input((truth_name, "y_proba"), found, "of the same number of rows")
    weight = check_weight(sample_weight, len(proba))
    rows = Comparison(truth, proba, weight, hard)
    counts = weight > 0
    return rows if counts.all() else Comparison(truth[counts], proba[counts], weight[counts], hard)


def is_soft(name: str, y: ArrayLike) -> bool:
    """Return whether the truth is given as distributions and not as labels."""
    shape = np.shape(y) if hasattr(y, "shape") else as_array(name, y).shape
    return len(shape) == 2 and shape[1] > 1


def class_order(name: str, y_true: ArrayLike, y_proba: Proba, soft: bool) -> np.ndarray | None:
    """Return the classes in the order of the columns where these have names: the truth's names, or y_proba's."""
    if soft:
        names = column_labels(y_true)
        return column_labels(y_proba) if names is None else names
    classes, _ = _unique(name, y_true)
    names = column_labels(y_proba, classes)
    return names if names is not None and set(classes.tolist()) <= set(names.tolist()) else None


def in_order(name: str, rows: np.ndarray, table: ArrayLike, order: np.ndarray | None) -> np.ndarray:
    """Return rows of probabilities with the columns of a frame in the order of the classes they are named by.

    Columns count by position where they have no names, or where none of the names is a class.

    Raises
    ------
    ValueError
        If only some of the names are classes; `name` is the frame's name in the message.
    """
    names = None if order is None else column_labels(table, order)
    if order is None or names is None or len(names) != rows.shape[1] or not set(names.tolist()) & set(order.tolist()):
        return rows
    if sorted(map(repr, names.tolist())) != sorted(map(repr, order.tolist())):
        raise invalid_input(name, shown(names), f"a frame with columns of the names {shown(order)}")
    return align_columns(rows, names, order)


def check_probabilities(name: str, values: ArrayLike) -> np.ndarray:
    """Return `values` as float64 rows divided by their sums; one column becomes two."""
    rows = _as_floats(name, values)
    if rows.ndim == 1 or (rows.ndim == 2 and rows.shape[1] == 1):
        rows = _two_columns(name, rows.ravel())
    if rows.ndim != 2 or not rows.size:
        raise invalid_input(name, f"the shape {rows.shape}", f"of shape {_SHAPES}, not empty")
    unit, wrong = unit_rows(rows, allow_nan=True)
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        found = f"{_numbers(rows[row])} of the sum {rows[row].sum():.6g} in row {row}"
        raise invalid_input(name, found, _DISTRIBUTIONS)
    return unit


def _numbers(row: np.ndarray) -> str:
    """Return the first few numbers of a row for a message."""
    return f"[{', '.join(f'{value:.6g}' for value in row[:8])}{', ...' if len(row) > 8 else ''}]"


def _as_floats(name: str, values: ArrayLike) -> np.ndarray:
    array = as_array(name, values)
    if array.dtype.kind not in "biufO":
        raise invalid_input(name, f"the type {array.dtype}", "a dense array of real numbers")
    try:
        return floats(array) if array.ndim else array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid_input(name, f"a {type(values).__name__}", "a dense array of real numbers") from error


def _two_columns(name: str, second: np.ndarray) -> np.ndarray:
    outside = (second < 0) | (second > 1)
    if outside.any():
        row = np.flatnonzero(outside)[0]
        found = f"{second[row]:.6g} in row {row}"
        raise invalid_input(name, found, "probabilities of the second class, in [0, 1]")
    return np.column_stack([1 - second, second])


def check_weight(sample_weight: Weight, n_rows: int) -> np.ndarray:
    """Return weights in [0, 1] whose maximum is 1."""
    if sample_weight is None:
        return np.ones(n_rows)
    weight = _as_floats("sample_weight", sample_weight)
    if weight.shape != (n_rows,):
        raise invalid_input("sample_weight", f"the shape {weight.shape}", f"of shape ({n_rows},), one weight a row")
    wrong = ~(np.isfinite(weight) & (weight >= 0))
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise invalid_input("sample_weight", f"{weight[row]:.6g} in row {row}", "finite numbers >= 0")
    if not weight.any():
        raise invalid_input("sample_weight", "zeros only", "finite numbers >= 0, one of them > 0")
    return weight / weight.max()  # so that no sum of them overflows


def check_labels(labels: ArrayLike) -> np.ndarray:
    """Return `labels` as an array of at least two different ones."""
    array = as_array("labels", labels)
    usable = array.ndim == 1 and all(is_hashable(label) and not is_missing(label) for label in array.tolist())
    if not usable or len(array) < 2 or len(set(array.tolist())) < len(array):
        given = shown(array) if array.ndim == 1 else repr(labels)
        raise invalid_input("labels", given, "a list of at least two different labels")
    return array


def _check_truth(name: str, y: ArrayLike, labels: Labels, n_classes: int) -> tuple[np.ndarray, bool]:
    """Return the truth as distributions over `n_classes` columns, and whether it was given as labels."""
    labels = None if labels is None else check_labels(labels)
    y = as_array(name, y)
    hard = not (y.ndim == 2 and y.shape[1] > 1)
    truth = one_hot(name, y, _distinct(name, y) if labels is None else labels) if hard else check_probabilities(name, y)
    found = truth.shape[1] if labels is None else len(labels)
    if found != n_classes or truth.shape[1] != n_classes:
        allowed = f"{n_classes} classes, as many as y_proba has columns"
        if labels is not None:
            raise invalid_input("labels", f"{shown(labels)} of {len(labels)} classes", allowed)
        hint = "; or pass labels=, the class of each column" if hard else ""
        raise invalid_input(name, f"{truth.shape[1]} classes", f"of {allowed}{hint}")
    return truth, hard


def one_hot(name: str, y: ArrayLike, labels: np.ndarray) -> np.ndarray:
    """Return rows with a one in the column of their label."""
    codes = label_codes(name, y, labels)
    rows = np.zeros((len(codes), len(labels)))
    rows[np.arange(len(codes)), codes] = 1.0
    return rows


def label_codes(name: str, y: ArrayLike, labels: np.ndarray) -> np.ndarray:
    """Return the position of each row's label among `labels`."""
    found, inverse = _unique(name, y)
    columns = class_positions(found, labels)
    if (columns < 0).any():
        unknown = found[columns < 0]
        raise invalid_input(name, f"the labels {shown(unknown)}", f"labels among {shown(labels)}")
    return columns[inverse]


def _distinct(name: str, y: np.ndarray) -> np.ndarray:
    found, _ = _unique(name, y)
    if len(found) < 2:
        allowed = "labels of two or more classes, or pass labels=, all classes"
        raise invalid_input(name, f"the one label {found.tolist()[0]!r}", allowed)
    return found


def _unique(name: str, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct labels, sorted, and the position of each row's label among them."""
    y = as_array(name, y)
    if not (y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)) or not y.size:
        raise invalid_input(name, f"the shape {y.shape}", f"of shape {_SHAPES}, not empty")
    if y.dtype.kind == "O":
        if any(map(is_missing, y.ravel().tolist())):
            raise invalid_input(name, "missing values", "labels of one type, none missing: a label in every row")
        if not all(map(is_hashable, y.ravel().tolist())):
            raise invalid_input(
                name, "some that are no labels, such as lists", "numbers, strings or other hashable labels"
            )
    try:
        found, inverse = np.unique(y.ravel(), return_inverse=True)
        missing = any(label != label for label in found.tolist())
    except TypeError as error:
        raise invalid_input(name, "some that cannot be sorted", "labels of one type, none missing") from error
    if missing:
        raise invalid_input(name, "missing values", "a label in every row")
    if found.dtype.kind == "f" and (fractions := found[found != np.floor(found)]).size:
        raise invalid_input(name, str(fractions[0]), "labels, or soft labels of shape (n_samples, n_classes)")
    return found, inverse
