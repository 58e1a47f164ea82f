"""Rows handed out batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from sklkl._utils.checks import check_integer
from sklkl.data._batch import Batch
from sklkl.data._rows import Rows

__all__ = ["Batches"]

# Shuffled rows are gathered this many elements at a time (16 MiB of float32): one gather serves many batches and
# the copy stays small beside the data.
_GATHER_ELEMENTS = 2**22


class Batches:
    """Iterate over rows in batches of nearly equal size.

    The sizes differ by at most one row, so there is no small rest, whose gradient would be noise. A batch has one row,
    on which batch normalisation fails, only where ``batch_size`` or the number of rows leaves no choice.

    Parameters
    ----------
    rows : Rows
        The data.
    batch_size : int >= 1
        Largest number of rows in a batch.
    shuffle : bool, default=False
        Whether each pass visits the rows in a new random order.
    generator : torch.Generator, default=None
        Source of that order; None means torch's global generator.

    Raises
    ------
    TypeError
        If ``rows`` is another kind of data set.
    ValueError
        If ``batch_size`` is no such number.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Batches, Rows
    >>> [x.tolist() for x, y in Batches(Rows(torch.arange(5)), batch_size=3)]
    [[0, 1], [2, 3, 4]]
    """

    def __init__(
        self, rows: Rows, batch_size: int, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> None:
        if not isinstance(rows, Rows):
            raise TypeError(
                f"The 'rows' parameter of Batches must be sklkl.data.Rows. Got {type(rows).__name__} instead. For "
                "other data sets use torch.utils.data.DataLoader as iterator_train and iterator_valid."
            )
        if type(batch_size) is not int or batch_size < 1:
            check_integer("batch_size", batch_size, 1, of="Batches")
        self.rows = rows
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows, edges in self.groups():
            yield from rows.split(edges)

    @property
    def edges(self) -> list[int]:
        """How many rows come before each batch, and how many there are."""
        n_batches = len(self)
        return [i * len(self.rows) // n_batches for i in range(n_batches + 1)] if n_batches else [0]

    def groups(self, share: int = 1) -> Iterator[tuple[Rows, list[int]]]:
        """Iterate over rows in the order of a pass, many batches at a time, and the edges of batches among them.

        Parameters
        ----------
        share : int, default=1
            How many iterators like this one hold rows at a time.
        """
        if not len(self.rows):
            return iter(())
        elements = self.batch_size * max(1, math.prod(self.rows.shape[1:]))
        at_once = max(1, _GATHER_ELEMENTS // (elements * share))
        return self.rows.groups(self.edges, at_once, self.shuffle, self.generator)
