"""Rows held as whole tensors."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, repeat
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import sparse
from skorch.dataset import Dataset
from torch import Tensor

from sklkl._utils.arrays import unmasked
from sklkl._utils.checks import invalid_input
from sklkl.data._batch import NO_LABEL, Batch, has_label, shuffled

__all__ = ["LazyRows", "Rows", "TrainingSet"]

_HELD = "a dense tensor, an array or a scipy sparse matrix with one entry a row"

_Sparse: TypeAlias = sparse.csr_array | sparse.csr_matrix

# A part of rows that has more elements than this (16 MiB of float32) is not copied as a whole.
LARGE = 2**22


def _as_tensor(values: ArrayLike | Tensor, name: str = "X") -> Tensor:
    if isinstance(values, Tensor):
        if values.layout is not torch.strided:
            raise invalid_input(name, f"a tensor of layout {values.layout}", _HELD, of="Rows")
    else:
        values = _from_array(values)
    if not values.ndim:
        raise invalid_input(name, "a single number", _HELD, of="Rows")
    return values


def _from_array(values: ArrayLike) -> Tensor:
    values = np.asarray(unmasked(values) if isinstance(values, np.ma.MaskedArray) else values)
    if values.dtype.kind not in "biufc":
        raise TypeError(
            f"The parameters of Rows must be numeric arrays. Got one of dtype {values.dtype} instead. For nested or "
            "mixed inputs pass your own dataset and iterators to KLNet (dataset=..., iterator_train=..., "
            "iterator_valid=...)."
        )
    # torch warns about read-only memory and cannot represent negative strides or foreign byte orders.
    values = np.require(values, dtype=values.dtype.newbyteorder("="), requirements=["C", "W"])
    values = values.copy() if min(values.strides, default=0) < 0 else values  # numpy: one row is in order anyway
    return torch.from_numpy(values)


def _parts(values: Tensor, edges: list[int]) -> tuple[Tensor, ...]:
    """Return views of the rows between successive edges."""
    first, *inner, last = edges
    part = values[first:last]
    return part.tensor_split([edge - first for edge in inner]) if inner else (part,)


class Rows(Dataset):
    """A skorch data set of whole tensors with one entry a row.

    Parameters
    ----------
    X : array-like, Tensor or sparse matrix of shape (n_rows, ...)
        Inputs. A scipy sparse matrix stays sparse (CSR); only a batch of it is ever made dense. What is masked in a
        masked array is NaN.
    y : array-like or Tensor of shape (n_rows,), default=None
        Class codes 0 to n_classes - 1.
    **columns : array-like or Tensor of shape (n_rows, ...)
        Further per-row values by name, for example ``weight``. A column that is None is left out.

    Raises
    ------
    TypeError
        If an array is not numeric.
    ValueError
        If the columns differ in length, or are single numbers or sparse tensors.

    Attributes
    ----------
    shape : tuple of int
        Shape of X.
    is_whole : bool
        Whether X is one tensor in memory, of which a batch is a slice.
    is_sparse : bool
        Whether X is a sparse matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.data import Batches, Rows
    >>> rows = Rows(np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1]))
    >>> [len(x) for x, y in Batches(rows, batch_size=2)]
    [1, 2, 2]
    """

    shape: tuple[int, ...]

    def __init__(self, X: Any, y: ArrayLike | Tensor | None = None, **columns: ArrayLike | Tensor | None) -> None:
        # Any: a Tensor or a sparse matrix, and who made these rows knows which
        self.X: Any = X.tocsr() if hasattr(X, "tocsr") else _as_tensor(X)
        self.shape, self.is_whole = tuple(self.X.shape), isinstance(self.X, Tensor)
        self.is_sparse = not self.is_whole
        self.y: Tensor | None = None
        self.columns: dict[str, Tensor] = {}
        self._take_in(y, columns)

    def _take_in(self, y: Any, columns: dict[str, Any]) -> None:
        """Keep codes and columns as tensors, which must have as many rows as X."""
        given = {"y": y, **columns}
        held = {name: _as_tensor(values, name) for name, values in given.items() if values is not None}
        for name, values in held.items():
            if len(values) != len(self):
                raise ValueError(
                    f"The {name!r} parameter of Rows must have {len(self)} rows, as X has. Got {len(values)} instead."
                )
        self.y, self.columns = held.pop("y", None), held

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def shown(self) -> Rows:
        """Rows in memory by which to judge all: these, where they are."""
        return self

    @property
    def counted(self) -> Rows:
        """Rows in memory whose labels and weights have the class shares of all: these, where they are."""
        return self

    def __getitem__(self, index: int) -> Batch:
        """One row as ``(x, y)``, for code that goes row by row; a negative number counts from the end."""
        (batch,) = self.take(torch.tensor([range(len(self))[operator.index(index)]], device="cpu")).split([0, 1])
        # 0 as skorch has it: a DataLoader cannot collate None
        y = torch.tensor(0, device="cpu") if batch[1] is None else batch[1][0]
        return Batch(batch[0][0], y, **{name: values[0] for name, values in batch.columns.items()})

    @property
    def weight(self) -> Tensor | None:
        """Row weights, or None where every row counts the same."""
        return self.columns.get("weight")

    @property
    def device(self) -> torch.device:
        """Where batches are: a sparse X stays on the CPU, but its batches join their class codes."""
        held = self.X if isinstance(self.X, Tensor) else self.y
        return torch.device("cpu") if held is None else held.device

    @property
    def codes(self) -> Tensor:
        """Class codes, of rows that have some."""
        if self.y is None:
            raise ValueError("These rows have no class codes.")
        return self.y

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of a batch's inputs."""
        return self.X.dtype if isinstance(self.X, Tensor) else torch.from_numpy(self.X.data[:0]).dtype

    def with_columns(self, **columns: ArrayLike | Tensor | None) -> Rows:
        """Return these rows with further per-row values, or with some replaced; one that is None is dropped."""
        on_device = {
            name: None if values is None else _as_tensor(values).to(self.device) for name, values in columns.items()
        }
        return Rows(self.X, self.y, **{**self.columns, **on_device})

    def with_unlabeled(self, X: Any) -> Rows:
        """Return these rows and, below them, rows of average weight without labels; other columns are dropped."""
        n_extra, codes = X.shape[0], self.codes
        y = torch.full((n_extra, *codes.shape[1:]), NO_LABEL, dtype=codes.dtype, device=codes.device)
        if isinstance(self.X, Tensor):
            joined = torch.cat([self.X, Rows(X.toarray() if hasattr(X, "toarray") else X).to(self.device).X])
        else:
            joined = sparse.vstack([self.X, sparse.csr_array(X)])
        weight = None if self.weight is None else torch.cat([self.weight, self.weight.mean().expand(n_extra)])
        return Rows(joined, torch.cat([codes, y]), weight=weight)

    @property
    def has_label(self) -> Tensor:
        """Which rows have a label, of shape (n_rows,), of rows that have class codes."""
        return has_label(self.codes)

    def labelled(self) -> Rows:
        """Return the rows that have a label."""
        known = self.has_label
        return self if bool(known.all()) else self.take(torch.nonzero(known).flatten())

    def part(self, index: Tensor) -> Rows:
        """Return the rows at ``index`` as :meth:`take` does, but a large part of a dense X is copied batch by batch."""
        n_elements = len(index) * math.prod(self.shape[1:])
        if not self.is_whole or self.X.device.type != "cpu" or n_elements <= LARGE:
            return self.take(index)
        return LazyRows(self.X, self.y, self.X.dtype, **self.columns).part(index)

    def take(self, index: Tensor) -> Rows:
        """Return the rows at ``index``, a tensor of integers, as new rows."""
        # index_select is several times faster than values[index]
        return self._map(
            lambda values: values.index_select(0, index.to(values.device)), lambda X: X[index.cpu().numpy()]
        )

    def to(self, device: torch.device | str | None) -> Rows:
        """Return the rows on ``device``, where they are if that is None; a sparse X stays where it is."""
        if device is None:
            return self
        there, held = torch.device(device), (self.X, self.y, *self.columns.values())
        if all(part.device == there for part in held if isinstance(part, Tensor)):
            return self
        return self._map(lambda values: values.to(device), lambda X: X)

    def _map(self, dense: Callable[[Tensor], Tensor], sparse_rows: Callable[[_Sparse], _Sparse]) -> Rows:
        X = dense(self.X) if isinstance(self.X, Tensor) else sparse_rows(self.X)
        y = None if self.y is None else dense(self.y)
        return Rows(X, y, **{name: dense(values) for name, values in self.columns.items()})

    def split(self, edges: list[int]) -> Iterator[Batch]:
        """Yield the rows between successive ``edges`` as dense batches; only a sparse X is copied."""
        ys = repeat(None) if self.y is None else _parts(self.y, edges)
        if not self.columns:
            yield from map(Batch, self._split_X(edges), ys)
            return
        columns = [_parts(values, edges) for values in self.columns.values()]
        for x, y, *parts in zip(self._split_X(edges), ys, *columns, strict=False):
            yield Batch(x, y, **dict(zip(self.columns, parts, strict=True)))

    def _split_X(self, edges: list[int]) -> Iterable[Tensor]:
        if isinstance(self.X, Tensor):
            return _parts(self.X, edges)
        return (torch.from_numpy(self.X[i:j].toarray()).to(self.device) for i, j in pairwise(edges))

    def groups(
        self, edges: list[int], at_once: int, shuffle: bool, generator: torch.Generator | None
    ) -> Iterator[tuple[Rows, list[int]]]:
        """Yield rows in the order of a pass, so many batches at a time, and the edges of batches among them."""
        if not shuffle:
            yield self, edges
            return
        yield from self.gathered(shuffled(len(self), generator), edges, at_once)

    def gathered(self, order: Tensor, edges: list[int], at_once: int) -> Iterator[tuple[Rows, list[int]]]:
        """Yield the rows in an order, so many batches at a time, and the edges of batches among them."""
        for first in range(0, len(edges) - 1, at_once):
            part = edges[first : first + at_once + 1]
            yield self.take(order[part[0] : part[-1]]), [edge - part[0] for edge in part]


