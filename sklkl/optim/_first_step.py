"""The search for the rate of the first step, whose result does not depend on where it began."""

from __future__ import annotations

import math

import numpy as np

from sklkl.optim._rule import LARGEST_RATE, LEAST_RATE, clipped

# Rates of the grid grow by this factor, which is 19 % in KL.
_LOG_FACTOR = math.log(2) / 8
_LEAST, _LARGEST = round(math.log(LEAST_RATE) / _LOG_FACTOR), round(math.log(LARGEST_RATE) / _LOG_FACTOR)
_LONGEST_JUMP = round(math.log(1e3) / _LOG_FACTOR)


class FirstStep:
    """Find the largest rate of a fixed grid whose step does not move further than its target.

    Where the divergence grows with the rate, the grid makes the result the same number, to the bit, whatever the rates
    it starts from. Each network of a stack has its own search.

    Parameters
    ----------
    rate : ndarray
        Where the search begins.
    """

    def __init__(self, rate: np.ndarray) -> None:
        self.at = np.clip(np.round(np.log(rate) / _LOG_FACTOR), _LEAST, _LARGEST)
        # the longest known to be near enough, and the shortest known to be too far
        self.near, self.far = np.full(rate.shape, _LEAST - 1.0), np.full(rate.shape, _LARGEST + 1.0)

    @property
    def rate(self) -> np.ndarray:
        """The rate to try next, or the one that was found."""
        return np.exp(_LOG_FACTOR * self.at)

    @property
    def ended(self) -> np.ndarray:
        """Of which networks there is nothing left to try."""
        return self.far - self.near == 1

    def tell(self, kl: np.ndarray, target: float | np.ndarray) -> None:
        """Learn the divergence of the step at `rate`; it grows with the square of the rate where that is small."""
        searches, too_far = ~self.ended, ~(kl <= target)
        self.far = np.where(searches & too_far, np.minimum(self.at, self.far), self.far)
        self.near = np.where(searches & ~too_far, np.maximum(self.at, self.near), self.near)
        with np.errstate(over="ignore"):  # infinitely far is clipped below
            jump = np.round(np.log(target / clipped(kl, 1e-300, 1e300)) / (2 * _LOG_FACTOR))
        jump = np.where(too_far, clipped(jump, -_LONGEST_JUMP, -1), clipped(jump, 1, _LONGEST_JUMP))
        tried, middle = self.at + jump, np.floor((self.near + self.far) / 2)
        tried = np.where((self.near < tried) & (tried < self.far), tried, middle)
        self.at = np.where(self.ended, np.maximum(self.near, _LEAST), tried)
