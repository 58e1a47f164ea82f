"""AdamW over few large tensors, without the bookkeeping of torch's optimiser: the one place that calls its kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class FlatAdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), whose step is torch's fused kernel.

    To a rate rule it is an optimiser: it has groups of parameters, with their ``grad``, and a step.

    Parameters
    ----------
    parameter, gradient : Tensor
        Weights and their gradients.
    **options : float or tuple of float
        ``lr``, ``betas``, ``eps`` and ``weight_decay``, as in :class:`torch.optim.AdamW`.

    Attributes
    ----------
    moments : tuple of two Tensor
        Means of gradients and of their squares.
    n_steps : Tensor of shape ()
        Number of steps taken.
    """

    def __init__(self, parameter: Tensor, gradient: Tensor, **options: Any) -> None:
        parameter.grad = gradient
        self.group: dict[str, Any] = {"params": [parameter], **options}
        self.param_groups = [self.group]
        self.moments = torch.zeros_like(parameter), torch.zeros_like(parameter)
        self.n_steps = torch.zeros((), device=parameter.device)

    def step(self) -> None:
        """Take a step."""
        self.n_steps += 1
        (parameter,), (mean, mean_of_squares), (beta1, beta2) = self.group["params"], self.moments, self.group["betas"]
        torch._fused_adamw_(
            [parameter],
            [parameter.grad],
            [mean],
            [mean_of_squares],
            [],
            [self.n_steps],
            lr=self.group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=self.group["weight_decay"],
            eps=self.group["eps"],
            amsgrad=False,
            maximize=False,
        )

    def reset(self) -> None:
        """Forget all gradients."""
        for values in (*self.moments, self.n_steps):
            values.zero_()
