"""What a training has come to: logits that are finite, and a loss that is not worse than that of no network."""

from __future__ import annotations

import math
import warnings
from functools import cached_property
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklkl._fit.row_losses import logits_of, row_losses, shares_of
from sklkl._fit.training_set import Training
from sklkl.data import Rows
from sklkl.modules import MLP, is_built_in, scaling_of
from sklkl.net import KLNet, members_of
from sklkl.net._by_hand import ScaledRows

# So many rows are looked at.
_N_ROWS = 1000
# A network that has learned the class shares and nothing else is as good as they are, but for that.
_ROUNDING = 1e-3
# A network that learns from a teacher, whose opinion may be another than that of the labels, may be that much worse.
_TAUGHT = 10.0


def check_outcome(net: KLNet, training: Training, scaled: ScaledRows | None = None) -> None:
    """Look at what was learned, as nothing else does where there is no validation part, see `Outcome.check`."""
    if training.stream and is_built_in(net.module_):
        return  # whose weights are known to be finite; one pass over a few rows is short
    Outcome(training, scaled).check(net)


class Outcome:
    """Rows by which to judge what was learned from them, by one net or by several that scale them alike.

    Parameters
    ----------
    training : Training
        What the nets were trained on.
    scaled : ScaledRows or None, default=None
        What may have rows scaled already.
    """

    def __init__(self, training: Training, scaled: ScaledRows | None = None) -> None:
        self.training, self.scaled = training, scaled or ScaledRows()
        self._scaled: Tensor | None = None

    @cached_property
    def rows(self) -> Rows:
        """Some of the rows that have a label."""
        rows = self.training.data.train.shown.labelled()
        if len(rows) <= _N_ROWS:
            return rows
        return rows.take(torch.linspace(0, len(rows) - 1, _N_ROWS).long())

    def check(self, net: KLNet) -> None:
        """Look at what a net has learned.

        Raises
        ------
        ValueError
            If the network returns NaN or infinity in evaluation mode.

        Warns
        -----
        ConvergenceWarning
            If it is worse on its training rows than a prediction of the class shares, the same for each row.
        """
        logits = self._logits(net)
        if not bool((logits < math.inf).all()):
            raise ValueError(
                "Training failed: the network's logits are not finite in evaluation mode. The learning rate may be too "
                "high, or the module may compute something else there than in training."
            )
        if not self.training.stream:
            _warn_if_not_converged(net, self.training, self.rows, logits)

    def _logits(self, net: KLNet) -> Tensor:
        module: Any = net.module_
        plain = type(module) is MLP and is_built_in(module)
        scaling = module.scaling if plain else None
        if scaling is None or not self.rows.is_whole:
            return logits_of(net, self.rows)
        net.set_mode(training=False)
        with torch.no_grad():
            if self._scaled is None:
                known = self.scaled.find(self.rows, scaling)
                self._scaled = scaling(self.rows.X.to(net.device)) if known is None else known.X
            return module.forward_scaled(self._scaled)


def _warn_if_not_converged(net: KLNet, training: Training, rows: Rows, logits: Tensor) -> None:
    logits, shares = logits.double(), shares_of(rows)
    losses = row_losses(logits, rows.codes)
    references = row_losses(_log_shares(training.data.train.counted, logits), rows.codes)
    if "teacher_proba" in rows.columns:
        references = _TAUGHT * _of_no_opinion(rows, logits)
    elif net.kl_strength:  # a penalty draws towards equal probabilities
        references = torch.maximum(references, _of_no_opinion(rows, logits))
    loss, reference = float(losses @ shares), float(references @ shares)
    if not loss <= reference + _ROUNDING:
        warnings.warn(_message(net, rows, loss, reference), ConvergenceWarning, stacklevel=2)


def _of_no_opinion(rows: Rows, like: Tensor) -> Tensor:
    """Return the loss of each row where all probabilities are equal."""
    return row_losses(torch.zeros_like(like), rows.codes)


def _log_shares(rows: Rows, logits: Tensor) -> Tensor:
    """Return logits of the class shares, in the shape of those of a network."""
    rows = rows.labelled()
    shares = shares_of(rows)
    if rows.codes.ndim == 2:
        return torch.logit(shares @ rows.codes.double()).expand(logits.shape)
    return logits.new_zeros(logits.shape[1]).index_add(0, rows.codes, shares).log().expand(logits.shape)


def _message(net: KLNet, rows: Rows, loss: float, reference: float) -> str:
    largest = float(abs(rows.X).max())
    unscaled = scaling_of(members_of(net)[0].module_) is None and not 1e-2 < largest < 1e2
    scale = f"The inputs, of values up to {largest:.3g}, may need scaling, as by a StandardScaler. " if unscaled else ""
    return (
        f"Training has not converged: the loss on its rows is {loss:.3g} nats a row, where a prediction without any "
        f"input has {reference:.3g}. {scale}The learning rate, {net.lr_:.3g}, may be too high or low, or the epochs "
        "too few."
    )
