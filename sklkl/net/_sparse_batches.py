"""Batches of sparse rows as the engine takes them: dense, but only of the features that they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from scipy import sparse
from torch import Tensor

from sklkl.data import Batch, Batches, Rows
from sklkl.modules import SparseScaling, gathered, is_wide


class GatheredBatch(Batch):
    """A batch whose inputs are some of all features, in which the others are 0.

    Parameters
    ----------
    features : Tensor of shape (n_found,)
        The numbers of those that it has.
    """

    features: Tensor


def features_of(batch: Batch) -> Tensor | None:
    """Return the numbers of the features that a batch has, None for all."""
    return batch.features if isinstance(batch, GatheredBatch) else None


def are_gathered(rows: Rows, scaling: Any) -> bool:
    """Whether batches of these rows are to have some of the features only."""
    return rows.is_sparse and is_wide(rows.X) and (scaling is None or isinstance(scaling, SparseScaling))


class GatheredBatches:
    """Iterate over scaled batches of rows for which `are_gathered` is true.

    Parameters
    ----------
    iterators : sequence of Batches
        Over as many rows each; the values of several have an axis for them before that of the rows.
    scalings : sequence of SparseScaling or None
        What is to scale the rows of each.
    """

    def __init__(self, iterators: Sequence[Batches], scalings: Sequence[Any]) -> None:
        self.iterators, self.scalings = iterators, scalings

    def __len__(self) -> int:
        return len(self.iterators[0])

    def __iter__(self) -> Iterator[GatheredBatch]:
        for groups in zip(*(iterator.groups() for iterator in self.iterators), strict=True):
            for first, last in pairwise(groups[0][1]):
                yield self._batch([rows for rows, _ in groups], slice(first, last))

    def _batch(self, parts: Sequence[Rows], which: slice) -> GatheredBatch:
        scaled = [
            rows.X[which] if scaling is None else scaling.scale(rows.X[which])
            for rows, scaling in zip(parts, self.scalings, strict=True)
        ]
        found, features = gathered(sparse.vstack(scaled, format="csr"))
        x = torch.from_numpy(found.toarray())
        values = [[rows.codes[which], *(column[which] for column in rows.columns.values())] for rows in parts]
        if len(parts) == 1:
            y, *columns = values[0]
        else:
            x = x.unflatten(0, (len(parts), -1))
            y, *columns = (torch.stack(own) for own in zip(*values, strict=True))
        batch = GatheredBatch(x.to(y.device), y, **dict(zip(parts[0].columns, columns, strict=True)))
        batch.features = torch.from_numpy(features).long().to(y.device)
        return batch
