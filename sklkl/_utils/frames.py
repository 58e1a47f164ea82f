"""What the columns of a data frame of probabilities are called, and two data frames as one."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["column_labels", "stacked_frames"]


def column_labels(table: Any, labels: np.ndarray | None = None) -> np.ndarray | None:
    """Return the labels that a frame's columns are named by; None for arrays and where columns are only counted.

    Names that are strings, which polars requires, are matched with numbers where ``labels`` are numbers.
    """
    if not hasattr(table, "columns"):
        return None
    names = list(getattr(table, "column_names", table.columns))  # the columns of a pyarrow table are its values
    if type(table.columns).__name__ == "RangeIndex" and names == list(range(len(names))):
        return None  # pandas numbers them by default
    numeric = labels is not None and labels.dtype.kind not in "OUST"
    by_text = {str(label): label for label in labels.tolist()} if labels is not None and numeric else {}
    found = [by_text.get(name, name) for name in names]
    if len({type(label) for label in found}) == 1 and not isinstance(found[0], tuple):
        return np.array(found)
    labels = np.empty(len(found), dtype=object)
    labels[:] = found
    return labels


def stacked_frames(X: Any, Y: Any) -> Any:
    """Return the rows of two frames of one library, one below the other, of different libraries as a pandas frame.

    Columns get a type that holds both: the categories of either frame, one unit of time, the wider number.
    """
    library = type(X).__module__.partition(".")[0]
    if library != type(Y).__module__.partition(".")[0]:
        library, (X, Y) = "pandas", (_to_pandas(Z) for Z in (X, Y))
    if library == "polars":
        import polars as pl

        rows = pl.concat(_plain_categories(pl, X, Y), how="vertical_relaxed")
        # signed numbers and unsigned ones of 64 bits; other libraries have nothing wider either
        wide = [name for name, kind in rows.schema.items() if str(kind) == "Int128"]
        return rows.with_columns(pl.col(wide).cast(pl.Float64))
    if library == "pyarrow":
        import pyarrow as pa  # type: ignore[import-untyped]

        X, Y = (Z.cast(pa.schema([(f.name, _value_type(pa, f.type)) for f in Z.schema])) for Z in (X, Y))
        return pa.concat_tables([X, Y], promote_options="permissive")
    return _stacked_pandas(X, Y)


def _to_pandas(table: Any) -> Any:
    return table.to_pandas() if hasattr(table, "to_pandas") else table


def _value_type(pa: Any, kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _plain_categories(pl: Any, *frames: Any) -> list[Any]:
    """Return polars frames with enumerations, which differ by their levels, as categories."""
    enums = [[name for name, kind in frame.schema.items() if isinstance(kind, pl.Enum)] for frame in frames]
    return [
        frame.with_columns(pl.col(names).cast(pl.String).cast(pl.Categorical)) if names else frame
        for frame, names in zip(frames, enums, strict=True)
    ]


def _stacked_pandas(X: Any, Y: Any) -> Any:
    import pandas as pd
    from pandas.api.types import union_categoricals

    rows = pd.concat([X, Y], ignore_index=True)
    for j in range(X.shape[1]):
        first, second = X.iloc[:, j], Y.iloc[:, j]
        if isinstance(first.dtype, pd.CategoricalDtype) and isinstance(second.dtype, pd.CategoricalDtype):
            ordered = first.dtype.ordered and first.dtype == second.dtype
            both = [column.cat.as_ordered() if ordered else column.cat.as_unordered() for column in (first, second)]
            rows.isetitem(j, pd.Series(union_categoricals(both)))
    return rows
