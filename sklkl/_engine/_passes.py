"""Forward passes of a stack through autograd, beside those that it computes by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from sklkl._engine._stack import Masks, MLPStack


class AutogradPasses:
    """Further passes within a step, for a loss that depends on more than one.

    Parameters
    ----------
    stack : MLPStack
        The networks.
    """

    def __init__(self, stack: MLPStack) -> None:
        self._stack = stack
        self._leaves: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, masks: Masks = None) -> Tensor:
        """Return logits that have a gradient, by the weights and by x, from what `MLPStack.forward` takes.

        Their shape is (n_networks, n_rows, n_classes).
        """
        *hidden, (weights, bias) = self._leaves or self._made()
        a = x.expand(self._stack.n_networks, *x.shape[-2:])
        for layer, (own_weights, own_bias) in enumerate(hidden):
            a = self._stack.layer(torch.baddbmm(own_bias.unsqueeze(1), a, own_weights.mT))
            if masks is not None:
                a = a * masks[layer]
        return torch.baddbmm(bias.unsqueeze(1), a, weights.mT)

    def _made(self) -> list[tuple[Tensor, Tensor]]:
        """Return what takes the gradient of this step's passes."""
        parts = zip(self._stack.weights, self._stack.biases, strict=True)
        self._leaves = [(w.detach().requires_grad_(), b.detach().requires_grad_()) for w, b in parts]
        return self._leaves

    def add_gradient(self) -> None:
        """Add the gradient of all passes since the last call to that of the stack."""
        found = [leaf.grad for layer in zip(*self._leaves, strict=True) for leaf in layer]
        views = [view for layer in self._stack.layers_of(self._stack.gradient) for view in layer]
        if found and found[0] is not None:
            torch._foreach_add_(views, found)
        self._leaves = []
