"""What is worth a word before a net is trained in vain: schedulers of a rate that is found."""

from __future__ import annotations

import warnings
from typing import Any

from skorch.callbacks import LRScheduler


def warn_of_schedulers(net: Any) -> None:
    """Warn of callbacks that set a rate which the net's own rule sets again before every step."""
    names = [name for name, callback in net.callbacks_ if isinstance(callback, LRScheduler)]
    if names and net.learning_rate != "constant":
        warnings.warn(
            f"The callback {names[0]!r} has no effect on the rate, as learning_rate={net.learning_rate!r} sets it for "
            "each step. Leave the callback out, or set learning_rate='constant'.",
            UserWarning,
            stacklevel=2,
        )
