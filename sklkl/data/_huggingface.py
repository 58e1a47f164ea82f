"""What a data set of Hugging Face says of its columns."""

from __future__ import annotations

from typing import Any

from sklkl._utils.checks import refusal

_ALLOWED = "a Dataset or an IterableDataset of Hugging Face with columns and rows, one split of a DatasetDict"


def columns_of(dataset: Any) -> list[str]:
    """Return the names of the columns that a data set gives.

    Raises
    ------
    TypeError
        If it is no data set, several, or one with a transform, which works on what Python gets and not on its tables.
    """
    if not hasattr(dataset, "with_format"):  # tables of other libraries have column_names as well
        raise TypeError(refusal("dataset", type(dataset).__name__, _ALLOWED, of="RowBlocks"))
    view = getattr(dataset, "format", {})
    if view.get("type") == "custom":
        allowed = "a data set whose rows are what is read: those that dataset.map(transform) returns"
        raise TypeError(refusal("dataset", f"{type(dataset).__name__} with a transform", allowed, of="RowBlocks"))
    known = dataset.column_names
    if known is None:  # of a stream that is made as it is read
        known = next((table.column_names for table in dataset.with_format("arrow").iter(batch_size=1)), [])
    if not isinstance(known, list) or not known:
        raise TypeError(refusal("dataset", type(dataset).__name__, _ALLOWED, of="RowBlocks"))
    return known if view.get("output_all_columns", True) else view["columns"]
