"""One step of an optimiser whose rate can be changed after it was taken."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import invalid

# The sum of many numbers of half precision may be beyond their range.
_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32}


@runtime_checkable
class StackOptimizer(Protocol):
    """An optimiser that can take a step with a rate for each network of a stack."""

    @property
    def gradient(self) -> Tensor:
        """The gradient by all parameters."""

    rates: list[float]

    def step_at(self, rates: np.ndarray) -> None:
        """Take a step with these rates."""


class ScaledStep:
    """The step of an optimiser, with one rate for each network of a stack, which can be changed afterwards.

    It relies on what holds for SGD with momentum, Adam and their relatives: the step is proportional to the rate, and
    the moments do not depend on the rate. A step at another rate is then another point on the line through the weights
    before and after, and the moments, which come from the gradient before the step, remain valid.

    A step of one network that is unlikely to be changed is the optimiser's own, to the bit. Any other is taken at rate
    1 and shortened: a short step would be lost in the rounding of the weights, and could not be lengthened. In a
    stack it makes the step of each network independent of the rates of the others.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its groups keep the ratios of their rates.
    stack : tuple of int
        Leading shape of every parameter, () for one network.

    Raises
    ------
    ValueError
        If a parameter has another leading shape.
    """

    optimizer: Optimizer
    stack: tuple[int, ...]
    rate: float | np.ndarray
    parameters: list[Tensor]
    ratios: list[float]
    before: list[Tensor]
    after: list[Tensor]

    def __init__(self, optimizer: Optimizer, stack: tuple[int, ...]) -> None:
        self.optimizer, self.stack = optimizer, stack
        self.own_rates = optimizer if stack and isinstance(optimizer, StackOptimizer) else None
        self.parameters, self.ratios = [], []
        self.largest = max(float(group["lr"]) for group in optimizer.param_groups)
        self.follow_groups()

    def follow_groups(self) -> None:
        """Take in groups of parameters that were added: their ratios are to the largest rate there was at first."""
        for group in self.optimizer.param_groups[len(self.ratios) :]:
            self._check_axes(group["params"])
            self.parameters += group["params"]
            self.ratios.append(float(group["lr"]) / self.largest)

    def _check_axes(self, parameters: list[Tensor]) -> None:
        for parameter in parameters:
            if parameter.shape[: len(self.stack)] != self.stack:
                allowed = f"one of parameters whose leading axes are those of the loss, {self.stack}"
                raise invalid("optimizer", tuple(parameter.shape), allowed, "KLAdaptiveLR")

    def set_rate(self, rate: float) -> None:
        """Give the optimiser a rate; each group gets its ratio of it."""
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            group["lr"] = rate * ratio

    @property
    def takes_rates(self) -> bool:
        """Whether `go` can be called: the optimiser takes a rate of one network, or one of each."""
        return not self.stack or self.own_rates is not None

    def go(self, rate: np.ndarray) -> None:
        """Step at these rates, > 0, for good."""
        if self.own_rates is not None:
            self.own_rates.step_at(rate)
        else:
            self.set_rate(float(rate))
            self.optimizer.step()

    def take(self, rate: np.ndarray, keep: bool = False, far: bool = False) -> None:
        """Step at these rates.

        Parameters
        ----------
        rate : ndarray
            The rate of each network.
        keep : bool, default=False
            Whether to keep the weights before, without which the step cannot be changed.
        far : bool, default=False
            Whether it may be changed by much, or its slope is wanted.
        """
        far = far or (bool(self.stack) and self.own_rates is None)
        self.after = []
        self.before = [p.detach().clone() for p in self.parameters] if keep or far else []
        if far:
            self._step_at_once(1.0)
            self.retake(rate)
        elif self.own_rates is not None:
            self.rate = np.where(rate > 0, rate, 1.0)
            self.own_rates.step_at(rate)
        else:
            self._step_at_once(float(rate))

    def _step_at_once(self, rate: float) -> None:
        self.rate = rate
        self.set_rate(rate)
        self.optimizer.step()

    @torch.no_grad()
    def retake(self, rate: np.ndarray) -> None:
        """Change the step that was taken into the one at these rates; 0 undoes it."""
        if rate.any():
            self.set_rate(float(rate.max()))
        if self.own_rates is not None:
            self.own_rates.rates = np.where(rate > 0, rate, self.own_rates.rates).tolist()
        self.after = self.after or [p.detach().clone() for p in self.parameters]
        shares = rate / self.rate
        for parameter, before, after in zip(self.parameters, self.before, self.after, strict=True):
            parameter.copy_(self._part(before, after, shares))

    def _part(self, before: Tensor, after: Tensor, shares: np.ndarray) -> Tensor:
        """Return the weights that are a share of the way from those before a step to those after it."""
        # not 0 * (after - before): a step that overflowed is undone too
        if not self.stack:
            share = float(shares)
            return before + share * (after - before) if share else before
        wide = torch.promote_types(before.dtype, torch.float32)
        shape = (*self.stack, *(1,) * (before.ndim - len(self.stack)))
        of_each = torch.as_tensor(shares).to(before.device, wide).reshape(shape)
        return torch.where(of_each == 0, before, before + of_each * (after - before))

    @torch.no_grad()
    def slope(self) -> np.ndarray:
        """Return by how much a step at rate 1 lowers the loss to first order: the product of gradient and step."""
        after = self.after or self.parameters
        products = [
            self._sum(_real(p.grad).double() * _real(old - new))
            for p, old, new in zip(self.parameters, self.before, after, strict=True)
            if p.grad is not None
        ]
        return torch.stack(products).sum(0).numpy(force=True) / self.rate

    def is_finite(self, loss: Tensor) -> np.ndarray:
        """Return for each network whether its loss and gradients are finite; the device is asked once if they are."""
        loss = loss.detach()
        if self.own_rates is not None and math.isfinite(loss.sum() + self.own_rates.gradient.sum()):
            return np.ones(self.stack, dtype=bool)
        sums = [self._sum(gradient) for gradient in self._gradients()]
        if not self.stack and loss.device.type == "cpu":
            # numbers are at hand there, and one more operation on all of them would take longer
            return np.asarray(math.isfinite(sum(map(float, sums), float(loss))))
        total = torch.stack([loss.to(sums[0]), *sums]).sum(0) if sums else loss
        return torch.isfinite(total).numpy(force=True)

    @torch.no_grad()
    def leave_out(self, networks: np.ndarray) -> None:
        """Make the gradients of these networks zero, so that they leave no trace in the optimiser's moments."""
        out = torch.as_tensor(networks)
        for gradient in self._gradients():
            shape = (*self.stack, *(1,) * (gradient.ndim - len(self.stack)))
            gradient.masked_fill_(out.to(gradient.device).reshape(shape), 0.0)

    def forget(self) -> None:
        """Drop the weights before and after: the step is final."""
        self.before, self.after = [], []

    def _sum(self, values: Tensor) -> Tensor:
        """Return the sum over all but the axes of the stack, in float32 at least, of complex numbers of both parts."""
        values = _real(values)
        wide = _WIDER.get(values.dtype)
        return values.reshape(*self.stack, -1).sum(-1, dtype=wide) if self.stack else values.sum(dtype=wide)

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]


def _real(values: Tensor) -> Tensor:
    return torch.view_as_real(values) if values.is_complex() else values
