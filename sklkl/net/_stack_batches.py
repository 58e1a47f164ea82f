"""Batches of a stack, and the means of its losses: a value of each network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from sklkl.data import Batch


def stacked(iterators: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Yield batches whose values have an axis of networks before that of rows; those of one iterator serve all."""
    if len(iterators) == 1:
        yield from iterators[0]
        return
    for batches in zip(*iterators, strict=True):
        columns = {name: torch.stack([batch.columns[name] for batch in batches]) for name in batches[0].columns}
        x, y = (torch.stack(parts) for parts in zip(*batches, strict=True))
        yield Batch(x, y, **columns)


def for_each(batch: Batch, n_networks: int) -> Batch:
    """Return a batch whose labels and columns have an axis of networks, as its inputs have where they differ."""
    x, y = batch
    if x.ndim > 2:
        return batch
    columns = {name: values.expand(n_networks, *values.shape) for name, values in batch.columns.items()}
    return Batch(x, y.expand(n_networks, *y.shape), **columns)


class StackMeans:
    """Means of named terms of each network over an epoch, see :class:`sklkl.losses.TermMeans`."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.mass: Any = 0.0
        self.n_batches = 0

    def add(self, terms: dict[str, Tensor], batch: Batch) -> None:
        """Add a batch's terms, of shape (n_networks,)."""
        mass = batch[0].shape[-2] if batch.weight is None else batch.weight.sum(-1).double()
        for name, values in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + values.double() * mass
        self.mass, self.n_batches = self.mass + mass, self.n_batches + 1

    def read(self) -> list[dict[str, float]]:
        """Return the means of each network, in one trip from the device."""
        mass = torch.as_tensor(self.mass, dtype=torch.float64).clamp(min=torch.finfo(torch.float64).tiny)
        columns = torch.stack([sums / mass.to(sums.device) for sums in self.sums.values()]).tolist()
        return [dict(zip(self.sums, values, strict=True)) for values in zip(*columns, strict=True)]
