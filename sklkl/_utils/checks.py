"""Checks of single parameters, and the words in which a parameter is refused, which are scikit-learn's own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["check_choice", "check_integer", "check_number", "invalid", "invalid_input", "refusal"]


def refusal(names: str | tuple[str, ...], found: str, allowed: str, of: str = "") -> str:
    """Return the sentence that says what one or more parameters must be; `found` says in words what they are."""
    names = (names,) if isinstance(names, str) else names
    parameters = " and ".join(map(repr, names)) + (" parameter" if len(names) == 1 else " parameters")
    owner = f" of {of}" if of else ""
    return f"The {parameters}{owner} must be {allowed}. Got {found} instead."


def invalid(name: str, value: object, allowed: str, of: str = "") -> ValueError:
    """Return the error that says what the parameter `name` must be; `of` is whose parameter it is."""
    return invalid_input(name, repr(value), allowed, of)


def invalid_input(names: str | tuple[str, ...], found: str, allowed: str, of: str = "") -> ValueError:
    """Return the error for data, which are too large to be shown: `found` says in words what is wrong with them."""
    return ValueError(refusal(names, found, allowed, of))


def check_choice(name: str, value: object, allowed: Iterable[str], of: str = "") -> None:
    """Raise ValueError unless `value` is one of the `allowed` strings."""
    allowed = list(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise invalid(name, value, f"one of {', '.join(map(repr, allowed))}", of)


def check_integer(name: str, value: Any, least: int, most: int | None = None, why: str = "", of: str = "") -> None:
    """Raise ValueError unless `value` is an integer from `least` to `most`; `why` ends what is allowed."""
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integer or value < least or (most is not None and value > most):
        allowed = f">= {least}" if most is None else f"from {least} to {most}"
        raise invalid(name, value, f"an integer {allowed}{why}", of)


def check_number(
    name: str,
    value: Any,
    description: str,
    *,
    low: float = 0.0,
    high: float = math.inf,
    above: float = -math.inf,
    of: str = "",
) -> None:
    """Raise ValueError unless `value` is a finite number in [low, high] and > above; `description` says so in words."""
    number = isinstance(value, Real) and math.isfinite(value)
    if not (number and low <= value <= high and value > above):
        raise invalid(name, value, description, of)
