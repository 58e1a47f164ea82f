"""Penalties that need another forward pass, to see what a prediction owes to a dropout mask or a small change of x."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from sklkl.data import Batch, Rows
from sklkl.losses import expectation
from sklkl.modules import Dropout
from sklkl.penalties._base import Penalty, PenaltyNet

__all__ = ["RDrop", "VirtualAdversarial"]

_DROPOUT = (
    Dropout,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return KL(p‖q) of each row; entries where p is 0 are ignored."""
    return expectation(log_p.exp(), log_p - log_q)


class RDrop(Penalty):
    """½ [KL(p‖p') + KL(p'‖p)]: p and p' are one row's predictions under two dropout masks.

    One more forward pass a step. The data fit is that of the first mask, which on average is that of both.

    References
    ----------
    Liang et al. (2021), R-Drop: Regularized Dropout for Neural Networks, arXiv:2106.14448, equation 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.penalties import RDrop
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = KLClassifier(kl_penalty=RDrop(), kl_strength=0.1, max_epochs=5)
    >>> clf = clf.fit(X, y)
    >>> "train_kl_penalty" in clf.history_[-1]
    True
    """

    needs_net = True

    def check_net(self, net: PenaltyNet) -> None:
        """Check that two passes can differ.

        Raises
        ------
        ValueError
            If the network has no dropout: the penalty would be zero.
        """
        if not any(isinstance(layer, _DROPOUT) and layer.p for layer in net.module_.modules()):
            raise ValueError("The penalty 'rdrop' compares two dropout masks, but the network has no dropout.")

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row in nats, of shape (..., n_rows)."""
        x, net = _inputs(batch, net)
        again = net.log_proba(x, training=True)
        return (_kl(log_proba, again) + _kl(again, log_proba)) / 2


class VirtualAdversarial(Penalty):
    """KL(p(x)‖p(x + r)): r is the change of x, of length ``epsilon``, that moves the prediction most.

    Labels are not needed, so rows without any count too. Both predictions are made in evaluation mode: without
    dropout, and with the statistics of batch normalisation as they are. Two more forward passes, and for each
    iteration one more, with as many backward passes but one.

    Parameters
    ----------
    epsilon : float > 0, default=0.5
        Length of r: for the built-in network in the units by which it scales its inputs, else in those of x, whose
        features should be on one scale.
    xi : float > 0, default=1e-2
        Length of the step that measures the curvature.
    n_iterations : int >= 1, default=1
        Power iterations towards the direction of largest curvature.

    References
    ----------
    Miyato, Maeda, Koyama and Ishii (2018), Virtual Adversarial Training, arXiv:1704.03976, section 3.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.penalties import VirtualAdversarial
    >>> X, y = load_iris(return_X_y=True)
    >>> penalty = VirtualAdversarial()
    >>> clf = KLClassifier(kl_penalty=penalty, kl_strength=0.5, max_epochs=5)
    >>> clf.fit(X[::5], y[::5], X_unlabeled=X).predict_proba(X).shape
    (150, 3)
    """

    needs_net = True
    uses_unlabeled = True

    def __init__(self, epsilon: float = 0.5, xi: float = 1e-2, n_iterations: int = 1) -> None:
        self.epsilon = epsilon
        self.xi = xi
        self.n_iterations = n_iterations

    def fit(self, rows: Rows, n_classes: int) -> Self:
        """Check the parameters; nothing is learned from the rows.

        Raises
        ------
        ValueError
            If a length is not a positive finite number or ``n_iterations`` no positive whole number.
        """
        for name in ("epsilon", "xi"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 < float(value) < math.inf):
                raise ValueError(f"The {name!r} parameter of VirtualAdversarial must be a float > 0. Got {value!r}.")
        if not (isinstance(self.n_iterations, Integral) and self.n_iterations >= 1):
            raise ValueError(
                f"The 'n_iterations' parameter of VirtualAdversarial must be an int >= 1. Got {self.n_iterations!r}."
            )
        return self

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row in nats, of shape (..., n_rows)."""
        x, net = _inputs(batch, net)
        if not (isinstance(x, Tensor) and x.is_floating_point()):
            found = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"The penalty 'vat' moves x, which must be floating. Got {found}.")
        with torch.no_grad():
            before = net.log_proba(x, training=False)
        direction, units = _unit(net.noise(x)), net.units(x)
        for _ in range(self.n_iterations):
            direction = _unit(self._curvature(x, direction, before, net, units))
        return _kl(before, net.log_proba(x + self.epsilon * direction * units, training=False))

    def _curvature(
        self, x: Tensor, direction: Tensor, before: Tensor, net: PenaltyNet, units: Tensor | float
    ) -> Tensor:
        """Return the gradient of the divergence at a small step in a direction."""
        step = (self.xi * direction).requires_grad_()
        divergence = _kl(before, net.log_proba(x + step * units, training=False)).sum()
        (gradient,) = torch.autograd.grad(divergence, step, allow_unused=True)
        if gradient is None:
            raise ValueError(
                "The penalty 'vat' moves x, but the network's output has no gradient in x, as with an Embedding or "
                "x.long()."
            )
        # where there is no direction the gradient is 0 but for rounding, which must not become one
        return gradient.masked_fill(_is_zero(direction), 0.0)


def _inputs(batch: Batch | None, net: PenaltyNet | None) -> tuple[Any, PenaltyNet]:
    """Return what another forward pass needs."""
    if batch is None or net is None:
        raise ValueError("The penalty needs another forward pass: pass the batch and the net.")
    return batch[0], net


def _unit(direction: Tensor) -> Tensor:
    """Return rows of length one; a row of zeros stays zero."""
    flat = direction.flatten(1)
    # divided by the largest entry first: squares of tiny gradients would vanish
    flat = flat / flat.abs().amax(1, keepdim=True).clamp(min=torch.finfo(flat.dtype).tiny)
    return (flat / flat.norm(dim=1, keepdim=True).clamp(min=torch.finfo(flat.dtype).tiny)).view_as(direction)


def _is_zero(direction: Tensor) -> Tensor:
    """Return which rows are zeros, of shape (n_rows, 1, ...)."""
    return ~direction.flatten(1).any(1).view(-1, *(1,) * (direction.ndim - 1))


ConsistencyName = Literal["rdrop", "vat"]

CONSISTENCY: dict[str, type[Penalty]] = {"rdrop": RDrop, "vat": VirtualAdversarial}
