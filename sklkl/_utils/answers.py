"""What an estimator or a function answers where probabilities are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklkl._utils.arrays import to_numpy

__all__ = ["proba_array"]


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
        values = np.asarray(to_numpy(name, proba))
        values = values.astype(np.float64) if values.dtype.kind in "OSU" else values
    except (ValueError, TypeError):
        values = np.array("")  # refused below
    if proba is None or values.dtype.kind not in "biuf":
        found = f"{type(proba).__name__} of {values.dtype}" if values.ndim else type(proba).__name__
        raise ValueError(f"The {name} must give probabilities as an array, a row for each of X. Got {found} instead.")
    return values
