"""What a column of a table holds: numbers or categories, and which of its values are missing."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real

import numpy as np

__all__ = [
    "BOOLEANS",
    "NUMBERS",
    "all_numbers",
    "first_other",
    "floats",
    "is_category_typed",
    "is_hashable",
    "is_missing",
    "is_numeric_kind",
]

# What is a number; booleans, which Python counts as integers, are not.
NUMBERS: tuple[type, ...] = (Real, Decimal)
BOOLEANS = (bool, np.bool_)


def is_missing(value: object) -> bool:
    """Return whether `value` is None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    same: object = value == value  # not always a bool: that of NA is NA
    return not same if isinstance(same, BOOLEANS) else not hasattr(same, "__len__")  # an array is no missing value


def is_hashable(value: object) -> bool:
    """Return whether `value` can be looked up, which a tuple with a list in it cannot, though its type can."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def is_numeric_kind(kind: str) -> bool:
    """Return whether the `kind` of a NumPy type is that of numbers or booleans."""
    return kind in "biuf"


def is_category_typed(column: object) -> bool:
    """Return whether a frame's column is of pandas' categorical type."""
    return str(getattr(column, "dtype", "")) == "category"


def all_numbers(values: Iterable[object], of: tuple[type, ...] = NUMBERS, *, booleans: bool = False) -> bool:
    """Return whether each value is missing or a number of the types `of`; booleans are numbers on request only."""
    examples = {type(value): value for value in values}
    return all(_is_number(kind, of, booleans) or is_missing(value) for kind, value in examples.items())


def first_other(values: Iterable[object]) -> object:
    """Return the first value that is neither missing nor a number nor boolean; None if there is none."""
    others = (value for value in values if not (is_missing(value) or _is_number(type(value), NUMBERS, True)))
    return next(others, None)


def floats(values: np.ndarray) -> np.ndarray:
    """Return numbers as float64 in an array of the same shape, NaN where one is missing."""
    if values.dtype.kind == "O":
        found = [np.nan if is_missing(value) else float(value) for value in values.flat]
        return np.array(found, dtype=np.float64).reshape(values.shape)
    return values.astype(np.float64)


def _is_number(kind: type, of: tuple[type, ...], booleans: bool) -> bool:
    return booleans if issubclass(kind, BOOLEANS) else issubclass(kind, of)
