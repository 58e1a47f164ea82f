"""Columns that are numbers, whatever their type: also decimals, dates, durations and times, the latter in seconds."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklkl._utils.arrays import to_numpy
from sklkl._utils.columns import all_numbers, floats, is_missing, is_numeric_kind

__all__ = ["Quantity", "as_array", "canonical", "quantity"]

_EPOCH = datetime.datetime(1970, 1, 1)
_SECONDS = {"W": 604800, "D": 86400, "h": 3600, "m": 60, "s": 1, "Y": 365.2425 * 86400, "M": 365.2425 * 7200}
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9, "ps": 10**12, "fs": 10**15, "as": 10**18}


@dataclass(frozen=True)
class Quantity:
    """A column as numbers.

    Parameters
    ----------
    values : array of shape (n,)
        Numbers in float64, NaN where one is missing; seconds if they are not plain numbers.
    kind : {"numbers", "dates", "durations", "times"}
        What they are; dates are counted from 1970, in UTC.
    resolution : float
        Rounding error of the floating type they came in, relative to their size; 0 of what is exact.
    """

    values: np.ndarray
    kind: str = "numbers"
    resolution: float = 0.0


def as_array(name: str, column: Any) -> np.ndarray:
    """Return a column of any library as an array: dates of a time zone in UTC, tensors and masks as `to_numpy` says."""
    dtype: Any = getattr(column, "dtype", None)
    if hasattr(dtype, "tz") and hasattr(dtype, "unit"):  # pandas' dates of a time zone
        return np.asarray(column, dtype=f"datetime64[{dtype.unit}]")
    return np.asarray(to_numpy(name, column))


def quantity(array: np.ndarray, least_resolution: float = 0.0) -> Quantity | None:
    """Return the numbers, dates, durations or times in an array; None if it holds anything else, or a mixture.

    Booleans are numbers. Of an array of objects the values decide. `least_resolution` is the rounding error of a type
    that NumPy does not have.
    """
    kind = array.dtype.kind
    if is_numeric_kind(kind):
        eps = float(np.finfo(array.dtype).eps) if kind == "f" else 0.0
        return Quantity(floats(array), resolution=max(eps, least_resolution))
    if kind in "mM":
        return Quantity(_seconds(array), "dates" if kind == "M" else "durations")
    return _of_objects(array) if kind == "O" else None


def _of_objects(array: np.ndarray) -> Quantity | None:
    if all_numbers(array, booleans=True):
        types = {type(value) for value in array.tolist()}
        eps = [float(np.finfo(kind).eps) for kind in types if issubclass(kind, float | np.floating)]
        return Quantity(floats(array), resolution=max(eps, default=0.0))
    types = {type(value) for value in array.tolist() if not is_missing(value)}
    for name, (allowed, convert) in _OBJECTS.items():
        if all(issubclass(kind, allowed) for kind in types):
            return Quantity(np.array([np.nan if is_missing(x) else convert(x) for x in array.tolist()]), name)
    return None


def _seconds(array: np.ndarray) -> np.ndarray:
    """Return dates or durations of any unit in seconds, the same for equal ones of different units."""
    unit, count = np.datetime_data(array.dtype)
    if array.dtype.kind == "M" and unit in "YM":
        array, unit, count = array.astype("datetime64[D]"), "D", 1
    numbers = array.astype(np.int64)
    seconds: np.ndarray
    if unit in _PER_SECOND:
        whole, rest = np.divmod(numbers * count, _PER_SECOND[unit])
        seconds = whole + rest / _PER_SECOND[unit]
    else:
        seconds = numbers * float(_SECONDS.get(unit, 1) * count)
    return np.where(np.isnat(array), np.nan, seconds)


def _date(value: Any) -> float:
    if isinstance(value, np.datetime64):
        return float(_seconds(np.asarray(value)))
    if not isinstance(value, datetime.datetime):
        return (value.toordinal() - _EPOCH.toordinal()) * 86400.0
    if value.utcoffset() is not None:
        value = value.astimezone(datetime.UTC)
    days = (value.toordinal() - _EPOCH.toordinal()) * 86400
    return days + value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 10**6


def _duration(value: Any) -> float:
    return float(_seconds(np.asarray(value))) if isinstance(value, np.timedelta64) else value.total_seconds()


def _time(value: datetime.time) -> float:
    return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 10**6


_OBJECTS: dict[str, tuple[tuple[type, ...], Callable[[Any], float]]] = {
    "dates": ((datetime.date, np.datetime64), _date),
    "durations": ((datetime.timedelta, np.timedelta64), _duration),
    "times": ((datetime.time,), _time),
}


def canonical(array: np.ndarray) -> list[Any]:
    """Return the values of a column of categories as Python objects, equal where they differ by rounding only.

    Floats keep the decimal digits that their type is sure to have, so that 0.1 is the same in every precision, and 0.3
    the same as 0.1 + 0.2. Decimals are floats.
    """
    kind = array.dtype.kind
    if kind == "f":
        return _by_value(array.astype(np.float64).tolist(), lambda x: _short(x, np.finfo(array.dtype).precision))
    values = array.tolist()
    if kind == "M" and np.datetime_data(array.dtype)[0] in ("ns", "ps", "fs", "as"):  # which would become integers
        values = array.astype("datetime64[us]").tolist()
    return _by_value(values, _canonical_object) if kind == "O" else values


def _by_value(values: Iterable[Any], convert: Callable[[Any], Any]) -> list[Any]:
    known: dict[Any, Any] = {}
    found = []
    for value in values:
        key = (type(value), value)
        if key not in known:
            known[key] = convert(value)
        found.append(known[key])
    return found


def _canonical_object(value: Any) -> Any:
    if isinstance(value, np.floating | float):
        precision = np.finfo(type(value)).precision if isinstance(value, np.floating) else 15
        return _short(float(value), precision)
    return _short(float(value), 15) if type(value).__name__ == "Decimal" and value == value else value


def _short(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
