"""Columns of an Arrow table as inputs, labels and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sklkl._utils.checks import invalid_input

_OWNER = "RowBlocks"


class ArrowColumns(NamedTuple):
    """Names of columns, by what they are for."""

    inputs: list[str]
    target: list[str]
    weight: list[str]
    is_indicator: bool

    @classmethod
    def of(
        cls, names: list[str], target: str | Sequence[str], sample_weight: str | None, columns: Sequence[str] | None
    ) -> ArrowColumns:
        """Return the columns of a table; those of X are all others unless they are given.

        Raises
        ------
        ValueError
            If there is no such column.
        """
        indicator = not isinstance(target, str)
        targets, weight = list(target) if indicator else [str(target)], [] if sample_weight is None else [sample_weight]
        inputs = [name for name in names if name not in (*targets, *weight)] if columns is None else list(columns)
        for parameter, wanted in {"target": targets, "sample_weight": weight, "columns": inputs}.items():
            missing = [name for name in wanted if name not in names]
            if missing or (not wanted and parameter != "sample_weight"):
                found = repr(missing[0]) if missing else "none"
                raise invalid_input(parameter, found, f"of the columns {names}", of=_OWNER)
        return cls(inputs, targets, weight, indicator)

    @property
    def all(self) -> list[str]:
        """All that are read."""
        return [*self.inputs, *self.labels]

    @property
    def labels(self) -> list[str]:
        """Those that are read where no inputs are."""
        return [*self.target, *self.weight]

    def split(self, table: Any) -> tuple[Any, Any, Any]:
        """Return X, y and weights, of a table that has all columns or no inputs, whose X is None."""
        targets = [_values(table.column(name)) for name in self.target]
        y = np.column_stack(targets) if self.is_indicator else targets[0]
        weight = _values(table.column(self.weight[0])) if self.weight else None
        return self._inputs(table) if table.num_columns > len(self.labels) else None, y, weight

    def _inputs(self, table: Any) -> Any:
        inputs = table.select(self.inputs)
        if len(self.inputs) == 1 and hasattr(inputs.schema.types[0], "value_field"):
            (column,) = inputs.columns
            return _of_lists(column.combine_chunks(), len(table))
        return inputs


def _values(column: Any) -> np.ndarray:
    """Return a column as an array; categories as what they stand for."""
    if hasattr(column.type, "index_type"):
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_numpy())


def _of_lists(column: Any, n_rows: int) -> np.ndarray:
    """Return a column of lists of equal length as a matrix."""
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    values = [np.asarray(chunk.flatten()) for chunk in chunks]
    flat = np.concatenate(values) if len(values) != 1 else values[0]
    lengths = {int(length) for chunk in chunks for length in np.unique(np.asarray(chunk.value_lengths()))}
    if len(lengths) > 1 or any(chunk.null_count for chunk in chunks):
        raise invalid_input(
            "columns", "lists of several lengths", "numbers, or one of lists of equal length", of=_OWNER
        )
    return flat.reshape(n_rows, -1)
