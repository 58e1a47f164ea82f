"""The built-in network."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor, nn

from sklkl._utils.checks import invalid
from sklkl._utils.ranks import drawn
from sklkl.modules._building import uncompiled
from sklkl.modules._gathered import gathered
from sklkl.modules._input_scaling import DenseScaling, Scaling, SparseScaling

__all__ = ["ACTIVATIONS", "MLP", "ActivationName", "Dropout", "scaling_of"]

ActivationName = Literal["elu", "gelu", "identity", "leaky_relu", "logistic", "relu", "silu", "tanh"]

ACTIVATIONS: dict[ActivationName, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}

# How each shows that is made without arguments.
_SHOWN = {kind: repr(kind()) for kind in ACTIVATIONS.values()}

_NUMPY_ACTIVATIONS: dict[type[nn.Module], Callable[[np.ndarray], np.ndarray]] = {
    nn.ELU: lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    nn.GELU: lambda x: x * special.ndtr(x),
    nn.Identity: lambda x: x,
    nn.LeakyReLU: lambda x: np.where(x > 0, x, 0.01 * x),
    nn.ReLU: lambda x: np.maximum(x, 0),
    nn.Sigmoid: special.expit,
    nn.SiLU: lambda x: x * special.expit(x),
    nn.Tanh: np.tanh,
}


def is_watched(layer: nn.Module) -> bool:
    """Whether calling a layer is more than what its class does: it has hooks, or a ``forward`` of its own."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer))


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014, JMLR 15) that can draw from a generator of its own.

    With a generator the mask is cut out of random 64-bit words, four elements a word: about five times faster on a
    CPU than ``torch.nn.Dropout``, and torch's global random state is not touched. The rate is then met to 2**-16.

    Parameters
    ----------
    p : float in [0, 1]
        Probability that an element is set to zero in training; the others are scaled by ``1 / (1 - p)``.
    generator : torch.Generator on the CPU, default=None
        Source of the masks. None means ``torch.nn.functional.dropout``.

    Raises
    ------
    ValueError
        If ``p`` is no such number.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import Dropout
    >>> generator = torch.Generator().manual_seed(0)
    >>> dropped = Dropout(0.5, generator=generator)(torch.ones(1000))
    >>> dropped.unique()
    tensor([0., 2.])
    """

    def __init__(self, p: float, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not (isinstance(p, Real) and 0 <= p <= 1):
            raise invalid("p", p, "a number from 0 to 1", of="Dropout")
        self.p: float = p
        self.generator: torch.Generator | None = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of ``x`` in training mode; return it as it is otherwise."""
        if not self.training or self.p == 0:
            return x
        if self.generator is None:
            return F.dropout(x, self.p)
        return x * self.mask(x.shape, x)

    def mask(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Return factors, 0 or ``1 / (1 - p)``, of the floating type and on the device of a tensor."""
        if self.p == 0:
            return like.new_ones(shape)
        if self.generator is None:
            return F.dropout(like.new_ones(shape), self.p)
        return self.factors(drawn(shape, self._bits), like)

    def _bits(self, shape: Sequence[int]) -> Tensor:
        size = math.prod(shape)
        words = self.fill(torch.empty((size + 3) // 4, dtype=torch.int64, device="cpu"))
        return words.view(torch.int16)[:size].view(*shape)

    def fill(self, words: Tensor) -> Tensor:
        """Fill a tensor of 64-bit words with random bits of the generator."""
        return words.random_(-(2**63), None, generator=self.generator)

    def factors(self, bits: Tensor, like: Tensor) -> Tensor:
        """Return the factors of elements that have 16 random bits each."""
        dropped = round(self.p * 2**16)
        scale = 2**16 / max(2**16 - dropped, 1)
        # An element is kept when its 16 bits, a number from -2**15, are at least -2**15 + dropped. Subtracting,
        # scaling and clamping whole numbers gives exactly 0 or scale, much faster than a comparison.
        return bits.to(like.dtype).sub_(dropped - 2**15 - 1).mul_(scale).clamp_(0, scale)

    def extra_repr(self) -> str:
        """Show the rate in the module's representation."""
        return f"p={self.p}"


class _Linear(nn.Linear):
    """A linear layer that computes in the floating type of its input, of whole numbers in its own."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype:
            return F.linear(x, self.weight, self.bias)
        if not x.is_floating_point():
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias)
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class MLP(nn.Sequential):
    """A multilayer perceptron: linear layers with an activation and dropout between them.

    It computes in the floating type of its input, even if its weights have another; whole numbers are taken for numbers
    of the type of its weights.

    Parameters
    ----------
    n_features : int
        Number of input columns.
    n_classes : int
        Number of logits returned.
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Units of each hidden layer; empty for a linear model.
    activation : str, default="relu"
        A key of ``ACTIVATIONS``.
    dropout : float in [0, 1), default=0.0
        Dropout rate after each hidden layer.
    scaling : DenseScaling, SparseScaling or None, default=None
        Layer that comes first, see :func:`input_scaling`.

    Raises
    ------
    ValueError
        If the activation is unknown, or a number of columns or units is none.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP
    >>> network = MLP(n_features=4, n_classes=3, hidden_layer_sizes=(8,))
    >>> network(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    scaling: Scaling | None

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden_layer_sizes: tuple[int, ...] = (256, 256),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        scaling: Scaling | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise invalid("activation", activation, f"one of {', '.join(map(repr, ACTIVATIONS))}", of="MLP")
        _check_sizes(n_features, n_classes, hidden_layer_sizes)
        layers: list[nn.Module] = []
        width = n_features if scaling is None else scaling.n_outputs
        for units in hidden_layer_sizes:
            layers += [_Linear(width, units), ACTIVATIONS[activation]()]
            layers += [Dropout(dropout)] if dropout else []
            width = units
        named = {str(number): layer for number, layer in enumerate([*layers, _Linear(width, n_classes)])}
        # layers have the same names with and without
        super().__init__(OrderedDict(named if scaling is None else {"scaling": scaling} | named))
        if scaling is None:
            self.scaling = None

    def linears(self) -> list[nn.Linear]:
        """Return the linear layers in their order."""
        return [layer for layer in self if isinstance(layer, nn.Linear)]

    def dropouts(self) -> list[Dropout]:
        """Return the dropout layers in their order: one after each hidden layer, or none."""
        return [layer for layer in self if isinstance(layer, Dropout)]

    @property
    def activation(self) -> type[nn.Module]:
        """Class of the activation between linear layers; that of none if there is one layer only."""
        known = tuple(ACTIVATIONS.values())
        return next((type(layer) for layer in self if isinstance(layer, known)), nn.Identity)

    def is_as_made(self) -> bool:
        """Whether the layers are those that the constructor makes: none was replaced or added, and none has hooks."""
        activation = self.activation
        hidden, n_hidden = [_Linear, activation, *[Dropout] * bool(self.dropouts())], len(self.linears()) - 1
        layers = [layer for layer in self if layer is not self.scaling]
        plain = all(repr(layer) == _SHOWN.get(activation) for layer in layers if type(layer) is activation)
        return self.is_bare() and plain and list(map(type, layers)) == [*hidden * n_hidden, _Linear]

    def forward_scaled(self, x: Tensor) -> Tensor:
        """Return the logits of rows that are as the first linear layer wants them."""
        for layer in self:
            if layer is not self.scaling:
                x = layer(x)
        return x

    def takes_sparse(self) -> bool:
        """Whether the inputs are scaled as sparse ones, or not at all."""
        return self.scaling is None or isinstance(self.scaling, SparseScaling)

    def forward_sparse(self, X: Any) -> Tensor:
        """Return the logits of rows of a CSR matrix in evaluation mode, in its floating type, without a gradient.

        Features that the rows lack cost nothing.

        Parameters
        ----------
        X : CSR matrix of shape (n_rows, n_features)
            Inputs, of a network that `takes_sparse` ones.

        Returns
        -------
        Tensor of shape (n_rows, n_classes)
            Logits.
        """
        layers: list[Any] = [layer for layer in self if layer is not self.scaling]
        first, *others = layers
        found, features = gathered(self.scaling.scale(X) if isinstance(self.scaling, SparseScaling) else X)
        weight = first.weight[:, torch.from_numpy(features).long().to(first.weight.device)]
        product = found @ weight.T.numpy(force=True).astype(X.dtype, order="C")
        x = torch.from_numpy(product).to(first.bias.device)
        x += first.bias.to(x.dtype)
        for layer in others:
            x = layer(x)
        return x

    def is_bare(self) -> bool:
        """Whether the layers are of the kinds that the constructor makes, in any order, and none has hooks."""
        layers = (self, *self)  # a subclass is of another kind
        return all(type(layer) in _KINDS for layer in layers) and not any(map(is_watched, layers))

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the logits in evaluation mode, computed by numpy.

        For a few rows on a CPU this takes a fraction of the time: torch's cost per operation is larger than the work.

        Parameters
        ----------
        x : ndarray of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Logits in the floating type of x.
        """
        if x.dtype.kind != "f":
            x = x.astype(self.linears()[0].weight.detach().numpy().dtype)
        for layer in self:
            if isinstance(layer, (DenseScaling, SparseScaling)):
                x = layer.forward_numpy(x)
            elif isinstance(layer, nn.Linear):
                x = x @ layer.weight.detach().numpy().T.astype(x.dtype) + layer.bias.detach().numpy()
            elif not isinstance(layer, Dropout):
                x = _NUMPY_ACTIVATIONS[type(layer)](x)
        return x


def _check_sizes(n_features: Any, n_classes: Any, hidden_layer_sizes: Any) -> None:
    for name, value in (("n_features", n_features), ("n_classes", n_classes)):
        if not _is_size(value):
            raise invalid(name, value, "an integer >= 1", of="MLP")
    if not (isinstance(hidden_layer_sizes, tuple | list) and all(map(_is_size, hidden_layer_sizes))):
        allowed = "a tuple of integers >= 1, one for each layer"
        raise invalid("hidden_layer_sizes", hidden_layer_sizes, allowed, of="MLP")


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


_KINDS = {MLP, _Linear, Dropout, DenseScaling, SparseScaling, *_NUMPY_ACTIVATIONS}


def scaling_of(module: nn.Module) -> Scaling | None:
    """Return the layer by which a network scales its inputs; None for one that does not, or is not of this package.

    Examples
    --------
    >>> from sklkl.modules import MLP, scaling_of
    >>> scaling_of(MLP(n_features=4, n_classes=3)) is None
    True
    """
    module = uncompiled(module)
    return module.scaling if isinstance(module, MLP) else None
