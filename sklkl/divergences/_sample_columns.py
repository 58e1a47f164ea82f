"""Two samples of one column, checked, and the table of their counts in bins."""

from __future__ import annotations

import numpy as np

from sklkl._utils.binning import NumericBins, category_bins
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.columns import all_numbers, first_other, floats, is_numeric_kind
from sklkl._utils.types import ArrayLike
from sklkl.divergences._table import QuantileReference, Table

__all__ = ["as_column", "check_bins", "table_of"]


def as_column(name: str, values: ArrayLike, categorical: bool) -> np.ndarray:
    """Return a sample as objects if it is categorical, otherwise as floats, NaN where a value is missing.

    Raises
    ------
    ValueError
        If it is empty, not one-dimensional, or has other values than numbers; `name` is its name in messages.
    """
    # as objects, because of a missing value among strings NumPy makes the string "nan"
    column = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if column.ndim != 1 or not len(column):
        raise invalid_input(name, f"the shape {column.shape}", "one-dimensional and not empty")
    if categorical or not is_numeric_kind(column.dtype.kind):
        column = column.astype(object)
    if categorical:
        return column
    if not all_numbers(column, booleans=True):
        raise invalid_input(name, repr(first_other(column)), "numbers, or any values with categorical=True")
    return floats(column)


def check_bins(bins: ArrayLike) -> int | np.ndarray:
    """Return the number of intervals, or the edges between them.

    Raises
    ------
    ValueError
        If it is neither.
    """
    allowed = "an integer >= 1 or ascending edges"
    if np.ndim(bins) == 0:
        if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
            raise invalid("bins", bins, allowed)
        return int(bins)
    try:
        edges = np.asarray(bins, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise invalid("bins", bins, allowed) from error
    if edges.ndim != 1 or not len(edges) or np.isnan(edges).any() or not (edges[1:] > edges[:-1]).all():
        raise invalid("bins", bins, allowed)
    return edges


def table_of(x: np.ndarray, y: np.ndarray, bins: int | np.ndarray, categorical: bool) -> Table:
    """Return the counts in the categories of both samples, between given edges, or between quantiles of `x`."""
    if categorical:
        # with one bin for all categories of y alone, samples of many rare categories would seem to differ
        return Table.count(x, y, category_bins(np.concatenate([x, y])))
    if isinstance(bins, np.ndarray):
        return Table.count(x, y, NumericBins(bins))
    return QuantileReference.fit(x, bins).table(y)
