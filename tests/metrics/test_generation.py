"""Scores of generated samples."""

import math

import numpy as np
import pytest

from sklkl.metrics import inception_score, mean_kl_divergence, mode_coverage_kl

from . import oracles


@pytest.mark.parametrize("k", [2, 10, 100])
def test_inception_score_of_distinct_balanced_samples_is_the_number_of_classes(k):
    assert inception_score(np.repeat(np.eye(k), 3, axis=0)) == pytest.approx(k, rel=1e-12)


def test_inception_score_of_samples_alike_is_one():
    assert inception_score([[0.2, 0.3, 0.5]] * 7) == 1
    assert inception_score(np.eye(3)[[1, 1]]) == 1


def test_inception_score_by_definition():
    random = np.random.default_rng(0)
    p, w = random.dirichlet(np.ones(4), 50), random.random(50)
    for weight in (None, w):
        expected = np.exp(oracles.mean(oracles.kl(p, oracles.mean(p, weight)), weight))
        assert inception_score(p, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
        assert 1 <= expected <= 4


def test_inception_score_weights():
    assert inception_score(np.eye(3), sample_weight=[1, 1, 0]) == pytest.approx(2, rel=1e-14)
    assert inception_score([[0.5, 0.5], [np.nan, 1]], sample_weight=[1, 0]) == 1
    assert math.isnan(inception_score([[0.5, 0.5], [np.nan, 1]]))


def test_one_mode_of_a_thousand():
    assert mode_coverage_kl([7] * 20, labels=range(1000)) == pytest.approx(math.log(1000), rel=1e-12)
    assert mode_coverage_kl(np.arange(1000), labels=range(1000)) == pytest.approx(0, abs=1e-12)
    assert mode_coverage_kl(np.eye(1000)[[7] * 20]) == pytest.approx(math.log(1000), rel=1e-12)


def test_many_modes_need_no_square_matrix():
    assert mode_coverage_kl([7] * 20, labels=range(100_000)) == pytest.approx(math.log(100_000), rel=1e-12)
    assert mean_kl_divergence([7], np.full((1, 30_000), 1 / 30_000), labels=range(30_000)) == pytest.approx(
        math.log(30_000)
    )


def test_reference_in_each_form():
    generated, labels = ["a", "b", "b", "b"], ["c", "b", "a"]
    expected = oracles.kl(np.array([0, 0.75, 0.25]), np.array([0.2, 0.4, 0.4]))
    real = ["a", "a", "b", "b", "c"]
    assert mode_coverage_kl(generated, labels=labels, reference=[0.2, 0.4, 0.4]) == pytest.approx(expected)
    assert mode_coverage_kl(generated, labels=labels, y_reference=real) == pytest.approx(expected)
    soft = [[0.4, 0.4, 0.2], [0.0, 0.4, 0.6]]
    assert mode_coverage_kl(generated, labels=labels, y_reference=soft) == pytest.approx(expected)
    assert mode_coverage_kl([[0, 0.75, 0.25]], y_reference=soft) == pytest.approx(expected)
    assert mode_coverage_kl(generated, labels=labels, reference=[0.5, 0.5, 0.0]) == math.inf
    weighted = mode_coverage_kl(["a", "b"], labels=labels, reference=[0.2, 0.4, 0.4], sample_weight=[1, 3])
    assert weighted == pytest.approx(expected)


def test_nan_propagates():
    assert math.isnan(mode_coverage_kl([[0.5, np.nan]]))
    assert math.isnan(mode_coverage_kl([0], labels=[0, 1], reference=[0.5, np.nan]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_generated": [0, 1]}, "'labels' parameter.* must be the labels of all modes.* Got None instead"),
        ({"y_generated": [0, 5], "labels": [0, 1]}, r"'y_generated' .* labels among \[0, 1\]\. Got the labels \[5\]"),
        (
            {"y_generated": [0], "labels": [0, 1], "reference": [1]},
            r"'reference' parameter.* must be .*\(2,\).* Got the shape \(1,\) instead",
        ),
        ({"y_generated": [0], "labels": [0, 1], "reference": [0.5, 0.6]}, "sum 1.1 in row 0"),
        (
            {"y_generated": [0], "labels": [0, 1], "reference": [0.5, 0.5], "y_reference": [0]},
            "'reference' and 'y_reference' parameters .* one at a time",
        ),
        (
            {"y_generated": [[0.5, 0.5]], "labels": [0, 1, 2]},
            "'y_generated' parameter must be of 3 columns, .* Got 2 columns",
        ),
        ({"y_generated": [[0.5, 0.5]], "y_reference": [0, 1]}, "because y_reference holds labels"),
        ({"y_generated": [], "labels": [0, 1]}, "not empty"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        mode_coverage_kl(**arguments)
