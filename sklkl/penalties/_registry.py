"""Penalties by name."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, clone

from sklkl.penalties._closed_form import Confidence, LabelSmoothing, Prior
from sklkl.penalties._consistency import RDrop, VirtualAdversarial

__all__ = ["PENALTIES", "make_penalty"]

PENALTIES: dict[str, type[BaseEstimator]] = {
    "confidence": Confidence,
    "label_smoothing": LabelSmoothing,
    "prior": Prior,
    "rdrop": RDrop,
    "vat": VirtualAdversarial,
}


def make_penalty(penalty: Any) -> Any:
    """Return a fresh penalty from a name or from an object, which is copied and never changed.

    Parameters
    ----------
    penalty : str or object
        A key of ``PENALTIES``, or an object with ``fit(rows, n_classes)`` and ``__call__(log_proba, batch)``.

    Returns
    -------
    object
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
        raise ValueError(
            f"The 'kl_penalty' parameter must be one of {sorted(PENALTIES)} or an object with the methods "
            f"'fit' and '__call__'. Got {penalty!r} instead."
        )
    return clone(penalty, safe=False)
