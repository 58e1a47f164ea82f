"""Rows that are read block by block, again in each pass."""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from sklkl.data._batch import shuffled
from sklkl.data._joined import JoinedBlocks
from sklkl.data._rows import Rows

__all__ = ["StreamedRows"]

# Blocks of fewer elements (8 MiB of float32) are joined.
JOINED = 2**21

# That much less than of rows in memory is gathered at a time, beside blocks in memory.
_FEWER = 4

# From block numbers, or None where they have an order of their own, to the rows of each.
ReadBlocks = Callable[[list[int] | None], Iterator[Rows]]


class StreamedRows(Rows):
    """Rows that are read block by block, again in each pass; of all rows there are no more in memory at a time.

    A shuffled pass takes the blocks in random order and the rows of each in random order. Blocks of few rows are joined
    until they have more, so that rows of several are shuffled together. Batches are those of rows in memory: one may
    have the last rows of a block and the first of the next.

    Parameters
    ----------
    read : callable
        From block numbers to an iterator over :class:`Rows`, one for each; None asks for all in their own order.
    n_rows : int
        How many rows there are.
    n_blocks : int or None
        How many blocks; None where they have an order of their own.
    shown : Rows
        Some of the rows.
    counted : Rows
        Few rows whose labels and weights have the class shares of all.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Batches, Rows, StreamedRows
    >>> x, y = torch.arange(3.0)[:, None], torch.tensor([0, 1, 0])
    >>> blocks = [Rows(x, y), Rows(x + 3, y)]
    >>> def read(order):
    ...     return (blocks[number] for number in order or range(2))
    >>> rows = StreamedRows(read, 6, 2, shown=blocks[0], counted=blocks[0])
    >>> [x.flatten().tolist() for x, y in Batches(rows, batch_size=2)]
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """

    def __init__(self, read: ReadBlocks, n_rows: int, n_blocks: int | None, shown: Rows, counted: Rows) -> None:
        self.read, self.n_rows, self.n_blocks = read, n_rows, n_blocks
        self._shown, self._counted = shown, counted
        self.y, self.columns = counted.y, shown.columns
        self.shape, self.is_whole, self.is_sparse = (n_rows, *shown.shape[1:]), False, False

    @property
    def X(self) -> Any:  # noqa: N802
        """Nothing.

        Raises
        ------
        AttributeError
            Always.
        """
        raise AttributeError("Rows that are read block by block have no X; iterate over Batches of them.")

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self._shown.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of a batch's inputs."""
        return self._shown.dtype

    @property
    def shown(self) -> Rows:
        """Some of the rows, in memory."""
        return self._shown

    @property
    def counted(self) -> Rows:
        """Few rows whose labels and weights have the class shares of all."""
        return self._counted

    def to(self, device: torch.device | str | None) -> Rows:
        """Return the rows, which are to be put on ``device`` when they are read."""
        moved = copy.copy(self)
        moved._shown, moved._counted = self._shown.to(device), self._counted.to(device)
        moved.y, moved.columns = moved._counted.y, moved._shown.columns
        return moved

    def take(self, index: Tensor) -> Rows:
        """Raise a TypeError: rows of a stream have no numbers."""
        raise TypeError("Rows that are read block by block cannot be taken by number; iterate over Batches of them.")

    part = take

    def groups(
        self, edges: list[int], at_once: int, shuffle: bool, generator: torch.Generator | None
    ) -> Iterator[tuple[Rows, list[int]]]:
        """Yield rows in the order of a pass, many batches at a time, and the edges of batches among them."""
        joined, at_once = JoinedBlocks(JOINED), max(1, at_once // _FEWER)
        n_done = n_read = 0
        for block in self.read(self._order(shuffle, generator)):
            held, n_read = joined.add(block), n_read + len(block)
            del block
            if n_read < self.n_rows and len(held) * math.prod(held.shape[1:]) < JOINED:
                continue
            own = [edge - n_done for edge in edges[bisect_right(edges, n_done) - 1 : bisect_right(edges, n_read)]]
            order = shuffled(len(held), generator) if shuffle else torch.arange(len(held), device="cpu")
            for rows, of_batches in held.gathered(order, own, at_once):
                yield rows.to(self.device), of_batches
            joined.keep(order[own[-1] :])
            n_done += own[-1]
            del held, order  # before the next block is read
        if n_read != self.n_rows:
            raise ValueError(f"The blocks must have the same rows in each pass: {self.n_rows}. Got {n_read} instead.")

    def _order(self, shuffle: bool, generator: torch.Generator | None) -> list[int] | None:
        """Return numbers of blocks in the order of a pass; nothing is drawn for one block."""
        if self.n_blocks is None or not shuffle:
            return None
        return shuffled(self.n_blocks, generator).tolist() if self.n_blocks > 1 else [0]
