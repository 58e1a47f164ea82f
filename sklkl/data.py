"""Rows held as whole tensors and handed out batch by batch.

A table in memory needs no per-row ``__getitem__``, no collation and no worker processes: a batch is a slice of a
tensor. This is what makes a skorch net train as fast as a loop written by hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, repeat
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import sparse
from skorch.dataset import Dataset
from torch import Tensor

__all__ = ["NO_LABEL", "Batch", "Batches", "Rows", "TrainingSet"]

# The class code of a row without a label, as in torch's own losses.
NO_LABEL = -100

_Sparse: TypeAlias = sparse.csr_array | sparse.csr_matrix

# Shuffled rows are gathered this many elements at a time (16 MiB of float32): one gather serves many batches and
# the copy stays small beside the data.
_GATHER_ELEMENTS = 2**22


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
    >>> batch = Batch(torch.zeros(2, 3), torch.tensor([0, 1]), weight=torch.ones(2))
    >>> x, y = batch
    >>> batch.weight
    tensor([1., 1.])
    """

    columns: dict[str, Tensor]

    def __new__(cls, x: Tensor, y: Tensor | None, **columns: Tensor) -> Batch:  # noqa: D102
        batch = super().__new__(cls, (x, y))
        batch.columns = columns
        return batch

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


def has_label(codes: Tensor) -> Tensor:
    """Return which rows have a label, from class codes of shape (n_rows,) or (n_rows, n_labels)."""
    return (codes if codes.ndim == 1 else codes[:, 0]) >= 0


def _as_tensor(values: ArrayLike | Tensor) -> Tensor:
    if isinstance(values, Tensor):
        return values
    values = np.asarray(values)
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
    return values[first:last].tensor_split([edge - first for edge in inner])


class Rows(Dataset):
    """A skorch data set of whole tensors with one entry a row.

    Parameters
    ----------
    X : array-like, Tensor or sparse matrix of shape (n_rows, ...)
        Inputs. A scipy sparse matrix stays sparse (CSR); only a batch of it is ever made dense.
    y : array-like or Tensor of shape (n_rows,), default=None
        Class codes 0 to n_classes - 1.
    **columns : array-like or Tensor of shape (n_rows, ...)
        Further per-row values by name, for example ``weight``. A column that is None is left out.

    Raises
    ------
    TypeError
        If an array is not numeric.
    ValueError
        If the columns differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.data import Batches, Rows
    >>> rows = Rows(np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1]))
    >>> [len(x) for x, y in Batches(rows, batch_size=2)]
    [1, 2, 2]
    """

    def __init__(self, X: Any, y: ArrayLike | Tensor | None = None, **columns: ArrayLike | Tensor | None) -> None:
        # Any: a Tensor or a sparse matrix, and who made these rows knows which
        self.X: Any = X.tocsr() if is_sparse(X) else _as_tensor(X)
        self.y: Tensor | None = None if y is None else _as_tensor(y)
        self.columns: dict[str, Tensor] = {
            name: _as_tensor(values) for name, values in columns.items() if values is not None
        }
        for name, values in {"y": self.y, **self.columns}.items():
            if values is not None and len(values) != len(self):
                raise ValueError(
                    f"The {name!r} parameter of Rows must have {len(self)} rows, as X has. Got {len(values)} instead."
                )

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, index: int) -> Batch:
        """One row as ``(x, y)``, for code that goes row by row."""
        (batch,) = self.take(torch.tensor([index])).split([0, 1])
        y = torch.tensor(0) if batch[1] is None else batch[1][0]  # as skorch: a DataLoader cannot collate None
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
            joined = torch.cat([self.X, Rows(X.toarray() if is_sparse(X) else X).to(self.device).X])
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
        return self.take(torch.nonzero(self.has_label).flatten())

    def take(self, index: Tensor) -> Rows:
        """Return the rows at ``index``, a tensor of integers, as new rows."""
        # index_select is several times faster than values[index]
        return self._map(
            lambda values: values.index_select(0, index.to(values.device)), lambda X: X[index.cpu().numpy()]
        )

    def to(self, device: torch.device | str) -> Rows:
        """Return the rows on ``device``; a sparse X stays where it is."""
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


class Batches:
    """Iterate over rows in batches of nearly equal size.

    The sizes differ by at most one row, so there is no small rest, whose gradient would be noise. A batch has one row,
    on which batch normalisation fails, only where ``batch_size`` or the number of rows leaves no choice.

    Parameters
    ----------
    rows : Rows
        The data.
    batch_size : int
        Largest number of rows in a batch.
    shuffle : bool, default=False
        Whether each pass visits the rows in a new random order.
    generator : torch.Generator, default=None
        Source of that order; None means torch's global generator.

    Raises
    ------
    TypeError
        If ``rows`` is another kind of data set.

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
        return [i * len(self.rows) // len(self) for i in range(len(self) + 1)]

    def groups(self, share: int = 1) -> Iterator[tuple[Rows, list[int]]]:
        """Yield rows in the order of a pass, many batches at a time, and the edges of batches among them.

        Parameters
        ----------
        share : int, default=1
            How many iterators like this one hold rows at a time.
        """
        edges = self.edges
        if not self.shuffle:
            yield self.rows, edges
            return
        order = torch.randperm(len(self.rows), generator=self.generator)
        elements = self.batch_size * max(1, math.prod(self.rows.X.shape[1:]))
        group = max(1, _GATHER_ELEMENTS // (elements * share))
        for first in range(0, len(self), group):
            part = edges[first : first + group + 1]
            yield self.rows.take(order[part[0] : part[-1]]), [edge - part[0] for edge in part]


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
