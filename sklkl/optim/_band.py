"""The rule "band" of reinforcement learning: keep the divergence of every step within a band."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from sklkl._utils.checks import check_number, invalid
from sklkl.optim._rule import Rule


class Band(Rule):
    """Divide the rate by a factor after a step that moved too far, multiply it after one that moved too little.

    Too far is more than twice ``kl_target``, too little less than half of it. A step that moved further than ``guard``
    times its target is shortened as well.

    Parameters
    ----------
    total_steps : int or None, default=None
        Not used: this rule never ends.
    kl_target : float > 0 or None, default=None
        Divergence of a step in nats a row; None is 0.01.
    factor : float > 1, default=1.5
        By which the rate changes.
    bounds : pair of float > 0, default=(1e-6, 1e-2)
        Least and largest rate.
    guard : float > 2, default=8.0
        How many times its target a step may move before it is shortened; ``inf`` shortens none, as in the packages
        below.

    References
    ----------
    The rule is that of proximal policy optimisation with an adaptive penalty, applied to the rate: Heess et al.
    (2017), Emergence of Locomotion Behaviours in Rich Environments, arXiv:1707.02286; Schulman et al. (2017),
    Proximal Policy Optimization Algorithms, arXiv:1707.06347. Factor and bounds are those of the schedulers of skrl
    and rl_games, whose ``kl_target`` is 0.008.

    Examples
    --------
    >>> from sklkl.optim import Band
    >>> Band(kl_target=0.02).target
    0.02
    """

    def __init__(
        self,
        total_steps: int | None = None,
        kl_target: float | None = None,
        factor: float = 1.5,
        bounds: tuple[float, float] = (1e-6, 1e-2),
        guard: float = 8.0,
    ) -> None:
        super().__init__(total_steps, kl_target)
        check_number("factor", factor, "a finite number > 1", above=1, of="Band")
        if guard != math.inf:
            check_number("guard", guard, "a number > 2, or inf", above=2, of="Band")
        if not _is_range(bounds):
            raise invalid("bounds", bounds, "two finite numbers > 0, the least and the largest rate", "Band")
        self.kl_target: float = 0.01 if kl_target is None else kl_target
        self.factor: float = factor
        self.bounds: tuple[float, float] = bounds
        self.guard: float = guard

    @property
    def target(self) -> float:
        """The divergence that is wanted of every step."""
        return self.kl_target

    @property
    def largest_kl(self) -> float:
        """The largest divergence that is accepted of a step."""
        return self.guard * self.target

    def record(self, kl: np.ndarray, rate: np.ndarray, known: np.ndarray | bool = True) -> None:
        """Change the rate by the factor where the step was outside of the band."""
        up, down = kl < self.target / 2, kl > self.target * 2
        self.set_rate(np.clip(rate * self.factor ** (up.astype(float) - down), *self.bounds), known)


def _is_range(bounds: Any) -> bool:
    pair = isinstance(bounds, tuple | list) and len(bounds) == 2 and all(isinstance(rate, Real) for rate in bounds)
    return pair and 0 < bounds[0] <= bounds[1] < math.inf
