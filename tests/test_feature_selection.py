import re
from decimal import Decimal
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy.sparse import csc_array, csr_array, csr_matrix
from scipy.stats import entropy
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.feature_selection import SelectKBest, SelectPercentile, mutual_info_classif
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import feature_selection
from sklkl._utils.binning import numeric_bins
from sklkl.divergences import js_divergence
from sklkl.feature_selection import jeffreys_classif, js_classif, kl_classif

SCORES = [js_classif, kl_classif, jeffreys_classif]
each_score = pytest.mark.parametrize("score", SCORES)


@pytest.fixture
def counts():
    """Small counts: two features that depend on the class, one that does not, one that is constant."""
    random = np.random.RandomState(0)
    y = random.randint(3, size=200)
    X = np.column_stack([random.poisson(1 + y), random.poisson(1 + (y == 1)), random.poisson(1, 200), np.ones(200)])
    return X.astype(float), y


def contingency(x, y):
    """Counts of shape (classes, values)."""
    return np.array([[np.sum((x == value) & (y == c)) for value in np.unique(x)] for c in np.unique(y)])


def one_against_rest(x, y, pseudo_count, divergence):
    table = contingency(x, y)
    rest = table.sum(0) - table
    pairs = zip(table + pseudo_count, rest + pseudo_count, table.sum(1) / len(y), strict=True)
    return sum(share * divergence(a, b) for a, b, share in pairs)


# values


