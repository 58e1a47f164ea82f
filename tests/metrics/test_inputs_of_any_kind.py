"""Frames by the names of their columns, tensors of every type, masks, and labels that are none."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from sklkl import metrics as m

ANIMALS = pd.DataFrame([[0.9, 0.1], [0.3, 0.7]], columns=["dog", "cat"])
LIBRARIES = {"pandas": lambda x: x, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}
METRICS = [
    m.mean_kl_divergence,
    m.mean_reverse_kl_divergence,
    m.mean_js_divergence,
    m.d2_kl_score,
    m.calibration_kl,
    m.prior_shift_kl,
]
each_metric = pytest.mark.parametrize("metric", METRICS)


@each_metric
@pytest.mark.parametrize(("first", "second"), [("pandas", "polars"), ("polars", "pyarrow"), ("pyarrow", "pandas")])
def test_columns_of_frames_are_matched_by_name(metric, first, second):
    truth, proba = ANIMALS, pd.DataFrame([[0.2, 0.8], [0.4, 0.6]], columns=["cat", "dog"])
    expected = metric(truth.to_numpy(), proba[["dog", "cat"]].to_numpy())
    truth, proba = LIBRARIES[first](truth), LIBRARIES[second](proba)
    assert metric(truth, proba) == pytest.approx(expected, rel=1e-12)
    assert metric(truth, proba, labels=["cat", "dog"]) == pytest.approx(expected, rel=1e-12)
    assert metric(ANIMALS[["cat", "dog"]].to_numpy(), proba, labels=["cat", "dog"]) == pytest.approx(expected)


@each_metric
@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_are_matched_with_labels(metric, library):
    proba = LIBRARIES[library](ANIMALS)
    for labels, expected in ((None, ["cat", "dog"]), (["dog", "cat"], ["dog", "cat"])):
        found = metric(["dog", "cat"], proba, labels=labels)
        assert found == pytest.approx(metric(["dog", "cat"], ANIMALS[expected].to_numpy(), labels=expected))
    numbers = LIBRARIES[library](ANIMALS.set_axis(["1", "0"], axis=1))
    assert metric([1, 0], numbers) == pytest.approx(metric([0, 1], ANIMALS.to_numpy()))


def test_names_say_which_classes_there_are():
    proba = pd.DataFrame([[0.5, 0.2, 0.3]] * 2, columns=["cow", "dog", "cat"])
    assert m.mean_kl_divergence(["dog", "cat"], proba) == pytest.approx(-math.log(0.2 * 0.3) / 2)
    other = ANIMALS.set_axis(["p0", "p1"], axis=1)  # no classes: columns count by position
    assert m.mean_kl_divergence(["cat", "dog"], other) == m.mean_kl_divergence([0, 1], ANIMALS.to_numpy())
    with pytest.raises(
        ValueError, match="'y_proba' parameter must be a frame with columns of the names .*'dog', 'cat'"
    ):
        m.mean_kl_divergence(ANIMALS, ANIMALS.set_axis(["dog", "cow"], axis=1))


def test_teacher_student_and_generators_are_matched_by_name():
    assert m.teacher_agreement(ANIMALS, ANIMALS[["cat", "dog"]]) == m.TeacherAgreement(0, 0, 1)
    assert m.teacher_agreement(pl.from_pandas(ANIMALS), ANIMALS[["cat", "dog"]]).kl == 0
    assert m.mode_coverage_kl(ANIMALS, y_reference=ANIMALS[["cat", "dog"]]) == pytest.approx(0, abs=1e-15)
    shares = m.mode_coverage_kl(ANIMALS, labels=["cat", "dog"], reference=[0.4, 0.6])
    assert shares == pytest.approx(0, abs=1e-15)


def test_equal_rows_agree_exactly():
    proba = np.random.default_rng(0).dirichlet(np.ones(7), 50)
    assert m.teacher_agreement(proba, proba) == m.TeacherAgreement(0, 0, 1)


@each_metric
@pytest.mark.parametrize("dtype", ["Float64", "double[pyarrow]"])
def test_missing_values_of_frames_are_nan(metric, dtype):
    proba = ANIMALS.astype(dtype).mask(ANIMALS > 0.8)
    assert math.isnan(metric(["dog", "cat"], proba))


def test_columns_may_have_names_of_several_levels():
    levels = pd.MultiIndex.from_tuples([("p", "a"), ("p", "b")])
    assert m.mean_kl_divergence([0, 1], ANIMALS.set_axis(levels, axis=1)) == pytest.approx(-math.log(0.9 * 0.7) / 2)


TENSOR = torch.tensor([[0.875, 0.125], [0.25, 0.75]])
TENSORS = [TENSOR.bfloat16(), TENSOR.half(), TENSOR.double(), TENSOR.clone().requires_grad_(), list(TENSOR)]


@each_metric
def test_tensors_of_every_type(metric):
    expected, of_itself = metric([0, 1], TENSOR.numpy()), metric(TENSOR.numpy(), TENSOR.numpy())
    for proba in TENSORS:
        assert metric(torch.tensor([0, 1]), proba) == expected
        assert metric(proba, proba) == of_itself
        assert metric([0, 1], proba, sample_weight=torch.ones(2).requires_grad_()) == expected


@pytest.mark.parametrize("proba", TENSORS, ids=lambda t: str(getattr(t, "dtype", "list")))
def test_tensors_of_teachers_and_generators(proba):
    assert m.teacher_agreement(proba, proba).kl == 0
    assert m.inception_score(proba) == m.inception_score(TENSOR.numpy())


@each_metric
@pytest.mark.parametrize(("tensor", "found"), [(TENSOR.to("meta"), "meta"), (TENSOR.to_sparse(), "sparse")])
def test_tensors_without_values_are_refused(metric, tensor, found):
    with pytest.raises(ValueError, match=f"^The 'y_proba' parameter must be .*array.* Got a .*{found}"):
        metric([0, 1], tensor)


@each_metric
def test_masked_probabilities_are_missing(metric):
    assert math.isnan(metric([0, 1], np.ma.array(TENSOR.numpy(), mask=[[0, 1], [0, 0]])))


ODD = [{1}, [2]], ["a", None], [0, None], np.ma.array([0, 1], mask=[0, 1]), [{}, {}]


@each_metric
@pytest.mark.parametrize("labels", ODD, ids=str)
def test_values_that_are_no_labels_are_refused(metric, labels):
    y = np.ma.array(labels) if isinstance(labels, np.ma.MaskedArray) else np.array([*labels, None], dtype=object)[:2]
    with pytest.raises(ValueError, match=r"'y_true' parameter must be .*label.* Got .* instead"):
        metric(y, TENSOR.numpy())
    with pytest.raises(ValueError, match=r"'labels' parameter must be a list of at least two different labels"):
        metric([0, 1], TENSOR.numpy(), labels=y)
    with pytest.raises(ValueError, match="'labels' parameter must be"):
        m.get_scorer("neg_mean_kl", labels=y)


@each_metric
def test_lists_of_unlike_lengths_are_refused(metric):
    for ragged in ([[1], [0, 1]], [[1], {2}]):
        with pytest.raises(ValueError, match="'y_true' parameter must be an array, or what makes one. Got list"):
            metric(ragged, TENSOR.numpy())
    with pytest.raises(ValueError, match="'y_proba' parameter must be an array, or what makes one. Got list"):
        metric([0, 1], [[0.5, 0.5], [1.0]])


@pytest.mark.parametrize(("n_classes", "n"), [(6, 200), (100, 500)])
def test_bias_of_many_classes(n_classes, n):
    random = np.random.default_rng(0)
    found = []
    for _ in range(8):
        proba = random.dirichlet(np.ones(n_classes), n)
        y = (random.random((n, 1)) > np.cumsum(proba, axis=1)).sum(axis=1).clip(max=n_classes - 1)
        found.append(m.calibration_kl(y, proba, labels=range(n_classes), n_bins=10, return_bias=True))
    value, bias = np.mean(found, axis=0)
    assert bias / value == pytest.approx(1, abs=0.15 if n_classes < 100 else 0.05)


def test_bias_of_a_rare_class_is_that_of_counts():
    """One bin of equal rows: the exact mean over binomial counts of each class."""
    from scipy.stats import binom

    proba, n = np.array([0.9, *[0.01] * 10]), 50
    k = np.arange(n + 1)
    exact = sum(np.sum(binom.pmf(k, n, q) * np.where(k, k / n * np.log(np.maximum(k, 1) / n / q), 0)) for q in proba)
    y = np.repeat(0, n)
    _, bias = m.calibration_kl(y, np.tile(proba, (n, 1)), labels=range(11), n_bins=1, return_bias=True)
    assert bias == pytest.approx(exact, rel=0.02)
    smooth = 0.9 * proba + 0.1 / 11
    shares = 0.9 * k / n + 0.1 / 11
    exact = sum(np.sum(binom.pmf(k, n, q) * shares * np.log(shares / s)) for q, s in zip(proba, smooth, strict=True))
    _, bias = m.calibration_kl(y, np.tile(proba, (n, 1)), labels=range(11), n_bins=1, smoothing=0.1, return_bias=True)
    assert bias == pytest.approx(exact, rel=0.02)
