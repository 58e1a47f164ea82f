"""Columns of an Arrow table as inputs, labels and weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sklkl._utils.checks import invalid_input

_OWNER = "RowBlocks"
# What pandas calls an index without a name.
_INDEX = re.compile(r"__index_level_\d+__")


class ArrowColumns(NamedTuple):
    """Names of columns, by what they are for."""

    inputs: list[str]
    target: list[str]
    weight: list[str]
    is_indicator: bool

    @classmethod
    def of(
        cls,
        names: list[str],
        target: str | Sequence[str] | None,
        sample_weight: str | None,
        columns: Sequence[str] | None,
        index: Sequence[str] = (),
    ) -> ArrowColumns:
        """Return the columns of a table; those of X are all others but the index of a frame unless they are given.

        Raises
        ------
        ValueError
            If there is no such column, or one is named twice.
        """
        targets, weight = _names(target), _names(sample_weight)
        others = (name for name in names if name not in (*targets, *weight, *index) and not _INDEX.fullmatch(name))
        inputs = list(others) if columns is None else _names(columns)
        may_lack = {"target": target is None, "sample_weight": True, "columns": False}
        for parameter, wanted in zip(may_lack, (targets, weight, inputs), strict=True):
            missing = [name for name in wanted if name not in names]
            if missing or not (wanted or may_lack[parameter]):
                found = repr(missing[0]) if missing else "none"
                raise invalid_input(parameter, found, f"of the columns {names}", of=_OWNER)
        chosen = [*targets, *weight, *inputs]
        twice = [name for name in chosen if chosen.count(name) > 1]
        if twice:
            of = ("target", "sample_weight", "columns")
            raise invalid_input(of, f"{twice[0]!r} twice", "columns of which none is named twice", of=_OWNER)
        return cls(inputs, targets, weight, is_indicator=not isinstance(target, str) and target is not None)

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
        y = np.column_stack(targets) if self.is_indicator else targets[0] if targets else None
        weight = _values(table.column(self.weight[0])) if self.weight else None
        return self._inputs(table) if table.num_columns > len(self.labels) else None, y, weight

    def _inputs(self, table: Any) -> Any:
        inputs = table.select(self.inputs)
        if len(self.inputs) == 1 and _is_list(inputs.schema.types[0]):
            (column,) = inputs.columns
            return _of_lists(column.combine_chunks(), len(table))
        for field in inputs.schema:
            if _is_nested(field.type):
                raise _no_numbers(f"{field.name!r} of type {field.type}")
        return inputs


def index_of(schema: Any) -> list[str]:
    """Return the columns that were the index of a frame of pandas."""
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in index if isinstance(name, str)]  # one of consecutive numbers is no column


def _names(given: Any) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)


def _values(column: Any) -> np.ndarray:
    """Return a column as an array; categories as what they stand for."""
    if hasattr(column.type, "index_type"):
        column = column.cast(column.type.value_type)
    return np.asarray(column.to_numpy())


def _is_nested(kind: Any) -> bool:
    return getattr(kind, "storage_type", kind).num_fields > 0


def _is_list(kind: Any) -> bool:
    return hasattr(kind, "value_field") and not _is_nested(kind.value_type)


def _no_numbers(found: str) -> ValueError:
    return invalid_input("columns", found, "numbers, or one of lists of equal length", of=_OWNER)


def _of_lists(column: Any, n_rows: int) -> np.ndarray:
    """Return a column of lists of equal length as a matrix."""
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    missing = any(chunk.null_count for chunk in chunks)
    if missing or len({length for chunk in chunks for length in chunk.value_lengths().unique().to_pylist()}) > 1:
        found = "a missing list" if missing else "lists of several lengths"
        raise _no_numbers(found)
    values = [np.asarray(chunk.flatten()) for chunk in chunks]
    flat = np.concatenate(values) if len(values) != 1 else values[0]
    return flat.reshape(n_rows, -1)
