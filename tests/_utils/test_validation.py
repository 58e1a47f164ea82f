"""What cannot be read as numbers is named, whatever numpy, pandas or others say; scikit-learn's words stay."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sklkl._utils.validation import (
    check_none_missing,
    check_readable,
    check_targets,
    checked_array,
    checked_data,
    with_columns_checked,
)

UNREADABLE = {
    "ragged": [[1.0], [1.0, 2.0]],
    "object": object(),
    "dicts": [{"a": 1}] * 2,
    "texts": [["a"], ["b"]],
    "records": np.zeros(2, [("a", float), ("b", int)]),
    "missing values as objects": pd.DataFrame({"a": [pd.NA, 1]}, dtype=object),
    "sparse frame filled with NaN": pd.DataFrame({"a": [0.0, 1.0]}).astype("Sparse[float]"),
    "equal names": pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_named(kind):
    if kind == "equal names":
        pytest.importorskip("sklearn", minversion="1.9", reason="older ones read such frames")
    with pytest.raises(
        (ValueError, TypeError), match="^Input X must be an array, a sparse matrix or a frame of numbers"
    ):
        checked_data(BaseEstimator(), UNREADABLE[kind], dtype=np.float64)
    with pytest.raises((ValueError, TypeError), match="^Input Y must be an array"):
        checked_array("Y", UNREADABLE[kind], dtype=np.float64)


def test_texts_get_a_hint():
    with pytest.raises(ValueError, match="^Input X must be an array") as caught:
        check_readable("X", UNREADABLE["texts"], np.float64, "Encode them.")
    assert caught.value.__notes__ == ["Encode them."]
    with pytest.raises(ValueError, match="^Input X must be an array") as caught:
        check_readable("X", UNREADABLE["ragged"], np.float64, "Encode them.")
    assert not hasattr(caught.value, "__notes__")
    check_readable("X", [[1.0], [np.nan]], np.float64)  # not missing values, which others refuse


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), "^Expected 2D array"),
        (np.zeros((0, 2)), "^Found array with 0 sample"),
        ([[np.nan]], "^Input X contains NaN"),
    ],
)
def test_scikit_learns_words_stay(X, message):
    with pytest.raises(ValueError, match=message):
        checked_data(BaseEstimator(), X)


def test_what_can_be_read_is_that_of_scikit_learn():
    assert checked_data(BaseEstimator(), [[1, 2]]).tolist() == [[1, 2]]
    assert checked_array("Y", [[1, 2]], dtype=np.float32).dtype == np.float32


def test_labels():
    check_targets(["a", "b"])
    with pytest.raises(TypeError, match="'y' parameter must be labels that are uniformly strings or numbers"):
        check_targets(np.array(["a", 1], dtype=object))
    with pytest.raises(ValueError, match="continuous"):
        check_targets([0.5, 1.5])
    with pytest.raises(TypeError, match="labels represented as bytes"):
        check_targets(np.array([b"a", b"b"]))


@pytest.mark.parametrize("y", [["a", None], pd.Series(["a", pd.NA], dtype="string"), [["a"], [None]]], ids=str)
def test_a_missing_label_is_named(y):
    for check in (check_none_missing, check_targets):
        with pytest.raises(ValueError, match="^Input y contains NaN or None: row 1 has no label.$"):
            check(y)


def test_names_of_columns():
    estimator, frame = BaseEstimator(), pd.DataFrame({"a": ["text"], "b": [None]})
    assert with_columns_checked(estimator, frame) is frame
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="feature names should match"):
        with_columns_checked(estimator, frame[["b", "a"]], reset=False)
    with pytest.raises(ValueError, match="'X' parameter must be a frame whose columns have different names. Got 'a'"):
        with_columns_checked(estimator, frame[["a", "a"]])
