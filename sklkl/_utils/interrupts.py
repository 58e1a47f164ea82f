"""Steps that are taken to their end, whatever interrupts them."""

from __future__ import annotations

from collections.abc import Callable


def insist(step: Callable[[], object]) -> bool:
    """Take a step; if it is interrupted, take it again from its beginning, and return True.

    For short steps whose repetition does no harm.
    """
    try:
        step()
    except KeyboardInterrupt:
        insist(step)
        return True
    return False
