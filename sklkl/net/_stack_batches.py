"""Batches of a stack and dropout for them, and the means of its losses: a value of each network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from operator import sub
from typing import Any

import torch
from torch import Tensor

from sklkl.data import Batch, Batches
from sklkl.modules import Dropout
from sklkl.net._sparse_batches import GatheredBatches, are_gathered

# So many elements of masks are drawn at a time: few operations for small networks, and little memory for large ones.
_MASKED_AT_ONCE = 2**18


def stacked(iterators: Sequence[Batches], scalings: Sequence[Any]) -> Iterator[Batch]:
    """Yield batches whose values have an axis of networks before that of rows; those of one iterator serve all.

    Parameters
    ----------
    iterators : sequence of Batches
        Over as many rows each.
    scalings : sequence of torch.nn.Module or None
        What is to scale the rows of each.
    """
    if are_gathered(iterators[0].rows, scalings[0]):
        yield from GatheredBatches(iterators, scalings)
        return
    pieces = (_scaled(iterator, scaling, len(iterators)) for iterator, scaling in zip(iterators, scalings, strict=True))
    for own in zip(*pieces, strict=True):
        edges = own[0][1]
        if len(own) == 1:
            yield from _parts(own[0][0], edges, axis=0)
        else:
            yield from _parts(_joined([piece for piece, _ in own]), edges, axis=1)


def _scaled(iterator: Batches, scaling: Any, share: int) -> Iterator[tuple[Batch, list[int]]]:
    """Yield as many batches in one, with their edges, as are in memory anyway: one of rows to scale or make dense."""
    for rows, edges in iterator.groups(share):
        if iterator.shuffle and scaling is None and rows.is_whole:
            yield Batch(rows.X, rows.y, **rows.columns), edges
            continue
        for batch in rows.split(edges):
            with torch.no_grad():
                x = batch[0] if scaling is None else scaling(batch[0])
            yield Batch(x, batch[1], **batch.columns), [0, len(x)]


def _joined(pieces: Sequence[Batch]) -> Batch:
    columns = {name: torch.stack([piece.columns[name] for piece in pieces]) for name in pieces[0].columns}
    x, y = (torch.stack(values) for values in zip(*pieces, strict=True))
    return Batch(x, y, **columns)


def _parts(piece: Batch, edges: list[int], axis: int) -> Iterator[Batch]:
    """Yield the rows between successive edges as views."""
    parts = (values.tensor_split(edges[1:-1], axis) for values in (*piece, *piece.columns.values()))
    for x, y, *columns in zip(*parts, strict=True):
        yield Batch(x, y, **dict(zip(piece.columns, columns, strict=True)))


def masks(
    networks: Sequence[Sequence[Dropout]], edges: list[int], units: Sequence[int], like: Tensor, ahead: bool = True
) -> Iterator[Any]:
    """Return for each batch the masks of the hidden layers, None if there is no dropout.

    Parameters
    ----------
    networks : sequence of sequence of Dropout
        The layers of each network; those of one serve all.
    edges : list of int
        How many rows come before each batch, and how many there are.
    units : sequence of int
        Units of each hidden layer.
    like : Tensor
        What the masks shall have the type and device of.
    ahead : bool, default=True
        Whether those of later batches may be drawn already: nothing else draws in between.
    """
    sizes = list(map(sub, edges[1:], edges))
    if not networks[0]:
        return repeat(None, len(sizes))
    if ahead and all(map(_is_one_source, networks)):
        return _drawn_at_once([own[0] for own in networks], sizes, units, like)
    return (drawn_in_turn(networks, size, units, like) for size in sizes)


def drawn_in_turn(networks: Sequence[Sequence[Dropout]], size: int, units: Sequence[int], like: Tensor) -> list[Tensor]:
    """Return the masks of one batch, layer by layer: one for all networks, or with an axis of networks."""
    drawn = [[layer.mask((size, n), like) for layer, n in zip(own, units, strict=True)] for own in networks]
    return [own[0] if len(own) == 1 else torch.stack(own) for own in zip(*drawn, strict=True)]


def _is_one_source(layers: Sequence[Dropout]) -> bool:
    """Whether the masks of all layers are cut out of the same stream of words."""
    p, generator = layers[0].p, layers[0].generator
    alike = all(layer.p == p and layer.generator is generator for layer in layers)
    return alike and p > 0 and generator is not None


def _drawn_at_once(
    layers: Sequence[Dropout], sizes: Sequence[int], units: Sequence[int], like: Tensor
) -> Iterator[list[Tensor]]:
    """Yield the masks of each batch, drawn for many of them at a time."""
    at_once = max(1, _MASKED_AT_ONCE // (len(layers) * sizes[-1] * sum(units)))
    for first in range(0, len(sizes), at_once):
        yield from _drawn(layers, sizes[first : first + at_once], units, like)


def _drawn(
    layers: Sequence[Dropout], sizes: Sequence[int], units: Sequence[int], like: Tensor
) -> Iterator[list[Tensor]]:
    shapes = [(size, n) for size in sizes for n in units]
    # each mask begins with a new word, of four elements
    lengths = [-(-size * n // 4) * 4 for size, n in shapes]
    words = torch.empty(len(layers), sum(lengths) // 4, dtype=torch.int64)
    for layer, own in zip(layers, words, strict=True):
        layer.fill(own)
    factors = layers[0].factors(words.view(torch.int16), like)
    parts = zip((factors if len(layers) > 1 else factors[0]).split(lengths, -1), shapes, strict=True)
    views = [part[..., : size * n].unflatten(-1, (size, n)) for part, (size, n) in parts]
    for first in range(0, len(views), len(units)):
        yield views[first : first + len(units)]


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
        self.values: dict[str, list[Tensor]] = {}
        self.masses: list[Any] = []

    def add(self, terms: dict[str, Tensor], batch: Batch) -> None:
        """Add a batch's terms, of shape (n_networks,)."""
        self.masses.append(batch[0].shape[-2] if batch.weight is None else batch.weight.sum(-1))
        for name, values in terms.items():
            self.values.setdefault(name, []).append(values)

    @property
    def n_batches(self) -> int:
        """Number of batches."""
        return len(self.masses)

    def read(self) -> list[dict[str, float]]:
        """Return the means of each network, in one trip from the device."""
        values = torch.stack([torch.stack(column) for column in self.values.values()]).double()
        weighted = isinstance(self.masses[0], Tensor)
        masses = torch.stack(self.masses).to(values) if weighted else values.new_tensor(self.masses)
        masses = masses.reshape(self.n_batches, -1)
        means = (values * masses).sum(1) / masses.sum(0).clamp(min=torch.finfo(torch.float64).tiny)
        return [dict(zip(self.values, own, strict=True)) for own in means.T.tolist()]
