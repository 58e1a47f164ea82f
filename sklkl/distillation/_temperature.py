"""Temperature scaling: a teacher's confidence, softened or set right."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklkl.losses import row_shares

__all__ = ["best_temperature", "soften"]

# Temperatures from 0.1 to 10 are looked at.
_RANGE = math.log(10)
# A class of probability zero would make every temperature infinitely bad. None gives it a probability, so such a row
# should be ignored: the uniform distribution is mixed in after softening.
_SMOOTHING = 1e-3


def soften(proba: Tensor, temperature: float) -> Tensor:
    """Return probabilities at a temperature: ``p ** (1 / T)``, normalised.

    The softmax of ``logits / T``, for teachers that give probabilities only. A row of zeros stays zero.

    Parameters
    ----------
    proba : Tensor of shape (..., n_classes)
        Probabilities.
    temperature : float > 0
        The temperature; 1 changes nothing.

    Returns
    -------
    Tensor of shape (..., n_classes)
        Softened probabilities.

    Examples
    --------
    >>> import torch
    >>> from sklkl.distillation import soften
    >>> soften(torch.tensor([0.9, 0.1, 0.0]), temperature=2.0)
    tensor([0.7500, 0.2500, 0.0000])
    """
    if temperature == 1:
        return proba
    largest = proba.amax(-1, keepdim=True)
    tiny = torch.finfo(proba.dtype).tiny
    # relative to the largest, because p ** 10 at a temperature of 0.1 would vanish altogether
    powers = (proba / largest.clamp(min=tiny)) ** (1 / temperature)
    return powers / powers.sum(-1, keepdim=True).clamp(min=tiny)


def best_temperature(proba: Tensor, y: Tensor, sample_weight: Tensor | None = None) -> float:
    """Return the temperature at which probabilities have the lowest log-loss.

    Parameters
    ----------
    proba : Tensor of shape (..., n_classes)
        Probabilities for rows that the teacher was not fitted to.
    y : Tensor of shape (...)
        Class codes of these rows.
    sample_weight : Tensor of shape (n_rows,) or None, default=None
        Weights of the rows, the first axis of ``y``; None weighs all the same.

    Returns
    -------
    float
        Between 0.1 and 10; above 1 the teacher was overconfident.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from sklkl.distillation import best_temperature
    >>> proba = torch.tensor([[0.99, 0.01]]).repeat(4, 1)
    >>> best_temperature(proba, torch.tensor([0, 0, 0, 1])) > 1
    True
    """
    proba = proba.double()
    shares = row_shares(proba, None if sample_weight is None else sample_weight.double())

    def loss(log_temperature: float) -> float:
        likelihood = soften(proba, math.exp(log_temperature)).gather(-1, y[..., None])
        log_likelihood = ((1 - _SMOOTHING) * likelihood + _SMOOTHING / proba.shape[-1]).log()
        return -float(log_likelihood.flatten(1).mean(-1) @ shares)

    return math.exp(minimize_scalar(loss, bounds=(-_RANGE, _RANGE), method="bounded").x)
