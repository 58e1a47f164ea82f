"""Large tables of numbers that are read as they are, a block at a time, in place of a copy in the network's type."""

from __future__ import annotations

import numpy as np

# So many numbers are converted at a time.
_AT_ONCE = 2**20


def stays_in_place(X: np.ndarray, dtype: np.dtype) -> bool:
    """Whether a large table is read as it is: a tensor of it would be a copy."""
    if isinstance(X, np.ma.MaskedArray):
        return False
    is_right = X.dtype == dtype and X.flags.c_contiguous and X.flags.writeable
    return X.dtype.kind in "fiu" and X.dtype.itemsize <= 8 and not is_right


def check_finite(X: np.ndarray, dtype: np.dtype) -> None:
    """Raise a ValueError if a finite number of X is none in the network's type."""
    if X.dtype.kind != "f" or X.dtype.itemsize <= dtype.itemsize:
        return
    n_rows = max(1, _AT_ONCE // X[0].size)
    with np.errstate(over="ignore"):
        parts = (X[start : start + n_rows].astype(dtype) for start in range(0, len(X), n_rows))
        if not all(bool(np.isfinite(part).all()) for part in parts):
            raise ValueError(f"Input X contains infinity or a value too large for {dtype!r}.")
