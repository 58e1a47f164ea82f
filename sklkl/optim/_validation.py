"""Checks of what a loop passes to the adaptive rate."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

# Optimisers whose step is not proportional to their rate.
UNSCALABLE = ("ASGD", "Adafactor", "Rprop")


def first_rate(optimizer: Optimizer, lr: Any) -> np.ndarray:
    """Return the initial rates: ``lr``, or the largest of the optimiser's."""
    rate = np.array(max(float(group["lr"]) for group in optimizer.param_groups) if lr is None else lr, dtype=float)
    if not (np.isfinite(rate) & (rate > 0)).all():
        raise ValueError(f"lr={lr!r} given; allowed: finite numbers > 0, one for each network of a stack")
    return rate


def check_weight(sample_weight: Tensor | None, n_rows: int) -> None:
    """Raise ValueError if the weights are not one for each row."""
    if sample_weight is not None and sample_weight.shape != (n_rows,):
        raise ValueError(
            f"sample_weight of shape {tuple(sample_weight.shape)} given; allowed: ({n_rows},), one for each row"
        )


def check_optimizer(optimizer: Optimizer) -> None:
    """Raise ValueError for an optimiser whose step cannot be scaled by its rate."""
    name, closure = type(optimizer).__name__, inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ValueError(
            f"optimizer={name} given; allowed: one that takes a step without closure, unless the rate is constant"
        )
    if name in UNSCALABLE:
        raise ValueError(
            f"optimizer={name} given; allowed: one whose step is proportional to its rate, unless that is constant"
        )
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    if not all(0 <= rate < math.inf for rate in rates) or max(rates) == 0:
        raise ValueError(f"The optimizer has the rates {rates}; allowed: finite numbers >= 0, one of them > 0")
