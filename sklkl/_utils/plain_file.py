"""Nested plain data, arrays and tensors as the bytes of a file, and back, without code: JSON and one block of numbers.

The file is a zip archive without compression, whose checksums tell of damage; sizes are checked before memory is taken.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
import torch
from torch import Tensor

from sklkl._utils.tensor_bytes import tensor_bytes

__all__ = ["from_bytes", "is_plain", "to_bytes"]

_SCALARS = (bool, int, float, str, type(None))
# Kinds of numpy's types: truth values, integers, floats, complex numbers, texts, times.
_KINDS = "biufcSUmM"
_TREE, _NUMBERS = "tree.json", "numbers"


def is_plain(value: Any) -> bool:
    """Whether a value can be stored: numbers, texts, arrays, tensors, and lists, tuples and dicts of these."""
    if isinstance(value, np.generic):
        return type(value.item()) in _SCALARS
    if type(value) in _SCALARS:
        return True
    if isinstance(value, Tensor):
        return value.layout is torch.strided and not (value.is_meta or value.is_quantized)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in _KINDS
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    return type(value) is dict and all(is_plain(part) for item in value.items() for part in item)


def _part(name: str) -> ZipInfo:
    """Return a part of a file, for its owner to read and write, of no time."""
    part = ZipInfo(name)
    part.external_attr = 0o600 << 16
    return part


def to_bytes(tree: Any) -> bytes:
    """Return plain data as the content of a file: the same data are the same bytes, whatever the time.

    Raises
    ------
    TypeError
        If a part of it is not plain, see `is_plain`.
    """
    blocks: list[bytes] = []
    text = json.dumps(_encoded(tree, blocks), separators=(",", ":"))
    file = io.BytesIO()
    archive = ZipFile(file, "w", ZIP_STORED)
    try:
        with archive:
            archive.writestr(_part(_TREE), text)
            archive.writestr(_part(_NUMBERS), b"".join(blocks))
    except ValueError as error:  # what closing says when it was interrupted while it wrote
        archive.fp = None  # it shall not say so again when it is deleted
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    return file.getvalue()


def from_bytes(data: bytes) -> Any:
    """Return the plain data of a file; tensors are on the CPU.

    Raises
    ------
    ValueError
        If it is damaged, or no such file.
    """
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if any(member.compress_type != ZIP_STORED or member.file_size > len(data) for member in members):
                raise ValueError("its parts claim to be larger than the file")
            tree, numbers = json.loads(archive.read(_TREE)), archive.read(_NUMBERS)
        return _decoded(tree, _Numbers(numbers))
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _encoded(value: Any, blocks: list[bytes]) -> Any:
    if type(value) in _SCALARS:
        return value
    if isinstance(value, np.generic) and is_plain(value):
        return value.item()
    if not isinstance(value, (list, tuple, dict)):
        return _encoded_numbers(value, blocks)
    if isinstance(value, dict):
        return {"dict": [[_encoded(part, blocks) for part in item] for item in value.items()]}
    items = [_encoded(item, blocks) for item in value]
    return {"tuple": items} if isinstance(value, tuple) else items


def _encoded_numbers(value: Any, blocks: list[bytes]) -> dict[str, Any]:
    if not is_plain(value):
        raise TypeError(f"A {type(value).__name__} cannot be stored without pickle.")
    if isinstance(value, Tensor):
        kind, dtype, content = "tensor", str(value.dtype).removeprefix("torch."), tensor_bytes(value).tobytes()
    else:
        kind, dtype, content = "array", value.dtype.str, value.tobytes()
    blocks.append(content)
    return {kind: dtype, "shape": list(value.shape)}


class _Numbers:
    """A block of numbers that is read from its beginning on."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = memoryview(data), 0

    def take(self, shape: list[int], itemsize: int) -> bytearray:
        """Return the bytes of the next array, in memory of their own."""
        size = math.prod(shape) * itemsize
        if not 0 <= size <= len(self.data) - self.at:
            raise ValueError("there are fewer numbers than arrays need")
        self.at += size
        return bytearray(self.data[self.at - size : self.at])


def _decoded(value: Any, numbers: _Numbers) -> Any:
    if isinstance(value, list):
        return [_decoded(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return dict([_decoded(part, numbers) for part in item] for item in value["dict"])
    if "tuple" in value:
        return tuple(_decoded(item, numbers) for item in value["tuple"])
    return _tensor(value, numbers) if "tensor" in value else _array(value, numbers)


def _array(value: dict[str, Any], numbers: _Numbers) -> np.ndarray:
    dtype = np.dtype(value["array"])
    if dtype.hasobject:
        raise ValueError("an array holds objects")
    return np.frombuffer(numbers.take(value["shape"], dtype.itemsize), dtype).reshape(value["shape"])


def _tensor(value: dict[str, Any], numbers: _Numbers) -> Tensor:
    dtype = getattr(torch, value["tensor"])
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{value['tensor']!r} is no type of torch")
    content = numbers.take(value["shape"], dtype.itemsize)
    if not content:
        return torch.empty(value["shape"], dtype=dtype)
    # cloned into memory of torch's own, whose alignment decides the last digit of a product
    return torch.frombuffer(content, dtype=dtype).reshape(value["shape"]).clone()
