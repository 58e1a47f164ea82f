"""Rows handed out batch by batch, from tensors in memory or block by block from elsewhere.

A table in memory needs no per-row ``__getitem__``, no collation and no worker processes: a batch is a slice of a
tensor. This is what makes a skorch net train as fast as a loop written by hand. May import: _utils.
"""

from sklkl.data._batch import NO_LABEL, Batch
from sklkl.data._batches import Batches
from sklkl.data._row_blocks import RowBlocks
from sklkl.data._rows import LazyRows, Rows, TrainingSet
from sklkl.data._streamed import StreamedRows

__all__ = ["NO_LABEL", "Batch", "Batches", "LazyRows", "RowBlocks", "Rows", "StreamedRows", "TrainingSet"]
