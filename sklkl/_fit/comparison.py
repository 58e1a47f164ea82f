"""What is fitted to what, in fingerprints: whether two fits, in different processes, are one and the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from reprlib import Repr
from typing import Any

import numpy as np

from sklkl._fit.parameters import FitData, FitParams
from sklkl._utils.checks import refusal
from sklkl._utils.fingerprints import fingerprint
from sklkl._utils.own_code import code_fingerprint
from sklkl.net import KLNet, members_of

# By the name of a parameter or of an argument of fit: a fingerprint, and what to call the value in a message.
Described = Mapping[str, tuple[str, str]]

# Without any effect on what is learned.
_NO_MATTER = ("checkpoint", "checkpoint_every", "verbose")
_BY_CLASS = "class "
# Instructions of another version of Python cannot be compared.
_CODE, _IN_PYTHON = "the code of ", f" in Python {sys.version_info[0]}.{sys.version_info[1]}"
_SCALARS = (bool, int, float, str, type(None), np.generic)
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60


def what_is_fitted(
    params: FitParams, data: FitData, previous: KLNet | None, same_data: Described | None, halved_with: Any
) -> Described:
    """Return what a fit is: each parameter, each part of the data, the net that is trained further, and competitors.

    What is known of another fit of the same data need not be found again.

    Raises
    ------
    TypeError
        If a part of the data cannot be compared with that of another process.
    """
    given = _without_idle(params.given)
    given |= {"teacher": params.teacher.teacher, "callbacks": _kinds(params.net.callbacks)}
    parts = {name: (_of_parameter(value), _SHORT.repr(value)) for name, value in given.items()}
    parts |= _code_of(params)
    parts |= {"the net that is resumed": _of_net(previous)}
    parts |= {"the halving": (_of_parameter(halved_with), "none" if halved_with is None else "one of other candidates")}
    known = same_data or {}
    return parts | {name: known.get(name) or _of_data(name, value) for name, value in _arguments(data).items()}


def _code_of(params: FitParams) -> Described:
    """Return the instructions of a network, penalty, optimiser and callbacks of the user's own, not of libraries."""
    net = params.net
    callbacks = [item[1] if isinstance(item, (list, tuple)) else item for item in net.callbacks or []]
    own = {"module": [net.module], "kl_penalty": [net.kl_penalty], "optimizer": [net.optimizer], "callbacks": callbacks}
    codes = {name: code_fingerprint(values) for name, values in own.items()}
    return {f"{_CODE}{name!r}{_IN_PYTHON}": (code, "") for name, code in codes.items() if code}


def what_is_learned(params: FitParams, data: FitData) -> Described:
    """Return what is given in a call of ``partial_fit``: the data, and those parameters that are quickly compared.

    Raises
    ------
    TypeError
        If a part of the data cannot be compared with that of another process.
    """
    # random numbers move on with each call
    given = {name: value for name, value in _without_idle(params.given).items() if name != "random_state"}
    parts = {name: (_of_parameter(_quickly_compared(value)), "") for name, value in given.items()}
    return parts | {name: _of_data(name, value) for name, value in _arguments(data).items()}


def _quickly_compared(value: Any) -> Any:
    """Return a number, a text or a tuple of them; of anything else, such as a forest, its class."""
    is_simple = _is_scalar(value) or type(value) in (list, tuple) and all(map(_is_scalar, value))
    return value if is_simple else type(value).__qualname__


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS)


def what_matters(estimator: Any) -> dict[str, Any]:
    """Return those parameters of a classifier that have an effect on what is learned."""
    return _without_idle(estimator.get_params(deep=False))


def _without_idle(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _NO_MATTER}


def check_comparable(described: Described) -> None:
    """Raise a TypeError if two different values of a parameter could be taken for the same one."""
    for name, (digest, called) in described.items():
        if digest.startswith(_BY_CLASS):
            allowed = "what other processes can compare where 'checkpoint' is a folder, in which files are found by it"
            raise TypeError(refusal(name, f"{called}, which cannot be pickled", allowed, "KLClassifier"))


def differences(before: Described, now: Described) -> list[str]:
    """Return a sentence for each part in which two fits differ."""
    names = [name for name in [*before, *(now.keys() - before.keys())] if _digest(before, name) != _digest(now, name)]
    # of another version of Python, or of a network that has another name too
    names = [name for name in names if not name.startswith(_CODE) or name in before and name in now]
    return [_difference(name, _called(before, name), _called(now, name)) for name in names]


def _difference(name: str, before: str, now: str) -> str:
    if name.startswith(_CODE):
        return f"{name.removesuffix(_IN_PYTHON)} was changed"
    was = f"{name!r} was {before}"
    return f"{was} and is another one of that name" if before == now else f"{was} and is {now}"


def _digest(described: Described, name: str) -> str | None:
    return described[name][0] if name in described else None


def _called(described: Described, name: str) -> str:
    return described[name][1] if name in described else "left out"


def _arguments(data: FitData) -> dict[str, Any]:
    return {field.name: getattr(data, field.name) for field in fields(data) if field.name != "transform"}


def _of_parameter(value: Any) -> str:
    # what no other process could compare, such as an open connection, counts by its class
    return fingerprint(value) or f"{_BY_CLASS}{type(value).__qualname__}"


def _of_data(name: str, value: Any) -> tuple[str, str]:
    digest = fingerprint(value)
    if digest is None:
        found = f"a {type(value).__name__}, which cannot be pickled"
        raise TypeError(refusal(name, found, "data that another process can compare, for a 'checkpoint'", "fit"))
    if value is None:
        return digest, "None"
    shape = getattr(value, "shape", None)
    size = "" if shape is None else f" of shape {tuple(shape)}"
    return digest, f"a {type(value).__name__}{size} with the fingerprint {digest[:8]}"


def _of_net(net: KLNet | None) -> tuple[str, str]:
    if net is None:
        return "", "none"
    members = members_of(net)
    states = [(m.module_.state_dict(), m.optimizer_.state_dict()["state"], m.generator_) for m in members]
    digest = _of_parameter(states)
    return digest, f"one with the fingerprint {digest[:8]}"


def _kinds(callbacks: Any) -> list[Any]:
    """Return what callbacks are and their numbers and texts: what else they hold may change in training."""
    bare = [item[1] if isinstance(item, (list, tuple)) else item for item in callbacks or []]
    return [(type(callback).__qualname__, _numbers(callback)) for callback in bare]


def _numbers(callback: Any) -> dict[str, Any]:
    values = {} if isinstance(callback, type) else callback.get_params(deep=False)
    return {name: value for name, value in values.items() if _is_scalar(value)}
