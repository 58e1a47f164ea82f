"""Further forward passes of networks that the engine trains, for penalties that need some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from sklkl._engine import AutogradPasses, MLPStack
from sklkl.data import Batch
from sklkl.modules import label_log_proba, log_softmax
from sklkl.net._stack_batches import drawn_in_turn
from sklkl.penalties import Confidence, Penalty, PenaltyNet, RDrop, adapted


def is_own(penalty: Any) -> bool:
    """Whether a penalty is one of this package, of which the engine knows what they do."""
    return type(penalty).__module__ in (Confidence.__module__, RDrop.__module__)


def looks_at_rows(penalty: Any) -> bool:
    """Whether a penalty may use a batch's inputs for more than the same pass again, so that they must come as given."""
    return not is_own(penalty) or (penalty.needs_net and type(penalty) is not RDrop)


def needs_passes(net: Any, penalty: Any) -> bool:
    """Whether a net with this penalty, fitted or not, needs another forward pass."""
    return bool(net.kl_strength) and adapted(penalty).needs_net


class StackPasses:
    """What a penalty is given for a net while a stack is trained: the rows of all networks are as those of one.

    See :class:`sklkl.penalties.PenaltyNet`.

    Parameters
    ----------
    stack : MLPStack
        The networks.
    drawing, scaling : sequence of KLNet
        Whose random numbers, and whose scales of inputs, are those of all networks, or of each its own.
    """

    def __init__(self, stack: MLPStack, drawing: Sequence[Any], scaling: Sequence[Any]) -> None:
        self._stack, self._passes = stack, AutogradPasses(stack)
        self._drawing, self._scaling = drawing, scaling
        self._dropouts = [net.module_.dropouts() for net in drawing]
        self._scalings = [net.module_.scaling for net in scaling]
        self._multilabel = drawing[0].multilabel

    def begin(self, given: Tensor, ready: Tensor) -> None:
        """Take a batch's rows: as they were given, and as they are for the networks.

        Parameters
        ----------
        given : Tensor of shape (n_rows, n_features) or (n_networks, n_rows, n_features)
            Inputs, the same for all networks or inputs for each.
        ready : Tensor of shape (n_rows, n_inputs) or (n_networks, n_rows, n_inputs)
            The same on the scale of the first linear layer.
        """
        self._given, self._ready = given, ready

    def take(self, x: Tensor, as_given: bool) -> Tensor:
        """Take a batch's rows, which are scaled or as they were given, and return them scaled."""
        with torch.no_grad():
            ready = self.scaled(x) if as_given else x
        self.begin(x, ready)
        return ready

    def scaled(self, x: Tensor) -> Tensor:
        """Return inputs, of shape (..., n_rows, n_features), on the scale of the first linear layer."""
        if self._scalings[0] is None:
            return x
        if len(self._scalings) == 1:
            scaled: Tensor = self._scalings[0](x.reshape(-1, x.shape[-1]))
            return scaled.view(*x.shape[:-1], -1)
        return torch.stack([scaling(own) for scaling, own in zip(self._scalings, x, strict=True)])

    def penalties(self, penalty: Penalty, log_proba: Tensor) -> Tensor:
        """Return what a penalty says of the batch that was taken last.

        Parameters
        ----------
        penalty : Penalty
            The penalty.
        log_proba : Tensor of shape (..., n_rows, n_classes), or (..., n_rows, n_labels, 2) for a multilabel target
            Log-probabilities in nats, of each network.

        Returns
        -------
        Tensor of shape (..., n_rows), or (..., n_rows, n_labels)
            Penalties in nats.
        """
        every = self._given.expand(self._stack.n_networks, *self._given.shape[-2:])
        # what asks for the same pass again only hands them back, so they need not be copied for each network
        self._x = every.flatten(0, 1) if looks_at_rows(penalty) else self._given
        rows = log_proba.reshape(-1, *log_proba.shape[-2 if self._multilabel else -1 :])
        # the penalties of this package use no more of a net than what is here
        values = penalty(rows, Batch(self._x, None), cast(PenaltyNet, self))
        return values.reshape(log_proba.shape[:-1])

    def add_gradient(self) -> None:
        """Add the gradient of the passes of this step to that of the stack."""
        self._passes.add_gradient()

    # As a net

    def log_proba(self, x: Tensor, training: bool) -> Tensor:
        """Return log-probabilities in nats of the rows of all networks, with dropout or without."""
        ready = self._ready if x is self._x else self.scaled(self._of_each(x))
        logits = self._passes.forward(ready, self._masks() if training else None).flatten(0, 1)
        return label_log_proba(logits) if self._multilabel else log_softmax(logits)

    def noise(self, x: Tensor) -> Tensor:
        """Return standard normal numbers, of the shape and type of the rows of all networks."""
        each = self._of_each(x)
        own = torch.stack([net.noise(each[0]) for net in self._drawing])
        return own.expand_as(each).flatten(0, 1)

    def units(self, x: Tensor) -> Tensor | float:
        """Return what is a moderate change of each column, of the rows of all networks."""
        if self._scalings[0] is None:
            return 1.0
        own = torch.stack([net.units(x) for net in self._scaling])
        return own[:, None].expand_as(self._of_each(x)).flatten(0, 1)

    def _of_each(self, x: Tensor) -> Tensor:
        return x.unflatten(0, (self._stack.n_networks, -1))

    def _masks(self) -> list[Tensor] | None:
        n_rows, units = self._given.shape[-2], self._stack.sizes[1:-1]
        return drawn_in_turn(self._dropouts, n_rows, units, self._stack.flat) if self._dropouts[0] else None
