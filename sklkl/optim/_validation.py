"""Checks of what a loop passes to the adaptive rate."""

from __future__ import annotations

import inspect
import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import invalid, invalid_input
from sklkl.modules import warn_of_probabilities

# Optimisers whose step is not proportional to their rate.
UNSCALABLE = ("ASGD", "Adafactor", "Rprop")

_OTHERWISE = ", unless the learning rate is 'constant' or 'onecycle'"


def first_rate(optimizer: Optimizer, lr: ArrayLike | None) -> np.ndarray:
    """Return the initial rates: ``lr``, or the largest of the optimiser's."""
    given = max(float(group["lr"]) for group in optimizer.param_groups) if lr is None else lr
    try:
        rate = np.array(given, dtype=float)
    except (TypeError, ValueError):
        rate = np.array(math.nan)  # refused below
    if not (np.isfinite(rate) & (rate > 0)).all():
        raise invalid("lr", lr, "finite numbers > 0, one for each network of a stack", "KLAdaptiveLR")
    return rate


def has_weight(sample_weight: Any) -> bool:
    """Whether any row has a weight.

    Raises
    ------
    ValueError
        If the weights are not a tensor of finite numbers >= 0.
    """
    if sample_weight is None:
        return True
    allowed = "a tensor of finite numbers >= 0"
    if not isinstance(sample_weight, Tensor):
        raise invalid_input("sample_weight", type(sample_weight).__name__, allowed, "KLAdaptiveLR.step")
    if not bool((torch.isfinite(sample_weight) & (sample_weight >= 0)).all()):
        raise invalid_input("sample_weight", "some that are not", allowed, "KLAdaptiveLR.step")
    return bool((sample_weight > 0).any())


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


def check_optimizer(optimizer: Any, of: str) -> None:
    """Raise ValueError for what is no optimiser."""
    if not (hasattr(optimizer, "param_groups") and callable(getattr(optimizer, "step", None))):
        raise invalid_input("optimizer", type(optimizer).__name__, "a torch.optim.Optimizer", of)


def check_state(state: Any, name: str, of: str) -> None:
    """Raise ValueError for a state that is not of this kind, as it does not have an entry that all of those have."""
    if not (isinstance(state, dict) and name in state):
        found = f"a dict of {sorted(map(str, state))}" if isinstance(state, dict) else type(state).__name__
        raise invalid_input("state", found, "what 'state_dict' has returned", f"{of}.load_state_dict")


def warn_of_more_steps(total_steps: int, remains: str) -> None:
    """Warn that training goes on at a rate that was to be its last; called by what a loop's step calls."""
    message = (
        f"More steps are taken than total_steps={total_steps}, after which the rate stays at {remains}: say how many "
    )
    warnings.warn(message + "there will be, or None if nobody knows.", UserWarning, stacklevel=4)


def check_loss(loss: Any) -> None:
    """Raise ValueError for a loss that is no tensor."""
    if not isinstance(loss, Tensor):
        raise invalid_input("loss", type(loss).__name__, "a tensor, without item()", "KLAdaptiveLR.step")


def check_logits(logits: Any, stack: tuple[int, ...], optimizer: Any) -> None:
    """Raise ValueError for what are no logits of the rows of a batch; warn of what seem to be probabilities."""
    axes = ", ".join([*map(str, stack), "n_rows", "n_classes"])
    allowed = f"a function that returns logits of shape ({axes}), as the loss is of shape {stack}"
    if not isinstance(logits, Tensor):
        raise invalid_input("predict", f"one that returns {type(logits).__name__}", allowed, "KLAdaptiveLR")
    if logits.shape[: len(stack)] != stack or logits.ndim < len(stack) + 2:
        raise invalid("predict", tuple(logits.shape), allowed, "KLAdaptiveLR")
    if logits.shape[-1] == 1 and _has_gradient(optimizer):
        allowed = "a function that returns two logits or more: for the z of a sigmoid stack([zeros_like(z), z], -1)"
        raise invalid("predict", tuple(logits.shape), allowed, "KLAdaptiveLR")
    warn_of_probabilities(logits, "predict", "function", of="KLAdaptiveLR", stacklevel=4)


def _has_gradient(optimizer: Any) -> bool:
    """Whether a step would change anything; with one class nothing does, and predictions are always the same."""
    gradients = (p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
    return any(bool(gradient.any()) for gradient in gradients)


def check_scalable(optimizer: Optimizer) -> None:
    """Raise ValueError for an optimiser whose step cannot be scaled by its rate."""
    name = type(optimizer).__name__
    if closure_default(optimizer) is inspect.Parameter.empty:
        raise invalid("optimizer", name, f"one that takes a step without a closure{_OTHERWISE}", "KLAdaptiveLR")
    if name in UNSCALABLE:
        raise invalid("optimizer", name, f"one whose step is proportional to its rate{_OTHERWISE}", "KLAdaptiveLR")
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    if not all(0 <= rate < math.inf for rate in rates) or max(rates) == 0:
        raise invalid("optimizer", rates, "one of finite rates >= 0, of which one is > 0", "KLAdaptiveLR")
