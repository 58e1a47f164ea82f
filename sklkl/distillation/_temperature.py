"""Temperature scaling: making a teacher as sure as it has reason to be."""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar
from torch import Tensor

from sklkl.distillation._losses import soften

__all__ = ["best_temperature"]

# Temperatures from 0.1 to 10 are looked at.
_RANGE = math.log(10)
# A class without any probability would make every temperature infinitely bad. No temperature gives it one, so that
# such a row should have no say: the uniform distribution is mixed in after softening.
_SMOOTHING = 1e-3


def best_temperature(proba: Tensor, y: Tensor) -> float:
    """Return the temperature at which probabilities have the lowest log-loss.

    Parameters
    ----------
    proba : Tensor of shape (..., n_classes)
        Probabilities for rows that the teacher was not fitted to.
    y : Tensor of shape (...)
        Class codes of these rows.

    Returns
    -------
    float
        Between 0.1 and 10; above 1 the teacher was too sure.

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

    def loss(log_temperature: float) -> float:
        likelihood = soften(proba, math.exp(log_temperature)).gather(-1, y[..., None])
        return -float(((1 - _SMOOTHING) * likelihood + _SMOOTHING / proba.shape[-1]).log().mean())

    return math.exp(minimize_scalar(loss, bounds=(-_RANGE, _RANGE), method="bounded").x)
