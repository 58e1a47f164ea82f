"""Predictions as they are measured: in evaluation mode, without a gradient, of the weights that a network has now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def measured(predict: Callable[[Any], Tensor], x: object) -> Tensor:
    """Return logits; a module is in the mode that it was in afterwards, and each of its parts."""
    with torch.no_grad(), _evaluating(predict), _fresh_casts():
        return predict(x)


@contextmanager
def _evaluating(predict: object) -> Iterator[None]:
    trained = [m for m in predict.modules() if m.training] if isinstance(predict, nn.Module) else []
    for module in trained:
        module.training = False
    try:
        yield
    finally:
        for module in trained:
            module.training = True


@contextmanager
def _fresh_casts() -> Iterator[None]:
    """Let autocast forget the weights that it has cast: those before a step, and then those that have no gradient."""
    torch.clear_autocast_cache()
    try:
        yield
    finally:
        torch.clear_autocast_cache()
