"""Networks: ``nn.Module`` classes that take ``(n_features, n_classes, ...)`` and return logits."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy import special
from torch import Tensor, nn

from sklkl._utils.checks import invalid, invalid_input

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "ActivationName",
    "Dropout",
    "accepted",
    "build_module",
    "few_classes",
    "label_log_proba",
    "log_softmax",
    "softmax",
    "uncompiled",
]

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


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities from logits of shape (..., n_classes).

    The same as ``torch.log_softmax(logits, -1)``, but several times faster on a CPU for few classes: torch runs
    along a short last axis one row at a time, along any other axis many rows at once.

    Parameters
    ----------
    logits : Tensor of shape (..., n_rows, n_classes)
        Unnormalised log-probabilities.

    Returns
    -------
    Tensor of the same shape
        Log-probabilities in nats.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import log_softmax
    >>> log_softmax(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.5000]])
    """
    if few_classes(logits):
        return logits.mT.log_softmax(-2).mT
    return logits.log_softmax(-1)


def few_classes(logits: Tensor) -> bool:
    """Whether a softmax is faster along the first axis of a transposed copy, on a CPU.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import few_classes
    >>> few_classes(torch.zeros(1024, 10)), few_classes(torch.zeros(1024, 100))
    (True, False)
    """
    return logits.ndim > 1 and logits.shape[-1] <= 16 and logits.numel() >= 2048


def softmax(logits: Tensor) -> Tensor:
    """Probabilities in float64 from logits of shape (..., n_classes); each row sums to 1 but for rounding.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import softmax
    >>> softmax(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    logits = logits.double()
    if few_classes(logits):
        return F.softmax(logits.mT, -2).mT
    return F.softmax(logits, -1)


def label_log_proba(logits: Tensor) -> Tensor:
    """Log-probabilities (label off, label on) of independent labels, each with a logit of its own.

    Parameters
    ----------
    logits : Tensor of shape (..., n_rows, n_labels)
        Log-odds.

    Returns
    -------
    Tensor of shape (..., n_rows, n_labels, 2)
        Log-probabilities in nats: a label is a classification with two classes.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import label_log_proba
    >>> label_log_proba(torch.zeros(1, 1)).exp()
    tensor([[[0.5000, 0.5000]]])
    """
    return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=-1)


def accepted(factory: Callable[..., object], **arguments: object) -> dict[str, object]:
    """Return those keyword ``arguments`` that a class or factory accepts by name.

    Parameters
    ----------
    factory : callable
        A class or function.
    **arguments : object
        What could be passed to it.

    Returns
    -------
    dict
        The arguments that appear in its signature; all of them if it takes ``**kwargs``.

    Examples
    --------
    >>> from sklkl.modules import accepted
    >>> accepted(lambda n_classes: None, n_features=3, n_classes=2)
    {'n_classes': 2}
    """
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # a built-in class that has no signature
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return arguments
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {name: value for name, value in arguments.items() if name in named}


def build_module(
    module: nn.Module | Callable[..., nn.Module], n_features: int, n_classes: int, dtype: torch.dtype, **params: Any
) -> nn.Module:
    """Build a network from a class or factory, or copy an instance, in the given floating type.

    Parameters
    ----------
    module : torch.nn.Module class, factory or instance
        A class or factory is called with ``params`` and, where it accepts them, ``n_features`` and ``n_classes``.
        An instance is copied, weights and all.
    n_features, n_classes : int
        Number of input columns (the size of the second axis) and of logits.
    dtype : torch.dtype
        Floating type of its parameters and buffers.
    **params : Any
        Further arguments.

    Raises
    ------
    ValueError
        If the factory returns no network, or arguments are given for an instance.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP, build_module
    >>> build_module(MLP, 4, 3, torch.float64, hidden_layer_sizes=())
    MLP(
      (0): _Linear(in_features=4, out_features=3, bias=True)
    )
    """
    if isinstance(module, nn.Module):
        if params:
            name = type(module).__name__
            raise ValueError(
                f"The 'module' parameter must be a class if {sorted(params)} are passed to it. Got an instance of "
                f"{name} instead."
            )
        return _copied(module).to(dtype)
    built = _in_float32(module, **{**accepted(module, n_features=n_features, n_classes=n_classes), **params})
    if not isinstance(built, nn.Module):
        raise ValueError(f"The 'module' parameter must make a torch.nn.Module. Got {built!r} from {module!r} instead.")
    return built.to(dtype)


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:  # such as buffers that wait for their first input
        found = f"an instance that cannot be ({type(error).__name__}: {error})"
        raise invalid_input("module", found, "copied: pass a class or a function that makes it") from error


def _in_float32(factory: Callable[..., object], **arguments: Any) -> object:
    """Call a factory with torch's own default type, on which the random weights depend, whatever the caller has set."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        return factory(**arguments)
    finally:
        torch.set_default_dtype(before)


