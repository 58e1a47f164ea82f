"""Rows of probabilities: what counts as one, and how far from 1 its sum may be."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklkl._utils.arrays import to_numpy

__all__ = ["SUM_TOLERANCE", "proba_array", "unit_rows"]

# By how much the sum of a row may differ from 1. In float16 rounding changes it by 2**-11, below this.
SUM_TOLERANCE = 1e-3

# bfloat16 keeps eight digits: a row of such values is off by up to 2**-8 if they were rounded, 2**-7 if cut off.
_BFLOAT16_TOLERANCE = 2.0**-7


def proba_array(proba: Any, name: str = "teacher") -> np.ndarray:
    """Return an answer as an array of real numbers.

    Parameters
    ----------
    proba : array-like, Tensor or frame
        The answer.
    name : str
        Who gave it, for messages.

    Raises
    ------
    ValueError
        If it is something else: None, a sparse matrix, texts, rows of several lengths.
    """
    try:
        values = proba if type(proba) is np.ndarray else np.asarray(to_numpy(name, proba))
        values = values.astype(np.float64) if values.dtype.kind in "OSU" else values
    except (ValueError, TypeError):
        values = np.array("")  # refused below
    if proba is None or values.dtype.kind not in "biuf":
        found = f"{type(proba).__name__} of {values.dtype}" if values.ndim else type(proba).__name__
        raise ValueError(f"The {name} must give probabilities as an array, a row for each of X. Got {found} instead.")
    return values


def unit_rows(proba: np.ndarray, *, allow_nan: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return rows divided by their sums, and which of them are no distributions even up to rounding.

    NumPy has no bfloat16, so that what a network gives in it arrives as float32 or float64. It is known by its values:
    none has more than eight binary digits.

    Parameters
    ----------
    proba : array of shape (..., n_classes)
        Rows.
    allow_nan : bool
        Whether a row with NaN, which stays NaN, counts as a distribution.

    Returns
    -------
    rows : array of shape (..., n_classes)
        In float64.
    wrong : bool array of shape (...)
        Rows with a negative or infinite entry, or a sum that is off by more than `SUM_TOLERANCE` (2**-7 if all
        values are those of bfloat16).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = proba.sum(axis=-1)  # NaN of infinities of both signs
        off = np.abs(sums - 1)
        if (off > SUM_TOLERANCE).any() and _is_bfloat16(proba):
            near = off <= _BFLOAT16_TOLERANCE
        else:
            near = off <= SUM_TOLERANCE
        wrong = (proba < 0).any(axis=-1) | ~(near | np.isnan(sums) if allow_nan else near)
        return proba / sums[..., None], wrong


def _is_bfloat16(values: np.ndarray) -> bool:
    """Return whether bfloat16 holds all of the numbers: the upper half of float32 does, and the lower is empty."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return bool((single == values)[~np.isnan(values)].all() and not (single.view(np.uint32) & 0xFFFF).any())