def test_js_is_the_mutual_information_of_discrete_features(counts):
    X, y = counts
    expected = [mutual_info_score(x, y) for x in X.T]
    np.testing.assert_allclose(js_classif(X, y, discrete_features=True, n_bins=2), expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(mutual_info_classif(X, y, discrete_features=True), expected, rtol=1e-12, atol=1e-15)


def test_js_is_the_mutual_information_of_binned_features():
    X, y = load_wine(return_X_y=True)
    expected = [mutual_info_score(numeric_bins(x, 7).codes(x), y) for x in X.T]
    np.testing.assert_allclose(js_classif(X, y, n_bins=7), expected, rtol=1e-12)


def test_js_is_the_weighted_divergence_of_the_classes(counts):
    X, y = counts
    tables = [contingency(x, y) for x in X.T]
    expected = [js_divergence(*table, weights=table.sum(1), normalize=True) for table in tables]
    np.testing.assert_allclose(js_classif(X, y, discrete_features=True), expected, rtol=1e-12, atol=1e-15)


def test_js_ranks_as_the_nearest_neighbour_estimate_does():
    X, y = load_breast_cancer(return_X_y=True)
    ranks = pd.DataFrame({"bins": js_classif(X, y), "neighbours": mutual_info_classif(X, y, random_state=0)})
    assert ranks.corr("spearman").iloc[0, 1] > 0.95


@pytest.mark.parametrize("pseudo_count", [0.5, 2.0])
def test_kl_is_of_each_class_from_the_others(counts, pseudo_count):
    X, y = counts
    expected = [one_against_rest(x, y, pseudo_count, entropy) for x in X.T]  # scipy's entropy of two is KL
    actual = kl_classif(X, y, discrete_features=True, pseudo_count=pseudo_count)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


def test_jeffreys_of_two_classes_is_the_information_value():
    x = np.repeat([1, 2, 3, 1, 2, 3], [40, 30, 10, 5, 10, 25])
    bad = np.repeat([0, 1], [80, 40])
    good_shares, bad_shares = np.array([40, 30, 10]) / 80, np.array([5, 10, 25]) / 40
    value = np.sum((good_shares - bad_shares) * np.log(good_shares / bad_shares))
    np.testing.assert_allclose(jeffreys_classif(x[:, None], bad, pseudo_count=0), [value], rtol=1e-12)


def test_jeffreys_is_kl_in_both_directions(counts):
    X, y = counts
    expected = [one_against_rest(x, y, 0.5, lambda a, b: entropy(a, b) + entropy(b, a)) for x in X.T]
    np.testing.assert_allclose(jeffreys_classif(X, y, discrete_features=True), expected, rtol=1e-12, atol=1e-15)


def test_js_of_a_feature_that_is_the_class_is_its_entropy():
    y = np.repeat([0, 1, 2], [10, 20, 30])
    np.testing.assert_allclose(js_classif(y[:, None], y), [entropy([10, 20, 30])], rtol=1e-12)


def test_a_bin_that_one_class_has_alone():
    X, y = [[0], [0], [1]], [0, 1, 1]
    assert np.isfinite(js_classif(X, y)[0])
    assert kl_classif(X, y, pseudo_count=0)[0] == np.inf
    assert jeffreys_classif(X, y, pseudo_count=0)[0] == np.inf
    assert 0 < kl_classif(X, y)[0] < jeffreys_classif(X, y)[0] < np.inf


def test_pseudo_counts_draw_classes_together(counts):
    X, y = counts
    assert (js_classif(X, y, pseudo_count=10)[:2] < js_classif(X, y)[:2]).all()


# invariance


@each_score
def test_constant_feature_scores_zero(score, counts):
    X, y = counts
    assert score(X, y)[3] == 0
    assert (score(X, y)[:3] > 0).all()


@each_score
def test_only_the_order_of_values_matters(score):
    X, y = load_wine(return_X_y=True)
    expected = score(X, y)
    np.testing.assert_array_equal(score(np.log(X), y), expected)
    np.testing.assert_array_equal(score(5 * X - 3, y), expected)


@each_score
def test_names_of_classes_do_not_matter(score, counts):
    X, y = counts
    expected = score(X, y)
    np.testing.assert_array_equal(score(X, np.array(["a", "b", "c"])[y]), expected)
    np.testing.assert_array_equal(score(X, pd.Series(y, dtype="category")), expected)
    np.testing.assert_allclose(score(X, (2 - y).astype(float)), expected, rtol=1e-12)


@each_score
def test_order_of_rows_does_not_matter(score, counts):
    X, y = counts
    order = np.random.RandomState(0).permutation(len(y))
    np.testing.assert_array_equal(score(X[order], y[order]), score(X, y))


@each_score
def test_class_of_one_row(score, counts):
    X, y = counts
    scores = score(X, np.where(np.arange(len(y)) == 0, 9, y))
    assert np.isfinite(scores).all()
    assert scores[3] == 0


# input


@pytest.mark.parametrize(
    ("container", "block"),
    [(csr_matrix, 2**22), (csr_array, 2**22), (csc_array, 2**22), (csr_array, 1), (csc_array, 450)],
    ids=lambda value: f"blocks of {value}" if isinstance(value, int) else value.__name__,
)
def test_sparse_equals_dense(container, block, counts, monkeypatch):
    X, y = counts
    monkeypatch.setattr(feature_selection, "_BLOCK", block)
    for score, discrete in product(SCORES, [False, True, [True, False, True, False]]):
        dense = score(X, y, discrete_features=discrete, n_bins=3)
        np.testing.assert_array_equal(score(container(X), y, discrete_features=discrete, n_bins=3), dense)


@each_score
@pytest.mark.parametrize("discrete", [False, True])
def test_missing_values_are_a_bin_of_their_own(score, discrete, counts):
    X, y = counts
    missing = X.copy()
    missing[y == 0, 3] = np.nan
    unlike_any = np.where(np.isnan(missing), -1, missing)
    np.testing.assert_array_equal(
        score(missing, y, discrete_features=discrete, n_bins=20),
        score(unlike_any, y, discrete_features=discrete, n_bins=20),
    )
    assert score(missing, y)[3] > 0.5
    np.testing.assert_array_equal(score(csr_matrix(missing), y), score(missing, y))


@each_score
def test_column_of_missing_values_scores_zero(score):
    assert score([[np.nan], [np.nan], [np.nan]], [0, 1, 1]) == [0]


def mixed(frame):
    """A frame with columns of many types, and their values as codes."""
    names = np.array(["red", "green", None], dtype=object)
    codes = np.arange(12) % 3
    columns = {"colour": names[codes].tolist(), "size": np.arange(12) / 7, "flag": (codes == 1).tolist()}
    X = np.column_stack([codes, np.arange(12) / 7, codes == 1])
    return frame(columns), X, np.arange(12) % 2 + (codes == 2)


@each_score
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_may_hold_strings(score, frame):
    X, as_codes, y = mixed(frame)
    np.testing.assert_allclose(score(X, y), score(as_codes, y, discrete_features=[0]), rtol=1e-12)


@each_score
@pytest.mark.parametrize("dtype", ["category", "string", object])
def test_text_types_of_pandas(score, dtype):
    X, as_codes, y = mixed(pd.DataFrame)
    X["colour"] = X["colour"].astype(dtype)
    np.testing.assert_allclose(score(X, y), score(as_codes, y, discrete_features=[0]), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "float32", "Sparse[float]"])
