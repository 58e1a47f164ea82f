"""From arrays of any library to what NumPy can read: tensors of every type, masks as missing values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from array_api_compat import is_torch_array

from sklkl._utils.checks import invalid_input

__all__ = ["as_array", "indexable", "is_lazy_column", "to_numpy", "unmasked"]


def unmasked(values: Any) -> Any:
    """Return a masked array as an ordinary one, with NaN, NaT or None where values are masked; all else as it is."""
    if not isinstance(values, np.ma.MaskedArray):
        return values
    mask = np.ma.getmaskarray(values)
    if not mask.any():
        return values.data
    kind = values.dtype.kind
    data = values.data.astype(np.float64 if kind in "biu" else values.dtype if kind in "fcmM" else object)
    data[mask] = np.array("NaT", data.dtype) if kind in "mM" else np.nan if kind in "biufc" else None
    return data


def to_numpy(name: str, values: Any) -> Any:
    """Return `values` as NumPy reads them: tensors without their history and in a type it has, masks as missing values.

    Frames, lists of numbers and whatever else `numpy.asarray` understands stay as they are.

    Raises
    ------
    ValueError
        If it is a tensor or a frame without values; `name` is the parameter's name in the message.
    """
    if type(values).__name__ == "LazyFrame":
        raise invalid_input(name, "a LazyFrame", "a frame that holds values, such as what its collect() returns")
    if is_lazy_column(values):
        values = values[:]
    if isinstance(values, list | tuple) and values and all(map(is_torch_array, values)):
        rows = [to_numpy(name, value) for value in values]
        return np.stack(rows) if len({row.shape for row in rows}) == 1 else rows
    if not is_torch_array(values):
        return unmasked(values)
    if values.device.type == "meta":
        raise invalid_input(name, "a tensor on the device 'meta'", "an array that holds values")
    if values.layout != _dense_layout():
        raise invalid_input(name, "a sparse tensor", "a dense array")
    values = values.detach().cpu()
    return (values.float() if str(values.dtype) == "torch.bfloat16" else values).resolve_conj().numpy()


def is_lazy_column(values: Any) -> bool:
    """Whether values are a column of a data set of Hugging Face, slow to read row by row."""
    return isinstance(values, Sequence) and type(values).__module__.startswith("datasets.")


def as_array(name: str, values: Any) -> np.ndarray:
    """Return `values` of any library, or a list, as a NumPy array.

    Raises
    ------
    ValueError
        If they are none, such as rows of several lengths; `name` is the parameter's name in the message.
    """
    values = to_numpy(name, values)
    try:
        return np.asarray(values)
    except Exception as error:  # whatever NumPy or the values' own library says
        raise invalid_input(name, f"{type(values).__name__} ({error})", "an array, or what makes one") from error


def indexable(name: str, rows: Any) -> Any:
    """Return rows as NumPy reads them; what has a shape, such as a frame or a sparse matrix, stays what it is."""
    return to_numpy(name, rows) if hasattr(rows, "shape") else as_array(name, rows)


def _dense_layout() -> Any:
    import torch  # only for those who pass tensors

    return torch.strided
