"""Names of a frame's columns as labels."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklkl._utils.frames import column_labels

VALUES = np.full((2, 3), 1 / 3)


def test_arrays_and_counted_columns_have_no_names():
    assert column_labels(VALUES) is None
    assert column_labels(pd.DataFrame(VALUES)) is None


@pytest.mark.parametrize(
    ("table", "labels", "expected"),
    [
        (pd.DataFrame(VALUES, columns=["c", "a", "b"]), None, ["c", "a", "b"]),
        (pd.DataFrame(VALUES, columns=[7, 3, 5]), np.array([3, 5, 7]), [7, 3, 5]),
        (pd.DataFrame(VALUES, columns=pd.RangeIndex(2, -1, -1)), None, [2, 1, 0]),
        (pl.DataFrame(VALUES, schema=["2", "0", "1"]), np.array([0, 1, 2]), [2, 0, 1]),
        (pl.DataFrame(VALUES, schema=["2", "0", "1"]), np.array(["0", "1", "2"]), ["2", "0", "1"]),
    ],
)
def test_names_are_labels(table, labels, expected):
    assert column_labels(table, labels).tolist() == expected
