"""Columns as numbers: of every library, type and unit of time."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from sklkl._utils.quantities import as_array, canonical, quantity

DATE = dt.datetime(2020, 1, 1, 12)
SECONDS = 1577880000.0
UTC = dt.UTC


def found(column):
    return quantity(as_array("X", column))


DATES = {
    "NumPy": np.array([DATE, None], "M8[s]"),
    "NumPy, hours": np.array([DATE, None], "M8[h]"),
    "objects": [DATE, None],
    "objects of a zone": [DATE.replace(tzinfo=UTC), None],
    "another zone": [dt.datetime(2020, 1, 1, 17, tzinfo=dt.timezone(dt.timedelta(hours=5))), None],
    "NumPy objects": np.array([np.datetime64(DATE), None], object),
    "Timestamps": np.array([pd.Timestamp(DATE), pd.NaT], object),
    "polars": pl.Series([DATE, None]),
    "polars of a zone": pl.Series([DATE.replace(tzinfo=UTC), None]),
    "pyarrow": pa.array([DATE, None]),
    "pandas of pyarrow": pd.Series([DATE, None], dtype=pd.ArrowDtype(pa.timestamp("s"))),
    "pandas of a zone": pd.Series([DATE, None]).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
}
DATES |= {f"pandas {unit}": pd.Series([DATE, None]).astype(f"M8[{unit}]") for unit in ("s", "ms", "us", "ns")}
DATES |= {f"polars {unit}": pl.Series([DATE, None]).cast(pl.Datetime(unit)) for unit in ("ms", "us", "ns")}


@pytest.mark.parametrize("column", DATES.values(), ids=DATES)
def test_dates_are_seconds(column):
    column = found(column)
    np.testing.assert_array_equal(column.values, [SECONDS, np.nan])
    assert column.kind == "dates"


FAR = dt.date(9999, 12, 31)
DAYS = {
    "NumPy": np.array([FAR], "M8[D]"),
    "NumPy, seconds": np.array([FAR], "M8[s]"),
    "objects": [FAR],
    "pandas": pd.Series([FAR]),
    "pandas, seconds": pd.Series(np.array([FAR], "M8[s]")),
    "polars": pl.Series([FAR]),
    "pyarrow": pa.array([FAR]),
}


@pytest.mark.parametrize("column", DAYS.values(), ids=DAYS)
def test_dates_far_from_now_do_not_wrap(column):
    assert found(column).values == (FAR - dt.date(1970, 1, 1)).days * 86400
    assert found(np.array(["0001-01"], "M8[M]")).values == (dt.date(1, 1, 1) - dt.date(1970, 1, 1)).days * 86400


SPAN = dt.timedelta(days=2, seconds=3, milliseconds=125)
DURATIONS = {unit: np.array([SPAN, None], f"m8[{unit}]") for unit in ("ms", "us", "ns", "ps")}
DURATIONS |= {"objects": [SPAN, None], "pandas": pd.Series([SPAN, None]), "pyarrow": pa.array([SPAN, None])}
DURATIONS |= {f"polars {unit}": pl.Series([SPAN, None]).cast(pl.Duration(unit)) for unit in ("ms", "us", "ns")}


@pytest.mark.parametrize("column", DURATIONS.values(), ids=DURATIONS)
def test_durations_are_seconds(column):
    column = found(column)
    np.testing.assert_array_equal(column.values, [2 * 86400 + 3.125, np.nan])
    assert column.kind == "durations"


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_equal_times_of_different_units_are_equal_numbers(unit):
    times = np.random.default_rng(0).integers(-(2**40), 2**41, 1000).astype("M8[ms]")
    np.testing.assert_array_equal(found(times.astype(f"M8[{unit}]")).values, found(times).values)


def test_times_of_day():
    for column in ([dt.time(1, 2, 3), None], pl.Series([dt.time(1, 2, 3), None]), pa.array([dt.time(1, 2, 3), None])):
        np.testing.assert_array_equal(found(column).values, [3723, np.nan])
        assert found(column).kind == "times"


@pytest.mark.parametrize("column", [["a"], [DATE, 1], [DATE, SPAN], [1j], pd.Series(["a"], dtype="category")])
def test_other_columns(column):
    assert found(column) is None


@pytest.mark.parametrize(
    ("column", "eps"),
    [
        (np.float16([0.5]), 2.0**-10),
        (np.float32([0.5]), 2.0**-23),
        ([0.5], 2.0**-52),
        ([Decimal("0.5")], 0),
        (np.array([np.float32(0.5)], object), 2.0**-23),
        (torch.tensor([0.5]).half(), 2.0**-10),
    ],
)
def test_rounding_of_numbers(column, eps):
    assert (found(column).values == 0.5).all()
    assert found(column).resolution == eps


def test_categories_are_equal_where_they_differ_by_rounding():
    tenth = [0.1, None]
    for column in (
        np.float16([0.1]),
        np.float32([0.1]),
        np.array([0.1]),
        np.array(tenth, object),
        np.array([Decimal("0.1")], object),
        np.array([np.float32(0.1)], object),
    ):
        assert canonical(column)[0] == 0.1
    assert canonical(np.array([0.1 + 0.2])) == [0.3]
    assert canonical(np.array([1, 2])) == [1, 2]
    assert canonical(np.array(["a", None, 1], object)) == ["a", None, 1]
