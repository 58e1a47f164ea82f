"""Probabilities from logits."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from sklkl._utils.checks import refusal

__all__ = ["few_classes", "label_log_proba", "log_softmax", "softmax", "warn_of_probabilities"]


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities from logits of shape (..., n_classes).

    The same as ``torch.log_softmax(logits, -1)``, but several times faster on a CPU for few classes: torch runs
    along a short last axis one row at a time, along any other axis many rows at once.

    Parameters
    ----------
    logits : Tensor of shape (..., n_rows, n_classes)
        Unnormalised log-probabilities.

    Returns
    -------
    Tensor of the same shape
        Log-probabilities in nats.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import log_softmax
    >>> log_softmax(torch.zeros(1, 2)).exp()
    tensor([[0.5000, 0.5000]])
    """
    if few_classes(logits):
        return logits.mT.log_softmax(-2).mT
    return logits.log_softmax(-1)


def few_classes(logits: Tensor) -> bool:
    """Whether a softmax is faster along the first axis of a transposed copy, on a CPU.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import few_classes
    >>> few_classes(torch.zeros(1024, 10)), few_classes(torch.zeros(1024, 100))
    (True, False)
    """
    return logits.ndim > 1 and logits.shape[-1] <= 16 and logits.numel() >= 2048


def softmax(logits: Tensor) -> Tensor:
    """Probabilities in float64 from logits of shape (..., n_classes); each row sums to 1 but for rounding.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import softmax
    >>> softmax(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    logits = logits.double()
    if few_classes(logits):
        return F.softmax(logits.mT, -2).mT
    return F.softmax(logits, -1)


def warn_of_probabilities(
    logits: Tensor, name: str, source: str = "network", of: str = "", stacklevel: int = 2
) -> None:
    """Warn where what should be logits are probabilities: there is a softmax too many, and training goes badly.

    Parameters
    ----------
    logits : Tensor of shape (..., n_classes)
        What the source returned for several rows.
    name, source, of : str
        The parameter, what it is and whose, for the message.
    stacklevel : int
        That of `warnings.warn`, for the function that calls this one.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import warn_of_probabilities
    >>> warn_of_probabilities(torch.tensor([[1.0, 2.0], [0.0, 0.5]]), "module")
    """
    if _seem_probabilities(logits):
        found = "rows that are >= 0 and sum to 1, as probabilities do"
        allowed = f"a {source} that returns logits: leave the softmax out, or return the logarithm"
        warnings.warn(refusal(name, found, allowed, of), UserWarning, stacklevel=stacklevel + 1)


def _seem_probabilities(logits: Tensor) -> bool:
    rows = logits.detach().reshape(-1, logits.shape[-1])
    if logits.is_meta or not logits.is_floating_point() or min(rows.shape) < 2:
        return False
    # in half precision a sum is off by as much
    return bool(((rows >= 0).all(-1) & ((rows.double().sum(-1) - 1).abs() < 1e-2)).all())


def label_log_proba(logits: Tensor) -> Tensor:
    """Log-probabilities (label off, label on) of independent labels, each with a logit of its own.

    Parameters
    ----------
    logits : Tensor of shape (..., n_rows, n_labels)
        Log-odds.

    Returns
    -------
    Tensor of shape (..., n_rows, n_labels, 2)
        Log-probabilities in nats: a label is a classification with two classes.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import label_log_proba
    >>> label_log_proba(torch.zeros(1, 1)).exp()
    tensor([[[0.5000, 0.5000]]])
    """
    return torch.stack([F.logsigmoid(-logits), F.logsigmoid(logits)], dim=-1)
