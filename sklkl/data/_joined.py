"""Several blocks of rows in one piece, in memory that is used again for the next ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sklkl.data._rows import Rows


class JoinedBlocks:
    """Rows to which blocks are added until there are enough, and of which some are kept for the next time.

    A block by itself stays where it is. Several are copied into memory that is taken once: taken again each time, and
    in ever other sizes, the process would keep more and more of it.

    Parameters
    ----------
    n_elements : int
        From how many elements on there are enough rows.
    """

    def __init__(self, n_elements: int) -> None:
        self.n_elements = n_elements
        self._rows: Rows | None = None
        self._memory: dict[str, Tensor] = {}

    def add(self, block: Rows) -> Rows:
        """Return the rows with those of a block below them; they are valid until the next call."""
        self._rows = block if self._rows is None else self._below(self._rows, block)
        return self._rows

    def keep(self, index: Tensor) -> None:
        """Forget all rows but those at these places."""
        self._rows = self._rows.take(index) if self._rows is not None and len(index) else None

    def _below(self, held: Rows, block: Rows) -> Rows:
        enough = self.n_elements // max(1, math.prod(block.shape[1:])) + len(block)
        X = self._put("X", held.X, block.X, enough)
        y = None if held.y is None else self._put("y", held.codes, block.codes, enough)
        own = {name: (held.columns[name], block.columns[name]) for name in held.columns}
        return Rows(X, y, **{name: self._put(f"column {name}", *parts, enough) for name, parts in own.items()})

    def _put(self, name: str, held: Tensor, more: Tensor, enough: int) -> Tensor:
        n_held, n_all = len(held), len(held) + len(more)
        memory = self._memory.get(name)
        if memory is None or len(memory) < n_all:
            memory = self._memory[name] = held.new_empty((max(n_all, enough), *held.shape[1:]))
        if held.data_ptr() != memory.data_ptr():
            memory[:n_held] = held
        memory[n_held:n_all] = more
        return memory[:n_all]


def joined(parts: list[Rows]) -> Rows:
    """Return rows, none of them sparse, in one piece."""
    if len(parts) == 1:
        return parts[0]
    y = None if parts[0].y is None else torch.cat([part.codes for part in parts])
    columns = {name: torch.cat([part.columns[name] for part in parts]) for name in parts[0].columns}
    return Rows(torch.cat([part.X for part in parts]), y, **columns)
