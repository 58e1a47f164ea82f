"""Why nets cannot be trained as one stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sklkl._utils.ranks import active_ranks
from sklkl.data import TrainingSet
from sklkl.losses import CrossEntropy
from sklkl.net._by_hand import why_autograd
from sklkl.net._datasets import rule_params
from sklkl.net._net import KLNet
from sklkl.net._passes import is_own, needs_passes
from sklkl.net._sparse_batches import are_gathered
from sklkl.penalties import Prior, adapted, make_penalty

# What nets of a stack have in common.
_COMMON = ("learning_rate", "kl_target", "max_epochs", "batch_size", "multilabel", "distill_rows", "distillation")


def why_apart(nets: Sequence[KLNet], sets: Sequence[TrainingSet]) -> str | None:
    """Return why nets cannot be trained as one stack; None if they can.

    Parameters
    ----------
    nets : sequence of KLNet
        Initialised nets, which are not in training.
    sets : sequence of TrainingSet
        What each is trained on.

    Examples
    --------
    >>> import torch
    >>> from sklkl import KLNet
    >>> from sklkl.data import Rows, TrainingSet
    >>> from sklkl.modules import MLP
    >>> from sklkl.net import why_apart
    >>> data = TrainingSet(Rows(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])))
    >>> params = {"module__n_features": 2, "module__n_classes": 2}
    >>> nets = [KLNet(MLP, **params, classes=[0, 1], lr=lr) for lr in (0.1, 0.2)]
    >>> why_apart([net.initialize() for net in nets], [data, data])
    "the optimizer is not torch's fused AdamW"
    """
    if len(set(map(id, nets))) < len(nets):
        return "a net is there twice"
    reasons = (_why_alone(net, data) for net, data in zip(nets, sets, strict=True))
    differences = (_difference(nets[0], sets[0], net, data) for net, data in zip(nets, sets, strict=True))
    return next((reason for reason in (*reasons, *differences) if reason), None)


def _why_alone(net: KLNet, data: TrainingSet) -> str | None:
    """Return why a net can be in no stack."""
    if active_ranks() is not None:
        return "the training is shared by several processes"
    if net.stream:
        return "the training is a stream"
    if net.is_watched():
        return "a callback may change the net"
    if net.kl_strength and not is_own(make_penalty(net.kl_penalty)):
        return "the penalty may look at the rows"
    if type(net.criterion_) is not CrossEntropy or net.has_own_step():
        return "the net has a step of its own"
    reason = why_autograd(net, net.get_iterator(data.train, training=True))
    # whatever scales them: rows as they were given come without any scaling
    if reason is None and _needs_passes(net) and are_gathered(data.train, None):
        return "the penalty needs another forward pass"
    return reason


def _difference(net: KLNet, data: TrainingSet, other: KLNet, others: TrainingSet) -> str | None:
    """Return in what two nets differ so that they cannot be in one stack."""
    weight, others_weight = next(net.module_.parameters()), next(other.module_.parameters())
    if repr(net.module_) != repr(other.module_) or weight.dtype != others_weight.dtype:
        return "the networks have different shapes"
    if weight.device != others_weight.device:
        return "the networks are on different devices"
    if len(data) != len(others) or data.train.columns.keys() != others.train.columns.keys():
        return "the nets have different rows"
    if data is others and not _same_scales(net, other):
        return "the nets scale their inputs by other rows"
    if data is not others and net.kl_strength and isinstance(make_penalty(net.kl_penalty), Prior):
        return "the penalty learns from the rows"
    if not adapted(make_penalty(net.kl_penalty)).has_parameters_of(adapted(make_penalty(other.kl_penalty))):
        return "the nets have different values of kl_penalty"
    if _needs_passes(net) != _needs_passes(other):  # which draw random numbers, as those of the other net do not
        return "one of the nets needs further forward passes"
    different = [name for name in _COMMON if getattr(net, name) != getattr(other, name)]
    if different:
        return f"the nets have different values of {different[0]}"
    if rule_params(net, data.train, data.valid) != rule_params(other, others.train, others.valid):
        return "one of the nets keeps its best epoch, so its rate may be higher"
    return None


def _needs_passes(net: KLNet) -> bool:
    return needs_passes(net, make_penalty(net.kl_penalty))


def _same_scales(net: KLNet, other: KLNet) -> bool:
    buffers = zip(net.module_.buffers(), other.module_.buffers(), strict=True)
    return all(torch.equal(one, another) for one, another in buffers)
