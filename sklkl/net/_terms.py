"""The loss of a batch as a sum of named terms, for one net or a stack of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from skorch.dataset import get_len
from torch import Tensor, nn

from sklkl._utils.checks import invalid_input
from sklkl.data import Batch
from sklkl.losses import CrossEntropy, cross_entropy
from sklkl.modules import label_log_proba, log_softmax
from sklkl.net._passes import StackPasses
from sklkl.net._penalty import penalty_values

_WEIGHTED = (nn.CrossEntropyLoss, nn.NLLLoss)


class LossSettings(Protocol):
    """What a loss depends on; of a stack the weights are tensors, whose first axis is that of the networks."""

    criterion_: Any
    multilabel: bool
    kl_strength: Any
    distill_weight: Any
    distill_rows: str
    distillation: Any
    penalty_: Any
    unlabeled_rows_: bool

    @property
    def is_penalised(self) -> bool:
        """Whether the penalty has any weight."""


@dataclass
class StackSettings:
    """What the loss of a stack depends on, see `LossSettings`: weights of every net, and what they have in common."""

    criterion_: Any
    multilabel: bool
    kl_strength: Tensor
    distill_weight: Tensor
    distill_rows: str
    distillation: Any
    penalty_: Any
    unlabeled_rows_: bool
    is_penalised: bool


def loss_terms(
    settings: LossSettings, logits: Tensor, batch: Any, training: bool, passes: StackPasses | None = None
) -> dict[str, Tensor]:
    """Return the named terms of the loss, one value a row each, see :meth:`sklkl.KLNet.loss_terms`.

    Where the engine trains, ``passes`` are what a penalty may do with its networks.
    """
    y = batch[1] if isinstance(batch, Batch) else _codes(batch[1], logits)
    teacher_proba = batch.columns.get("teacher_proba") if training and isinstance(batch, Batch) else None
    penalised = training and settings.is_penalised
    plain = teacher_proba is None and not (penalised or settings.multilabel) and logits.ndim == 2
    if plain and type(settings.criterion_) is CrossEntropy:
        return {"data_fit": cross_entropy(logits, y)}
    log_proba = label_log_proba(logits) if settings.multilabel else log_softmax(logits)
    terms = {"data_fit": _row_values(settings.criterion_(log_proba, y), settings.criterion_, y)}
    if teacher_proba is not None:
        distilled = settings.distill_weight * settings.distillation(log_proba, teacher_proba)
        if settings.distill_rows == "unlabeled":
            distilled = distilled.masked_fill(y >= 0, 0.0)
        else:
            terms["data_fit"] = (1 - settings.distill_weight) * terms["data_fit"]
        terms["distillation"] = distilled
    if penalised:
        terms["kl_penalty"] = settings.kl_strength * penalty_values(settings, log_proba, batch, passes)
    if settings.multilabel:
        terms = {name: values.sum(-1) for name, values in terms.items()}
    return terms


def terms_of(step: dict[str, Any], batch: Any) -> tuple[dict[str, Tensor], Any]:
    """Return the means of terms that a step tells of, and their mass; as skorch has it there is but a loss."""
    if "terms" in step:
        return step["terms"], step["mass"]
    return {"loss": step["loss"].detach().mean()}, get_len(batch[0])


def divergence_from_mean(logits: Tensor, multilabel: bool) -> Tensor:
    """Return KL(p‖mean of the networks' p) of each row and network, in nats, of a multilabel one the sum over labels.

    The mean over networks is the mutual information between a label and the network that predicts it. The gradient of
    their sum by a network's logits is the same whether or not the mean is held constant.

    Parameters
    ----------
    logits : Tensor of shape (n_networks, n_rows, n_classes) or (n_networks, n_rows, n_labels)
        Of several networks, for the same rows.
    multilabel : bool
        Whether there is one logit a label.
    """
    log_p = label_log_proba(logits) if multilabel else log_softmax(logits)
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    divergence = (log_p.exp() * (log_p - log_mean)).sum(-1)
    return divergence.sum(-1) if multilabel else divergence


def _codes(y: Tensor, logits: Tensor) -> Tensor:
    """Return labels of a data set of the user's own as torch's losses want them."""
    y = y.to(logits.device)
    return y if y.dtype is torch.int64 or y.is_floating_point() else y.long()


def _row_values(values: Tensor, criterion: Any, y: Tensor) -> Tensor:
    """Return one value a row; torch's weights of classes count relative to their mean, as in torch's own mean."""
    if values.ndim == 0:
        found = f"{type(criterion).__name__}, which returns one number"
        raise invalid_input("criterion", found, "one that returns a value for each row", of="KLNet")
    weight = getattr(criterion, "weight", None)
    if weight is None or values.ndim != 1 or not isinstance(criterion, _WEIGHTED):
        return values
    mean = weight[y.clamp(min=0)].mean()
    return values / mean.clamp(min=torch.finfo(mean.dtype).tiny)
