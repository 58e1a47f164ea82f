"""Checks of single parameters: each raises a ValueError that names the parameter, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["check_choice", "check_integer", "check_number"]


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the `allowed` strings."""
    allowed = list(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{name}={value!r} given; allowed: {', '.join(map(repr, allowed))}")


def check_integer(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> None:
    """Raise ValueError unless `value` is an integer from `least` to `most`; `why` ends the message."""
    integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integer or value < least or (most is not None and value > most):
        allowed = f">= {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r} given; allowed: an integer {allowed}{why}")


def check_number(
    name: str, value: Any, description: str, *, low: float = 0.0, high: float = math.inf, above: float = -math.inf
) -> None:
    """Raise ValueError unless `value` is a finite number in [low, high] and > above; `description` says so in words."""
    number = isinstance(value, Real) and math.isfinite(value)
    if not (number and low <= value <= high and value > above):
        raise ValueError(f"{name}={value!r} given; allowed: {description}")
