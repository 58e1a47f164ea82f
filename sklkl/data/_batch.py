"""A batch of rows, and what is asked of inputs and labels everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

__all__ = ["NO_LABEL", "Batch"]

# The class code of a row without a label, as in torch's own losses.
NO_LABEL = -100


class Batch(tuple[Tensor, Any]):  # Any: who asks for labels knows that there are some
    """A pair ``(x, y)``, as skorch expects of a batch, that also carries named per-row columns.

    Parameters
    ----------
    x : Tensor of shape (n_rows, ...)
        Inputs.
    y : Tensor of shape (n_rows,) or None
        Class codes.
    **columns : Tensor of shape (n_rows, ...)
        Further per-row values by name, for example ``weight``.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Batch
    >>> x, y = torch.zeros(2, 3), torch.tensor([0, 1])
    >>> batch = Batch(x, y, weight=torch.ones(2))
    >>> x, y = batch
    >>> batch.weight
    tensor([1., 1.])
    """

    columns: dict[str, Tensor]

    def __new__(cls, x: Tensor, y: Tensor | None, **columns: Tensor) -> Batch:  # noqa: D102
        batch = super().__new__(cls, (x, y))
        batch.columns = columns
        return batch

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
        """Say how copies and pickles are made, as by a worker of a DataLoader."""
        return tuple(self), self.columns

    @property
    def weight(self) -> Tensor | None:
        """Row weights, or None where every row counts the same."""
        return self.columns.get("weight")

    def part(self, rows: slice) -> Batch:
        """Return some of the rows, as views."""
        x, y = self
        columns = {name: values[rows] for name, values in self.columns.items()}
        part = type(self)(x[rows], None if y is None else y[rows], **columns)
        vars(part).update({name: value for name, value in vars(self).items() if name != "columns"})
        return part


def is_sparse(X: object) -> bool:
    """Whether X is a scipy sparse matrix or array."""
    return bool(sparse.issparse(X))


def own_copy(x: Any) -> Any:
    """Return inputs, in whatever containers, in memory of their own: a network from elsewhere might write to them."""
    if type(x) is dict:  # others may be more than the values in them
        return {name: own_copy(part) for name, part in x.items()}
    if type(x) in (list, tuple):
        return type(x)(map(own_copy, x))
    if isinstance(x, Tensor):
        return x.clone()
    return x.copy() if isinstance(x, np.ndarray) else x


def shuffled(n_rows: int, generator: torch.Generator | None) -> Tensor:
    """Return the numbers of rows in random order, on the generator's device or the CPU, whatever torch's default is."""
    device = "cpu" if generator is None else generator.device
    return torch.randperm(n_rows, generator=generator, device=device)


def has_label(codes: Tensor) -> Tensor:
    """Return which rows have a label, from class codes of shape (n_rows,) or (n_rows, n_labels)."""
    return (codes if codes.ndim == 1 else codes[:, 0]) >= 0
