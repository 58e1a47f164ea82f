"""The reliability term against plain loops, its bias against simulations of calibrated models."""

import math

import numpy as np
import pytest

from sklkl.metrics import calibration_kl, mean_kl_divergence, prior_shift_kl

from . import oracles


def calibrated(n, k, random):
    """Return labels that have the predicted probabilities, and these."""
    q = random.dirichlet(np.ones(k), n)
    return (q.cumsum(1) > random.random((n, 1))).argmax(1), q


@pytest.mark.parametrize(("k", "n_bins"), [(2, 1), (2, 10), (3, 4), (5, 10), (5, 1000)])
def test_partition_against_loops(k, n_bins):
    random = np.random.default_rng(k)
    y, q = calibrated(150, k, random)
    q = (random.multinomial(20, q) + 1) / (20 + k)  # many are equal
    truth = np.eye(k)[y]
    for weight in (None, random.integers(1, 4, len(y))):
        value = calibration_kl(y, q, labels=range(k), sample_weight=weight, n_bins=n_bins)
        assert value == pytest.approx(oracles.calibration(truth, q, weight, n_bins), rel=1e-9)


@pytest.mark.parametrize("n_bins", [1, 10])
def test_two_bins_by_hand(n_bins):
    y, q = [0, 0, 0, 1] + [1, 1, 1, 1, 1, 1, 0, 0], [0.1] * 4 + [0.75] * 8
    value, bias = calibration_kl(y, q, n_bins=n_bins, return_bias=True)
    assert value == pytest.approx((0.75 * math.log(0.75 / 0.9) + 0.25 * math.log(0.25 / 0.1)) / 3, rel=1e-14)
    # ½ Σ q (1 - q) / (n q) is 1 / 2n in a bin of n equal rows; the bins have 1/3 and 2/3 of the rows
    assert bias == pytest.approx(1 / 8 / 3 + 1 / 16 * 2 / 3, rel=1e-14)


def test_equal_probabilities_share_a_bin_in_spite_of_rounding():
    proba = np.array([[0.7, 0.2, 0.1], [0.7, 0.1, 0.2]] * 10)
    assert len({tuple(row / row.sum())[0] for row in proba}) == 2  # the divisions differ in the last digit
    value = calibration_kl([1] * 20, proba, labels=[0, 1, 2])
    assert value == pytest.approx(math.log(1 / 0.15), rel=1e-12)  # two bins would give -log of 0.1 and of 0.2


def test_scaled_weights_change_nothing():
    y, q = calibrated(60, 3, np.random.default_rng(0))
    value = calibration_kl(y, q)
    for factor in (0.1, 3.7, 1e300, 1e-300):
        assert calibration_kl(y, q, sample_weight=np.full(60, factor)) == pytest.approx(value, rel=1e-9)


def test_weights_that_end_at_an_edge_of_a_bin_up_to_rounding():
    p = np.linspace(0.51, 0.99, 20)
    for seed in range(50):
        random = np.random.default_rng(seed)
        y, w = random.integers(0, 2, 20), random.integers(1, 4, 20)
        w[-1] += -w.sum() % 10
        assert calibration_kl(y, p, sample_weight=0.1 * w) == pytest.approx(calibration_kl(y, p, sample_weight=w))


def test_one_bin_a_row_is_the_log_loss():
    y, q = calibrated(50, 3, np.random.default_rng(0))
    assert calibration_kl(y, q, n_bins=10**6) == pytest.approx(mean_kl_divergence(y, q), rel=1e-12)


@pytest.mark.parametrize("n_bins", [1, 10])
def test_prior_shift_is_at_most_as_large(n_bins):
    random = np.random.default_rng(0)
    for _ in range(20):
        y, q = calibrated(60, 3, random)
        assert prior_shift_kl(y, q) <= calibration_kl(y, q, n_bins=n_bins) * (1 + 1e-12)
        assert calibration_kl(y, q, n_bins=n_bins) <= mean_kl_divergence(y, q)


def test_a_constant_prediction_of_the_frequencies_is_calibrated():
    assert calibration_kl(["a", "b", "b", "c"], [[0.25, 0.5, 0.25]] * 4) == 0
    assert prior_shift_kl(["a", "b", "b", "c"], [[0.25, 0.5, 0.25]] * 4) == 0


def test_over_confidence_is_found_and_grows_with_it():
    y, q = calibrated(3000, 4, np.random.default_rng(0))
    sharper = [calibration_kl(y, q**power / (q**power).sum(1, keepdims=True)) for power in (1, 2, 4)]
    assert sharper[0] < 0.02 < sharper[1] < sharper[2]


def test_an_excluded_class_is_infinite():
    value, bias = calibration_kl([0, 0, 1, 1], [0.0, 0.0, 0.9, 0.9], return_bias=True)
    assert math.isfinite(value)
    assert bias == pytest.approx(0.5 / 4, rel=1e-14)  # the bin that is certain has none
    assert calibration_kl([0, 1, 1, 1], [0.0, 0.0, 0.9, 0.9]) == math.inf
    assert math.isfinite(calibration_kl([0, 1, 1, 1], [0.0, 0.0, 0.9, 0.9], smoothing=0.01))


CASES = {
    "binary, small": {"n": 200, "k": 2},
    "5 classes": {"n": 1000, "k": 5},
    "weights": {"n": 1000, "k": 3, "weighted": True},
    "smoothing": {"n": 1000, "k": 3, "smoothing": 0.1},
    "soft labels": {"n": 500, "k": 3, "soft": True},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bias_is_what_calibrated_models_show(case):
    random = np.random.default_rng(0)
    n, k = case["n"], case["k"]
    options = {"labels": range(k), "smoothing": case.get("smoothing", 0.0), "return_bias": True}
    pairs = []
    for _ in range(100):
        y, q = calibrated(n, k, random)
        truth = q if case.get("soft") else y
        if case.get("soft"):
            noise = random.gamma(5 * q) + 1e-300  # Dirichlet rows of mean q
            truth = noise / noise.sum(1, keepdims=True)
        weight = random.exponential(size=n) if case.get("weighted") else None
        pairs.append(calibration_kl(truth, q, sample_weight=weight, **options))
    value, bias = np.mean(pairs, axis=0)
    # the next order matters in bins of twenty rows
    assert value / bias == pytest.approx(1, abs=0.15 if n == 200 else 0.08)
