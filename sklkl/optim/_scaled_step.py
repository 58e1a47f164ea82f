"""One step of an optimiser whose rate can be changed after it was taken."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer


class ScaledStep:
    """The step of an optimiser, with one rate for each network of a stack, which can be changed afterwards.

    It rests on what holds for SGD with momentum, Adam and their relatives: the step is proportional to the rate, and
    moments know nothing of the rate. A step at another rate is then another point on the line through the weights
    before and after, and the moments, which come from the gradient before the step, remain valid.

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

    def __init__(self, optimizer: Optimizer, stack: tuple[int, ...]) -> None:
        self.optimizer, self.stack = optimizer, stack
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        largest = max(group["lr"] for group in optimizer.param_groups)
        self.ratios = [float(group["lr"] / largest) for group in optimizer.param_groups]
        for parameter in self.parameters:
            if parameter.shape[: len(stack)] != stack:
                raise ValueError(
                    f"The loss has the shape {stack}, one value for each network of a stack, but a parameter has the "
                    f"shape {tuple(parameter.shape)}; allowed: parameters whose leading axes are {stack}."
                )

    def set_rate(self, rate: float) -> None:
        """Give the optimiser a rate; each group gets its ratio of it."""
        for group, ratio in zip(self.optimizer.param_groups, self.ratios, strict=True):
            group["lr"] = rate * ratio

    def take(self, rate: np.ndarray, keep: bool) -> None:
        """Step at these rates; ``keep`` the weights before, without which the step cannot be changed."""
        self.rate = float(rate.max())
        self.set_rate(self.rate)
        self.after: list[Tensor] = []
        self.before = [p.detach().clone() for p in self.parameters] if keep or self.stack else []
        self.optimizer.step()
        if self.stack:
            self.retake(rate)

    @torch.no_grad()
    def retake(self, rate: np.ndarray) -> None:
        """Change the step that was taken into the one at these rates; 0 undoes it."""
        self.after = self.after or [p.detach().clone() for p in self.parameters]
        shares = torch.as_tensor(rate / self.rate)
        for parameter, before, after in zip(self.parameters, self.before, self.after, strict=True):
            share = shares.to(parameter).reshape(*self.stack, *(1,) * (parameter.ndim - len(self.stack)))
            # not 0 * (after - before): a step that overflowed is undone too
            parameter.copy_(torch.where(share == 0, before, before + share * (after - before)))

    @torch.no_grad()
    def slope(self) -> np.ndarray:
        """Return by how much a step at rate 1 lowers the loss to first order: the product of gradient and step."""
        after = self.after or self.parameters
        products = [
            (p.grad * (old - new)).flatten(len(self.stack)).sum(-1, dtype=torch.float64)
            for p, old, new in zip(self.parameters, self.before, after, strict=True)
            if p.grad is not None
        ]
        return torch.stack(products).sum(0).numpy(force=True) / self.rate

    def has_finite_gradients(self) -> np.ndarray:
        """Return for each network whether its gradients are finite."""
        sums = [gradient.flatten(len(self.stack)).sum(-1, dtype=torch.float64) for gradient in self._gradients()]
        return torch.isfinite(torch.stack(sums)).all(0).numpy(force=True)

    @torch.no_grad()
    def leave_out(self, networks: np.ndarray) -> None:
        """Make the gradients of these networks zero, so that they leave no trace in the optimiser's moments."""
        out = torch.as_tensor(networks)
        for gradient in self._gradients():
            shape = (*self.stack, *(1,) * (gradient.ndim - len(self.stack)))
            gradient.masked_fill_(out.to(gradient.device).reshape(shape), 0.0)

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]
