"""Penalties by name, and objects of the user's own as penalties."""

from __future__ import annotations

from typing import Any, Literal, Self

from sklearn.base import clone
from torch import Tensor

from sklkl._utils.checks import invalid
from sklkl.data import Batch, Rows
from sklkl.penalties._base import Penalty, PenaltyNet
from sklkl.penalties._closed_form import Confidence, LabelSmoothing, Prior
from sklkl.penalties._consistency import RDrop, VirtualAdversarial

__all__ = ["PENALTIES", "PenaltyName", "make_penalty"]

PenaltyName = Literal["confidence", "label_smoothing", "prior", "rdrop", "vat"]

PENALTIES: dict[PenaltyName, type[Penalty]] = {
    "confidence": Confidence,
    "label_smoothing": LabelSmoothing,
    "prior": Prior,
    "rdrop": RDrop,
    "vat": VirtualAdversarial,
}


class _Adapted(Penalty):
    """An object with ``fit`` and ``__call__`` that is no :class:`Penalty`, with the capabilities that it declares."""

    def __init__(self, penalty: Any) -> None:
        self.penalty = penalty
        self.needs_net = getattr(penalty, "needs_net", False)
        self.uses_unlabeled = getattr(penalty, "uses_unlabeled", False)
        self._given = penalty.get_params() if hasattr(penalty, "get_params") else dict(vars(penalty))

    def fit(self, rows: Rows, n_classes: int) -> Self:
        self.penalty.fit(rows, n_classes)
        return self

    def partial_fit(self, rows: Rows, n_classes: int) -> Self:
        if hasattr(self.penalty, "partial_fit"):
            self.penalty.partial_fit(rows, n_classes)
        return self

    def check_net(self, net: PenaltyNet) -> None:
        if hasattr(self.penalty, "check_net"):
            self.penalty.check_net(net)

    def __call__(self, log_proba: Tensor, batch: Batch | None, net: PenaltyNet | None = None) -> Tensor:
        values: Tensor = self.penalty(log_proba, batch, net) if self.needs_net else self.penalty(log_proba, batch)
        return values

    def _settings(self) -> dict[str, Any]:
        return {"kind": type(self.penalty), **self._given}


def make_penalty(penalty: PenaltyName | Penalty | Any) -> Penalty:
    """Return a fresh penalty from a name or from an object, which is copied and never changed.

    Parameters
    ----------
    penalty : str, Penalty or object
        A key of ``PENALTIES``, a :class:`Penalty`, or an object with ``fit(rows, n_classes)`` and
        ``__call__(log_proba, batch)``.

    Returns
    -------
    Penalty
        An unfitted penalty.

    Raises
    ------
    ValueError
        If the name is unknown or the object is no penalty.

    Examples
    --------
    >>> from sklkl.penalties import make_penalty
    >>> make_penalty("confidence")
    Confidence()
    """
    if isinstance(penalty, str) and penalty in PENALTIES:
        return PENALTIES[penalty]()
    if isinstance(penalty, (str, type)) or not (callable(penalty) and hasattr(penalty, "fit")):
        allowed = f"one of {sorted(PENALTIES)} or an object with the methods 'fit' and '__call__'"
        raise invalid("kl_penalty", penalty, allowed)
    copied = clone(penalty, safe=False)
    return copied if isinstance(copied, Penalty) else _Adapted(copied)