class LazyRows(Rows):
    """Rows of a table that stays where and as it is: only what a batch needs is copied, in the type that it needs.

    Parameters
    ----------
    table : ndarray or Tensor of shape (n_all, ...)
        Numbers, such as a memory map.
    y : Tensor of shape (n_rows,) or None
        Class codes.
    dtype : torch.dtype
        Floating type of batches.
    index : Tensor of shape (n_rows,), default=None
        Which rows of the table these are; None for all.
    **columns : Tensor of shape (n_rows, ...)
        Further per-row values by name.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklkl.data import LazyRows
    >>> table = np.arange(6, dtype=np.int16).reshape(3, 2)
    >>> rows = LazyRows(table, None, torch.float32).part(torch.tensor([2, 0]))
    >>> [x.tolist() for x, y in rows.split([0, 1, 2])]
    [[[4.0, 5.0]], [[0.0, 1.0]]]
    """

    def __init__(
        self,
        table: np.ndarray | Tensor,
        y: ArrayLike | Tensor | None,
        dtype: torch.dtype,
        index: Tensor | None = None,
        **columns: ArrayLike | Tensor | None,
    ) -> None:
        self.table, self.index, self._dtype = table, index, dtype
        self.shape = (len(table if index is None else index), *table.shape[1:])
        self.is_whole = self.is_sparse = False
        self._take_in(y, columns)

    @property
    def X(self) -> Any:  # noqa: N802
        """All inputs, copied."""
        return self._read(slice(None))

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of a batch's inputs."""
        return self._dtype

    def _read(self, which: Tensor | slice) -> Tensor:
        """Return some rows, by number or as a slice; a slice of what is right already is not copied."""
        own = which if self.index is None else self.index[which]
        if isinstance(self.table, Tensor):
            return (self.table[own] if isinstance(own, slice) else self.table.index_select(0, own)).to(self._dtype)
        part = self.table[own if isinstance(own, slice) else own.numpy()]
        # NumPy does not have all of torch's types
        known = torch.float32 if self._dtype is torch.bfloat16 else self._dtype
        dtype = np.dtype(str(known).removeprefix("torch."))
        return torch.from_numpy(np.require(part, dtype, requirements=["C", "W"])).to(self._dtype)

    def with_columns(self, **columns: ArrayLike | Tensor | None) -> Rows:
        """Return these rows with further per-row values, or with some replaced; one that is None is dropped."""
        return LazyRows(self.table, self.y, self._dtype, self.index, **{**self.columns, **columns})

    def take(self, index: Tensor) -> Rows:
        """Return the rows at ``index``, a tensor of integers, as new rows in memory."""
        y, columns = self._values_at(index)
        return Rows(self._read(index), y, **columns)

    def part(self, index: Tensor) -> Rows:
        """Return the rows at ``index``, of which nothing but class codes and columns is copied."""
        y, columns = self._values_at(index)
        return LazyRows(self.table, y, self._dtype, index if self.index is None else self.index[index], **columns)

    def _values_at(self, index: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        y = None if self.y is None else self.y.index_select(0, index)
        return y, {name: values.index_select(0, index) for name, values in self.columns.items()}

    def to(self, device: torch.device | str | None) -> Rows:
        """Return the rows on ``device``, copied unless that is the CPU."""
        return self if torch.device(device or "cpu").type == "cpu" else Rows(self.X, self.y, **self.columns).to(device)

    def _split_X(self, edges: list[int]) -> Iterable[Tensor]:
        return (self._read(slice(i, j)) for i, j in pairwise(edges))


class TrainingSet(Dataset):
    """Rows to train on, with a validation part or without; :class:`sklkl.KLNet` splits it no further.

    Parameters
    ----------
    train : Rows
        Training rows; those with a column ``teacher_proba`` carry the distillation loss.
    valid : Rows or None, default=None
        Validation rows.
    known_classes : list of int or None, default=None
        Codes of the classes that ``teacher_proba`` has columns for; None for all.

    Examples
    --------
    >>> import torch
    >>> from sklkl.data import Rows, TrainingSet
    >>> rows = Rows(torch.zeros(5, 2), torch.tensor([0, 1, 0, 1, 1]))
    >>> len(TrainingSet(rows.take(torch.arange(4)), rows.take(torch.tensor([4]))))
    4
    """

    def __init__(self, train: Rows, valid: Rows | None = None, known_classes: list[int] | None = None) -> None:
        self.train, self.valid, self.known_classes = train, valid, known_classes

    def __len__(self) -> int:
        return len(self.train)

    def __getitem__(self, index: int) -> Batch:
        """One training row."""
        return self.train[index]
