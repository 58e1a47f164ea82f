"""The rule "polyak": the rate from the divergence between target and output."""

from __future__ import annotations

import math

import numpy as np

from sklkl._utils.checks import check_integer, check_number
from sklkl.optim._rule import Rule, bounded


class Polyak(Rule):
    """Take the step that would bring the loss to nothing if the loss were linear, divided by ``c``.

    The loss is the divergence between target and output: KL(target‖output), whose least value is 0 as this rule
    requires, or cross-entropy, which is the same for labels. For plain SGD the rate is ``loss / (c * |gradient|²)``;
    for other optimisers the gradient's square becomes the product of gradient and step. The rate grows by at most
    ``growth`` a step, which caps it where the gradient vanishes.

    Parameters
    ----------
    total_steps : int or None, default=None
        Not used: this rule never ends.
    kl_target : float > 0 or None, default=None
        Every ``guard_every`` steps one is measured, and shortened if it moved the predictions by more than 8 times this
        many nats a row; None is 0.05.
    c : float > 0, default=1.0
        Divisor of the rate.
    growth : float > 1, default=1.1
        Largest factor from one rate to the next.
    guard_every : int >= 1, default=20
        Every how many steps one is measured.

    References
    ----------
    Loizou et al. (2021), Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence,
    arXiv:2002.10542.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.optim import Polyak
    >>> rule = Polyak(c=2.0, growth=10.0)
    >>> rule.start(np.array(0.1), n_classes=2, n_outputs=1)
    >>> rule.choose(loss=np.array(0.6), slope=np.array(4.0))
    >>> float(rule.rate.round(3))
    0.075
    """

    needs_slope = True

    def __init__(
        self,
        total_steps: int | None = None,
        kl_target: float | None = None,
        c: float = 1.0,
        growth: float = 1.1,
        guard_every: int = 20,
    ) -> None:
        super().__init__(total_steps, kl_target)
        check_number("c", c, "a finite number > 0", above=0, of="Polyak")
        check_number("growth", growth, "a finite number > 1", above=1, of="Polyak")
        check_integer("guard_every", guard_every, 1, of="Polyak")
        self.kl_target: float = 0.05 if kl_target is None else kl_target
        self.c: float = c
        self.growth: float = growth
        self.guard_every: int = guard_every

    @property
    def measures(self) -> bool:
        """Whether the coming step is to be measured."""
        return self.n_steps % self.guard_every == 0

    @property
    def target(self) -> float:
        """An eighth of the divergence beyond which a step is shortened."""
        return self.kl_target

    @property
    def largest_kl(self) -> float:
        """The largest divergence that is accepted of a step."""
        return 8 * self.target

    def choose(self, loss: np.ndarray, slope: np.ndarray, usable: np.ndarray | bool = True) -> None:
        """Set the rate of networks that are usable, where a step at rate 1 lowers the loss by ``slope`` at first."""
        largest = self.log_rate + math.log(self.growth)
        wanted = np.log(np.maximum(loss, 1e-300)) - np.log(np.maximum(self.c * slope, 1e-300))
        chosen = bounded(np.minimum(np.where(slope > 0, wanted, largest), largest))
        self.log_rate = np.where(usable, chosen, self.log_rate)

    def record(self, kl: np.ndarray, rate: np.ndarray, known: np.ndarray | bool = True) -> None:
        """Take the rate at which the step was accepted."""
        self.set_rate(rate, known)
