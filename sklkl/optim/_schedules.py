"""Learning rates that are known before the step: constant, or one cycle."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import check_integer
from sklkl.optim._validation import check_optimizer, check_state, warn_of_more_steps


class ConstantRate:
    """The rate the optimiser was given, at every step.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its parameter groups' ``lr`` are the rates.
    total_steps : int >= 1 or None
        Number of steps to come; None if it is not known.

    Raises
    ------
    ValueError
        If a parameter is none of these.

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
        name = type(self).__name__
        check_optimizer(optimizer, of=name)
        if total_steps is not None:
            check_integer("total_steps", total_steps, 1, why=", or None", of=name)
        self.optimizer = optimizer
        self.total_steps = total_steps
        self.base_rates: list[float] = self._rates()

    @property
    def lr_(self) -> float:
        """The optimiser's own rate."""
        return float(self.base_rates[0])

    def before_step(self) -> None:
        """Set the rate of the step that follows."""

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
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

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step: nothing, as the optimiser's own state has its rates."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; the optimiser's own must be loaded before."""
        self.base_rates = self._rates()

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scale(self, factor: float) -> None:
        self.base_rates += self._rates()[len(self.base_rates) :]  # of groups that were added since
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor


# Not torch's OneCycleLR: its last step, which may be the only one, moves nothing, it raises past the end, and it leaves
# entries in the optimiser's groups and a wrapper around its step. A test compares the two.
class OneCycle(ConstantRate):
    """One cycle of the rate: up along a half cosine to the optimiser's ``lr``, then down along another to nothing.

    Where the number of steps is unknown (a stream) the rate stays constant.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its parameter groups' ``lr`` are the peaks.
    total_steps : int >= 1 or None
        Number of steps to come; None if it is not known. After these steps the rate stays at nothing.

    Raises
    ------
    ValueError
        If a parameter is none of these.

    Warns
    -----
    UserWarning
        If more steps are taken.

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

    warmup: float = 0.3
    start: float = 0.04

    def __init__(self, optimizer: Optimizer, total_steps: int | None) -> None:
        super().__init__(optimizer, total_steps)
        self.n_steps: int = 0

    def factor(self, step: int) -> float:
        """Return the share of the peak at step 0, 1, ... of ``total_steps``."""
        if self.total_steps is None:
            return 1.0
        turn = self.warmup * self.total_steps
        if step < turn:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * step / turn)) / 2
        # min: past the end the rate stays at nothing
        return (1 + math.cos(math.pi * min(1.0, (step - turn) / (self.total_steps - turn)))) / 2

    def before_step(self) -> None:
        """Set the rate of the step that follows."""
        if self.n_steps == self.total_steps:
            warn_of_more_steps(self.total_steps, "nothing")
        self._scale(self.factor(self.n_steps))
        self.n_steps += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step; save the optimiser's own state beside it."""
        return {"n_steps": self.n_steps, "base_rates": list(self.base_rates)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; the optimiser's own must be loaded before."""
        check_state(state, "n_steps", "OneCycle")
        super().load_state_dict(state)
        self.n_steps = state["n_steps"]
        # within a cycle the optimiser has but the rate of the last step, unless it is another one, of other groups
        if self.total_steps is not None and len(state["base_rates"]) == len(self.base_rates):
            self.base_rates = list(state["base_rates"])
