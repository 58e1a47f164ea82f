"""Tables of numbers and categories as arrays of floats, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklkl._utils.arrays import as_array
from sklkl._utils.columns import all_numbers, floats, is_category_typed, is_missing, is_numeric_kind

# Up to here floats hold every whole number.
_LARGEST_WHOLE = 2**53


@dataclass
class Column:
    """One column of a table as floats.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Numbers, or codes of categories; NaN where missing.
    categories : ndarray or None
        The categories in the order of their codes; None for numbers.
    whole : bool
        Whether numbers are to come back as Python's integers where they are whole, None where they are missing.
    """

    values: np.ndarray
    categories: np.ndarray | None = None
    whole: bool = False

    def decoded(self, values: np.ndarray) -> np.ndarray:
        """Return new values as numbers or categories.

        Raises
        ------
        ValueError
            If a value is not the code of a category.
        """
        if self.categories is None:
            return _whole(values) if self.whole else values
        missing = np.isnan(values)
        codes = np.where(missing, 0, values)
        if not np.isin(codes, np.arange(len(self.categories))).all():
            last = len(self.categories) - 1
            raise ValueError(f"Codes of categories must be whole numbers from 0 to {last}, also those of 'augment'.")
        found = self.categories[codes.astype(int)]
        found[missing] = None
        return found


def _whole(values: np.ndarray) -> np.ndarray:
    plain = [None if math.isnan(v) else int(v) if v.is_integer() else v for v in values.tolist()]
    return np.array([*plain, None], dtype=object)[:-1]  # None at the end: numpy shall not look into the values


def columns_of(X: Any) -> list[Column]:
    """Return the columns of an array, list or frame."""
    if hasattr(X, "columns"):
        return [_column(np.asarray(X[name]), is_category_typed(X[name])) for name in X.columns]
    values = as_array("X", X)
    if values.dtype.kind == "f":
        return [Column(column) for column in values.T.astype(np.float64)]
    return [_column(column) for column in values.T]


def _column(values: np.ndarray, categorical: bool = False) -> Column:
    kind = values.dtype.kind
    numbers = is_numeric_kind(kind) or (kind == "O" and all_numbers(values, of=(Real,)))
    if categorical or not numbers or not _is_exact(values):  # text stays text, even if it looks like a number
        return _categorical(values.astype(object))
    whole = kind == "O" and all_numbers(values, of=(Integral,))
    return Column(floats(values), whole=whole)


def _is_exact(values: np.ndarray) -> bool:
    """Return whether floats hold the numbers: whole ones beyond 2**53 are such as are not to be changed anyway."""
    if values.dtype.kind == "O":
        return all(not isinstance(value, Integral) or abs(int(value)) <= _LARGEST_WHOLE for value in values)
    if values.dtype.kind not in "iu" or not len(values):
        return True
    return int(values.min()) >= -_LARGEST_WHOLE and int(values.max()) <= _LARGEST_WHOLE


def _categorical(values: np.ndarray) -> Column:
    code: dict[Any, int] = {}
    codes = [np.nan if is_missing(value) else code.setdefault(value, len(code)) for value in values]
    categories = np.empty(max(1, len(code)), dtype=object)
    categories[: len(code)] = list(code)
    return Column(np.array(codes, dtype=np.float64), categories)


def like(X: Any, columns: list[np.ndarray]) -> Any:
    """Return a table of these columns in a container like X, with its column names and types."""
    if not hasattr(X, "columns"):
        return _as_typed(np.column_stack(columns), as_array("X", X).dtype)
    named = dict(zip(X.columns, columns, strict=True))
    if not hasattr(X, "schema"):
        return type(X)(named).astype(X.dtypes.to_dict())
    # polars tells NaN from a missing value, and takes objects from lists only
    held = {name: _with_none(values) if X[name].null_count() else _plain(values) for name, values in named.items()}
    return type(X)(held, strict=False).cast(dict(X.schema))


def _as_typed(table: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return whole numbers that only objects could hold in their own type again."""
    if table.dtype != object or dtype.kind not in "iu":
        return table
    typed = table.astype(dtype)
    return typed if (typed == table).all() else table


def _plain(values: np.ndarray) -> Any:
    return values.tolist() if values.dtype == object else values


def _with_none(values: np.ndarray) -> list[Any]:
    return [None if is_missing(value) else value for value in values.tolist()]
