"""Learning rates of a stack: one for each net, by the same rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from sklkl._engine import StackAdamW
from sklkl.optim import KLAdaptiveLR, OneCycle


class StackRate(Protocol):
    """What takes the steps of a stack, as :class:`KLAdaptiveLR` does."""

    @property
    def lr_(self) -> Any:
        """The rate of each net, at its peak."""

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
        """Take a step."""

    def report_each(self) -> list[dict[str, float]]:
        """Return what was measured of each net since the last report."""

    def cut(self, factor: Any) -> None:
        """Multiply all rates from now on by a factor of each."""

    def keep(self, networks: np.ndarray, optimizer: Any) -> None:
        """Go on with some of the nets."""

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state, with an optimiser of as many nets."""


class ScheduledRates:
    """Rates that are known before the step, all in the same proportion to their peaks.

    Parameters
    ----------
    engine : StackAdamW
        Takes the steps.
    peaks : ndarray of shape (n_networks,)
        The rates at their peaks.
    factor : callable
        From the number of a step to the share of the peak.
    """

    def __init__(self, engine: StackAdamW, peaks: np.ndarray, factor: Callable[[int], float]) -> None:
        self.engine, self.lr_, self.factor, self.n_steps = engine, peaks, factor, 0

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
        """Take a step."""
        self.engine.step_at(self.lr_ * self.factor(self.n_steps))
        self.n_steps += 1

    def report_each(self) -> list[dict[str, float]]:
        """Return what was measured: nothing."""
        return [{} for _ in self.lr_]

    def cut(self, factor: Any) -> None:
        """Multiply all rates from now on by a factor of each."""
        self.lr_ = self.lr_ * factor

    def keep(self, networks: np.ndarray, optimizer: StackAdamW) -> None:
        """Go on with some of the nets."""
        self.engine, self.lr_ = optimizer, self.lr_[networks]

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step."""
        return {"n_steps": self.n_steps, "peaks": self.lr_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state, with an optimiser of as many nets."""
        self.n_steps, self.lr_ = state["n_steps"], state["peaks"]


class MemberRate:
    """The learning rate of one net of a stack, as that net and its callbacks see it.

    Parameters
    ----------
    rate : StackRate
        That of all nets.
    number : int
        Which net it is.
    optimizer : Optimizer
        Its own.
    """

    def __init__(self, rate: StackRate, number: int, optimizer: Optimizer) -> None:
        self.rate, self.number, self.optimizer = rate, number, optimizer
        self.last_report: dict[str, float] = {}

    @property
    def lr_(self) -> float:
        """The rate at its peak."""
        return float(np.asarray(self.rate.lr_)[self.number])

    def report(self) -> dict[str, float]:
        """Return what was measured in the last epoch."""
        return self.last_report

    def cut(self, factor: float) -> None:
        """Multiply the rate of every step from now on by ``factor``."""
        factors = np.ones(len(np.asarray(self.rate.lr_)))
        factors[self.number] = factor
        self.rate.cut(factors)

    def close(self) -> None:
        """Give the optimiser the rate at its peak: a cycle ends at no rate at all."""
        self.optimizer.param_groups[0]["lr"] = self.lr_


def stack_rate(
    name: str,
    kl_target: float | None,
    engine: StackAdamW,
    peaks: np.ndarray,
    total_steps: int,
    predict: Callable[[Tensor], Tensor],
    **rule_params: Any,
) -> StackRate:
    """Return the rates that a rule sets, see :func:`sklkl.optim.make_learning_rate`."""
    optimizer: Any = engine
    if name == "kl_adaptive":
        return KLAdaptiveLR(optimizer, predict, total_steps, kl_target=kl_target, lr=peaks, **rule_params)
    factor = OneCycle(optimizer, total_steps).factor if name == "onecycle" else lambda step: 1.0
    return ScheduledRates(engine, peaks, factor)
