"""Labels among objects, as in a list: of every kind that nothing is lost in, and none of them missing."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from sklkl._utils.checks import refusal
from sklkl._utils.columns import is_missing

_LABEL_NUMBERS = (Real, np.bool_)
_NAMES_OF_MISSING = {"nan": "NaN", "<NA>": "NA"}


def object_array(y: Any) -> np.ndarray:
    """Return a sequence as an array of what is in it."""
    try:
        return np.array(y, dtype=object)
    except ValueError:  # parts of several lengths
        values = np.empty(len(y), dtype=object)
        values[:] = list(y)
        return values


def typed_labels(values: np.ndarray, texts: Any) -> Any:
    """Return objects as an array of the type that numpy finds for them; texts as ``texts`` makes them."""
    missing = np.array([not hasattr(value, "__len__") and is_missing(value) for value in values.flat], dtype=bool)
    if missing.any():
        first = values.flat[int(missing.argmax())]
        raise missing_label(_NAMES_OF_MISSING.get(str(first), str(first)), missing.reshape(values.shape))
    kinds: set[type] = {type(value) for value in values.flat}
    others = {kind for kind in kinds if not issubclass(kind, str)}
    if not others:
        return texts(values)
    strange = {kind for kind in others if not issubclass(kind, _LABEL_NUMBERS)}
    if len(others) < len(kinds) or (strange and others != {bytes}):  # scikit-learn refuses those by name
        shown: set[type] = others if len(others) == len(kinds) else {str, *others}
        names = " and ".join(sorted(kind.__name__ for kind in shown))
        raise TypeError(refusal("y", names, "labels that are uniformly strings or numbers"))
    return _as_numbers(values)


def _as_numbers(values: np.ndarray) -> np.ndarray:
    """Return numbers of an object array in a type of their own, without a change of any of them."""
    typed = np.array(values.tolist())
    if typed.dtype.kind != "f" or not all(isinstance(value, Integral) for value in values.flat):
        return typed
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest >= 2**64:
        raise ValueError(refusal("y", f"{lowest} and {highest}", "labels of one type of integers, of 64 bits"))
    return values.astype(np.uint64)  # numpy takes integers beyond int64 for floats if there are others


def check_no_missing(values: np.ndarray) -> None:
    """Raise a ValueError if a number or time is none."""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
    if missing.any():
        raise missing_label("NaN" if values.dtype.kind == "f" else "NaT", missing)


def missing_label(what: str, missing: np.ndarray) -> ValueError:
    """Return the error that says which row is the first one without a label, and what it has."""
    row = int(np.argwhere(missing)[0, 0])
    return ValueError(
        f"Input y contains {what}: row {row} has no label. Leave out the rows without one, or pass them as "
        "'X_unlabeled'."
    )
