"""Tables of numbers and categories as arrays of floats, and back."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from sklkl._utils.columns import all_numbers, floats, is_category_typed, is_missing, is_numeric_kind


@dataclass
class Column:
    """One column of a table as floats.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Numbers, or codes of categories; NaN where missing.
    categories : ndarray or None
        The categories in the order of their codes; None for numbers.
    """

    values: np.ndarray
    categories: np.ndarray | None = None

    def decoded(self, values: np.ndarray) -> np.ndarray:
        """Return new values as numbers or categories.

        Raises
        ------
        ValueError
            If a value is not the code of a category.
        """
        if self.categories is None:
            return values
        missing = np.isnan(values)
        codes = np.where(missing, 0, values)
        if not np.isin(codes, np.arange(len(self.categories))).all():
            raise ValueError(f"Codes of categories must be whole numbers from 0 to {len(self.categories) - 1}.")
        found = self.categories[codes.astype(int)]
        found[missing] = None
        return found


def columns_of(X: Any) -> list[Column]:
    """Return the columns of an array, list or frame."""
    if hasattr(X, "columns"):
        return [_column(np.asarray(X[name]), is_category_typed(X[name])) for name in X.columns]
    return [_column(column) for column in np.asarray(X).T]


def _column(values: np.ndarray, categorical: bool = False) -> Column:
    kind = values.dtype.kind
    numbers = is_numeric_kind(kind) or (kind == "O" and all_numbers(values, of=(Real,)))
    if numbers and not categorical:  # text stays text, even if it looks like a number
        return Column(floats(values))
    return _categorical(values.astype(object))


def _categorical(values: np.ndarray) -> Column:
    code: dict[Any, int] = {}
    codes = [np.nan if is_missing(value) else code.setdefault(value, len(code)) for value in values]
    categories = np.empty(max(1, len(code)), dtype=object)
    categories[: len(code)] = list(code)
    return Column(np.array(codes, dtype=np.float64), categories)


def like(X: Any, columns: list[np.ndarray]) -> Any:
    """Return a table of these columns in a container like X, with its column names and types."""
    if not hasattr(X, "columns"):
        return np.column_stack(columns)
    named = dict(zip(X.columns, columns, strict=True))
    if not hasattr(X, "schema"):
        return type(X)(named).astype(X.dtypes.to_dict())
    # polars tells NaN from a missing value, and takes objects from lists only
    held = {name: _with_none(values) if X[name].null_count() else _plain(values) for name, values in named.items()}
    return type(X)(held, strict=False).cast(dict(X.schema))


def _plain(values: np.ndarray) -> Any:
    return values.tolist() if values.dtype == object else values


def _with_none(values: np.ndarray) -> list[Any]:
    return [None if is_missing(value) else value for value in values.tolist()]
