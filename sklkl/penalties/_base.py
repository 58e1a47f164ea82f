"""The interface of a penalty."""

from __future__ import annotations

from typing import Any, Protocol, Self

import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from sklkl._utils.equality import same_value
from sklkl.data import Batch, Rows

__all__ = ["Penalty", "PenaltyNet"]


class PenaltyNet(Protocol):
    """What a penalty may use of the net that is trained, a :class:`sklkl.KLNet`.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network.
    generator_ : torch.Generator
        Source of everything random, on the CPU.

    Examples
    --------
    >>> from sklkl import KLNet
    >>> from sklkl.modules import MLP
    >>> net = KLNet(MLP, module__n_features=3, module__n_classes=2).initialize()
    >>> net.generator_.device
    device(type='cpu')
    """

    module_: nn.Module
    generator_: torch.Generator

    def log_proba(self, x: Tensor, training: bool) -> Tensor:
        """Return log-probabilities of inputs in nats, with dropout or without."""

    def noise(self, x: Tensor) -> Tensor:
        """Return standard normal numbers of the shape, type and device of inputs."""

    def units(self, x: Tensor) -> Tensor | float:
        """Return what is a moderate change of each column of inputs; 1 where the network does not know."""


class Penalty(BaseEstimator):
    """What is added to the data fit of each row; the base class of KL penalties.

    A penalty is a small scikit-learn object: constructor parameters are stored as they are, :meth:`fit` checks them
    and learns from the training rows, and a call returns one value a row, in nats, without any mean.

    Attributes
    ----------
    needs_net : bool
        Whether a call needs another forward pass, and so the net as its third argument.
    uses_unlabeled : bool
        Whether rows without a label (class code -100) carry the penalty too.

    Examples
    --------
    >>> import torch
    >>> from sklkl.penalties import Penalty
    >>> class Gini(Penalty):
    ...     def __call__(self, log_proba, batch, net=None):
    ...         return log_proba.exp().square().sum(-1) - 1 / log_proba.shape[-1]
    >>> Gini()(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log(), None)
    tensor([0.0000, 0.5000])
    """

    needs_net: bool = False
    uses_unlabeled: bool = False

    def fit(self, rows: Rows, n_classes: int) -> Self:
        """Check the parameters and learn from the training rows; by default there is nothing to do.

        Parameters
        ----------
        rows : Rows
            Training rows.
        n_classes : int
            Number of classes; 2 for a multilabel target, whose labels are on or off.

        Returns
        -------
        self : Penalty
            The fitted penalty.
        """
        return self

    def partial_fit(self, rows: Rows, n_classes: int) -> Self:
        """Learn from further rows of a stream; by default there is nothing to do. See :meth:`fit`."""
        return self

    def check_net(self, net: PenaltyNet) -> None:
        """Raise a ValueError if the penalty does not suit a net; called once before training."""

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        """Return the penalty of each row.

        Parameters
        ----------
        log_proba : Tensor of shape (..., n_rows, n_classes), or (n_rows, n_labels, 2) for a multilabel target
            Log-probabilities in nats.
        batch : Batch or None
            The rows; only some penalties look at them.
        net : KLNet or None
            The net, where ``needs_net`` is true.

        Returns
        -------
        Tensor of shape (..., n_rows), or (n_rows, n_labels)
            Penalties in nats.
        """
        raise NotImplementedError

    def has_parameters_of(self, other: Penalty) -> bool:
        """Return whether another penalty, fitted or not, is of this kind and has the same parameters, by value."""
        own, others = self._settings(), other._settings()
        same = (name in others and same_value(value, others[name]) for name, value in own.items())
        return type(self) is type(other) and all(same)

    def _settings(self) -> dict[str, Any]:
        """Return what tells this penalty from others of its class."""
        return self.get_params()
