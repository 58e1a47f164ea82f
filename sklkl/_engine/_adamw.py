"""AdamW for a stack, without the bookkeeping of torch's optimiser: the one place that calls its kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklkl._engine._stack import MLPStack

_OPTIONS = "betas", "eps", "weight_decay"


class StackAdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), whose step is torch's fused kernel.

    To a rate rule it is an optimiser, which can also take a step with a rate for each network.

    Parameters
    ----------
    stack : MLPStack
        The networks.
    options : sequence of dict
        Of each network ``lr``, ``betas``, ``eps`` and ``weight_decay``, as in :class:`torch.optim.AdamW`; `step` takes
        the ``lr`` of the first.
    alone : bool, default=False
        Whether a rate rule is to see the single network of the stack as one network, not as a stack of one.

    Attributes
    ----------
    gradient : Tensor
        That of the stack.
    moments : tuple of two Tensor
        Means of gradients and of their squares, in the order of ``stack.flat``.
    n_steps : Tensor of shape (n_networks,)
        Number of steps that were taken with each.
    rates : list of float
        The last rate of each.
    """

    def __init__(self, stack: MLPStack, options: Sequence[Mapping[str, Any]], alone: bool = False) -> None:
        self.gradient, self.moments = stack.gradient, (torch.zeros_like(stack.flat), torch.zeros_like(stack.flat))
        self.n_steps = stack.flat.new_zeros(stack.n_networks, dtype=torch.float32)
        self._one = torch.ones_like(self.n_steps)  # to add a tensor takes less time than a number
        self.options = list(options)
        self.rates = [float(own["lr"]) for own in options]
        flats = stack.flat, stack.gradient, *self.moments
        parameters, gradients = ([flat] if alone else _layers(stack, flat) for flat in flats[:2])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.param_groups: list[dict[str, Any]] = [{"params": parameters, "lr": float(options[0]["lr"])}]
        self._networks = [
            self._tensors([stack.network(flat, number) for flat in flats], n_steps)
            for number, n_steps in enumerate(self.n_steps)
        ]
        self._whole = self._tensors([[flat] for flat in flats], self.n_steps[0])
        self._are_alike = stack.n_networks == 1

    @staticmethod
    def _tensors(flats: list[list[Tensor]], n_steps: Tensor) -> tuple[list[Tensor], ...]:
        """Return what the kernel wants of a network: it keeps no largest square, and counts steps by tensor."""
        return (*flats, [], [n_steps] * len(flats[0]))

    def step(self) -> None:
        """Take a step."""
        self._step([self.param_groups[0]["lr"]] * len(self._networks))

    def step_at(self, rates: np.ndarray) -> None:
        """Take a step with a rate for each network."""
        self._step(rates.tolist())

    def compare(self) -> None:
        """Learn which networks are stepped on as one; to be called when options or numbers of steps were changed."""
        options = [tuple(own[name] for name in _OPTIONS) for own in self.options]
        self._are_alike = len(set(options)) == 1 == len(set(self.n_steps.tolist()))

    def _step(self, rates: list[float]) -> None:
        self.n_steps += self._one
        self.rates = rates
        networks = [self._whole] if self._are_alike and len(set(rates)) == 1 else self._networks
        for tensors, rate, options in zip(networks, rates, self.options, strict=False):
            beta1, beta2 = options["betas"]
            torch._fused_adamw_(
                *tensors,
                lr=rate,
                beta1=beta1,
                beta2=beta2,
                weight_decay=options["weight_decay"],
                eps=options["eps"],
                amsgrad=False,
                maximize=False,
            )


def _layers(stack: MLPStack, flat: Tensor) -> list[Tensor]:
    weights, biases = stack.layers_of(flat)
    return [*weights, *biases]
