"""The instructions of a user's classes and functions: whether what has the same name still does the same."""

from __future__ import annotations

import dis
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from sklkl._utils.fingerprints import fingerprint
from sklkl._utils.plain_file import is_plain

__all__ = ["code_fingerprint"]

_PLACES = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
# Folders of libraries, whose code is known by their versions.
_LIBRARIES = tuple(sorted({*map(os.path.realpath, _PLACES), str(Path(torch.__file__).resolve().parents[1])}))
_PACKAGES = {"builtins", "sklkl"}

# A function's name, its code and its defaults.
Own = tuple[str, CodeType, list[Any]]


def code_fingerprint(values: Iterable[Any]) -> str:
    """Return a fingerprint of the instructions of values and of all that these refer to by name; "" if there are none.

    Comments, the place in a file and what is in libraries have no part in it. It is that of other processes with the
    same version of Python, whose instructions they are.

    Parameters
    ----------
    values : iterable of objects
        Classes, functions, networks, other objects.
    """
    found: dict[Any, Own] = {}
    for value in values:
        _add(value, found)
    codes = sorted(found.values(), key=lambda item: (item[0], fingerprint(item[1:]) or ""))
    return str(fingerprint(codes)) if codes else ""


def _add(value: Any, found: dict[Any, Own]) -> None:
    """Add the code of a value, and of what it refers to, unless it is there."""
    for function in _functions(value):
        if id(function.__code__) in found:
            continue
        found[id(function.__code__)] = function.__qualname__, function.__code__, _defaults(function)
        for other in _referred(function):
            if isinstance(other, (FunctionType, type)):
                _add(other, found)


def _defaults(function: FunctionType) -> list[Any]:
    """Return those defaults of a function that are plain data, which other processes can compare."""
    return [value for value in (*(function.__defaults__ or ()), function.__kwdefaults__) if is_plain(value)]


def _functions(value: Any) -> Iterator[FunctionType]:
    """Yield the functions that a value is made of, unless they are those of a library."""
    if isinstance(value, partial):
        yield from _functions(value.func)
    elif isinstance(value, MethodType):
        yield from _functions(value.__func__)
    elif isinstance(value, FunctionType):
        if _is_own(value):
            yield value
    elif isinstance(value, type):
        yield from _methods(value)
    else:
        parts = value.modules() if isinstance(value, nn.Module) else [value]
        for kind in {type(part): None for part in parts}:
            yield from _methods(kind)


def _methods(kind: type) -> Iterator[FunctionType]:
    for base in filter(_is_own, kind.__mro__):
        for part in vars(base).values():
            inner = [getattr(part, name, None) for name in ("__func__", "fget", "fset")]
            yield from (function for function in [part, *inner] if isinstance(function, FunctionType))


def _referred(function: FunctionType) -> Iterator[Any]:
    """Yield what a function has under the names in its code."""
    codes = list(_nested(function.__code__))
    attributes = {name for code in codes for name in code.co_names}
    steps = filter(_is_global, chain.from_iterable(map(dis.get_instructions, codes)))
    for name in dict.fromkeys(step.argval for step in steps):
        value = function.__globals__.get(name)
        yield value
        if isinstance(value, ModuleType) and _is_own_module(value.__name__):
            yield from (getattr(value, other, None) for other in sorted(attributes))
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty yet
            continue


def _nested(code: CodeType) -> Iterator[CodeType]:
    """Yield code and that of the functions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _is_global(step: dis.Instruction) -> bool:
    return step.opname in ("LOAD_GLOBAL", "LOAD_NAME")


def _is_own(item: Any) -> bool:
    return _is_own_module(str(getattr(item, "__module__", None)))


def _is_own_module(name: str) -> bool:
    """Whether a module is the user's: a script, a notebook, a file that is not installed."""
    if name.split(".")[0] in _PACKAGES:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is None or not os.path.realpath(file).startswith(_LIBRARIES)
