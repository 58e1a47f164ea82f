"""Checks of what a loop passes to the adaptive rate."""

from __future__ import annotations

import inspect
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import invalid

# Optimisers whose step is not proportional to their rate.
UNSCALABLE = ("ASGD", "Adafactor", "Rprop")

_OTHERWISE = ", unless the learning rate is 'constant' or 'onecycle'"


def first_rate(optimizer: Optimizer, lr: ArrayLike | None) -> np.ndarray:
    """Return the initial rates: ``lr``, or the largest of the optimiser's."""
    rate = np.array(max(float(group["lr"]) for group in optimizer.param_groups) if lr is None else lr, dtype=float)
    if not (np.isfinite(rate) & (rate > 0)).all():
        raise invalid("lr", lr, "finite numbers > 0, one for each network of a stack", "KLAdaptiveLR")
    return rate


def check_weight(sample_weight: Tensor | None, stack: tuple[int, ...], n_rows: int) -> None:
    """Raise ValueError if the weights are not one for each row, or each row of each network."""
    if sample_weight is not None and sample_weight.shape not in {(n_rows,), (*stack, n_rows)}:
        shape = tuple(sample_weight.shape)
        raise invalid("sample_weight", shape, f"of shape ({n_rows},), one for each row", "KLAdaptiveLR.step")


def closure_default(optimizer: Optimizer) -> Any:
    """Return what an optimiser's step has for a closure if it is given none: ``inspect.Parameter.empty`` needs one."""
    kind: type = type(optimizer)
    closure = _closure_of(optimizer) if "step" in vars(optimizer) else _closure_of_class(kind)
    return None if closure is None else closure.default


def _closure_of(optimizer: Any) -> inspect.Parameter | None:
    return inspect.signature(optimizer.step).parameters.get("closure")


_closure_of_class = lru_cache(maxsize=8)(_closure_of)  # to look at a class takes a noticeable part of a short fit


def check_optimizer(optimizer: Optimizer) -> None:
    """Raise ValueError for an optimiser whose step cannot be scaled by its rate."""
    name = type(optimizer).__name__
    if closure_default(optimizer) is inspect.Parameter.empty:
        raise invalid("optimizer", name, f"one that takes a step without a closure{_OTHERWISE}", "KLAdaptiveLR")
    if name in UNSCALABLE:
        raise invalid("optimizer", name, f"one whose step is proportional to its rate{_OTHERWISE}", "KLAdaptiveLR")
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    if not all(0 <= rate < math.inf for rate in rates) or max(rates) == 0:
        raise invalid("optimizer", rates, "one of finite rates >= 0, of which one is > 0", "KLAdaptiveLR")
