"""Fingerprints of values of any kind, which are the same in every process: equal ones for what has equal content."""

from __future__ import annotations

import sys
from pickle import PicklingError
from types import CodeType, FunctionType
from typing import Any

import torch
from joblib.hashing import NumpyHasher
from scipy.sparse import issparse
from skorch.callbacks import EpochTimer
from skorch.history import History
from torch import Tensor

from sklkl._utils.tensor_bytes import tensor_bytes

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
        try:
            super().save(_comparable(obj))
        except TypeError as error:  # joblib would take it for keys without an order, and go on
            raise PicklingError(str(error)) from error

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        items = list(items)
        if any(isinstance(key, Tensor) for key, _ in items):  # as an optimiser's, which joblib would sort by its keys
            items = list(enumerate(items))
        super()._batch_setitems(items, *args)


def _comparable(value: Any) -> Any:
    """Return what stands for a value that pickle stores by its address or not at all."""
    if isinstance(value, Tensor) and value.layout is torch.strided:
        return "tensor", str(value.dtype), tuple(value.shape), tensor_bytes(value)
    if issparse(value):
        # whether its indices are known to be sorted is found out when somebody asks
        return type(value).__qualname__, {name: part for name, part in vars(value).items() if "has_" not in name}
    # without the times of a network that was trained again in the same way
    if isinstance(value, History):
        return "history", [{name: part for name, part in record.items() if name != "dur"} for record in value.to_list()]
    if isinstance(value, EpochTimer):
        return "timer"
    if isinstance(value, torch.Generator):
        return "generator", value.get_state().numpy(force=True)
    if type(value) is frozenset:  # of strings its order is another one in each process, that of a set is not
        return "frozenset", set(value)
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
        methods = {name: part for name, part in vars(value).items() if isinstance(part, FunctionType)}
        return "class", value.__module__, value.__qualname__, value.__bases__, methods
    cells = [_held(cell.cell_contents) for cell in value.__closure__ or ()]
    return "function", value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells


def _held(value: Any) -> Any:
    """Return what stands for what a function refers to: of a class, such as that of a method, the name."""
    return ("class", value.__module__, value.__qualname__) if isinstance(value, type) else value


def _is_found(item: Any) -> bool:
    found: Any = sys.modules.get(item.__module__)
    for name in item.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is item or isinstance(item, type) and item.__module__ == "builtins"
