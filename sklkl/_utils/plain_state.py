"""Two states of an estimator: one for pickle, which takes anything, and one of plain data, for files without it."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

from torch import nn

from sklkl._utils.checks import refusal

__all__ = ["PlainState", "check_plain"]

_pickled: ContextVar[Any] = ContextVar("_pickled", default=None)


class PlainState:
    """An estimator that gives plain data to those who ask for its ``__getstate__``, as skops does, and all to pickle.

    To be mixed in first. Pickles and copies go by ``__reduce_ex__``; what a subclass has of its own, ``__reduce__`` or
    ``__getstate__``, serves both. Plain data are numbers, texts, arrays, containers of them, classes and functions by
    their names, and objects of which that is true.
    """

    def _plain_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return plain data in place of attributes; what is left out is lost."""
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        token = _pickled.set(self)
        try:
            return super().__reduce_ex__(protocol)
        finally:
            _pickled.reset(token)

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        if _pickled.get() is self:
            return state
        for name, value in state.items():
            check_plain(name, value, of=type(self).__name__)
        return self._plain_state(state)


def check_plain(name: str, value: Any, of: str) -> None:
    """Raise a TypeError for what cannot be stored as plain data: a lambda or local class, or a network.

    Parameters
    ----------
    name, of : str
        A parameter and whose it is, for the message.
    value : object
        Anything; lists and tuples are looked into.
    """
    if isinstance(value, nn.Module):
        found, allowed = f"an instance of {type(value).__name__}", "a class or function that makes the network, or None"
        raise TypeError(refusal(name, found, f"{allowed}, to be stored without pickle", of))
    for item in value if isinstance(value, (list, tuple)) else ():
        check_plain(name, item, of)
    if callable(value) and hasattr(value, "__name__") and hasattr(value, "__module__") and not _is_found(value):
        allowed = "a class or function that its module has under its own name, to be stored without pickle"
        raise TypeError(refusal(name, repr(value), allowed, of))


def _is_found(item: Any) -> bool:
    return getattr(sys.modules.get(item.__module__), item.__name__, None) is item
