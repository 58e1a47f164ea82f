"""Temperature scaling: a teacher's confidence, softened or set right."""

from __future__ import annotations

import math
from numbers import Real

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.probabilities import SUM_TOLERANCE
from sklkl.losses import row_shares

__all__ = ["best_temperature", "soften"]

# Temperatures from 0.1 to 10 are looked at.
_RANGE = math.log(10)
# A class of probability zero would make every temperature infinitely bad. None gives it a probability, so such a row
# should be ignored: the uniform distribution is mixed in after softening.
_SMOOTHING = 1e-3
_HERE = "best_temperature"


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

    Raises
    ------
    ValueError
        If the temperature is no such number.

    Examples
    --------
    >>> import torch
    >>> from sklkl.distillation import soften
    >>> soften(torch.tensor([0.9, 0.1, 0.0]), temperature=2.0)
    tensor([0.7500, 0.2500, 0.0000])
    """
    if not (isinstance(temperature, Real) and 0 < temperature < math.inf):
        raise invalid("temperature", temperature, "a finite number > 0", of="soften")
    if temperature == 1:
        return proba
    proba = proba if proba.is_floating_point() else proba.to(torch.get_default_dtype())
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

    Raises
    ------
    ValueError
        If these are no probabilities, class codes and weights of the same rows.

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
    proba, y = _checked(proba, y)
    shares = row_shares(proba, None if sample_weight is None else _checked_weight(sample_weight, len(proba)))

    def loss(log_temperature: float) -> float:
        likelihood = soften(proba, math.exp(log_temperature)).gather(-1, y[..., None])
        log_likelihood = ((1 - _SMOOTHING) * likelihood + _SMOOTHING / proba.shape[-1]).log()
        return -float(log_likelihood.flatten(1).mean(-1) @ shares)

    return math.exp(minimize_scalar(loss, bounds=(-_RANGE, _RANGE), method="bounded").x)


def _checked(proba: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities in float64, and class codes."""
    proba = proba.detach().double()
    if proba.ndim < 2 or not proba.numel() or not bool(((proba >= 0) & (proba <= 1 + SUM_TOLERANCE)).all()):
        found = f"values from {proba.min():.3g} to {proba.max():.3g}" if proba.numel() else "none"
        raise invalid_input("proba", found, "probabilities, from 0 to 1, of one row or more", _HERE)
    codes = y.long() if y.shape == proba.shape[:-1] and bool((y == y.long()).all()) else proba.new_tensor(-1).long()
    if not 0 <= int(codes.min()) <= int(codes.max()) < proba.shape[-1]:
        allowed = f"class codes from 0 to {proba.shape[-1] - 1} in the shape {tuple(proba.shape[:-1])}"
        raise invalid_input("y", f"others, in the shape {tuple(y.shape)}", allowed, _HERE)
    return proba, codes


def _checked_weight(sample_weight: Tensor, n_rows: int) -> Tensor:
    weight = sample_weight.detach().double()
    if weight.shape != (n_rows,) or not bool((weight >= 0).all()) or not 0 < float(weight.sum()) < math.inf:
        allowed = f"{n_rows} finite numbers >= 0, one for each row and not all 0"
        raise invalid_input("sample_weight", f"a tensor of shape {tuple(weight.shape)}", allowed, _HERE)
    return weight
