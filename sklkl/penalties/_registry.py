"""Penalties by name, and objects of the user's own as penalties."""

from __future__ import annotations

from typing import Any, Literal, Self

from sklearn.base import clone
from torch import Tensor

from sklkl._utils.checks import invalid
from sklkl.data import Batch, Rows
from sklkl.penalties._base import Penalty, PenaltyNet
from sklkl.penalties._closed_form import CLOSED_FORM, ClosedFormName
from sklkl.penalties._consistency import CONSISTENCY, ConsistencyName

__all__ = ["PENALTIES", "PenaltyName", "adapted", "make_penalty"]

PenaltyName = Literal[ClosedFormName, ConsistencyName]

PENALTIES: dict[str, type[Penalty]] = {**CLOSED_FORM, **CONSISTENCY}


class _Adapted(Penalty):
    """An object with ``fit`` and ``__call__`` that is no :class:`Penalty`, with the capabilities that it declares."""

    def __init__(self, penalty: Any) -> None:
        self.penalty = penalty
        self.needs_net = getattr(penalty, "needs_net", False)
        self.uses_unlabeled = getattr(penalty, "uses_unlabeled", False)

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
        own = self.penalty.get_params() if hasattr(self.penalty, "get_params") else vars(self.penalty)
        return {"kind": type(self.penalty), **own}


def adapted(penalty: Any) -> Penalty:
    """Return a penalty with the whole interface of :class:`Penalty`.

    Parameters
    ----------
    penalty : Penalty or object
        A penalty, which is returned as it is, or another object with ``fit(rows, n_classes)`` and
        ``__call__(log_proba, batch)``, which is wrapped.

    Examples
    --------
    >>> from sklkl.penalties import Confidence, adapted
    >>> adapted(Confidence())
    Confidence()
    """
    return penalty if isinstance(penalty, Penalty) else _Adapted(penalty)


def make_penalty(penalty: PenaltyName | Penalty | Any) -> Any:
    """Return a fresh penalty from a name or from an object, which is copied and never changed.

    Parameters
    ----------
    penalty : str, Penalty or object
        A key of ``PENALTIES``, a :class:`Penalty`, or an object with ``fit(rows, n_classes)`` and
        ``__call__(log_proba, batch)``.

    Returns
    -------
    Penalty or object
        An unfitted penalty; `adapted` gives any object the whole interface.

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
    return clone(penalty, safe=False)
