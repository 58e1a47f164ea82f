"""What a column holds: numbers or not, missing values, floats."""

import datetime
from decimal import Decimal
from fractions import Fraction
from numbers import Real

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklkl._utils.columns import all_numbers, first_other, floats, is_category_typed, is_missing, is_numeric_kind

MISSING = [None, float("nan"), np.float32("nan"), np.datetime64("NaT", "s"), pd.NaT, pd.NA]
PRESENT = ["", "nan", 0, False, np.inf, (), b"", datetime.date(2020, 1, 1), np.str_("a"), pd.Timestamp(0)]
PRESENT += [np.array([1, np.nan])]
NUMBERS = [1, 2.5, np.float32(0.5), np.int8(3), Fraction(1, 2), Decimal("0.25"), np.inf]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_missing(value):
    assert is_missing(value)


@pytest.mark.parametrize("value", PRESENT, ids=repr)
def test_not_missing(value):
    assert not is_missing(value)


def test_numbers_and_missing_values_are_numbers():
    assert all_numbers([*NUMBERS, *MISSING])
    assert all_numbers([])
    for other in ("1", 1j, datetime.date(2020, 1, 1), [1]):
        assert not all_numbers([*NUMBERS, other])
        assert first_other([*NUMBERS, True, other, "later"]) == other
    assert first_other([*NUMBERS, *MISSING]) is None


@pytest.mark.parametrize("value", [True, np.True_])
def test_booleans_are_numbers_on_request(value):
    assert not all_numbers([1, value])
    assert all_numbers([1, value], booleans=True)


def test_which_types_are_numbers_may_be_chosen():
    assert not all_numbers([1, Decimal(1)], of=(Real,))
    assert all_numbers([1, Fraction(1)], of=(Real,))


def test_floats():
    found = floats(np.array([*NUMBERS, True, *MISSING], dtype=object))
    np.testing.assert_array_equal(found, [1, 2.5, 0.5, 3, 0.5, 0.25, np.inf, 1] + [np.nan] * 6)
    assert found.dtype == floats(np.array([True, False])).dtype == np.float64
    assert floats(np.empty(0, dtype=object)).dtype == np.float64
    np.testing.assert_array_equal(floats(np.array([[1, None], [2, "0.5"]], dtype=object)), [[1, np.nan], [2, 0.5]])


def test_types():
    assert all(is_numeric_kind(np.dtype(name).kind) for name in ("bool", "int8", "uint8", "float16"))
    assert not any(is_numeric_kind(np.dtype(name).kind) for name in ("complex64", "object", "U1", "M8[s]"))
    assert is_category_typed(pd.Series(["a"], dtype="category"))
    assert not any(map(is_category_typed, (pd.Series(["a"]), pl.Series(["a"]), np.array([1]), [1])))