def test_number_types_of_pandas(dtype):
    numbers = pd.DataFrame({"a": np.arange(30) % 20}, dtype=float)
    y = np.arange(30) // 9
    np.testing.assert_array_equal(js_classif(numbers.astype(dtype), y), js_classif(numbers, y))


def test_missing_numbers_of_frames():
    y = [0, 1, 1, 0]
    expected = js_classif([[1.0], [np.nan], [2], [3]], y)
    np.testing.assert_array_equal(
        js_classif(pd.DataFrame({"a": pd.array([1, None, 2, 3], dtype="Int64")}), y), expected
    )
    np.testing.assert_array_equal(js_classif(pl.DataFrame({"a": [1, None, 2, 3]}), y), expected)


def test_columns_of_one_name():
    X = pd.DataFrame([[1, "a"], [2, "b"], [3, "a"]], columns=["x", "x"])
    np.testing.assert_allclose(js_classif(X, [0, 1, 0]), [entropy([2, 1])] * 2)


@pytest.mark.parametrize("given", [["a", "c"], [0, 2], [-3, -1], [True, False, True], np.array([True, False, True])])
def test_discrete_features_by_name_position_or_mask(given):
    X = pd.DataFrame(np.random.RandomState(0).randint(30, size=(60, 3)), columns=["a", "b", "c"])
    y = np.arange(60) % 2
    all_of_them, none = (js_classif(X, y, discrete_features=which) for which in (True, False))
    expected = [all_of_them[0], none[1], all_of_them[2]]
    np.testing.assert_array_equal(js_classif(X, y, discrete_features=given), expected)


def test_input_stays_as_it_is(counts):
    X, y = counts
    before = X.copy()
    js_classif(X, y)
    np.testing.assert_array_equal(X, before)


# in a selector


@each_score
@pytest.mark.parametrize("selector", [partial(SelectKBest, k=2), SelectPercentile], ids=["best", "percentile"])
def test_selectors_take_it(score, selector, counts):
    X, y = counts
    for container in (np.asarray, csr_matrix, pd.DataFrame):
        fitted = selector(score).fit(container(X), y)
        np.testing.assert_array_equal(fitted.scores_, score(X, y))
        assert fitted.pvalues_ is None


def test_pipeline_in_a_grid_search():
    X, y = load_digits(return_X_y=True)
    model = make_pipeline(SelectKBest(js_classif), StandardScaler(), LogisticRegression(max_iter=500))
    search = GridSearchCV(model, {"selectkbest__k": [5, 20]}, cv=2).fit(X[:400], y[:400])
    assert search.best_params_ == {"selectkbest__k": 20}


def test_missing_values_in_a_pipeline(counts):
    X, y = counts
    missing = X.copy()
    missing[y == 0, 3] = np.nan
    model = make_pipeline(SimpleImputer(strategy="constant", fill_value=-1), SelectKBest(js_classif, k=1))
    assert model.fit(missing, y).get_feature_names_out() == ["x3"]
    np.testing.assert_array_equal(model[-1].scores_, js_classif(missing, y))


# refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": [0.5, 1.2, 2.7]}, "Unknown label type: continuous"),
        ({"y": [1, 1, 1]}, "'y' parameter must be labels of at least two classes. Got 1 class instead."),
        ({"y": [0, 1]}, "inconsistent numbers of samples"),
        ({"y": [[0, 1], [1, 0], [1, 1]]}, "y should be a 1d array"),
        ({"y": [0.0, np.nan, 1.0]}, "Input y contains NaN"),
        ({"y": pd.Series(["a", pd.NA, "b"], dtype="string")}, "Input y contains NaN or None: row 1 has no label"),
        ({"X": [[1], [np.inf], [2]]}, "Input X contains infinity"),
        ({"X": pd.DataFrame({"a": [1, np.inf, 2]})}, "Input X contains infinity"),
        ({"X": [1, 2, 3]}, "Expected 2D array"),
        ({"X": [["a"], ["b"], ["c"]]}, "not compatible with arrays of bytes/strings"),
        ({"n_bins": 1}, "'n_bins' parameter must be an integer >= 2. Got 1 instead."),
        ({"n_bins": 2.5}, "'n_bins' parameter must be an integer >= 2. Got 2.5 instead."),
        ({"pseudo_count": -1}, "'pseudo_count' parameter must be a finite number >= 0. Got -1 instead."),
        ({"pseudo_count": np.inf}, "'pseudo_count' parameter must be a finite number >= 0. Got inf instead."),
        ({"pseudo_count": "1"}, "'pseudo_count' parameter must be a finite number >= 0. Got '1' instead."),
        ({"discrete_features": "none"}, "'discrete_features' parameter must be 'auto', a bool, 1 bools"),
        ({"discrete_features": [1]}, "positions below 1"),
        (
            {"X": [[1, 1, 1]] * 3, "discrete_features": [True, False]},
            "'discrete_features' parameter must be 'auto', a bool, 3 bools",
        ),
        ({"discrete_features": None}, "names of columns. Got None instead."),
        ({"X": pd.DataFrame({"a": list("xyz")}), "discrete_features": False}, "with 'a' in it, which holds no numbers"),
    ],
)
def test_refuses(changes, message):
    given = {"X": [[1.0], [2.0], [3.0]], "y": [0, 1, 1]} | changes
    for score in SCORES:
        with pytest.raises(ValueError, match=re.escape(message)):
            score(**given)


