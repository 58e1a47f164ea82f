"""Divergences, metrics and estimators take tensors of a CUDA device."""

import numpy as np
import pytest
import torch

import sklkl.divergences as d
from sklkl import metrics as m
from sklkl.divergences import DIVERGENCES
from sklkl.drift import DriftDetector
from sklkl.feature_selection import js_classif

from .common import DEVICE, on_device

DISTRIBUTIONS = np.random.RandomState(2).dirichlet(np.ones(6), (2, 40))
FROM = {"probs": lambda p: p, "log_probs": np.log, "logits": lambda p: np.log(p) + 2}


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("from_", FROM)
def test_divergences(name, from_):
    p, q = FROM[from_](DISTRIBUTIONS)
    for options in ({}, {"smoothing": 0.2}, {"normalize": True}, {"axis": 0, "keepdims": True}):
        values = DIVERGENCES[name](*on_device(p, q), from_=from_, **options)
        assert values.device.type == DEVICE
        expected = DIVERGENCES[name](p, q, from_=from_, **options)
        np.testing.assert_allclose(values.cpu(), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergences_of_pairs_and_gradients(name):
    p, q = DISTRIBUTIONS
    pairs = d.pairwise_divergence(*on_device(p, q), metric=name)
    np.testing.assert_allclose(pairs.cpu(), d.pairwise_divergence(p, q, metric=name), rtol=1e-9, atol=1e-14)
    gradients = []
    for device in ("cpu", DEVICE):
        x = torch.tensor(q, device=device, requires_grad=True)
        DIVERGENCES[name](torch.tensor(p, device=device), x).sum().backward()
        gradients.append(x.grad.cpu())
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


CLOSED = {
    d.bernoulli_kl: (0.3, 0.6),
    d.categorical_kl: ([0.1, 0.9], [0.2, 0.8]),
    d.poisson_kl: (3.0, 4.0),
    d.exponential_kl: (2.0, 0.7),
    d.laplace_kl: (0.2, 0.5, 1.0, 2.0),
    d.diagonal_gaussian_kl: ([1.0, 2.0], [0.1, 3.0], [0.5, 2.0], [1.0, 1.0]),
    d.gaussian_kl: ([1.0, 2.0], [[2.0, 0.3], [0.3, 0.7]], [0.0, 0.0], [[1.0, 0.2], [0.2, 1.0]]),
    d.dirichlet_kl: ([0.5, 2.0, 30.0], [1.0, 1.0, 1.0]),
    d.entropy: ([0.1, 0.9],),
    d.kl_to_uniform: ([0.1, 0.9],),
}


@pytest.mark.parametrize("function", CLOSED, ids=lambda function: function.__name__)
def test_closed_forms(function):
    arrays = [np.asarray(values) for values in CLOSED[function]]
    value = function(*on_device(*arrays))
    assert value.device.type == DEVICE
    assert value.item() == pytest.approx(function(*arrays), rel=1e-12)


PROBA = np.random.RandomState(4).dirichlet(np.ones(3), (2, 60))
LABELS = np.arange(60) % 3
SAMPLES = np.random.RandomState(3).randn(2, 200)
READ = {
    "mean_kl_divergence": lambda p, q, y, x, z: m.mean_kl_divergence(y, p, sample_weight=p[:, 0]),
    "mean_reverse_kl_divergence": lambda p, q, y, x, z: m.mean_reverse_kl_divergence(p, q),
    "mean_js_divergence": lambda p, q, y, x, z: m.mean_js_divergence(p, q),
    "d2_kl_score": lambda p, q, y, x, z: m.d2_kl_score(y, p),
    "calibration_kl": lambda p, q, y, x, z: m.calibration_kl(y, p),
    "prior_shift_kl": lambda p, q, y, x, z: m.prior_shift_kl(y, p),
    "teacher_agreement": lambda p, q, y, x, z: m.teacher_agreement(p, q),
    "inception_score": lambda p, q, y, x, z: m.inception_score(p),
    "mode_coverage_kl": lambda p, q, y, x, z: m.mode_coverage_kl(p, y_reference=q),
    "knn": lambda p, q, y, x, z: d.knn_kl_divergence(x[:, None], z[:, None]),
    "classifier": lambda p, q, y, x, z: d.classifier_kl_divergence(x[:, None], z[:, None], random_state=0),
    "histogram": lambda p, q, y, x, z: d.histogram_divergence(x, z),
    "stability index": lambda p, q, y, x, z: d.population_stability_index(x, z).value,
    "drift": lambda p, q, y, x, z: DriftDetector(null="asymptotic").fit(x[:, None]).detect(z[:, None]).statistic,
    "features": lambda p, q, y, x, z: js_classif(p, y),
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_metrics_and_estimates_take_tensors_of_the_device(read):
    arrays = *PROBA, LABELS, *SAMPLES
    np.testing.assert_array_equal(read(*on_device(*arrays)), read(*arrays))
