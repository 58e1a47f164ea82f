"""What is worth a word before a net is trained in vain: a softmax too many, and schedulers of a rate that is found."""

from __future__ import annotations

import warnings
from typing import Any

from skorch.callbacks import LRScheduler

from sklkl._utils.checks import refusal
from sklkl.modules import MLP, seem_probabilities


def warn_of_probabilities(net: Any, logits: Any) -> None:
    """Warn if what a network of the user's own returns for its first batch seem to be probabilities."""
    if type(net.module_) is MLP or net.multilabel or not seem_probabilities(logits):
        return
    found = "rows that are >= 0 and sum to 1, as probabilities do"
    allowed = "a network that returns logits: leave the softmax out, or return the logarithm"
    warnings.warn(refusal("module", found, allowed), UserWarning, stacklevel=2)


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
