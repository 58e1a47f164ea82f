"""``RowBlocks``: where rows are read from that are more than fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, NamedTuple

from sklkl._utils.checks import check_integer, invalid_input, refusal
from sklkl._utils.optional import optional
from sklkl.data._arrow import ArrowColumns, index_of
from sklkl.data._huggingface import columns_of

__all__ = ["RowBlocks"]


class Block(NamedTuple):
    """Some rows as they were read."""

    X: Any
    y: Any = None
    sample_weight: Any = None


class RowBlocks:
    """Rows with their labels and weights, read block by block: X of :meth:`sklkl.KLClassifier.fit`, without y.

    A fit reads all blocks once for the labels, once to learn how columns are scaled and to set a validation part aside,
    and once an epoch, so each pass must give the same rows. One block is in memory at a time, with what is made of it.
    Made by one of the class methods.

    Parameters
    ----------
    read : callable
        From the number of a block to ``(X, y)`` or ``(X, y, sample_weight)``; y may be None in what is predicted.
        Without ``n_blocks`` called without an argument, and returns an iterable over all blocks.
    n_blocks : int >= 1 or None, default=None
        Number of blocks, which are then read in random order. None takes them in the order in which they come.
    classes : array-like of shape (n_classes,), default=None
        All labels, of which y has some; None finds them.
    read_labels : callable, default=None
        As ``read``, for a pass that needs no X, which is then ``None``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl import KLClassifier
    >>> from sklkl.data import RowBlocks
    >>> def block(number):
    ...     X = np.random.RandomState(number).randn(200, 3)
    ...     return X, np.where(X[:, 0] > 0, "up", "down")
    >>> blocks = RowBlocks.from_callable(block, n_blocks=5)
    >>> clf = KLClassifier(max_epochs=5, random_state=0).fit(blocks)
    >>> clf.classes_.tolist(), clf.predict_proba(blocks).shape
    (['down', 'up'], (1000, 2))
    """

    def __init__(
        self,
        read: Callable[..., Any],
        n_blocks: int | None = None,
        *,
        classes: Any = None,
        read_labels: Callable[..., Any] | None = None,
    ) -> None:
        if not callable(read):
            allowed = "a function, such as one with yield in it, as it is called again for each pass"
            raise TypeError(refusal("read", type(read).__name__, allowed, of="RowBlocks"))
        if n_blocks is not None:
            check_integer("n_blocks", n_blocks, 1, of="RowBlocks")
        self.read, self.n_blocks, self.classes = read, n_blocks, classes
        self.read_labels = read if read_labels is None else read_labels

    @classmethod
    def from_callable(cls, read: Callable[..., Any], n_blocks: int | None = None, *, classes: Any = None) -> RowBlocks:
        """Return the blocks that a function gives.

        Parameters
        ----------
        read : callable
            ``read(number)`` returns one block, a tuple of X and y, or of X, y and ``sample_weight``, as ``fit`` takes
            them. Without ``n_blocks`` ``read()`` returns all of them: a function with ``yield`` in it.
        n_blocks : int >= 1 or None, default=None
            Number of blocks, which are then read in random order. Blocks in an order of their own are shuffled within
            and beside their neighbours only, so they should be mixed already.
        classes : array-like of shape (n_classes,), default=None
            All labels, of which y has some; None finds them.

        Examples
        --------
        >>> import numpy as np
        >>> from sklkl.data import RowBlocks
        >>> def blocks():
        ...     for number in range(3):
        ...         yield np.full((2, 1), number), [0, 1]
        >>> RowBlocks.from_callable(blocks)
        RowBlocks(n_blocks=None)
        """
        return cls(read, n_blocks, classes=classes)

    @classmethod
    def from_arrow(
        cls, dataset: Any, target: str | Sequence[str] | None = None, *, sample_weight: str | None = None,
        columns: Sequence[str] | None = None, classes: Any = None,
    ) -> RowBlocks:  # fmt: skip
        """Return the blocks of a ``pyarrow.dataset.Dataset``: the row groups of Parquet, or other fragments.

        Parameters
        ----------
        dataset : pyarrow.dataset.Dataset
            The data.
        target : str, sequence of str or None, default=None
            Column of the labels; several for a multilabel indicator; None where there are none, to predict them.
        sample_weight : str or None, default=None
            Column of the weights.
        columns : sequence of str or None, default=None
            Columns of X: numbers, or one of lists of equal length. None for all others but the index of a frame.
        classes : array-like of shape (n_classes,), default=None
            All labels, of which the target has some; None finds them.
        """
        if not hasattr(dataset, "get_fragments"):
            allowed = "a pyarrow.dataset.Dataset, as pyarrow.dataset.dataset(table) is"
            raise TypeError(refusal("dataset", type(dataset).__name__, allowed, of="RowBlocks"))
        fragments = [part for fragment in dataset.get_fragments() for part in _row_groups(fragment)]
        _check_rows(fragments)
        names = ArrowColumns.of(dataset.schema.names, target, sample_weight, columns, index_of(dataset.schema))

        def read(number: int) -> Block:
            return Block(*names.split(fragments[number].to_table(columns=names.all, schema=dataset.schema)))

        def labels(number: int) -> Block:
            return Block(*names.split(fragments[number].to_table(columns=names.labels, schema=dataset.schema)))

        return cls(read, len(fragments), classes=classes, read_labels=labels)

    @classmethod
    def from_parquet(
        cls, path: Any, target: str | Sequence[str] | None = None, *, sample_weight: str | None = None,
        columns: Sequence[str] | None = None, classes: Any = None,
    ) -> RowBlocks:  # fmt: skip
        """Return the row groups of Parquet files.

        Parameters
        ----------
        path : str, Path or list of them
            A file, a folder or several files; a folder named ``place=Oslo`` is a column as well.
        target, sample_weight, columns, classes
            As in :meth:`from_arrow`.

        Raises
        ------
        ImportError
            If pyarrow is not installed: ``pip install "sklkl[stream]"``.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> import pyarrow as pa
        >>> import pyarrow.parquet as pq
        >>> from sklkl.data import RowBlocks
        >>> table = pa.table({"size": np.arange(100.0), "label": np.arange(100) % 2})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pq.write_table(table, folder + "/rows.parquet", row_group_size=25)
        ...     RowBlocks.from_parquet(folder, target="label")
        RowBlocks(n_blocks=4)
        """
        dataset = optional("pyarrow.dataset", "stream").dataset(path, format="parquet", partitioning="hive")
        return cls.from_arrow(dataset, target, sample_weight=sample_weight, columns=columns, classes=classes)

    @classmethod
    def from_huggingface(
        cls, dataset: Any, target: str | Sequence[str] | None = None, *, sample_weight: str | None = None,
        columns: Sequence[str] | None = None, classes: Any = None, block_rows: int = 10_000,
    ) -> RowBlocks:  # fmt: skip
        """Return so many rows at a time of a ``datasets.Dataset`` of Hugging Face, or of an ``IterableDataset``.

        Parameters
        ----------
        dataset : datasets.Dataset or datasets.IterableDataset
            The data, one split of them. The blocks of a ``Dataset`` are read in random order, those of an
            ``IterableDataset`` as they come, so one that is shuffled anew in each pass cannot be used. If the columns
            of a stream are not known, as after ``map``, its first row is read here.
        target, sample_weight, columns, classes
            As in :meth:`from_arrow`.
        block_rows : int >= 1, default=10_000
            Number of rows in a block.
        """
        check_integer("block_rows", block_rows, 1, of="RowBlocks")
        names = ArrowColumns.of(columns_of(dataset), target, sample_weight, columns)
        tables, labels = (dataset.select_columns(chosen).with_format("arrow") for chosen in (names.all, names.labels))
        if hasattr(dataset, "__len__"):
            _check_rows(dataset)
            n_blocks = -(-len(dataset) // block_rows)

            def one(source: Any) -> Callable[[int], Block]:
                return lambda i: Block(*names.split(source[i * block_rows : (i + 1) * block_rows]))

            return cls(one(tables), n_blocks, classes=classes, read_labels=one(labels))

        def every(source: Any) -> Callable[[], Iterable[Block]]:
            return lambda: (Block(*names.split(table)) for table in source.iter(batch_size=block_rows))

        return cls(every(tables), None, classes=classes, read_labels=every(labels))

    def __repr__(self) -> str:
        return f"RowBlocks(n_blocks={self.n_blocks})"

    def blocks(self, order: Sequence[int] | None = None, *, labels_only: bool = False) -> Iterator[tuple[int, Block]]:
        """Yield the number of each block and the block, in an order if they have none of their own."""
        read = self.read_labels if labels_only else self.read
        if self.n_blocks is None:
            yield from _in_their_order(read())
            return
        for number in range(self.n_blocks) if order is None else order:
            with told_of(number):
                block = _block(read(number))
            yield number, block

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise a TypeError, in place of scikit-learn's for what has no rows."""
        raise TypeError(
            "The 'X' parameter must be rows in memory here. Got RowBlocks instead, which fit, score and the predict "
            "methods of KLClassifier take, with a network of your own as its 'module'."
        )


@contextmanager
def told_of(number: int) -> Iterator[None]:
    """Let an error say in which block it was found."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This is of block {number}.")
        raise


def _in_their_order(blocks: Iterable[Any]) -> Iterator[tuple[int, Block]]:
    following, end = iter(blocks), object()
    for number in count():
        with told_of(number):
            given = next(following, end)
            block = None if given is end else _block(given)
        if block is None:
            return
        yield number, block


def _block(given: Any) -> Block:
    if not isinstance(given, tuple) or not 2 <= len(given) <= 3:
        raise invalid_input("block", type(given).__name__, "a tuple (X, y) or (X, y, sample_weight)", of="RowBlocks")
    return given if isinstance(given, Block) else Block(*given)


def _check_rows(source: Any) -> None:
    if not len(source):
        raise invalid_input("dataset", "none", "data with rows", of="RowBlocks")


def _row_groups(fragment: Any) -> list[Any]:
    """Return the parts of a fragment that are read by themselves."""
    return fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]
