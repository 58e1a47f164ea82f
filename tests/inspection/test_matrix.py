"""What is drawn of a matrix of divergences: its values, labels and unit."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import PowerNorm
from sklearn.linear_model import LogisticRegression

from sklkl.divergences import DIVERGENCES, kl_divergence, pairwise_divergence
from sklkl.inspection import DivergenceMatrixDisplay

SHARES = np.array([[0.5, 0.5], [0.6, 0.4], [1.0, 0.0]])


def test_distributions_against_each_other():
    display = DivergenceMatrixDisplay.from_distributions(SHARES, labels=["May", "June", "July"])
    expected = pairwise_divergence(SHARES)
    np.testing.assert_array_equal(display.matrix, expected)
    np.testing.assert_array_equal(display.im_.get_array().mask, np.isinf(expected))
    assert display.text_[0, 2].get_text() == "inf"
    assert display.text_[0, 1].get_text() == f"{expected[0, 1]:.2g}"
    for axis in (display.ax_.get_xticklabels(), display.ax_.get_yticklabels()):
        assert [label.get_text() for label in axis] == ["May", "June", "July"]
    assert display.figure_.axes[1].get_ylabel() == "KL(row‖column), nats"


def test_two_sets_of_distributions():
    display = DivergenceMatrixDisplay.from_distributions(SHARES, SHARES[:2], column_labels=["x", "y"])
    assert display.matrix.shape == (3, 2)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["x", "y"]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["0", "1", "2"]


def test_models_are_compared_row_by_row():
    rng = np.random.default_rng(0)
    probas = {name: rng.dirichlet(np.ones(3), 20) for name in "ab"}
    display = DivergenceMatrixDisplay.from_models(probas, im_kw={"cmap": "gray", "vmax": 9.0})
    expected = [[kl_divergence(p, q, normalize=True).mean() for q in probas.values()] for p in probas.values()]
    np.testing.assert_allclose(display.matrix, expected, rtol=1e-12, atol=1e-15)
    assert display.im_.get_cmap().name == "gray"
    assert display.im_.get_clim() == (0.0, 9.0)


def test_columns_of_frames_are_matched_by_name():
    frame = pd.DataFrame(SHARES, columns=["dog", "cat"])
    other = frame[["cat", "dog"]]
    expected = pairwise_divergence(SHARES)
    np.testing.assert_array_equal(DivergenceMatrixDisplay.from_distributions(frame, other).matrix, expected)
    probas = {"array": SHARES, "frame": frame, "other": other}
    np.testing.assert_array_equal(DivergenceMatrixDisplay.from_models(probas).matrix, np.zeros((3, 3)))


@pytest.mark.parametrize("y", [torch.tensor([0, 1, 1]).bfloat16(), torch.tensor([0.0, 1, 1]).requires_grad_()])
def test_labels_may_be_tensors(y):
    assert DivergenceMatrixDisplay.from_predictions(y, SHARES).row_labels.tolist() == [0, 1]


def test_classes_are_means_of_the_predictions_for_them(table):
    X, y = table
    clf = LogisticRegression().fit(X, y)
    rows = y != 1  # a class without rows is left out
    display = DivergenceMatrixDisplay.from_estimator(clf, X[rows], y[rows], metric="js")
    proba = clf.predict_proba(X[rows])
    means = np.array([proba[y[rows] == k].mean(axis=0) for k in (0, 2)])
    np.testing.assert_allclose(display.matrix, pairwise_divergence(means, metric="js"), rtol=1e-9, atol=1e-15)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["0", "2"]
    assert display.figure_.axes[1].get_ylabel() == "Jensen-Shannon divergence, nats"


@pytest.mark.parametrize("metric", DIVERGENCES)
def test_what_has_no_unit_has_none(metric):
    display = DivergenceMatrixDisplay.from_distributions(SHARES[:2], metric=metric)
    unitless = metric in {"chi2", "hellinger", "total_variation"}
    assert ("nat" in display.figure_.axes[1].get_ylabel()) != unitless


def test_large_matrices_have_no_numbers():
    assert DivergenceMatrixDisplay.from_distributions(np.full((13, 2), 0.5)).text_ is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.from_distributions(SHARES, labels=["a"]), r"'labels' parameter .* must be of shape \(3,\)"),
        (lambda d: d.from_distributions(SHARES, metric="nothing"), "'metric' parameter"),
        (lambda d: d.from_distributions([[0.5, 0.7]]), "'P' parameter must be rows of probabilities"),
        (lambda d: d.from_models({"a": SHARES, "b": SHARES[:1]}), "'probas' parameter .* probabilities of one shape"),
        (lambda d: d.from_models({}), "'probas' parameter .* probabilities of one shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(DivergenceMatrixDisplay)


def test_a_norm_of_the_users_own():
    norm = PowerNorm(0.5)
    assert DivergenceMatrixDisplay.from_distributions(SHARES, im_kw={"norm": norm}).im_.norm is norm
