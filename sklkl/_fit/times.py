"""Times as inputs, of which numpy would make numbers in a unit that nobody has chosen."""

from __future__ import annotations

import datetime
import re
from typing import Any

import numpy as np

from sklkl._utils.checks import refusal

# What points and spans of time are called by the types of pandas, polars and pyarrow.
_TIMES = re.compile("date|time|duration|period|month", re.IGNORECASE)
_TIME_TYPES = (np.datetime64, np.timedelta64, datetime.date, datetime.time, datetime.timedelta)


def check_no_times(X: Any, hint: str) -> None:
    """Raise a TypeError if inputs of any kind are points or spans of time, or have a column of them.

    Parameters
    ----------
    X : array-like, sparse matrix or frame
        Inputs as they were given.
    hint : str
        A note on the error.
    """
    found = _column_of_times(X) if hasattr(X, "columns") else _kind_of_times(X)
    if found:
        allowed = "numbers, into which times are to be turned before (days since a date, the hour of the day)"
        error = TypeError(refusal("X", found, allowed))
        error.add_note(hint)
        raise error


def _column_of_times(X: Any) -> str:
    """Return the type and name of the first column of times that a frame has, if it knows types."""
    if hasattr(X, "column_names"):  # a table of pyarrow, whose columns are its values
        types = zip(X.column_names, X.schema.types, strict=True)
    else:
        types = zip(X.columns, getattr(X, "dtypes", ()), strict=False)
    return next((f"{kind} in column {name!r}" for name, kind in types if _TIMES.match(str(kind))), "")


def _kind_of_times(X: Any) -> str:
    """Return the type of an array of times, or of the first time in the first row of a list or an array of objects."""
    if isinstance(X, np.ndarray) and X.dtype != object:
        return str(X.dtype) if X.dtype.kind in "mM" else ""
    row = next(iter(X), ()) if isinstance(X, (list, tuple)) or isinstance(X, np.ndarray) and X.ndim else ()
    if isinstance(row, np.ndarray) and row.dtype != object:
        return _kind_of_times(row)
    values = row if isinstance(row, (list, tuple, np.ndarray)) else [row]
    return next((type(value).__name__ for value in values if isinstance(value, _TIME_TYPES)), "")
