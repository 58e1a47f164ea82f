"""Activations of the built-in network with their derivatives, which are torch's own operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

aten: Any = torch.ops.aten


class Activation(NamedTuple):
    """An activation, and the gradient by its input, both in the memory that they are given where that is possible.

    Parameters
    ----------
    forward : callable
        From inputs to what it returns, and what the derivative is computed from: the one or the other.
    backward : callable
        From the gradient by what it returned, and what was kept, to that by its inputs; both may be overwritten.
    """

    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    backward: Callable[[Tensor, Tensor], Tensor]


def _from_output(forward: Callable[[Tensor], Tensor], backward: Callable[[Tensor, Tensor], Tensor]) -> Activation:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        y = forward(x)
        return y, y

    return Activation(both, backward)


def _from_input(forward: Callable[[Tensor], Tensor], backward: Callable[[Tensor, Tensor], Tensor]) -> Activation:
    return Activation(lambda x: (forward(x), x), backward)


BY_LAYER: dict[type[nn.Module], Activation] = {
    nn.ELU: _from_output(F.elu_, lambda g, y: aten.elu_backward.grad_input(g, 1, 1, 1, True, y, grad_input=g)),
    nn.GELU: _from_input(F.gelu, lambda g, x: aten.gelu_backward.grad_input(g, x, grad_input=g)),
    nn.Identity: _from_output(lambda x: x, lambda g, y: g),
    nn.LeakyReLU: _from_output(
        F.leaky_relu_, lambda g, y: aten.leaky_relu_backward.grad_input(g, y, 0.01, True, grad_input=g)
    ),
    # what it returned is used no more: 0 or 1 may take its place
    nn.ReLU: _from_output(torch.relu_, lambda g, y: g.mul_(y.sign_())),
    nn.Sigmoid: _from_output(torch.sigmoid_, lambda g, y: aten.sigmoid_backward.grad_input(g, y, grad_input=g)),
    nn.SiLU: _from_input(F.silu, lambda g, x: aten.silu_backward.grad_input(g, x, grad_input=g)),
    nn.Tanh: _from_output(torch.tanh_, lambda g, y: aten.tanh_backward.grad_input(g, y, grad_input=g)),
}
