"""Randomness that is a function of ``random_state`` alone and leaves every global state as it was."""

from __future__ import annotations

import copy
import os
import threading
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from sklkl._utils.ranks import active_ranks

# torch has one global generator for the whole process, so only one training at a time may borrow it.
_borrowing = threading.RLock()


def _reset_after_fork() -> None:
    """Make a new lock in a forked child: another thread of the parent, which does not exist here, may hold the old."""
    global _borrowing
    _borrowing = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def local_random_state(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """Return a numpy generator; None gives fresh entropy where scikit-learn would use the global state.

    Processes that train together get one of the same seed.
    """
    found = np.random.RandomState() if random_state is None else check_random_state(random_state)
    if isinstance(random_state, Integral):
        return found
    ranks = active_ranks()
    return found if ranks is None else np.random.RandomState(ranks.seed(found.randint(2**31 - 1)))


def make_generator(random_state: int | np.random.RandomState | None) -> torch.Generator:
    """Return a torch generator on the CPU, seeded from ``random_state``."""
    seed = local_random_state(random_state).randint(np.iinfo(np.int64).max, dtype=np.int64)
    return torch.Generator().manual_seed(int(seed))


def seeded(part: Any, random_state: np.random.RandomState) -> Any:
    """Return an unfitted copy of an estimator, or of a splitter, with a seed wherever it has none.

    What is neither, or frozen, is returned as it is.
    """
    if isinstance(part, (FrozenEstimator, type)):
        return part
    if not hasattr(part, "get_params"):
        return _seeded_splitter(part, random_state)
    part = clone(part)
    free = [
        name for name, value in sorted(part.get_params().items()) if value is None and name.endswith("random_state")
    ]
    if free:
        part.set_params(**{name: random_state.randint(2**31 - 1) for name in free})
    return part


def _seeded_splitter(cv: Any, random_state: np.random.RandomState) -> Any:
    draws = getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True)
    if not (draws and hasattr(cv, "split")):
        return cv
    cv = copy.copy(cv)
    cv.random_state = random_state.randint(2**31 - 1)
    return cv


class BorrowedState:
    """Context that seeds torch's global state, see `borrowed_global_state`."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.seed = seed
        self.device = device if device.type == "cuda" else None
        self.is_held = False

    def __enter__(self) -> None:
        self.lock = _borrowing  # a fork makes another one
        try:
            with self.lock:  # no interruption strikes between its acquisition and its protection
                self.generators = [torch.default_generator, *self._on_device()]
                self.before = [generator.get_state() for generator in self.generators]
                self._hold()
            for generator in self.generators:
                generator.manual_seed(self.seed)
        except BaseException:
            self.give_back()
            raise

    def _hold(self) -> None:
        """Acquire the lock once more, to have it beyond the context."""
        try:
            self.lock.acquire()
        except BaseException:  # an interruption, which is raised after the call
            self.lock.release()
            raise
        self.is_held = True

    def _on_device(self) -> list[torch.Generator]:
        if self.device is None:
            return []
        number = torch.empty(0, device=self.device).device.index  # "cuda" is the current one
        return [torch.cuda.default_generators[number]]

    def __exit__(self, *error: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Put torch's state back, if that is not done yet: also for when an interruption struck on the way here."""
        if not self.is_held:
            return
        try:
            self.generators[0].set_state(self.before[0])
        finally:
            try:
                self.generators[-1].set_state(self.before[-1])
            finally:
                self.is_held = False
                self.lock.release()


def borrowed_global_state(generator: torch.Generator, device: torch.device) -> BorrowedState:
    """Return a context that seeds torch's global state from ``generator`` and puts the old state back at the end.

    For code that draws from the global state and offers nothing else: a user's own network, CUDA's dropout. Only one
    such context is open at a time in a process.
    """
    return BorrowedState(int(torch.randint(2**62, (), generator=generator)), device)