def uncompiled(module: nn.Module) -> nn.Module:
    """Return the network itself where it is the result of :func:`torch.compile`, whose layers have other names.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import uncompiled
    >>> uncompiled(torch.nn.Linear(3, 2))
    Linear(in_features=3, out_features=2, bias=True)
    """
    original = getattr(module, "_orig_mod", module)
    assert isinstance(original, nn.Module)
    return original


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014, JMLR 15) that can draw from a generator of its own.

    With a generator the mask is cut out of random 64-bit words, four elements a word: about five times faster on a
    CPU than ``torch.nn.Dropout``, and torch's global random state is not touched. The rate is then met to 2**-16.

    Parameters
    ----------
    p : float in [0, 1)
        Probability that an element is set to zero in training; the others are scaled by ``1 / (1 - p)``.
    generator : torch.Generator on the CPU, default=None
        Source of the masks. None means ``torch.nn.functional.dropout``.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import Dropout
    >>> dropped = Dropout(0.5, generator=torch.Generator().manual_seed(0))(torch.ones(1000))
    >>> dropped.unique()
    tensor([0., 2.])
    """

    def __init__(self, p: float, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of ``x`` in training mode; return it as it is otherwise."""
        if not self.training or self.p == 0:
            return x
        if self.generator is None:
            return F.dropout(x, self.p)
        return x * self._mask(x)

    def _mask(self, x: Tensor) -> Tensor:
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None, generator=self.generator)
        bits = words.view(torch.int16)[: x.numel()].view(x.shape)
        dropped = round(self.p * 2**16)
        scale = 2**16 / max(2**16 - dropped, 1)
        # An element is kept when its 16 bits, a number from -2**15, are at least -2**15 + dropped. Subtracting,
        # scaling and clamping whole numbers gives exactly 0 or scale, much faster than a comparison.
        return bits.to(x.dtype).sub_(dropped - 2**15 - 1).mul_(scale).clamp_(0, scale)

    def extra_repr(self) -> str:
        """Show the rate in the module's representation."""
        return f"p={self.p}"


class _Linear(nn.Linear):
    """A linear layer that computes in the floating type of its input."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == self.weight.dtype:
            return F.linear(x, self.weight, self.bias)
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class MLP(nn.Sequential):
    """A multilayer perceptron: linear layers with an activation and dropout between them.

    It computes in the floating type of its input, even if its weights have another.

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

    Raises
    ------
    ValueError
        If the activation is unknown.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP
    >>> MLP(n_features=4, n_classes=3, hidden_layer_sizes=(8,))(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        n_features: int,
        n_classes: int,
        hidden_layer_sizes: tuple[int, ...] = (256, 256),
        activation: ActivationName = "relu",
        dropout: float = 0.0,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise invalid("activation", activation, f"one of {', '.join(map(repr, ACTIVATIONS))}", of="MLP")
        layers: list[nn.Module] = []
        width = n_features
        for units in hidden_layer_sizes:
            layers += [_Linear(width, units), ACTIVATIONS[activation]()]
            layers += [Dropout(dropout)] if dropout else []
            width = units
        super().__init__(*layers, _Linear(width, n_classes))

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
        for layer in self:
            if isinstance(layer, nn.Linear):
                x = x @ layer.weight.detach().numpy().T.astype(x.dtype) + layer.bias.detach().numpy()
            elif not isinstance(layer, Dropout):
                x = _NUMPY_ACTIVATIONS[type(layer)](x)
        return x
