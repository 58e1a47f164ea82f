"""Global state of torch and NumPy: what a fit or a prediction needs is set, and left as it was, interrupted or not."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import torch

_is_fresh_fork = False


def _note_fork() -> None:
    global _is_fresh_fork
    _is_fresh_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def use_one_thread_after_fork() -> None:
    """Set torch to one thread if this is a forked child, where it would wait forever for its parent's pool of them.

    To be called before torch works: children that use nothing of this package keep their setting.
    """
    global _is_fresh_fork
    if _is_fresh_fork:
        torch.set_num_threads(1)
        _is_fresh_fork = False


def insist(step: Callable[[], object]) -> bool:
    """Take a step; if it is interrupted, take it again from its beginning, and return True.

    For short steps whose repetition does no harm.
    """
    try:
        step()
    except KeyboardInterrupt:
        insist(step)
        return True
    return False


def usable(device: str | torch.device) -> torch.device:
    """Return a device if this machine has it, else the CPU."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        return torch.device("cpu")
    return torch.device(device)


class OwnTorchState:
    """Context for code that computes gradients, or that is to give the same numbers wherever it is called from.

    Gradients are enabled, inference mode and autocast are off, and tensors are made on the CPU, as in a fresh process.
    At the end, also after an error or interruption at any moment inside, everything is as it was, and so is what NumPy
    warns of: an interruption that strikes while a ``numpy.errstate`` begins or ends leaves that changed.
    """

    def __enter__(self) -> Self:
        use_one_thread_after_fork()
        self.grad, self.errors = torch.is_grad_enabled(), np.geterr()
        self.contexts = ExitStack()
        for context in _needed():
            self.contexts.enter_context(context)
        torch.set_grad_enabled(True)
        return self

    def __exit__(self, *error: object) -> None:
        if insist(self._restore):
            raise KeyboardInterrupt

    def _restore(self) -> None:
        self.contexts.close()
        torch.set_grad_enabled(self.grad)
        np.seterr(**self.errors)


def _needed() -> list[Any]:
    """Return contexts for what is not as it should be; some are slow, so none is entered for nothing."""
    needed: list[Any] = [torch.autocast(kind, enabled=False) for kind in _DEVICES if torch.is_autocast_enabled(kind)]
    if torch.is_inference_mode_enabled():
        needed.append(torch.inference_mode(False))
    if torch.empty(0).device.type != "cpu":
        needed.append(torch.device("cpu"))
    return needed


_DEVICES = ("cpu", "cuda")
