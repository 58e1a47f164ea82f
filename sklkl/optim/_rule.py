"""What the rules for the rate have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklkl._utils.checks import check_integer, check_number

# The rate of any network stays between these, so that it is finite and positive whatever is measured.
LEAST_RATE, LARGEST_RATE = 1e-12, 1e3
_LEAST, _LARGEST = math.log(LEAST_RATE), math.log(LARGEST_RATE)


class Rule:
    """A rate for each network of a stack, and the divergence that its next step shall have.

    :class:`KLAdaptiveLR` takes every step at ``rate``. Where ``measures`` is true it measures the KL of the step and
    shortens the step until that is not beyond ``largest_kl``, then tells the rule with `record`. Where ``searches`` is
    true, the first step that is measured gets the rate at which its KL is ``target``. Every step ends with `advance`.
    Rates and divergences are arrays of the shape of the stack, () for one network.

    Parameters
    ----------
    total_steps : int or None
        Number of steps in training; None if it is not known, as in a stream.
    kl_target : float > 0 or None
        Divergence of a step in nats a row, as the rule defines it; None takes the rule's own.

    Attributes
    ----------
    is_new : ndarray of bool
        Of which networks no step has been measured.
    """

    searches = False
    needs_slope = False
    n_steps: int
    log_rate: np.ndarray
    is_new: np.ndarray

    def __init__(self, total_steps: int | None, kl_target: float | None) -> None:
        if total_steps is not None:
            check_integer("total_steps", total_steps, 1, why=", or None", of=type(self).__name__)
        if kl_target is not None:
            check_number("kl_target", kl_target, "a finite number > 0, or None", above=0, of=type(self).__name__)
        self.total_steps = total_steps
        self.n_steps = 0

    def start(self, rates: np.ndarray, n_classes: int, n_outputs: int) -> None:
        """Begin at these rates, for networks that give ``n_outputs`` distributions over ``n_classes`` a row."""
        self.log_rate = bounded(np.log(rates))
        self.is_new = np.ones(rates.shape, dtype=bool)

    @property
    def measures(self) -> bool:
        """Whether the coming step is to be measured."""
        return True

    @property
    def rate(self) -> np.ndarray:
        """The rate of the coming step."""
        return np.exp(self.log_rate)

    @property
    def blind_rate(self) -> np.ndarray:
        """The rate of the coming step if that is not measured."""
        return self.rate

    @property
    def found(self) -> np.ndarray:
        """The rate that is right by this rule, as far as it knows."""
        return self.rate

    @property
    def target(self) -> float | np.ndarray:
        """The divergence that is wanted of the coming step."""
        raise NotImplementedError

    @property
    def largest_kl(self) -> float | np.ndarray:
        """The largest divergence that is accepted of the coming step."""
        return math.inf

    @property
    def looks(self) -> bool:
        """Whether `see` is to be called before the coming step, if that is measured: it reads from the device."""
        return False

    def see(self, loss: np.ndarray, sure: np.ndarray) -> None:
        """Learn the loss and the mean of KL(p‖uniform) before a step, if the rule ``looks``."""
        raise NotImplementedError

    def choose(self, loss: np.ndarray, slope: np.ndarray, usable: np.ndarray | bool = True) -> None:
        """Set the rate by how much a step at rate 1 lowers the loss at first, if the rule ``needs_slope``."""
        raise NotImplementedError

    def record(self, kl: np.ndarray, rate: np.ndarray, known: np.ndarray | bool = True) -> None:
        """Learn the divergence of the step and the rate at which it was taken, of networks where they are known."""
        raise NotImplementedError

    def set_rate(self, rate: np.ndarray, known: np.ndarray | bool) -> None:
        """Take these rates for the coming step, of networks where they are known."""
        self.log_rate = np.where(known, bounded(np.log(np.where(known, rate, 1.0))), self.log_rate)

    def advance(self) -> None:
        """Go to the next step."""
        self.n_steps += 1

    def cut(self, factor: np.ndarray | float) -> None:
        """Multiply all rates from now on by a factor."""
        self.log_rate = bounded(self.log_rate + np.log(factor))

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step, in types that ``torch.load`` accepts."""
        return {"n_steps": self.n_steps, "log_rate": as_tensor(self.log_rate), "is_new": as_tensor(self.is_new)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state, with this rule's own parameters."""
        self.n_steps = state["n_steps"]
        self.log_rate, self.is_new = as_array(state["log_rate"]), as_array(state["is_new"])


def bounded(log_rate: np.ndarray) -> np.ndarray:
    """Return logarithms of rates that are finite and positive."""
    return clipped(log_rate, _LEAST, _LARGEST)


def clipped(values: np.ndarray, least: float, largest: float) -> np.ndarray:
    """Return values within bounds: np.clip does the same, with checks that cost more than a scalar's whole step."""
    return np.minimum(np.maximum(values, least), largest)


def as_tensor(values: np.ndarray | float) -> Tensor:
    """Return a copy for a state."""
    return torch.as_tensor(np.array(values))


def as_array(values: Tensor) -> np.ndarray:
    """Return a copy of what a state has."""
    return np.array(values.numpy(force=True))
