"""torch's global state: what a fit or a prediction relies on is set, and all of it is left as it was."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

import torch

from sklkl._utils.interrupts import insist
from sklkl._utils.seeding import use_one_thread_after_fork


class OwnTorchState:
    """Context for code that computes gradients, or that is to give the same numbers wherever it is called from.

    Gradients are enabled, inference mode and autocast are off, and tensors are made on the CPU, as in a fresh process.
    At the end, also after an error or interruption at any moment inside, everything is as it was.
    """

    def __enter__(self) -> Self:
        use_one_thread_after_fork()
        self.grad = torch.is_grad_enabled()
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


def _needed() -> list[Any]:
    """Return contexts for what is not as it should be; some are slow, so none is entered for nothing."""
    needed: list[Any] = [torch.autocast(kind, enabled=False) for kind in _DEVICES if torch.is_autocast_enabled(kind)]
    if torch.is_inference_mode_enabled():
        needed.append(torch.inference_mode(False))
    if torch.empty(0).device.type != "cpu":
        needed.append(torch.device("cpu"))
    return needed


_DEVICES = ("cpu", "cuda")
