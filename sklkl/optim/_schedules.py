"""Optimisers by name, and the rules that set their learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

__all__ = ["LEARNING_RATES", "OPTIMIZERS", "ConstantRate", "OneCycle", "make_learning_rate"]

# "adam" is AdamW, which decouples the decay from the gradient (Loshchilov and Hutter 2019), as decay is meant to work.
OPTIMIZERS: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.AdamW, {"weight_decay": 0.3, "fused": True}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4, "fused": True}),
}


class ConstantRate:
    """The rate the optimiser was given, at every step.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its parameter groups' ``lr`` are the rates.
    total_steps : int or None
        Number of steps to come; None if it is not known.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import ConstantRate
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    >>> rate = ConstantRate(optimizer, total_steps=None)
    >>> rate.before_step()
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    def __init__(self, optimizer: Optimizer, total_steps: int | None) -> None:
        self.optimizer = optimizer
        self.total_steps = total_steps
        self.base_rates = [group["lr"] for group in optimizer.param_groups]

    @property
    def lr_(self) -> float:
        """The optimiser's own rate."""
        return float(self.base_rates[0])

    def before_step(self) -> None:
        """Set the rate of the step that follows."""

    def step(self, loss: Tensor, x: Any, sample_weight: Tensor | None = None) -> None:
        """Take the optimiser's step; the arguments are those of :meth:`KLAdaptiveLR.step`."""
        self.before_step()
        self.optimizer.step()

    def report(self) -> dict[str, float]:
        """Return what was measured since the last report: nothing."""
        return {}

    def cut(self, factor: float) -> None:
        """Multiply the rate of every step from now on by ``factor``."""
        self.base_rates = [rate * factor for rate in self.base_rates]
        self._scale(1.0)

    def close(self) -> None:
        """Give the optimiser its own rates back."""
        self._scale(1.0)

    def _scale(self, factor: float) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor


class OneCycle(ConstantRate):
    """One cycle of the rate: up along a half cosine to the optimiser's ``lr``, then down along another to nothing.

    Where the number of steps is unknown (a stream) the rate stays constant.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its parameter groups' ``lr`` are the peaks.
    total_steps : int or None
        Number of steps to come; None if it is not known.

    References
    ----------
    Smith and Topin (2019), Super-convergence: very fast training of neural networks using large learning rates,
    arXiv:1708.07120.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import OneCycle
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    >>> rate = OneCycle(optimizer, total_steps=100)
    >>> rate.factor(30), round(rate.factor(65), 3), rate.factor(100)
    (1.0, 0.5, 0.0)
    """

    warmup = 0.3
    start = 0.04

    def __init__(self, optimizer: Optimizer, total_steps: int | None) -> None:
        super().__init__(optimizer, total_steps)
        self.n_steps = 0

    def factor(self, step: int) -> float:
        """Return the share of the peak at step 0, 1, ... of ``total_steps``."""
        if self.total_steps is None:
            return 1.0
        turn = self.warmup * self.total_steps
        if step < turn:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * step / turn)) / 2
        # max: training may go on past the end, where the rate stays at nothing
        return (1 + math.cos(math.pi * min(1.0, (step - turn) / (self.total_steps - turn)))) / 2

    def before_step(self) -> None:
        """Set the rate of the step that follows."""
        self._scale(self.factor(self.n_steps))
        self.n_steps += 1


LEARNING_RATES: dict[str, type[ConstantRate]] = {"constant": ConstantRate, "onecycle": OneCycle}


def make_learning_rate(learning_rate: str, optimizer: Optimizer, total_steps: int | None) -> ConstantRate:
    """Return the rule named ``learning_rate`` for an optimiser.

    Parameters
    ----------
    learning_rate : str
        A key of ``LEARNING_RATES``.
    optimizer : torch.optim.Optimizer
        The optimiser whose rate is to be set.
    total_steps : int or None
        Number of steps to come; None if it is not known.

    Raises
    ------
    ValueError
        If the name is unknown.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import make_learning_rate
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    >>> type(make_learning_rate("onecycle", optimizer, total_steps=10)).__name__
    'OneCycle'
    """
    if learning_rate not in LEARNING_RATES:
        raise ValueError(
            f"The 'learning_rate' parameter must be one of {sorted(LEARNING_RATES)}. Got {learning_rate!r} instead."
        )
    return LEARNING_RATES[learning_rate](optimizer, total_steps)
