"""Whole numbers that a floating type cannot hold, such as row and word numbers beyond 2**24."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid_input

__all__ = ["check_whole_numbers"]


def check_whole_numbers(X: Any, dtype: np.dtype, name: str = "X") -> None:
    """Raise a ValueError if a column of whole numbers has one that would become another in a floating type.

    Parameters
    ----------
    X : array-like, sparse matrix or frame
        Inputs as they were given.
    dtype : dtype
        The floating type.
    name : str
        What the inputs are called.
    """
    largest = 2 ** (np.finfo(dtype).nmant + 1)  # up to here every whole number has a place
    for values in _whole_columns(to_numpy(name, X)):
        far = values[(values > largest) | (values < -largest)].tolist()
        changed = next((value for value in far if int(dtype.type(value)) != value), None)
        if changed is not None:
            raise invalid_input(
                name,
                f"{changed}, which would become {int(dtype.type(changed))},",
                f"whole numbers that {dtype.name} can hold, in which a network of your own is given them (number what "
                "they name from 0, or use a network of dtype='float64', for up to 2**53)",
            )


def _whole_columns(X: Any) -> Iterator[np.ndarray]:
    if hasattr(X, "columns"):
        columns = [X[name] for name in getattr(X, "column_names", X.columns)]  # of pyarrow, columns are values
    else:
        columns = [X.data if hasattr(X, "tocsr") else X]
    for column in columns:
        values = np.asarray(column)
        if values.dtype.kind in "iu":
            yield values
        elif values.dtype.kind == "O":
            whole = [v for v in values.flat if isinstance(v, Integral) and not isinstance(v, (bool, np.bool_))]
            yield np.array(whole, dtype=object)
