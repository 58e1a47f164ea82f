"""How far a student's probabilities are from its teacher's: one value a row, in nats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from sklkl._utils.checks import invalid, invalid_input
from sklkl.distillation._temperature import soften
from sklkl.losses import expectation
from sklkl.modules import log_softmax

__all__ = ["DISTILL_DIVERGENCES", "DISTILL_ROWS", "DistillDivergence", "DistillRows", "Distillation"]

DistillDivergence = Literal["forward_kl", "js", "reverse_kl"]
DistillRows = Literal["all", "unlabeled"]

# Which rows of a training set carry the distillation term.
DISTILL_ROWS = get_args(DistillRows)

# The reverse KL is infinite wherever the teacher gives a class probability zero, as forests do; a share of the uniform
# distribution, mixed into the teacher, keeps the loss and its gradient bounded.
_TEACHER_SMOOTHING = 1e-3


def _forward_kl(p: Tensor, log_q: Tensor) -> Tensor:
    return expectation(p, p.log() - log_q)


def _reverse_kl(p: Tensor, log_q: Tensor) -> Tensor:
    share = _TEACHER_SMOOTHING * p.sum(-1, keepdim=True) / p.shape[-1]
    return expectation(log_q.exp(), log_q - ((1 - _TEACHER_SMOOTHING) * p + share).log())


def _js(p: Tensor, log_q: Tensor) -> Tensor:
    q = log_q.exp()
    log_m = ((p + q) / 2).clamp(min=torch.finfo(p.dtype).tiny).log()
    return (expectation(p, p.log() - log_m) + expectation(q, log_q - log_m)) / 2


@lru_cache(maxsize=8)
def _index(codes: tuple[int, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is made in that mode can never be trained with
        return torch.tensor(codes, device=device)


DISTILL_DIVERGENCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "forward_kl": _forward_kl,
    "js": _js,
    "reverse_kl": _reverse_kl,
}


@dataclass(frozen=True)
class Distillation:
    """``T² · divergence(teacher, student)`` of each row, both at temperature T.

    The factor T² keeps the gradient's size: that of the divergence itself falls with 1 / T².

    Parameters
    ----------
    divergence : {"forward_kl", "js", "reverse_kl"}, default="forward_kl"
        KL(teacher‖student), the Jensen-Shannon divergence, or KL(student‖teacher) with 0.1 % of the uniform
        distribution mixed into the teacher, which would else be infinite where the teacher has a zero.
    temperature : float > 0, default=1.0
        T.
    classes : sequence of int or None, default=None
        Codes of the classes that the teacher knows; the student is renormalised over them. None: all.

    Raises
    ------
    ValueError
        If a parameter is none of these.

    References
    ----------
    Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network, arXiv:1503.02531, section 2.

    Examples
    --------
    >>> import torch
    >>> from sklkl.distillation import Distillation
    >>> Distillation()(torch.zeros(2, 2), torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    tensor([0.0000, 0.6931])
    """

    divergence: DistillDivergence = "forward_kl"
    temperature: float = 1.0
    classes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not any(self.divergence == name for name in DISTILL_DIVERGENCES):
            allowed = f"one of {', '.join(map(repr, DISTILL_DIVERGENCES))}"
            raise invalid("divergence", self.divergence, allowed, of="Distillation")
        if not (isinstance(self.temperature, Real) and 0 < self.temperature < math.inf):
            raise invalid("temperature", self.temperature, "a finite number > 0", of="Distillation")
        codes = np.asarray([0] if self.classes is None else self.classes)
        if codes.dtype.kind not in "iu" or codes.ndim != 1 or len(np.unique(codes)) < len(codes) or codes.min() < 0:
            allowed = "different class codes, whole numbers from 0, or None"
            raise invalid("classes", self.classes, allowed, of="Distillation")

    def __call__(self, logits: Tensor, teacher_proba: Tensor) -> Tensor:
        """Return the loss of each row, of shape (..., n_rows), in nats.

        Parameters
        ----------
        logits : Tensor of shape (..., n_rows, n_classes)
            Of the student; log-probabilities will do.
        teacher_proba : Tensor of shape (..., n_rows, n_known_classes)
            Of the teacher; a row of zeros is left out.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        known = logits if self.classes is None else logits.index_select(-1, _index(tuple(self.classes), logits.device))
        _check_shape(known, teacher_proba)
        if not teacher_proba.is_floating_point():
            teacher_proba = teacher_proba.to(known.dtype if known.is_floating_point() else torch.get_default_dtype())
        empty = teacher_proba.sum(-1) <= 0
        p = soften(teacher_proba + empty[..., None], self.temperature)
        log_q = log_softmax(known / self.temperature if self.temperature != 1 else known)
        values = DISTILL_DIVERGENCES[self.divergence](p, log_q)
        # rounding may leave -1e-8; clamping would lose the gradient of such a row
        values = self.temperature**2 * (values - values.detach().clamp(max=0)).masked_fill(empty, 0.0)
        return values.to(log_q.dtype)  # whose loss it is a part of


def _check_shape(logits: Tensor, teacher_proba: Any) -> None:
    """Raise a ValueError unless there is a teacher's probability for each logit of the classes that it knows."""
    shape = tuple(getattr(teacher_proba, "shape", ()))
    fits = len(shape) >= min(2, logits.ndim) and logits.shape[logits.ndim - len(shape) :] == shape
    if not (isinstance(teacher_proba, Tensor) and fits):
        found = f"{type(teacher_proba).__name__} of shape {shape}"
        allowed = f"a tensor of shape {tuple(logits.shape)}, a probability for each logit of the classes it knows"
        raise invalid_input("teacher_proba", found, allowed, of="Distillation")
