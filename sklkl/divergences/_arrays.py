"""From what callers pass to aligned arrays, and from aligned arrays to blocks of rows."""

import math
from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device, is_array_api_obj, is_numpy_array, is_torch_array
from scipy.sparse import issparse

from sklkl._utils.arrays import unmasked
from sklkl._utils.checks import invalid
from sklkl._utils.columns import floats
from sklkl.divergences._core import Array, Namespace, np

# Rows are processed in blocks of about this many values: temporaries stay small and in the processor's cache.
_BLOCK = 2**15


def align(arrays: tuple[Array, ...], axis: int) -> tuple[Namespace, tuple[Array, ...], int]:
    """Return the common namespace, the arrays in one floating type and number of dimensions, and `axis` >= 0."""
    xp, arrays = as_float_arrays(*arrays)
    ndim = max(x.ndim for x in arrays)
    if not ndim:
        raise ValueError("The inputs must have one dimension or more. Got plain numbers instead.")
    if not -ndim <= axis < ndim:
        raise invalid("axis", axis, f"from -{ndim} to {ndim - 1} for inputs of {ndim} dimensions")
    axis %= ndim
    arrays = tuple(xp.reshape(x, (1,) * (ndim - x.ndim) + tuple(x.shape)) for x in arrays)
    lengths = {x.shape[axis] for x in arrays}
    if len(lengths) > 1:
        shapes = " and ".join(str(tuple(x.shape)) for x in arrays)
        raise ValueError(f"The inputs must have the same length along axis {axis}. Got the shapes {shapes} instead.")
    check_broadcast(*arrays)
    if 0 in lengths:
        raise ValueError(f"The inputs must have one entry or more along axis {axis}. Got none instead.")
    return xp, arrays, axis


def check_broadcast(*arrays: Array) -> None:
    """Raise ValueError if arrays have no common shape."""
    try:
        np.broadcast_shapes(*(x.shape for x in arrays))
    except ValueError as error:
        shapes = " and ".join(str(tuple(x.shape)) for x in arrays)
        raise ValueError(f"The inputs must have shapes that go together. Got {shapes} instead.") from error


def as_float_arrays(*values: Any) -> tuple[Namespace, tuple[Array, ...]]:
    """Return the common namespace of `values` and each as an array of one floating type; lists follow the arrays."""
    values = tuple(unmasked(x) for x in values)
    _check_dense(*values)
    arrays = [x for x in values if is_array_api_obj(x) and not isinstance(x, np.generic)]
    try:
        xp = array_namespace(*arrays) if arrays else np
    except TypeError as error:
        kinds = " and ".join(sorted({type(x).__module__.partition(".")[0] for x in arrays}))
        raise TypeError(f"The inputs must be arrays of one library. Got arrays of {kinds} instead.") from error
    dtype = _float_type(xp, arrays)
    place = device(arrays[0]) if arrays else None

    def convert(x: Any) -> Array:
        known = any(x is array for array in arrays)
        try:
            if known and not is_numpy_array(x):
                return xp.astype(x, dtype, copy=False)
            return xp.asarray(_numbers(x), dtype=dtype, device=place)
        except Exception as error:  # whatever a library says
            found = f"{type(x).__name__} ({error})"
            raise TypeError(f"The inputs must be arrays of real numbers. Got {found} instead.") from error

    return xp, tuple(convert(x) for x in values)


def _check_dense(*values: Any) -> None:
    for x in values:
        if issparse(x) or str(getattr(x, "layout", "torch.strided")) != "torch.strided":
            raise TypeError(f"The inputs must be arrays of real numbers. Got a sparse {type(x).__name__} instead.")


def _numbers(x: Any) -> Any:
    """Return NumPy's arrays, and frames as such, with objects as floats, NaN for pandas' NA; all else as it is."""
    if not hasattr(x, "__array__"):
        return x
    array = np.asarray(x)
    if array.dtype.kind in "mM":
        raise TypeError("dates or durations")
    return floats(array) if array.dtype.kind == "O" else array


def _float_type(xp: Namespace, arrays: list[Array]) -> Any:
    if any(xp.isdtype(x.dtype, "complex floating") for x in arrays):
        raise TypeError("The inputs must be real numbers. Got complex ones instead.")
    floating = [x for x in arrays if xp.isdtype(x.dtype, "real floating")]
    return xp.result_type(*floating) if floating else xp.asarray(0.0).dtype


def widened(xp: Namespace, *arrays: Array) -> tuple[Array, ...]:
    """Return arrays of half precision in float32, in which what they hold is computed, and others as they are."""
    return tuple(xp.astype(x, xp.float32) if is_half(xp, x) else x for x in arrays)


def is_half(xp: Namespace, x: Array) -> bool:
    """Return whether the floating type of an array has 16 bits."""
    return xp.finfo(x.dtype).bits == 16


def rounding(xp: Namespace, x: Array) -> float:
    """Return by how much sums of numbers of the type of `x`, relative to these, differ by rounding.

    In half precision that is the rounding of the numbers themselves, as what is computed from them is wider.
    """
    return (1 if is_half(xp, x) else 16) * float(xp.finfo(x.dtype).eps)


def in_blocks(xp: Namespace, function: Callable[..., Array], arrays: tuple[Array, ...], axis: int) -> Array:
    """Apply `function` to broadcastable arrays by blocks along their first axis, in main memory and if axis > 0."""
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    step = max(1, _BLOCK // max(1, math.prod(shape[1:])))
    if axis == 0 or shape[0] <= step or not _in_main_memory(arrays[0]):
        return function(*arrays)
    starts = range(0, shape[0], step)
    blocks = [[x if x.shape[0] == 1 else x[i : i + step] for x in arrays] for i in starts]
    return xp.concat([function(*block) for block in blocks])


def _in_main_memory(x: Array) -> bool:
    return is_numpy_array(x) or (is_torch_array(x) and x.device.type == "cpu")
