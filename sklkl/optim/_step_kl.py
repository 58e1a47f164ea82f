"""How far one step has moved the predictions."""

from __future__ import annotations

import torch
from torch import Tensor

# Where no logit has grown by more than this, the divergence is taken from expm1, which neither cancels nor overflows.
_NEAR = 50.0


def step_kl(
    before: Tensor, after: Tensor, sample_weight: Tensor | None = None, n_stack_axes: int | None = None
) -> Tensor:
    """Return the mean over rows of KL(before‖after) between two predictions of the same rows, from their logits.

    It is computed in float64 from the change of the logits, so that the divergence of a small step, 1e-12 and less, is
    right too; from probabilities in float32 it would be nothing but noise below 1e-6.

    Parameters
    ----------
    before, after : Tensor of shape (..., n_rows, n_classes)
        Logits; leading axes are those of a stack of networks.
    sample_weight : Tensor of shape (n_rows,) or None, default=None
        Weights >= 0 of the rows, for a weighted mean: 0 where no row has a weight. Rows of weight 0 do not count,
        whatever their logits.
    n_stack_axes : int or None, default=None
        Number of leading axes that are those of a stack; None takes all. Axes between rows and classes are
        distributions of the same row, whose divergences add up.

    Returns
    -------
    Tensor of shape (...)
        Divergences in nats, at least 0. A logit may be ``-inf``, for a class of probability zero: ``inf`` if its
        probability was positive before. NaN where logits are NaN or ``+inf``.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import step_kl
    >>> before = torch.zeros(1, 2, dtype=torch.float64)
    >>> step_kl(before, before + torch.tensor([1e-6, 0.0]))
    tensor(1.2500e-13, dtype=torch.float64)
    """
    rows = _row_kl(before.double(), after.double())
    n_stack_axes = rows.ndim - 1 if n_stack_axes is None else n_stack_axes
    if rows.ndim > n_stack_axes + 1:
        rows = rows.flatten(n_stack_axes + 1).sum(-1)
    if sample_weight is None:
        return rows.mean(-1)
    weight = sample_weight.to(rows)
    total = weight.sum(-1)
    return torch.where(weight > 0, weight * rows, 0.0).sum(-1) / torch.where(total > 0, total, 1.0)


def _row_kl(before: Tensor, after: Tensor) -> Tensor:
    """Return KL of each row: log E_p[exp d], where d is the change of the logits less its mean under p."""
    p, change = torch.softmax(before, -1), after - before
    change = change - (p * change).sum(-1, keepdim=True)
    if not (change < _NEAR).all():
        return _any_row_kl(before, after)
    return torch.log1p((p * torch.expm1(change)).sum(-1)).clamp(min=0.0)


def _any_row_kl(before: Tensor, after: Tensor) -> Tensor:
    """Return KL of each row, however far it has moved, also of logits that are not finite."""
    log_p = torch.log_softmax(before, -1)
    p = log_p.exp()
    # equal logits have not changed, even if both are -inf
    change = torch.where(before == after, 0.0, after - before)
    change = change - (p * change).sum(-1, keepdim=True)
    near = torch.log1p((p * torch.expm1(change.clamp(max=_NEAR))).sum(-1))
    far = torch.where(p == 0, 0.0, p * (log_p - torch.log_softmax(after, -1))).sum(-1)
    return torch.where(change.amax(-1) < _NEAR, near, far).clamp(min=0.0)
