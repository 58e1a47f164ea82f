"""The data fit, and how per-row losses become the numbers in the history."""

from __future__ import annotations

from functools import lru_cache
from operator import mul

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklkl.modules import few_classes, log_softmax

__all__ = ["CrossEntropy", "TermMeans", "cross_entropy", "expectation", "row_shares"]

# In place of the mass of no row.
_TINY = float(np.finfo(np.float64).tiny)


class CrossEntropy(nn.Module):
    """Cross-entropy of each row, -log p(y), in nats.

    Examples
    --------
    >>> import torch
    >>> from sklkl.losses import CrossEntropy
    >>> proba = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
    >>> CrossEntropy()(proba.log(), torch.tensor([0, 1]))
    tensor([0.6931, 2.3026])
    """

    def forward(self, log_proba: Tensor, y: Tensor) -> Tensor:
        """Return -log p(y), of shape (..., n_rows), from log-probabilities of shape (..., n_rows, n_classes)."""
        if log_proba.ndim == 2:
            return F.nll_loss(log_proba, y, reduction="none")
        return F.nll_loss(log_proba.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Return -log p(y) of each row in nats, straight from the logits, in the faster of two ways.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, n_classes)
        Unnormalised log-probabilities.
    y : Tensor of shape (n_rows,)
        Class codes.

    Returns
    -------
    Tensor of shape (n_rows,)
        Cross-entropies.

    Examples
    --------
    >>> import torch
    >>> from sklkl.losses import cross_entropy
    >>> cross_entropy(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.6931])
    """
    if few_classes(logits):
        return F.nll_loss(log_softmax(logits), y, reduction="none")
    return F.cross_entropy(logits, y, reduction="none")


def expectation(p: Tensor, values: Tensor) -> Tensor:
    """Return the sum of ``p * values`` over the last axis; where p is 0, ``0 * log 0`` and its gradient are 0.

    Parameters
    ----------
    p : Tensor of shape (..., n_classes)
        Probabilities.
    values : Tensor of the same shape, or one that broadcasts with it
        Such as logarithms of probabilities; entries where p is 0 are ignored, even if infinite or NaN.

    Returns
    -------
    Tensor of shape (...)
        Expected values.

    Examples
    --------
    >>> import torch
    >>> from sklkl.losses import expectation
    >>> p = torch.tensor([0.5, 0.5, 0.0])
    >>> expectation(p, p.log())
    tensor(-0.6931)
    """
    return (p * torch.where(p > 0, values, 0.0)).sum(-1)


def row_shares(logits: Tensor, weight: Tensor | None) -> Tensor:
    """Return each row's share in a mean over rows: ``values @ shares`` is the (weighted) mean.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, n_classes)
        For the number of rows, the floating type and the device.
    weight : Tensor of shape (..., n_rows) or None
        Weights of the rows; None weighs all the same.

    Returns
    -------
    Tensor of shape (n_rows,), or that of the weights
        Shares that sum to 1, in the wider of both types; zeros where no row has a weight.

    Examples
    --------
    >>> import torch
    >>> from sklkl.losses import row_shares
    >>> row_shares(torch.zeros(2, 3), torch.tensor([1.0, 3.0]))
    tensor([0.2500, 0.7500])
    """
    dtype = logits.dtype if logits.is_floating_point() else torch.get_default_dtype()
    if weight is None:
        return _equal_shares(logits.shape[0], dtype, logits.device)
    weight = weight.to(torch.promote_types(weight.dtype, dtype))
    # without any weight every share is 0, and so is the gradient
    return weight / weight.sum(-1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)


@lru_cache(maxsize=8)  # batches come in two sizes
def _equal_shares(n_rows: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is made in that mode can never be trained with
        return torch.full((n_rows,), 1 / max(1, n_rows), dtype=dtype, device=device)


class TermMeans:
    """Means of named terms over an epoch, which stay on an accelerator until they are read.

    Examples
    --------
    >>> import torch
    >>> from sklkl.losses import TermMeans
    >>> means = TermMeans()
    >>> means.add({"data_fit": torch.tensor(1.0)}, mass=1)
    >>> means.add({"data_fit": torch.tensor(3.0)}, mass=3)
    >>> means.read()
    {'data_fit': 2.5}
    """

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor | float]] = {}
        self.masses: list[Tensor | float] = []

    def add(self, terms: dict[str, Tensor], mass: Tensor | float) -> None:
        """Add a batch's terms, each the mean over rows of total weight ``mass``."""
        self.masses.append(_kept(mass))
        for name, value in terms.items():
            self.values.setdefault(name, []).append(_kept(value))

    def read(self) -> dict[str, float]:
        """Return the means as numbers, in one trip from the device."""
        columns = [value for column in self.values.values() for value in column]
        numbers, n_batches = _numbers([*columns, *self.masses]), len(self.masses)
        masses = numbers[len(columns) :]
        starts, total = range(0, len(columns), n_batches), max(sum(masses), _TINY)
        # mostly of one or a few batches, of which arrays would take several times as long
        sums = [sum(map(mul, numbers[start : start + n_batches], masses)) for start in starts]
        return {name: value / total for name, value in zip(self.values, sums, strict=True)}


def _kept(value: Tensor | float) -> Tensor | float:
    """Return a number, unless that takes a trip from the device.

    Small tensors of a long epoch would lie all over the memory in which blocks of rows come and go, and hold it.
    """
    if not isinstance(value, Tensor):
        return value
    return value.item() if value.device.type == "cpu" else value.detach()


def _numbers(values: list[Tensor | float]) -> list[float]:
    """Return numbers, some of which may be on a device."""
    there = [value for value in values if isinstance(value, Tensor)]
    read = iter(torch.stack(there).tolist() if there else [])
    return [next(read) if isinstance(value, Tensor) else value for value in values]
