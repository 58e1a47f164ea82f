"""Checks of parameters that the transformers share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["check_choice", "check_number"]


def check_choice(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the `allowed` strings."""
    allowed = list(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise ValueError(f"{name}={value!r} given; allowed: {', '.join(map(repr, allowed))}")


def check_number(
    name: str, value: Any, description: str, *, low: float = 0.0, high: float = math.inf, above: float = -math.inf
) -> None:
    """Raise ValueError unless `value` is a finite number in [low, high] and > above; `description` says so in words."""
    number = isinstance(value, int | float | np.number) and math.isfinite(value)
    if not (number and low <= value <= high and value > above):
        raise ValueError(f"{name}={value!r} given; allowed: {description}")
