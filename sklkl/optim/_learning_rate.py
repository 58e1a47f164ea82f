"""``LearningRate``: what sets the rate and takes an optimiser's steps, and all of them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import check_choice
from sklkl.modules import accepted
from sklkl.optim._adaptive import KLAdaptiveLR
from sklkl.optim._schedules import ConstantRate, OneCycle

LearningRateName = Literal["kl_adaptive", "onecycle", "constant"]


class LearningRate(Protocol):
    """What sets an optimiser's learning rate and takes its steps; a class with these methods needs no base.

    :class:`ConstantRate`, :class:`OneCycle` and :class:`KLAdaptiveLR` are such classes. A loop calls `step` after each
    ``backward``, in place of ``optimizer.step``, and `close` at its end.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import LearningRate, make_learning_rate
    >>> def train(net, rate: LearningRate, X, y, n_steps):  # with any of them
    ...     for _ in range(n_steps):
    ...         net.zero_grad()
    ...         loss = torch.nn.functional.cross_entropy(net(X), y)
    ...         loss.backward()
    ...         rate.step(loss, X)
    ...     rate.close()
    >>> _ = torch.manual_seed(0)
    >>> X, y = torch.randn(64, 3), torch.randint(2, (64,))
    >>> for name in ("constant", "onecycle", "kl_adaptive"):
    ...     net = torch.nn.Linear(3, 2)
    ...     optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    ...     rate = make_learning_rate(name, optimizer, total_steps=20, predict=net)
    ...     train(net, rate, X, y, n_steps=20)
    """

    @property
    def lr_(self) -> float | np.ndarray:
        """The rate, at its peak; for a stack of networks one for each."""
        ...

    def before_step(self) -> None:
        """Give the optimiser the rate of the coming step, as far as it is known; `step` does so itself.

        For loops that call ``optimizer.step(closure)`` themselves, which takes a rate that is known before the step.
        """
        ...

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
        """Take the optimiser's step.

        Parameters
        ----------
        loss : Tensor of shape ()
            The loss whose gradient the parameters have.
        x : object
            The inputs of this batch, as ``predict`` takes them.
        sample_weight : Tensor of shape (n_rows,) or None, default=None
            Weights of these rows.
        """
        ...

    def report(self) -> dict[str, float]:
        """Return what was measured since the last report, by name, for a history."""
        ...

    def cut(self, factor: float) -> None:
        """Multiply the rate of every step from now on by ``factor``."""
        ...

    def close(self) -> None:
        """Give the optimiser the rate that it is to have after training."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step; save the optimiser's own state beside it."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; the optimiser's own must be loaded before."""
        ...


LEARNING_RATES: dict[LearningRateName, Callable[..., LearningRate]] = {
    "constant": ConstantRate,
    "onecycle": OneCycle,
    "kl_adaptive": KLAdaptiveLR,
}


def make_learning_rate(
    learning_rate: LearningRateName,
    optimizer: Optimizer,
    total_steps: int | None,
    predict: Callable[[Any], Tensor] | None = None,
    kl_target: float | None = None,
    **rule_params: Any,
) -> LearningRate:
    """Return the learning rate of this name for an optimiser.

    Parameters
    ----------
    learning_rate : {"constant", "onecycle", "kl_adaptive"}
        A key of ``LEARNING_RATES``.
    optimizer : torch.optim.Optimizer
        The optimiser whose rate is to be set.
    total_steps : int or None
        Number of steps to come; None if it is not known.
    predict : torch.nn.Module or callable, default=None
        Returns logits, see :class:`KLAdaptiveLR`; the others do not use it.
    kl_target : float > 0 or None, default=None
        KL of a step, see :class:`KLAdaptiveLR`; the others do not use it.
    **rule_params : dict
        Further parameters of the rule of :class:`KLAdaptiveLR`, see :class:`Lock`; the others do not use them.

    Raises
    ------
    ValueError
        If the name is unknown, or :class:`KLAdaptiveLR` refuses a parameter.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import make_learning_rate
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    >>> type(make_learning_rate("onecycle", optimizer, total_steps=10)).__name__
    'OneCycle'
    """
    check_choice("learning_rate", learning_rate, LEARNING_RATES)
    made = LEARNING_RATES[learning_rate]
    # each is a class that names what it needs, as a network's class does
    params = {"optimizer": optimizer, "total_steps": total_steps, "predict": predict}
    return made(**accepted(made, **params, kl_target=kl_target, **rule_params))
