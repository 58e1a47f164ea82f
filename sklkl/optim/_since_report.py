"""What was measured of the steps since it was last asked for."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from sklkl.optim._rule import as_array, as_tensor


class SinceReport:
    """The mean KL of the steps that were measured and how many were rejected, of each network of a stack."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._sum_kl, self._n_kl, self._n_rejected = np.zeros(()), np.zeros((), int), np.zeros((), int)

    def measure(self, kl: np.ndarray, networks: np.ndarray) -> None:
        """Add the divergence of a step of some networks."""
        self._sum_kl, self._n_kl = self._sum_kl + np.where(networks, kl, 0.0), self._n_kl + networks

    def reject(self, networks: np.ndarray) -> None:
        """Count a step of some networks that went too far or was not finite."""
        self._n_rejected = self._n_rejected + networks

    def take(self) -> dict[str, float]:
        """Return the figures of all networks together, and forget them."""
        return _report(*(float(values.sum()) for values in self._take()))

    def take_each(self, stack: tuple[int, ...]) -> list[dict[str, float]]:
        """Return the figures of each network, and forget them."""
        return [_report(*row) for row in zip(*(np.broadcast_to(v, stack).tolist() for v in self._take()), strict=True)]

    def _take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        measured = self._sum_kl, self._n_kl, self._n_rejected
        self._forget()
        return measured

    def state(self) -> list[Tensor]:
        """Return the figures for a state."""
        return [as_tensor(values) for values in (self._sum_kl, self._n_kl, self._n_rejected)]

    def load(self, state: list[Tensor]) -> None:
        """Resume from a state."""
        self._sum_kl, self._n_kl, self._n_rejected = map(as_array, state)


def _report(kl: float, n_measured: float, n_rejected: float) -> dict[str, float]:
    return {"step_kl": kl / n_measured if n_measured else math.nan, "rejected_steps": int(n_rejected)}
