"""Tables of any kind, checked as a whole and read column by column: as floats, or as objects if categorical."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sklkl._utils.arrays import to_numpy
from sklkl._utils.columns import BOOLEANS, first_other, is_category_typed, is_hashable, is_missing
from sklkl._utils.quantities import Quantity, as_array, canonical, quantity
from sklkl._utils.sklearn_private import _num_features, _num_samples, _safe_indexing
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl._utils.validation import checked_data, with_columns_checked

__all__ = ["checked_table", "column", "is_categorical", "numbers", "objects", "require_same_kind"]


def checked_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return `X` after scikit-learn's checks of its shape and names: frames as they are, all else as an array."""
    X = to_numpy("X", X)
    if not _is_frame(X):
        return _checked_array(estimator, X, reset)
    X = with_columns_checked(estimator, X, reset=reset)
    for size, what, least in ((_num_samples(X), "sample", 1), (_num_features(X), "feature", 1)):
        if size < least:
            raise ValueError(
                f"Found array with {size} {what}(s) (shape={X.shape}) while a minimum of {least} is required by "
                f"{type(estimator).__name__}."
            )
    return X


def _is_frame(X: object) -> bool:
    return hasattr(X, "columns") and hasattr(X, "shape")


def _checked_array(estimator: Any, X: MatrixLike, reset: bool) -> Any:
    options = {"accept_sparse": "csc", "ensure_all_finite": False, "reset": reset}
    found = checked_data(estimator, X, dtype=None, **options)
    if found.dtype.kind in "US" and not hasattr(X, "dtype"):  # a list of mixed values, which NumPy made all strings
        return validate_data(estimator, X, dtype=object, **options)
    return found


def column(X: Any, j: int) -> Any:
    """Return column `j` of a checked table: an array, or the frame's own kind of column."""
    if isinstance(X, np.ndarray):
        return X[:, j]
    return X[:, [j]].toarray().ravel() if hasattr(X, "toarray") else _safe_indexing(X, j, axis=1)


def is_categorical(values: ArrayLike) -> bool:
    """Return whether a column's type says categories: of a categorical type, booleans, or objects that are no numbers.

    A column without any value may turn out to be anything, which only categories can.
    """
    if is_category_typed(values):
        return True
    array = as_array("X", values)
    if array.dtype.kind == "O":
        return quantity(array) is None or any(isinstance(x, BOOLEANS) for x in array) or all(map(is_missing, array))
    return array.dtype.kind in "bUS" or (array.dtype.kind == "f" and bool(np.isnan(array).all()))


def numbers(values: ArrayLike, name: str) -> Quantity:
    """Return a column as numbers, missing values as NaN; dates, durations and times of day count too, in seconds.

    Raises
    ------
    ValueError
        If a value is no number; `name` says of which column.
    """
    array = as_array("X", values)
    found = quantity(array)
    if found is None:
        raise _other_values(name, first_other(array.tolist()), "numbers, as it is numeric")
    return found


def objects(values: ArrayLike, name: str) -> list[Hashable]:
    """Return a column as a list of plain Python values.

    Raises
    ------
    ValueError
        If a value cannot be a category; `name` says of which column.
    """
    array = as_array("X", values)
    if array.dtype.kind == "O":
        odd = next((value for value in array.tolist() if not is_hashable(value)), None)
        if odd is not None:
            raise _other_values(name, odd, "numbers, strings or other hashable objects")
    return canonical(array)


def _other_values(name: str, odd: object, allowed: str) -> ValueError:
    return ValueError(f"The column {name!r} of 'X' must hold {allowed}. Got {odd!r} instead.")


def require_same_kind(known: Iterable[object], values: Iterable[object], name: str) -> None:
    """Raise a ValueError if all of the known categories are strings and none of the values is, or conversely."""
    were, are = ({isinstance(value, str) for value in both if not is_missing(value)} for both in (known, values))
    if were and are and not were & are:
        words = {True: "strings", False: "no strings"}
        expected = f"{words[were.pop()]}, as in fit"
        raise ValueError(f"The column {name!r} of 'X' must hold {expected}. Got {words[are.pop()]} instead.")


def require_same_quantity(known: str, column: Quantity, name: str) -> None:
    """Raise a ValueError if the numbers are of another kind than those known, dates instead of numbers for instance."""
    if column.kind != known and not np.isnan(column.values).all():
        raise ValueError(f"The column {name!r} of 'X' must hold {known}, as in fit. Got {column.kind} instead.")
