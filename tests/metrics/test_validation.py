"""What goes in: forms of input that are equal, NaN, weights, and messages that name what is wrong."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix

from sklkl.metrics import (
    calibration_kl,
    d2_kl_score,
    inception_score,
    mean_js_divergence,
    mean_kl_divergence,
    mean_reverse_kl_divergence,
    prior_shift_kl,
)

METRICS = [
    mean_kl_divergence,
    mean_reverse_kl_divergence,
    mean_js_divergence,
    calibration_kl,
    prior_shift_kl,
    d2_kl_score,
]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.5, 0.1]])
Y = ["a", "b", "c", "a"]
CODES = np.array([0, 1, 2, 0])
VALUE = -np.log([0.7, 0.8, 0.6, 0.4]).mean()

LABELS = {
    "list": Y,
    "tuple": tuple(Y),
    "str": np.array(Y),
    "object": np.array(Y, dtype=object),
    "bytes": np.array(Y, dtype="S"),
    "int": CODES,
    "float": CODES.astype(float),
    "column": CODES[:, None],
    "datetime": np.array([np.datetime64("2020-01-01") + code for code in CODES]),
    "one-hot": np.eye(3)[CODES],
    "one-hot bool": np.eye(3, dtype=bool)[CODES],
    "pandas": pd.Series(Y, index=[9, 9, 8, 7]),
    "pandas string": pd.Series(Y, dtype="string"),
    "pandas categorical": pd.Series(Y, dtype="category"),
    "pandas Int64": pd.Series(CODES, dtype="Int64"),
    "pandas frame": pd.DataFrame({"y": Y}),
    "polars": pl.Series(Y),
    "polars categorical": pl.Series(Y, dtype=pl.Categorical),
}
PROBABILITIES = {
    "list": P.tolist(),
    "float32": P.astype(np.float32),
    "float16": P.astype(np.float16),
    "Fortran": np.asfortranarray(P),
    "big-endian": P.astype(">f8"),
    "object": P.astype(object),
    "pandas": pd.DataFrame(P, index=[9, 9, 8, 7]),
    "polars": pl.DataFrame(P),
    "sums near 1": P * 1.0005,
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_of_any_kind(y):
    assert mean_kl_divergence(y, P) == pytest.approx(VALUE, rel=1e-14)


@pytest.mark.parametrize("proba", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_of_any_kind(proba):
    assert mean_kl_divergence(Y, proba) == pytest.approx(VALUE, rel=1e-3)


def test_half_precision_outputs_pass():
    random = np.random.default_rng(0)
    p = random.dirichlet(np.full(1000, 0.1), 50)
    truncated = (p.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)  # bfloat16, rounded down
    for rows in (p.astype(np.float16), truncated):
        assert mean_kl_divergence(rows, rows) == 0


@every_metric
def test_sums_near_one_are_divided_out(metric):
    near = P * np.array([[1.0005], [0.9995], [1.0], [1.0009]])
    assert metric(Y, near) == pytest.approx(metric(Y, P), rel=1e-12)
    assert metric(near, P[::-1]) == pytest.approx(metric(P, P[::-1]), rel=1e-12)


def test_inputs_stay_as_they_are():
    proba, weight = P * 1.0005, np.arange(4.0)
    for array in (proba, weight):
        array.setflags(write=False)
    for metric in METRICS:
        metric(Y, proba, sample_weight=weight)


def test_boolean_labels_and_one_column():
    y, p = [True, False, True], [0.8, 0.3, 0.6]
    expected = -np.log([0.8, 0.7, 0.6]).mean()
    for proba in (p, np.array(p)[:, None], np.column_stack([1 - np.array(p), p])):
        assert mean_kl_divergence(y, proba) == pytest.approx(expected, rel=1e-14)


def test_labels_are_followed_in_the_given_order():
    assert mean_kl_divergence(Y, P[:, ::-1], labels=["c", "b", "a"]) == pytest.approx(VALUE, rel=1e-14)
    assert mean_kl_divergence(["yes", "no"], [0.3, 0.2], labels=["yes", "no"]) == pytest.approx(
        -math.log(0.7 * 0.2) / 2
    )
    assert mean_kl_divergence(["a"], [[0.25, 0.75]], labels=["a", "b"]) == pytest.approx(math.log(4))


@every_metric
def test_nan_propagates_unless_its_weight_is_zero(metric):
    proba, soft = np.where(P == 0.6, np.nan, P), np.where(P == 0.5, np.nan, P)
    assert math.isnan(metric(Y, proba))
    assert math.isnan(metric(soft, P))
    left_out = metric(Y, proba, sample_weight=[1, 1, 0, 1])
    assert left_out == metric([Y[i] for i in (0, 1, 3)], P[[0, 1, 3]], labels=["a", "b", "c"])


@every_metric
def test_a_row_of_weight_zero_may_be_infinitely_wrong(metric):
    proba = np.vstack([P, [1.0, 0, 0]])
    assert metric([*Y, "b"], proba, sample_weight=[1, 1, 1, 1, 0]) == metric(Y, P)


def test_weights_of_extreme_sizes():
    for scale in (1e308, 1e-308):
        value = mean_kl_divergence(Y, P, sample_weight=np.full(4, scale))
        assert value == pytest.approx(VALUE, rel=1e-14)
    # a weight that vanishes beside another is none, also where it would meet an infinity
    assert mean_kl_divergence([0, 1], [0.5, 0.0], sample_weight=[1e308, 5e-324]) == math.log(2)


LONG = np.tile(P, (3, 1))
BAD_INPUTS = {
    "negative": (
        Y,
        np.where(P == 0.6, -0.6, P),
        {},
        r"'y_proba' .* probabilities >= 0 .* Got \[0.2, 0.2, -0.6\] .* in row 2",
    ),
    "percentages": (Y, 100 * P, {}, "'y_proba' .* sum to 1 within 0.001 .* Got .* sum 100 in row 0"),
    "off by two thousandths": (Y, P * 1.002, {}, "sum 1.002 in row 0"),
    "infinite": (Y, np.where(P == 0.6, np.inf, P), {}, "sum inf in row 2"),
    "one column > 1": ([0, 1], [0.5, 1.5], {}, r"'y_proba' .* in \[0, 1\]\. Got 1.5 in row 1"),
    "three axes": (Y, P[None], {}, r"'y_proba' parameter must be .* Got the shape \(1, 4, 3\) instead"),
    "no rows": ([], np.empty((0, 3)), {}, "not empty"),
    "None": (Y, None, {}, r"'y_proba' parameter must be .* Got the shape \(\) instead"),
    "sparse": (
        Y,
        csr_matrix(P),
        {},
        r"'y_proba' parameter must be a dense array of real numbers\. Got a csr_matrix instead",
    ),
    "text": (Y, P.astype(str), {}, "'y_proba' .* Got the type <U32"),
    "complex": (Y, P + 0j, {}, "'y_proba' .* Got the type complex128"),
    "multilabel": ([[1, 1, 0]] * 4, P, {}, "'y_true' .* multilabel.* sum 2 in row 0"),
    "negative soft label": (-P, P, {}, r"'y_true' .* Got \[-0.7, .* in row 0"),
    "y of text columns": (np.array([Y, Y]).T, P, {}, "'y_true' .* Got the type <U1"),
    "sparse y": (
        csr_matrix(np.eye(4)),
        P,
        {},
        r"'y_true' parameter must be .*\(n_samples,\) or.* Got the shape \(\) instead",
    ),
    "fractions": ([0.2, 0.7], [0.2, 0.7], {}, "'y_true' parameter must be labels, or soft labels .* Got 0.2 instead"),
    "missing label": ([0, 1, np.nan, 0], P, {"labels": [0, 1, 2]}, "'y_true' .* Got missing values"),
    "missing, None": (np.array(["a", "b", None, "c"]), P, {}, "none missing"),
    "missing, pandas": (pd.Series([0, 1, None, 2], dtype="Int64"), P, {}, "missing values"),
    "rows": (Y, LONG, {}, r"'y_true' and 'y_proba' .* the same number of rows\. Got 4 and 12 rows"),
    "one class": (["a"] * 4, P, {}, "'y_true' .* two or more classes, or pass labels=.* Got the one label 'a'"),
    "two of three": (
        ["a", "b", "a", "b"],
        P,
        {},
        "'y_true' parameter must be of 3 classes, .* pass labels=.* Got 2 classes",
    ),
    "soft columns": (
        P[:, :2] / P[:, :2].sum(1, keepdims=True),
        P,
        {},
        "'y_true' parameter must be of 3 classes.* Got 2 classes",
    ),
    "unknown label": (
        Y,
        P,
        {"labels": ["a", "b", "x"]},
        r"'y_true' .* labels among \['a', 'b', 'x'\]\. Got the labels \['c'\]",
    ),
    "too many labels": (
        Y,
        P,
        {"labels": list("abcd")},
        r"'labels' parameter.* must be 3.* Got \['a', 'b', 'c', 'd'\] of 4 classes instead",
    ),
    "labels of soft labels": (
        P,
        P,
        {"labels": [0, 1]},
        r"'labels' parameter.* must be 3.* Got \[0, 1\] of 2 classes instead",
    ),
    "equal labels": (Y, P, {"labels": ["a", "b", "b"]}, r"'labels' .* two different labels\. Got \['a', 'b', 'b'\]"),
    "a set": (Y, P, {"labels": {"a"}}, r"'labels' parameter .* Got \{'a'\} instead"),
    "negative weight": (
        Y,
        P,
        {"sample_weight": [1, -1, 1, 1]},
        r"'sample_weight' .* finite numbers >= 0\. Got -1 in row 1",
    ),
    "infinite weight": (Y, P, {"sample_weight": [1, np.inf, 1, 1]}, "'sample_weight' .* Got inf in row 1"),
    "NaN weight": (Y, P, {"sample_weight": [1, np.nan, 1, 1]}, "'sample_weight' .* Got nan in row 1"),
    "no weight": (Y, P, {"sample_weight": [0] * 4}, "'sample_weight' .* Got zeros only"),
    "too few weights": (
        Y,
        P,
        {"sample_weight": [1]},
        r"'sample_weight' parameter must be .*\(4,\).* Got the shape \(1,\) instead",
    ),
    "text as weight": (Y, P, {"sample_weight": Y}, "'sample_weight' .* Got the type <U1"),
    "smoothing": (Y, P, {"smoothing": 1.5}, r"'smoothing' parameter.* must be a number in \[0, 1\].* Got 1.5 instead"),
}


@pytest.mark.parametrize("bad", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_errors_name_what_is_wrong(bad):
    y, proba, options, message = bad
    for metric in METRICS:
        with pytest.raises(ValueError, match=message):
            metric(y, proba, **options)


@pytest.mark.parametrize("n_bins", [0, -1, 2.0, True, "10", None])
def test_n_bins(n_bins):
    with pytest.raises(ValueError, match="'n_bins' parameter.* must be an integer >= 1.* Got .* instead"):
        calibration_kl(Y, P, n_bins=n_bins)
    assert calibration_kl(Y, P, n_bins=np.int64(2)) >= 0


def test_metrics_without_truth_check_alike():
    with pytest.raises(ValueError, match="sum 2 in row 0"):
        inception_score(2 * P)
    with pytest.raises(ValueError, match="'sample_weight' .* Got -1 in row 0"):
        inception_score(P, sample_weight=[-1, 1, 1, 1])


@every_metric
def test_what_cannot_be_read_is_named(metric):
    with pytest.raises(ValueError, match="'y_proba' parameter must be an array"):
        metric(Y, [[0.5, 0.5], [1.0]] * 2)
    with pytest.raises(ValueError, match="'y_true' parameter must be an array"):
        metric([[0], [0, 1]] * 2, P)
    with pytest.raises(ValueError, match="'sample_weight' parameter must be"):
        metric(Y, P, sample_weight=[10**400] * 4)
