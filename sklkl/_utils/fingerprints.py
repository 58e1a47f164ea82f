"""Fingerprints of values of any kind, which are the same in every process: equal ones for what has equal content."""

from __future__ import annotations

import sys
from types import CodeType, FunctionType
from typing import Any

import torch
from joblib.hashing import NumpyHasher
from torch import Tensor

__all__ = ["fingerprint"]


def fingerprint(value: Any) -> str | None:
    """Return a fingerprint of a value; None if it has a part that no other process could compare.

    Classes and functions count by their names, those that cannot be imported also by their instructions.

    Parameters
    ----------
    value : object
        Anything: arrays, tables, estimators, networks with their weights.
    """
    try:
        digest: str = _Hasher(coerce_mmap=True).hash(value)
    except Exception:  # whatever an object raises that cannot be pickled
        return None
    return digest


class _Hasher(NumpyHasher):
    """joblib's, which knows arrays by their values, but would take tensors by their addresses."""

    def save(self, obj: Any) -> None:
        """Add an object."""
        super().save(_comparable(obj))


def _comparable(value: Any) -> Any:
    """Return what stands for a value that pickle stores by its address or not at all."""
    if isinstance(value, Tensor) and value.layout is torch.strided:
        flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        return "tensor", str(value.dtype), tuple(value.shape), flat.numpy()
    if isinstance(value, torch.Generator):
        return "generator", value.get_state().numpy(force=True)
    if isinstance(value, CodeType):
        return "code", value.co_code, value.co_consts, value.co_names
    if isinstance(value, (FunctionType, type)) and not _is_found(value):
        return _of_local(value)
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    return value


def _of_local(value: Any) -> Any:
    """Return what stands for a class or function that its module does not have under its name."""
    if isinstance(value, type):
        return "class", value.__module__, value.__qualname__
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return "function", value.__qualname__, value.__code__, value.__defaults__, cells


def _is_found(item: Any) -> bool:
    found: Any = sys.modules.get(item.__module__)
    for name in item.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is item or isinstance(item, type) and item.__module__ == "builtins"
