"""The loss of a stack and its gradient by the logits, where they have a formula."""

from __future__ import annotations

import math

from torch import Tensor


def cross_entropy_gradient(
    logits: Tensor, y: Tensor, shares: Tensor, strength: float | Tensor = 0.0
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the terms of cross-entropy with a penalty on confidence, and the gradient of their sum.

    Parameters
    ----------
    logits : Tensor of shape (n_networks, n_classes, n_rows)
        Unnormalised log-probabilities.
    y : Tensor of shape (n_rows,) or (n_networks, n_rows)
        Class codes.
    shares : Tensor of the same shape as y
        Each row's share in the mean over rows.
    strength : float or Tensor of shape (n_networks, 1, 1), default=0.0
        Weight of KL(p‖uniform); at 0.0 the term is left out.

    Returns
    -------
    terms : dict of str to Tensor of shape (n_networks,)
        ``data_fit`` and, with a strength, ``kl_penalty``, in nats.
    gradient : Tensor of shape (n_networks, n_classes, n_rows)
        Gradient of their sum by the logits.
    """
    log_p = logits.log_softmax(-2)
    p, label = log_p.exp(), y.unsqueeze(-2).expand(logits.shape[0], 1, -1)
    terms = {"data_fit": -mean_of(log_p.gather(-2, label).squeeze(-2), shares)}
    if isinstance(strength, float) and strength == 0.0:
        gradient = p
    else:
        # p is 0 where its logarithm is -inf
        log_p = log_p.clamp(min=-1e30)
        negative_entropy = (p * log_p).sum(-2, keepdim=True)
        penalty = mean_of(negative_entropy.squeeze(-2) + math.log(logits.shape[-2]), shares)
        terms["kl_penalty"] = penalty * (strength if isinstance(strength, float) else strength.flatten())
        gradient = log_p.sub_(negative_entropy).mul_(strength).add_(1.0).mul_(p)
    gradient.scatter_add_(-2, label, gradient.new_full((), -1.0).expand_as(label))
    return terms, gradient.mul_(shares.unsqueeze(-2))


def mean_of(values: Tensor, shares: Tensor) -> Tensor:
    """Return means over rows, of shape (n_networks,), from values of each row of each network."""
    return values @ shares if shares.ndim == 1 else (values * shares).sum(-1)
