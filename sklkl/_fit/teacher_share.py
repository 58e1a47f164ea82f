"""What a teacher is worth: how much of the soft targets is its, beside a network that learned the labels alone."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import one_hot

from sklkl.data import Rows
from sklkl.losses import row_shares
from sklkl.net import KLNet

# By how many standard errors the teacher has to lower the log-loss on rows set aside to be heard at all.
_MARGIN = 0.25

# The least share of the soft targets: with less the student learns its own opinion again, and next to nothing else.
_LEAST = 0.03

# By how many standard errors it has to be worse on the rows that it was fitted to than on these not to be heard: an
# honest teacher that is has been lucky with them.
_WORSE = 0.5

# By how many standard errors what is learned from it has to be worse than a network of the labels alone.
_LOSES = 1.0

Judged = tuple[Tensor, Tensor, Tensor | None]


def net_proba(net: KLNet, rows: Rows) -> Tensor:
    """Return a net's probabilities as soft targets, of shape (n_rows, n_classes) or (n_rows, n_labels, 2)."""
    proba = torch.as_tensor(net.predict_proba(rows))
    return torch.stack([1 - proba, proba], dim=-1) if net.multilabel else proba


def mixed(alone: Tensor, teacher: Tensor, share: float) -> Tensor:
    """Return the mean of two models' probabilities; rows of zeros, of which the teacher says nothing, stay so.

    Parameters
    ----------
    alone, teacher : Tensor of shape (n_rows, ..., n_classes)
        Probabilities.
    share : float in [0, 1]
        That of the teacher.
    """
    heard = teacher.sum(-1, keepdim=True) > 0
    return torch.where(heard, (1 - share) * alone + share * teacher, teacher)


def best_share(alone: Tensor, teacher: Tensor, y: Tensor, weight: Tensor | None = None) -> float:
    """Return the teacher's share in the mixture of lowest log-loss; 0 below 0.03, or if that is not clearly lower.

    Parameters
    ----------
    alone : Tensor of shape (n_rows, ..., n_classes)
        Probabilities by a network that learned the labels alone.
    teacher : Tensor of the same shape
        Probabilities by the teacher, or by what was learned from it. Neither should have been fitted to these rows.
    y : Tensor of shape (n_rows, ...)
        Class codes.
    weight : Tensor of shape (n_rows,) or None, default=None
        Weights of the rows.
    """
    without, by_teacher = (_of_labels(proba, y) for proba in (alone, teacher))
    shares = row_shares(without, None if weight is None else weight.double())

    def losses(share: float) -> Tensor:
        return _log_loss(torch.lerp(without, by_teacher, share))

    share = float(minimize_scalar(lambda share: float(losses(share) @ shares), bounds=(0, 1), method="bounded").x)
    gain, error = _mean(losses(0.0) - losses(share), shares)
    return share if share >= _LEAST and gain > _MARGIN * error else 0.0


def clearly_loses(taught: Tensor, alone: Tensor, y: Tensor, weight: Tensor | None = None) -> bool:
    """Whether a student is clearly worse on rows set aside than a network that learned the labels alone.

    Parameters
    ----------
    taught, alone, y, weight
        As of `best_share`.
    """
    with_teacher, without = (_of_labels(proba, y) for proba in (taught, alone))
    shares = row_shares(without, None if weight is None else weight.double())
    loss, error = _mean(_log_loss(with_teacher) - _log_loss(without), shares)
    return loss > _LOSES * error


def _of_labels(proba: Tensor, y: Tensor) -> Tensor:
    """Return the probabilities of the labels, of shape (n_rows, n_labels)."""
    return proba.double().gather(-1, y[..., None]).flatten(1)


def _log_loss(proba: Tensor) -> Tensor:
    return -proba.clamp(min=torch.finfo(torch.float64).tiny).log().sum(-1)


def clearly_worse(known: Judged, unseen: Judged) -> bool:
    """Whether a teacher is worse on the rows that it was fitted to than on others, as if told other labels of them.

    It is by the Brier score, in which a row of probability zero does not outweigh all others.

    Parameters
    ----------
    known, unseen : tuple of proba, y and weight
        The teacher's probabilities of rows, their class codes and weights as of `best_share`.
    """
    (here, error_here), (there, error_there) = _brier_score(*known), _brier_score(*unseen)
    return here - there > _WORSE * math.hypot(error_here, error_there)


def _brier_score(proba: Tensor, y: Tensor, weight: Tensor | None) -> tuple[float, float]:
    distances = (proba.double() - one_hot(y, proba.shape[-1])).square().flatten(1)
    return _mean(distances.sum(-1), row_shares(distances, None if weight is None else weight.double()))


def _mean(values: Tensor, shares: Tensor) -> tuple[float, float]:
    """Return the mean of rows of these shares, and its standard error."""
    mean = values @ shares
    return float(mean), float(((values - mean).square() @ shares.square()).sqrt())
