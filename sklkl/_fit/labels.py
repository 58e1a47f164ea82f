"""Labels of every kind: sequences, objects, frames and their own types, as an array that nothing is lost in."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid, refusal
from sklkl._utils.columns import is_missing
from sklkl._utils.sklearn_private import _check_partial_fit_first_call

_LABEL_NUMBERS = (Real, np.bool_)
_NAMES_OF_MISSING = {"nan": "NaN", "<NA>": "NA"}


def label_array(y: Any) -> Any:
    """Return labels as an array of texts, numbers, booleans or times; None and sparse matrices as they are.

    Numbers and booleans of an object array get a type of their own, as those of a list do.

    Raises
    ------
    TypeError
        If texts are mixed with others (``["a", 1]`` would become ``["a", "1"]``), or there are labels of other kinds.
    ValueError
        If a label is missing.
    """
    if isinstance(y, (list, tuple)):
        return _typed(_objects(y), lambda texts: np.asarray(texts.tolist()))
    if y is None or sparse.issparse(y):
        return y
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        raise _missing("a masked value", np.ma.getmaskarray(y))
    values = np.asarray(to_numpy("y", y))
    if values.ndim == 0:  # scikit-learn refuses it by name
        return y
    if values.dtype.kind == "T":  # numpy's texts of any length, which scikit-learn does not know
        values = values.astype(object)
    if values.dtype.kind == "O":
        return _typed(values, lambda texts: texts)
    if values.dtype.kind in "fmM":
        _check_no_missing(values)
    return values


def _objects(y: Any) -> np.ndarray:
    """Return a sequence as an array of what is in it."""
    try:
        return np.array(y, dtype=object)
    except ValueError:  # parts of several lengths
        values = np.empty(len(y), dtype=object)
        values[:] = list(y)
        return values


def _typed(values: np.ndarray, texts: Any) -> Any:
    """Return objects as an array of the type that numpy finds for them; texts as ``texts`` makes them."""
    missing = np.array([not hasattr(value, "__len__") and is_missing(value) for value in values.flat], dtype=bool)
    if missing.any():
        first = values.flat[int(missing.argmax())]
        raise _missing(_NAMES_OF_MISSING.get(str(first), str(first)), missing.reshape(values.shape))
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


def is_first_call(estimator: Any, classes: Any) -> bool:
    """Return whether ``partial_fit`` is called for the first time; the estimator then learns its ``classes_``.

    Raises
    ------
    ValueError
        If `classes` are no labels, missing in the first call, or not those of the calls before.
    """
    try:
        classes = to_numpy("classes", classes)
        if classes is not None and any(map(is_missing, classes)):
            raise ValueError("A label is missing.")
        first: bool = _check_partial_fit_first_call(estimator, classes)
    except (ValueError, TypeError) as error:
        allowed = "all labels that will ever come, the same in each call"
        raise ValueError(f"The 'classes' parameter of partial_fit must be {allowed}. {error}") from error
    if len(estimator.classes_) == 0:
        raise invalid("classes", classes, "one label or more", of="partial_fit")
    return first


def _check_no_missing(values: np.ndarray) -> None:
    missing = np.isnan(values) if values.dtype.kind == "f" else np.isnat(values)
    if missing.any():
        raise _missing("NaN" if values.dtype.kind == "f" else "NaT", missing)


def _missing(what: str, missing: np.ndarray) -> ValueError:
    row = int(np.argwhere(missing)[0, 0])
    return ValueError(
        f"Input y contains {what}: row {row} has no label. Leave out the rows without one, or pass them as "
        "'X_unlabeled'."
    )
