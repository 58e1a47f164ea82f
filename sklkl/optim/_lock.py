"""The rule "lock": find the rate by the divergence of early steps, then keep it and anneal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sklkl._utils.checks import check_integer, check_number
from sklkl.optim._rule import Rule, as_array, as_tensor, bounded, clipped
from sklkl.optim._validation import warn_of_more_steps

# Steps of training that are assumed where their number is unknown.
_HORIZON = 50
# Predictions are saturated if KL(p‖uniform) is more than this share of what it can be, and wrong if the loss is more
# than this many times that of equal probabilities.
_SATURATED, _WRONG = 0.9, 2.0
# Least target where the best epoch is kept, in nats, for log(n_classes) = 1 and a batch of one row, and the rows of a
# batch up to which it grows.
LEAST_TARGET, _MOST_ROWS = 0.002 / math.sqrt(128), 1024


class Lock(Rule):
    """Raise the rate until a step moves the predictions by ``kl_target``, lock it, and let it decline.

    Over the first ``rise`` of training the rate is steered so that the root of the step's KL grows linearly to that
    of ``kl_target``. The first step gets the largest of a fixed grid of rates at which it does not move further than
    its target. As its KL grows with the rate, nothing depends on the initial rate: networks that differ only in it
    end up the same. Then the rate is locked at the geometric mean of what was found in the second half of the rise,
    and declines along half a cosine to nothing; if the number of steps is unknown, with one over the root of the
    steps. A step that is measured and moves further than 8 times its target is shortened, throughout.

    Where held-out rows choose the epoch that is kept, going too far costs nothing in the end. The target then does not
    become ever smaller as training becomes longer.

    Where the predictions are saturated from the beginning, as on unscaled inputs, a step of a few nats is a small one
    among many: a target is then larger by the square of ``loss / (2 * log(n_classes))``, while that is more than 1.

    Parameters
    ----------
    total_steps : int or None, default=None
        Number of steps in training; None if it is not known, as in a stream, whose target is that of 50 steps.
    kl_target : float > 0 or None, default=None
        Divergence at the end of the rise, in nats a row. None takes ``(0.8 * log(n_classes)**3 + 30 / total_steps) /
        total_steps`` for each distribution, but at most ``0.15 * log(n_classes)``: the longer the training, the smaller
        a step can be, and the more classes, the further the predictions have to go. With ``keeps_best`` it is no less
        than ``0.002 * sqrt(min(batch_size, 1024) / 128) * log(n_classes)**2``.
    rise : float in (0, 1], default=0.2
        Share of training in which the rate is found; at least 10 steps. 10 steps if the number is unknown.
    n_measured : int >= 1, default=20
        About how many of the steps of the rise are measured, beside the first five.
    guard_every : int >= 1, default=50
        After the rise, every how many steps one is measured.
    keeps_best : bool, default=False
        Whether the weights of the best epoch by held-out rows are kept.
    batch_size : int >= 1, default=128
        Rows of a step.

    Warns
    -----
    UserWarning
        If more steps are taken than ``total_steps``.

    Examples
    --------
    >>> from sklkl.optim import Lock
    >>> rule = Lock(total_steps=1000)
    >>> rule.n_rise, rule.every
    (200, 10)
    """

    searches = True
    automatic: float
    chance: float
    saturated: np.ndarray
    sum_peaks: np.ndarray
    n_peaks: np.ndarray
    peak: np.ndarray

    def __init__(
        self,
        total_steps: int | None = None,
        kl_target: float | None = None,
        rise: float = 0.2,
        n_measured: int = 20,
        guard_every: int = 50,
        keeps_best: bool = False,
        batch_size: int = 128,
    ) -> None:
        super().__init__(total_steps, kl_target)
        check_number("rise", rise, "a number > 0 and <= 1", above=0, high=1, of="Lock")
        check_integer("n_measured", n_measured, 1, of="Lock")
        check_integer("guard_every", guard_every, 1, of="Lock")
        check_integer("batch_size", batch_size, 1, of="Lock")
        self.kl_target = kl_target
        self.excess: np.ndarray = np.ones(())
        self.n_rise: int = max(10, int(rise * (total_steps or _HORIZON)))
        self.every: int = max(1, round(self.n_rise / n_measured))
        self.guard_every = guard_every
        self.keeps_best, self.batch_size = keeps_best, batch_size

    def start(self, rates: np.ndarray, n_classes: int, n_outputs: int) -> None:
        """Begin at these rates, for networks that give ``n_outputs`` distributions over ``n_classes`` a row."""
        super().start(rates, n_classes, n_outputs)
        self.automatic = n_outputs * self._automatic(n_classes)
        self.chance = n_outputs * math.log(max(2, n_classes))
        self.saturated = np.zeros_like(self.is_new)
        self.sum_peaks, self.n_peaks = np.zeros_like(self.log_rate), np.zeros_like(self.log_rate)
        self.peak = np.exp(self.log_rate)

    def _automatic(self, n_classes: int) -> float:
        # one class has no target of its own, as nothing ever moves
        log_k, steps = math.log(max(2, n_classes)), self.total_steps or _HORIZON
        # few steps go the same way, so the divergence of all together grows with the square of their number
        least = LEAST_TARGET * math.sqrt(min(self.batch_size, _MOST_ROWS)) * log_k**2 if self.keeps_best else 0.0
        return min(0.15 * log_k, max(least, (0.8 * log_k**3 + 30 / steps) / steps))

    @property
    def peak_target(self) -> float:
        """The divergence that is wanted at the peak."""
        return self.automatic if self.kl_target is None else self.kl_target

    @property
    def rises(self) -> bool:
        """Whether the rate is still being found."""
        return self.n_steps < self.n_rise

    @property
    def measures(self) -> bool:
        """Whether the coming step is to be measured."""
        return self.n_steps < 5 or self.n_steps % (self.every if self.rises else self.guard_every) == 0

    @property
    def rate(self) -> np.ndarray:
        """The rate of the coming step."""
        return np.exp(self.log_rate) if self.rises else self.peak * self._decline()

    @property
    def blind_rate(self) -> np.ndarray:
        """The rate of a step that is not measured: 0 while only the initial rate is known, which may be any."""
        return np.where(self.is_new, 0.0, self.rate) if self.is_new.any() else self.rate

    @property
    def found(self) -> np.ndarray:
        """The rate at the peak, as far as it is known."""
        if not self.rises:
            return self.peak
        return self._mean_peak(self.log_rate - math.log(self._ramp(self.n_steps)))

    @property
    def looks(self) -> bool:
        """Whether `see` is to be called: at first, and as long as a network had saturated predictions then."""
        return bool((self.is_new | self.saturated).any())

    def see(self, loss: np.ndarray, sure: np.ndarray) -> None:
        """Learn whether the predictions of new networks are saturated, and whether those that were are still wrong."""
        self.saturated = np.where(self.is_new, sure > _SATURATED * self.chance, self.saturated)
        # whatever the loss, the target is finite: of NaN and 1 np.fmax returns 1
        excess = np.minimum(np.fmax(loss / (_WRONG * self.chance), 1.0), 1e3) ** 2
        self.excess = np.where(self.saturated, excess, 1.0)

    @property
    def target(self) -> np.ndarray:
        """The divergence that is wanted of the coming step."""
        return self.peak_target * self._ramp(self.n_steps) ** 2 * self.excess

    @property
    def largest_kl(self) -> np.ndarray:
        """The largest divergence that is accepted of the coming step."""
        return 8 * self.target

    def record(self, kl: np.ndarray, rate: np.ndarray, known: np.ndarray | bool = True) -> None:
        """Steer: the error of the rate is half that of the KL, in logarithms; a fifth of it is corrected at once."""
        if not self.rises:
            # a network that could take no step before has found its peak only now
            self.peak = np.where(self.is_new & known, rate, self.peak)
            return
        error = 0.5 * (np.log(self.target) - np.log(np.maximum(kl, 1e-300)))
        self.set_rate(rate, known)
        if self.n_steps >= self.n_rise / 2:
            peak = self.log_rate - math.log(self._ramp(self.n_steps))
            self.sum_peaks, self.n_peaks = self.sum_peaks + np.where(known, peak, 0.0), self.n_peaks + known
        self.log_rate = bounded(self.log_rate + np.where(known, clipped(0.2 * error, -3.0, math.log(1.25)), 0.0))

    def _mean_peak(self, otherwise: np.ndarray) -> np.ndarray:
        """Return the geometric mean of the peaks, or exp(otherwise) where there was none."""
        mean = self.sum_peaks / np.maximum(self.n_peaks, 1)
        return np.exp(bounded(np.where(self.n_peaks > 0, mean, otherwise)))

    def advance(self) -> None:
        """Go to the next step, with a rate that is proportional to the root of the target."""
        if self.n_steps == self.total_steps:
            warn_of_more_steps(self.total_steps, "a thousandth of its peak")
        self.n_steps += 1
        if self.rises:
            self.log_rate = bounded(self.log_rate + math.log(self._ramp(self.n_steps) / self._ramp(self.n_steps - 1)))
        elif self.n_steps == self.n_rise:
            self.peak = self._mean_peak(self.log_rate)

    def cut(self, factor: np.ndarray | float) -> None:
        """Multiply all rates from now on by a factor."""
        super().cut(factor)
        self.sum_peaks = self.sum_peaks + self.n_peaks * np.log(factor)
        self.peak = np.exp(bounded(np.log(self.peak) + np.log(factor)))

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step, in types that ``torch.load`` accepts."""
        peaks = {"sum": as_tensor(self.sum_peaks), "n": as_tensor(self.n_peaks), "mean": as_tensor(self.peak)}
        known = {"automatic": self.automatic, "chance": self.chance, "saturated": as_tensor(self.saturated)}
        return super().state_dict() | known | {"peaks": peaks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state, with this rule's own parameters."""
        super().load_state_dict(state)
        self.automatic, self.chance, peaks = state["automatic"], state["chance"], state["peaks"]
        self.saturated = as_array(state["saturated"])
        self.sum_peaks, self.n_peaks, self.peak = (as_array(peaks[name]) for name in ("sum", "n", "mean"))

    def _ramp(self, step: int) -> float:
        """Return the root of the share of the peak's target at a step, which is that of its rate too."""
        start = max(0.15, 10 / (10 + self.n_rise))
        return min(1.0, start + (1 - start) * (step + 1) / self.n_rise)

    def _decline(self) -> float:
        after = self.n_steps - self.n_rise
        if self.total_steps is None:
            return 1 / math.sqrt(1 + after / self.n_rise)
        share = min(1.0, after / max(1, self.total_steps - self.n_rise))
        return max(1e-3, (1 + math.cos(math.pi * share)) / 2)