NOISE_X, NOISE_Y = np.random.default_rng(0).normal(size=500), np.random.default_rng(1).integers(0, 2, 500)
MOMENTS = pd.Timestamp("2020-01-01") + pd.to_timedelta(NOISE_X, unit="D")
SAME_NUMBERS = {
    "objects": pd.Series(NOISE_X.astype(object)),
    "decimals": pd.Series([Decimal(repr(x)) for x in NOISE_X.tolist()]),
    "dates": pd.Series(MOMENTS),
    "dates of a zone": pd.Series(MOMENTS.tz_localize("UTC")),
    "date objects": pd.Series(MOMENTS.to_pydatetime(), dtype=object),
    "durations": pd.Series(pd.to_timedelta(NOISE_X, unit="D")),
    "float32": pd.Series(NOISE_X.astype(np.float32)),
    "pyarrow": pd.Series(NOISE_X, dtype=pd.ArrowDtype(pa.float64())),
    "with missing ones": pd.Series([*NOISE_X.tolist()[:-1], None], dtype=object),
}


@pytest.mark.parametrize("column", SAME_NUMBERS.values(), ids=SAME_NUMBERS)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_numbers_are_numbers_whatever_their_type(column, library):
    frame = column.to_frame("x")
    if library == "polars":
        frame = pl.DataFrame({"x": column.tolist()})
    expected = js_classif(NOISE_X[:, None], NOISE_Y)
    np.testing.assert_allclose(js_classif(frame, NOISE_Y), expected, rtol=0.1, atol=0.005)


def test_categories_of_numbers_stay_categories():
    frame = pd.DataFrame({"x": pd.Categorical(NOISE_X)})
    assert js_classif(frame, NOISE_Y) == pytest.approx(js_classif(NOISE_X[:, None], NOISE_Y, discrete_features=True))
    tensor = torch.tensor(NOISE_X[:, None]).requires_grad_()
    assert js_classif(tensor, torch.tensor(NOISE_Y)) == js_classif(NOISE_X[:, None], NOISE_Y)


def test_rounding_makes_no_values_of_their_own():
    k = np.random.default_rng(0).integers(1, 10, 400)
    mixed = np.where(np.arange(400) % 2, k / 10, k * 0.1)
    expected = js_classif(k[:, None], np.arange(400) % 2, discrete_features=True)
    assert js_classif(mixed[:, None], np.arange(400) % 2, discrete_features=True) == pytest.approx(expected)
    assert js_classif(mixed[:, None], np.arange(400) % 2, n_bins=9) == pytest.approx(expected)
    assert js_classif(pd.DataFrame({"x": mixed.astype(object)}), np.arange(400) % 2, n_bins=9) == pytest.approx(
        expected
    )


@each_score
def test_a_frame_without_values_is_refused(score):
    with pytest.raises(ValueError, match="'X' parameter must be a frame that holds values.* Got a LazyFrame"):
        score(pl.DataFrame({"a": [1, 2]}).lazy(), [0, 1])


@each_score
def test_what_cannot_be_read_is_named(score):
    with pytest.raises(ValueError, match="Input X must be an array"):
        score([[1], [1, 2]], [0, 1])
    with pytest.raises(TypeError, match="'y' parameter must be labels that are uniformly strings or numbers"):
        score([[1], [2]], np.array(["a", 1], dtype=object))
