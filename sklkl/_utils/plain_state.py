"""Two states of an estimator: one for pickle, which takes anything, and one of plain data, for what stores without it."""

from __future__ import annotations

import copyreg
import sys
from typing import Any

__all__ = ["PlainState", "check_importable"]


class PlainState:
    """An estimator that gives plain data to those who ask for its ``__getstate__``, as skops does, and all to pickle.

    To be mixed in first. Pickles and copies go by ``__reduce_ex__``; a class that has a ``__getstate__`` of its own
    keeps that for them. Plain data are numbers, texts, arrays, containers of them, classes and functions by their names,
    and objects of which that is true.
    """

    def _plain_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """Return plain data in place of attributes; what is left out is lost."""
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        own = type(self).__getstate__ is not PlainState.__getstate__
        state: Any = self.__getstate__() if own else super().__getstate__()
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        for name, value in state.items():
            check_importable(f"{name!r} parameter of {type(self).__name__}", value)
        return self._plain_state(state)


def check_importable(owner: str, value: Any) -> None:
    """Raise a TypeError for a class or function that its module does not have under its name, such as a lambda.

    Parameters
    ----------
    owner : str
        Whose it is, for the message.
    value : object
        Anything; lists and tuples are looked into.
    """
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, (list, tuple)):
            check_importable(owner, item)
        elif callable(item) and hasattr(item, "__name__") and hasattr(item, "__module__") and not _is_found(item):
            raise TypeError(
                f"The {owner} cannot be stored without pickle: it must be a class or function that its module has under "
                f"its own name. Got {item!r} instead."
            )


def _is_found(item: Any) -> bool:
    return getattr(sys.modules.get(item.__module__), item.__name__, None) is item
