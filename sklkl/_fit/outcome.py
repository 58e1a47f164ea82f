"""What a training has come to: logits that are finite, and a loss that is not absurd."""

from __future__ import annotations

import math
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sklkl._fit.training_set import Training
from sklkl.modules import MLP
from sklkl.net import KLNet

# Inputs below this are on a usual scale.
_USUAL = 1e3


def check_outcome(net: KLNet, training: Training) -> None:
    """Look at what was learned, as nothing else does where there is no validation part.

    Raises
    ------
    ValueError
        If the network returns NaN or infinity in evaluation mode.

    Warns
    -----
    ConvergenceWarning
        If the network is far worse than one that finds all classes equally probable.
    """
    if training.stream and type(net.module_) is MLP:
        return  # whose weights are known to be finite; one pass over a few rows is short
    batch = next(training.data.train.split([0, min(len(training.data.train), 100)]))
    with torch.no_grad():
        logits = net.infer(batch[0].to(net.device))
    if not bool((logits < math.inf).all()):
        raise ValueError(
            "Training failed: the network's logits are not finite in evaluation mode. The learning rate may be too "
            "high, or the module may compute something else there than in training."
        )
    _warn_if_diverged(net, training, batch[0], logits.shape[1])


def _warn_if_diverged(net: KLNet, training: Training, x: Tensor, n_classes: int) -> None:
    loss, chance = _data_fit(net, training), math.log(2) * n_classes if net.multilabel else math.log(n_classes)
    # where the input is huge, so is the loss from its beginning
    grew = loss > net.history[0].get("train_loss", math.inf) or bool(x.abs().max() < _USUAL)
    if not training.stream and loss > 100 * max(chance, 1.0) and grew:
        warnings.warn(
            f"Training has diverged: the loss is {loss:.3g} nats a row at its end, where equal probabilities have "
            f"{chance:.3g}. The input may need scaling, or the learning rate may be too high.",
            ConvergenceWarning,
            stacklevel=2,
        )


def _data_fit(net: KLNet, training: Training) -> float:
    """Return the mean loss on the training rows that have a label, in the epoch whose weights are kept."""
    if not net.history:
        return 0.0
    best = [record for record in net.history if record.get("valid_loss_best")]
    # the history has the mean over all rows; those without a label weigh as much as the others do on average
    share = float(training.data.train.has_label.double().mean())
    return float((best or net.history)[-1].get("train_data_fit", 0.0)) / share
