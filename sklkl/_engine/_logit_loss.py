"""The loss of a stack and its gradient by the logits, where they have a formula."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cross_entropy_gradient(
    logits: Tensor, y: Tensor, shares: Tensor, strength: float | Tensor = 0.0
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the terms of cross-entropy with a penalty on confidence, and the gradient of their sum.

    Parameters
    ----------
    logits : Tensor of shape (n_networks, n_classes, n_rows) or (n_classes, n_rows)
        Unnormalised log-probabilities.
    y : Tensor of shape (n_rows,) or (n_networks, n_rows)
        Class codes.
    shares : Tensor of the same shape as y
        Each row's share in the mean over rows.
    strength : float or Tensor of shape (n_networks, 1, 1), default=0.0
        Weight of KL(p‖uniform); at 0.0 the term is left out.

    Returns
    -------
    terms : dict of str to Tensor of shape (n_networks,) or ()
        ``data_fit`` and, with a strength, ``kl_penalty``, in nats.
    gradient : Tensor of the shape of the logits
        Gradient of their sum by the logits.
    """
    log_p, label = logits.log_softmax(-2), y.unsqueeze(-2)
    label = label if label.ndim == logits.ndim else label.expand(len(logits), 1, -1)
    of_label = log_p.gather(-2, label)
    terms = {"data_fit": -mean_of(of_label.squeeze(-2), shares)}
    of_rows = shares if shares.ndim == 1 else shares.unsqueeze(-2)
    if isinstance(strength, float) and strength == 0.0:
        # p, and of the label p - 1
        return terms, log_p.exp_().scatter_(-2, label, of_label.expm1_()).mul_(of_rows)
    p = log_p.exp()
    # p log p: from p alone its logarithm would take more time than all else; entries where p is 0 are ignored
    of_classes = log_p.clamp_(min=torch.finfo(log_p.dtype).min).mul_(p)
    less_entropy = of_classes.sum(-2, keepdim=True)
    penalty = mean_of(less_entropy.squeeze(-2).add(math.log(logits.shape[-2])), shares)
    terms["kl_penalty"] = penalty * (strength if isinstance(strength, float) else strength.flatten())
    more = of_classes.addcmul_(less_entropy, p, value=-1.0)
    gradient = p.add_(more.mul_(strength))  # a number as alpha would have to fit into the floating type
    return terms, gradient.scatter_add_(-2, label, of_label.fill_(-1.0)).mul_(of_rows)


def mean_of(values: Tensor, shares: Tensor) -> Tensor:
    """Return means over rows, of shape (n_networks,) or (), from values of each row of each network."""
    return values @ shares if shares.ndim == 1 else (values * shares).sum(-1)
