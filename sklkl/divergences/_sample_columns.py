"""Two samples of one column, checked, and the table of their counts in bins."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import numpy as np

from sklkl._utils.arrays import to_numpy
from sklkl._utils.binning import category_bins
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.columns import first_other, is_hashable
from sklkl._utils.quantities import Quantity, as_array, canonical, quantity
from sklkl._utils.types import ArrayLike
from sklkl.divergences._permutation import Splits, row_splits
from sklkl.divergences._references import BinnedReference, NumberReference, numeric_reference
from sklkl.divergences._table import Table

__all__ = ["Column", "as_column", "check_bins", "check_edges", "check_kinds", "splits_of_rows", "table_of"]

# From so many rows for each quantile bin on, splits drawn as counts are as good as splits of the rows, and faster.
_MANY_ROWS = 10

_BINS = "an integer >= 1 or ascending edges"

# Numbers, or categories as Python objects.
Column: TypeAlias = Quantity | np.ndarray


def as_column(name: str, values: ArrayLike, categorical: bool) -> Column:
    """Return a sample as objects if it is categorical, otherwise as numbers, dates and durations too.

    Raises
    ------
    ValueError
        If it is empty, not one-dimensional, or has other values than numbers; `name` is its name in messages.
    """
    # as objects, because of a missing value among strings NumPy makes the string "nan"
    is_bfloat16 = str(getattr(values, "dtype", "")) == "torch.bfloat16"
    values = to_numpy(name, values)
    column = np.asarray(values, dtype=object) if isinstance(values, list | tuple) else as_array(name, values)
    if column.ndim != 1 or not len(column):
        raise invalid_input(name, f"the shape {column.shape}", "one-dimensional and not empty")
    if categorical and not (column.dtype.kind != "O" or all(map(is_hashable, column.tolist()))):
        raise invalid_input(name, "some that are not hashable", "numbers, strings or other hashable objects")
    if categorical:
        categories = np.empty(len(column), dtype=object)
        categories[:] = canonical(column)
        return categories
    found = quantity(column, 2.0**-7 if is_bfloat16 else 0.0)
    if found is None:
        allowed = "numbers, dates or durations, or any values with categorical=True"
        raise invalid_input(name, repr(first_other(column.tolist())), allowed)
    return found


def check_kinds(names: tuple[str, str], x: Column, y: Column | int) -> None:
    """Raise ValueError if one sample is of dates, for instance, and the other, or its edges, of plain numbers."""
    kinds = [z.kind for z in (x, y) if isinstance(z, Quantity) and not np.isnan(z.values).all()]
    if len(set(kinds)) == 2:
        raise invalid_input(names, " and ".join(kinds), "of one kind: numbers, dates, durations or times")


def check_bins(bins: ArrayLike) -> int | Quantity:
    """Return the number of intervals, or the edges between them.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if np.ndim(bins):
        return check_edges(bins)
    if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
        raise invalid("bins", bins, _BINS)
    return int(bins)


def check_edges(bins: ArrayLike) -> Quantity:
    """Return the edges between intervals: numbers, dates, durations or times.

    Raises
    ------
    ValueError
        If they are none, or not ascending.
    """
    try:
        edges = quantity(as_array("bins", bins))
    except ValueError as error:
        raise invalid("bins", bins, _BINS) from error
    if edges is None or not _ascending(edges.values):
        raise invalid("bins", bins, _BINS)
    return edges


def _ascending(edges: np.ndarray) -> bool:
    return edges.ndim == 1 and len(edges) > 0 and not np.isnan(edges).any() and bool((edges[1:] > edges[:-1]).all())


def table_of(x: Column, y: Column, bins: int | Quantity) -> Table:
    """Return the counts in the categories of both samples, between given edges, at values or quantiles of `x`."""
    if isinstance(x, Quantity) and isinstance(y, Quantity):
        return _reference(x, bins).table(y)
    # with one bin for all categories of y alone, samples of many rare categories would seem to differ
    values = np.asarray(x), np.asarray(y)
    return Table.count(*values, category_bins(np.concatenate(values)))


def splits_of_rows(x: Column, y: Column, bins: int | Quantity) -> Splits | None:
    """Return how to split the rows at random with new quantiles each time; None where splits of counts are as good."""
    if not (isinstance(x, Quantity) and isinstance(y, Quantity) and isinstance(bins, int)):
        return None
    many = np.count_nonzero(~np.isnan(x.values)) >= _MANY_ROWS * bins
    if many or not isinstance(numeric_reference(x, bins), BinnedReference):
        return None
    return partial(row_splits, x, y, bins)


def _reference(x: Quantity, bins: int | Quantity) -> NumberReference | BinnedReference:
    return numeric_reference(x, bins) if isinstance(bins, int) else BinnedReference.by_edges(x, bins.values)
