"""What a net makes of rows: its logits, and the losses of the rows with their shares in the mean."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from sklkl.data import Rows
from sklkl.losses import cross_entropy, row_shares
from sklkl.modules import MLP, is_built_in, label_log_proba, takes_wide
from sklkl.net import KLNet
from sklkl.net._by_hand import ScaledRows

# So many numbers of rows the built-in network is given at a time.
_AT_ONCE = 2**18


def logits_of(net: KLNet, rows: Rows, scaled: ScaledRows | None = None) -> Tensor:
    """Return logits in evaluation mode, of shape (n_rows, n_classes), where the net is and in its floating type.

    What ``scaled`` has of the rows is used.
    """
    module = net.module_
    size = max(net.batch_size, _AT_ONCE // rows.shape[1]) if is_built_in(module) else net.batch_size
    edges = [*range(0, len(rows), size), len(rows)]
    net.set_mode(training=False)
    with torch.no_grad():
        if rows.is_sparse and takes_wide(module, rows.X):
            return torch.cat([module.forward_sparse(rows.X[i:j]) for i, j in pairwise(edges)])
        if scaled is not None and type(module) is MLP:
            known = scaled.find(rows, module.scaling)
            if known is not None:
                return torch.cat([module.forward_scaled(batch[0]) for batch in known.split(edges)])
        return torch.cat([net.infer(batch[0].to(net.device)) for batch in rows.split(edges)])


def row_losses(logits: Tensor, codes: Tensor) -> Tensor:
    """Return the cross-entropy of each row in nats, of a multilabel one the sum over labels."""
    if codes.ndim == 1:
        return cross_entropy(logits, codes)
    return -label_log_proba(logits).gather(-1, codes.unsqueeze(-1)).squeeze(-1).sum(-1)


def shares_of(rows: Rows) -> Tensor:
    """Return the share of each row in the mean, in float64."""
    like = torch.zeros(len(rows), 1, dtype=torch.float64, device=rows.codes.device)
    return row_shares(like, None if rows.weight is None else rows.weight.double())
