"""Callbacks and their parameters by name: ``callbacks__name`` and ``callbacks__name__parameter``, as in skorch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sklkl._utils.checks import invalid_input

PREFIX = "callbacks__"


def named_callbacks(callbacks: Any) -> dict[str, Any]:
    """Return callbacks by name: their own, else that of their class, with a number where several are of one class.

    Parameters
    ----------
    callbacks : list or None
        Callbacks, or pairs of a name and a callback.

    Examples
    --------
    >>> from skorch.callbacks import EarlyStopping, EpochTimer
    >>> from sklkl._fit.callback_params import named_callbacks
    >>> list(named_callbacks([("stop", EarlyStopping()), EpochTimer(), EpochTimer()]))
    ['stop', 'EpochTimer_1', 'EpochTimer_2']
    """
    pairs = [_pair(item) for item in callbacks] if isinstance(callbacks, list) else []
    several = {name for name, n in Counter(name for name, is_own, _ in pairs if not is_own).items() if n > 1}
    seen: Counter[str] = Counter()
    found = {}
    for name, is_own, callback in pairs:
        seen[name] += not is_own
        found[name if is_own or name not in several else f"{name}_{seen[name]}"] = callback
    return found


def _pair(item: Any) -> tuple[str, bool, Any]:
    """Return a callback's name, whether it was given, and the callback."""
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return str(item[0]), True, item[1]
    return (item if isinstance(item, type) else type(item)).__name__, False, item


def callback_params(callbacks: Any) -> dict[str, Any]:
    """Return callbacks and their parameters by the names under which they can be set."""
    found = {}
    for name, callback in named_callbacks(callbacks).items():
        found[PREFIX + name] = callback
        if hasattr(callback, "get_params") and not isinstance(callback, type):
            own = callback.get_params(deep=False)
            found |= {f"{PREFIX}{name}__{parameter}": value for parameter, value in own.items()}
    return found


def with_callback_params(callbacks: Any, params: Mapping[str, Any], owner: str) -> Any:
    """Set parameters of callbacks, and return the callbacks: a new list where one was replaced or, by None, dropped.

    Parameters
    ----------
    callbacks : list or None
        Callbacks, or pairs of a name and a callback.
    params : mapping of str to object
        Callbacks by ``callbacks__name``, parameters by ``callbacks__name__parameter``.
    owner : str
        Whose callbacks they are.

    Raises
    ------
    ValueError
        If there is no callback of a name, or it has no parameters, or none of that name.
    """
    named = named_callbacks(callbacks)
    for name in params:
        _check_name(name, named, owner)
    # a callback as a whole comes before its parameters
    for name, value in sorted(params.items(), key=lambda item: item[0].count("__")):
        callback, is_deeper, parameter = name.removeprefix(PREFIX).partition("__")
        if is_deeper:
            _with_parameters(named[callback], name, owner).set_params(**{parameter: value})
        else:
            named[callback] = value
    if all(name.count("__") > 1 for name in params):
        return callbacks
    return [(name, callback) for name, callback in named.items() if callback is not None]


def _check_name(name: str, named: Mapping[str, Any], owner: str) -> None:
    callback = name.removeprefix(PREFIX).partition("__")[0]
    if callback not in named:
        names = ", ".join(map(repr, named)) or "none"
        allowed = f"a list that has the one of {name!r} (the names are: {names})"
        raise invalid_input("callbacks", f"a list without one named {callback!r}", allowed, owner)


def _with_parameters(callback: Any, name: str, owner: str) -> Any:
    """Return a callback whose parameter is to be set, if it has any: a class, or one that is dropped, has none yet."""
    if isinstance(callback, type) or not hasattr(callback, "set_params"):
        found = callback.__name__ if isinstance(callback, type) else repr(callback)
        allowed = f"a list in which that of {name!r} is a callback with parameters, such as EarlyStopping()"
        raise invalid_input("callbacks", f"a list that has {found} there", allowed, owner)
    return callback
