"""A stack of multilayer perceptrons of one shape: their weights in one tensor, their gradient written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sklkl._engine._activations import BY_LAYER

# One mask a hidden layer, of shape (n_rows, n_units) for all networks, or (n_networks, n_rows, n_units).
Masks = Sequence[Tensor] | None


class _Memory(NamedTuple):
    """Memory for a number of rows: outputs of each layer, gradients by those of the hidden ones, and the logits."""

    outputs: list[Tensor]
    gradients: list[Tensor]
    transposed: list[Tensor]  # the gradients
    logits: Tensor


class MLPStack:
    """Networks of one shape that see the same rows, as matrix products with a leading axis.

    The weights of all networks are in one tensor, layer by layer, with the network as the first axis of each layer, and
    their gradients likewise. So an optimiser has one tensor to step on, and a product of a stack is one operation.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of units of each hidden layer, and of logits.
    activation : class of torch.nn.Module
        One of the built-in network.
    n_networks : int, default=1
        Number of networks.
    dtype : torch.dtype, default=torch.float32
        Floating type of the weights.
    device : torch.device, default="cpu"
        Where they are.

    Attributes
    ----------
    flat, gradient : Tensor of shape (n_networks * n_weights,)
        All weights, and after `backward` the gradient by them.
    weights, biases : list of Tensor, of shape (n_networks, n_units, n_inputs) and (n_networks, n_units)
        Views of ``flat``, one a layer.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: type[nn.Module],
        n_networks: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sizes, self.n_networks = tuple(sizes), n_networks
        self.activation, self.layer = BY_LAYER[activation], activation()
        n_weights = n_networks * sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
        self.flat, self.gradient = (torch.zeros(n_weights, dtype=dtype, device=device) for _ in range(2))
        self.weights, self.biases = self.layers_of(self.flat)
        # of one network matrices do, whose products take less time than those of a stack of one
        self._affine: Any
        self._affine, self._product = (torch.addmm, torch.mm) if n_networks == 1 else (torch.baddbmm, torch.bmm)
        *hidden, last = self.biases
        biases = [*(bias.unsqueeze(1) for bias in hidden), last.unsqueeze(2)]
        self._weights, self._biases = self._as_factors(self.weights), self._as_factors(biases)
        self._transposed = [weights.mT for weights in self._weights]
        self._weight_gradients, self._bias_gradients = map(self._as_factors, self.layers_of(self.gradient))
        self._buffers: dict[int, _Memory] = {}
        self._features: Tensor | None = None
        self._written: Tensor | None = None

    def select(self, features: Tensor | None) -> None:
        """Take rows from now on that have only the inputs of these numbers; None for all.

        The others are 0 in all rows, so their weights do not matter and have no gradient.
        """
        self._features = features

    def _as_factors(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Return parts of a stack as products take them: those of one network without an axis for it."""
        return [part[0] for part in parts] if self.n_networks == 1 else list(parts)

    def layers_of(self, flat: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return views of a flat tensor, such as an optimiser's moments, as weights and biases of each layer."""
        shapes = [shape for n_in, n_out in pairwise(self.sizes) for shape in ((n_out, n_in), (n_out,))]
        parts = flat.split([self.n_networks * math.prod(shape) for shape in shapes])
        views = [part.view(self.n_networks, *shape) for part, shape in zip(parts, shapes, strict=True)]
        return views[::2], views[1::2]

    def network(self, flat: Tensor, number: int) -> list[Tensor]:
        """Return views of one network's part of a flat tensor: weights and biases, layer by layer."""
        return [part[number] for layer in zip(*self.layers_of(flat), strict=True) for part in layer]

    def kept(self, flat: Tensor, index: Tensor) -> Tensor:
        """Return a flat tensor as it is for a stack of some of the networks."""
        weights, biases = self.layers_of(flat)
        return torch.cat([part[index].flatten() for layer in zip(weights, biases, strict=True) for part in layer])

    def _of_each(self, values: Tensor) -> Tensor:
        """Return a matrix for all networks, or one of each, as products take them."""
        if self.n_networks > 1:
            return values.expand(self.n_networks, -1, -1)
        return values if values.ndim == 2 else values[0]

    def forward(self, x: Tensor, masks: Masks = None) -> Tensor:
        """Return the logits with the classes before the rows: many rows at a time are what a processor is fast at.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_inputs) or (n_networks, n_rows, n_inputs)
            Rows, the same for all networks or rows for each.
        masks : sequence of Tensor or None, default=None
            Factors of each hidden layer's outputs, as dropout draws them.

        Returns
        -------
        Tensor of shape (n_networks, n_classes, n_rows)
            Logits. They are overwritten by the next call for as many rows.
        """
        memory, weights, transposed = self._memory(x.shape[-2]), self._weights, self._transposed
        if self._features is not None:
            first = weights[0].index_select(-1, self._features)
            weights, transposed = [first, *weights[1:]], [first.mT, *transposed[1:]]
        a = self._of_each(x)
        self._inputs, self._kept, self._masks = [a], [], masks and [self._of_each(mask) for mask in masks]
        for layer, out in enumerate(memory.outputs[:-1]):
            self._affine(self._biases[layer], a, transposed[layer], out=out)
            a, kept = self.activation.forward(out)
            if self._masks is not None:
                a = a * self._masks[layer]
            self._inputs.append(a)
            self._kept.append(kept)
        self._affine(self._biases[-1], weights[-1], a.mT, out=memory.outputs[-1])
        return memory.logits

    def backward(self, gradient: Tensor) -> None:
        """Compute the gradient by the weights of what `forward` returned last.

        Parameters
        ----------
        gradient : Tensor of shape (n_networks, n_classes, n_rows), of one network also (n_classes, n_rows)
            Gradient of the loss by the logits.
        """
        gradient, memory = self._of_each(gradient), self._memory(gradient.shape[-1])
        # of the last layer with the units before the rows, of the others after them
        self._set_gradient(len(self._kept), gradient)
        torch.sum(gradient, -1, out=self._bias_gradients[-1])
        gradient = gradient.mT
        for layer in reversed(range(len(self._kept))):
            gradient = self._through(layer, gradient, memory.gradients[layer])
            self._set_gradient(layer, memory.transposed[layer])
            torch.sum(gradient, -2, out=self._bias_gradients[layer])

    def _set_gradient(self, layer: int, gradient: Tensor) -> None:
        """Set the gradient by a layer's weights, from that by its outputs with the units before the rows."""
        out = self._weight_gradients[layer]
        if layer > 0 or self._features is None:
            self._product(gradient, self._inputs[layer], out=out)
        elif self._written is None:
            out.zero_().index_copy_(-1, self._features, self._product(gradient, self._inputs[0]))
        else:
            out.index_fill_(-1, self._written, 0.0)
            out.index_copy_(-1, self._features, self._product(gradient, self._inputs[0]))
        if layer == 0:
            self._written = self._features

    def _through(self, layer: int, gradient: Tensor, memory: Tensor) -> Tensor:
        """Return the gradient by what goes into the activation of a hidden layer, from that by the layer after it."""
        gradient = self._product(gradient, self._weights[layer + 1], out=memory)
        if self._masks is not None:
            gradient.mul_(self._masks[layer])
        return self.activation.backward(gradient, self._kept[layer])

    def _memory(self, n_rows: int) -> _Memory:
        """Return memory for so many rows: batches come in two sizes."""
        if n_rows not in self._buffers:
            hidden = [(self.n_networks, n_rows, units) for units in self.sizes[1:-1]]
            outputs, gradients = ([self.flat.new_empty(shape) for shape in hidden] for _ in range(2))
            logits = self.flat.new_empty((self.n_networks, self.sizes[-1], n_rows))
            gradients = self._as_factors(gradients)
            transposed = [gradient.mT for gradient in gradients]
            self._buffers[n_rows] = _Memory(self._as_factors([*outputs, logits]), gradients, transposed, logits)
        return self._buffers[n_rows]
