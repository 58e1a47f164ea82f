"""Whether two parameters are the same, whatever they are."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from torch import Generator, Tensor, equal

__all__ = ["same_value"]


def same_value(a: Any, b: Any) -> bool:
    """Return whether two values are the same; numbers of any type are compared, what cannot be compared is not."""
    if a is b:
        return True
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and equal(a, b)
    if isinstance(a, Generator) and isinstance(b, Generator):  # by its seed: one may have drawn since
        return a.device == b.device and a.initial_seed() == b.initial_seed()
    if type(a) is not type(b) and not (isinstance(a, Real) and isinstance(b, Real)):
        return False
    try:
        return bool(np.array_equal(a, b))
    except Exception:  # whatever the comparison of unknown objects raises
        return False
