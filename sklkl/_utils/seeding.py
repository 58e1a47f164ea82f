"""Randomness that is a function of ``random_state`` alone and leaves every global state as it was."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

# torch has one global generator for the whole process, so only one training at a time may borrow it.
_borrowing = threading.RLock()


def _reset_after_fork() -> None:
    """Make training possible in a forked child, where the parent's other threads do not exist.

    One of them may have held the lock; torch would wait forever for its pool of them.
    """
    global _borrowing
    _borrowing = threading.RLock()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)


def local_random_state(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """Return a numpy generator; None gives fresh entropy where scikit-learn would use the global state."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def make_generator(random_state: int | np.random.RandomState | None) -> torch.Generator:
    """Return a torch generator on the CPU, seeded from ``random_state``."""
    seed = local_random_state(random_state).randint(np.iinfo(np.int64).max, dtype=np.int64)
    return torch.Generator().manual_seed(int(seed))


def seeded(part: Any, random_state: np.random.RandomState) -> Any:
    """Return an unfitted copy of an estimator, or of a splitter, with a seed wherever it has none.

    What is neither, or frozen, is returned as it is.
    """
    if isinstance(part, FrozenEstimator):
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


@contextmanager
def borrowed_global_state(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Seed torch's global state from ``generator`` and put the old state back at the end.

    For code that draws from the global state and offers nothing else: a user's own network, CUDA's dropout.
    """
    devices = [device] if device.type == "cuda" else []
    seed = int(torch.randint(2**62, (), generator=generator))
    with _borrowing, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed(seed)
        yield
