"""Mean divergences and the explained share against log_loss, scipy and closed forms."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_iris
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import d2_log_loss_score, log_loss

from sklkl.metrics import d2_kl_score, mean_js_divergence, mean_kl_divergence, mean_reverse_kl_divergence

from . import oracles

P = np.array([[0.36, 0.48, 0.16]])
Q = np.array([[1 / 3, 1 / 3, 1 / 3]])
MEANS = {
    mean_kl_divergence: (oracles.kl, 0.08529960131837057),
    mean_reverse_kl_divergence: (lambda t, p: oracles.kl(p, t), 0.09745500678538762),
    mean_js_divergence: (oracles.js, 0.02245986042971459),
}
every_mean = pytest.mark.parametrize("metric", MEANS, ids=lambda metric: metric.__name__)


@pytest.fixture(scope="module")
def predicted():
    """Labels of iris and what a logistic regression makes of half of them."""
    X, y = load_iris(return_X_y=True)
    return y, LogisticRegression(max_iter=1000).fit(X[::2], y[::2]).predict_proba(X)


@pytest.fixture
def soft():
    random = np.random.default_rng(0)
    return random.dirichlet(np.ones(4), 30), random.dirichlet(np.ones(4), 30), random.random(30)


@every_mean
def test_reference_values(metric):
    assert metric(P, Q) == pytest.approx(MEANS[metric][1], rel=1e-14)


@every_mean
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_labels_against_scipy(metric, soft, smoothing):
    t, p, w = soft
    expected = MEANS[metric][0](oracles.smoothed(t, smoothing), oracles.smoothed(p, smoothing))
    assert metric(t, p, smoothing=smoothing) == pytest.approx(expected.mean(), rel=1e-12)
    assert metric(t, p, sample_weight=w, smoothing=smoothing) == pytest.approx(oracles.mean(expected, w), rel=1e-12)


@every_mean
def test_the_truth_itself_is_exactly_zero_also_in_float32(metric, soft):
    for t in (soft[0], soft[0].astype(np.float32), np.eye(3)):
        assert metric(t, t) == 0


@every_mean
def test_float32_sums_do_not_matter(metric, soft):
    t = soft[0]
    assert metric(t, t.astype(np.float32)) < 1e-12


def test_labels_give_the_log_loss(predicted):
    y, proba = predicted
    weight = np.random.default_rng(1).random(len(y))
    assert mean_kl_divergence(y, proba) == pytest.approx(log_loss(y, proba), rel=1e-12)
    weighted = log_loss(y, proba, sample_weight=weight)
    assert mean_kl_divergence(y, proba, sample_weight=weight) == pytest.approx(weighted, rel=1e-12)


def test_nothing_is_clipped():
    proba = np.array([[1e-300, 1.0], [0.5, 0.5]])
    assert mean_kl_divergence([0, 1], proba) == pytest.approx((300 * math.log(10) + math.log(2)) / 2, rel=1e-14)
    assert mean_kl_divergence([0, 1], [0.0, 0.0]) == math.inf
    assert mean_kl_divergence([0, 1], [0.0, 1.0]) == 0
    assert mean_kl_divergence([0, 1], [1.0, 0.0], smoothing=0.1) == pytest.approx(0.9 * math.log(0.95 / 0.05))


def test_reverse_kl_of_labels_is_infinite_unless_certain_and_right():
    assert mean_reverse_kl_divergence([0, 1], [0.1, 1.0]) == math.inf
    assert mean_reverse_kl_divergence([0, 1], [0.0, 1.0]) == 0


def least(metric, truth, **options):
    """Return the prediction at which the expected value is least, if the second class has probability `truth`."""

    def expected(q):
        return metric([0, 1], [q, q], sample_weight=[1 - truth, truth], **options)

    return minimize_scalar(expected, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-8}).x


@pytest.mark.parametrize("truth", [0.1, 0.5, 0.8])
def test_kl_is_a_proper_score_also_if_smoothed(truth):
    assert least(mean_kl_divergence, truth) == pytest.approx(truth, abs=1e-5)
    assert least(mean_kl_divergence, truth, smoothing=0.3) == pytest.approx(truth, abs=1e-5)


def test_js_and_reverse_kl_of_labels_are_none_as_documented():
    assert least(mean_js_divergence, 0.8) == pytest.approx(0.94, abs=0.005)
    assert least(mean_reverse_kl_divergence, 0.8, smoothing=0.1) > 0.85


def test_d2_is_that_of_scikit_learn(predicted):
    y, proba = predicted
    weight = np.random.default_rng(1).random(len(y))
    assert d2_kl_score(y, proba) == pytest.approx(d2_log_loss_score(y, proba), rel=1e-12)
    weighted = d2_log_loss_score(y, proba, sample_weight=weight)
    assert d2_kl_score(y, proba, sample_weight=weight) == pytest.approx(weighted, rel=1e-12)


def test_d2_of_soft_labels(soft):
    t, p, w = soft
    assert d2_kl_score(t, p, sample_weight=w) == pytest.approx(oracles.d2(t, p, w), rel=1e-12)
    assert d2_kl_score(t, t) == 1
    prior = np.tile(t.mean(0), (len(t), 1))
    assert d2_kl_score(t, prior) == pytest.approx(0, abs=1e-12)
    assert d2_kl_score(t, prior, smoothing=0.3) == pytest.approx(0, abs=1e-12)


def test_d2_where_nothing_is_to_be_explained():
    assert d2_kl_score([1, 1], [1.0, 1.0], labels=[0, 1]) == 1
    assert d2_kl_score([1, 1], [0.9, 1.0], labels=[0, 1]) == 0
    assert d2_kl_score([1, 1], [0.0, 1.0], labels=[0, 1]) == 0
    assert math.isnan(d2_kl_score([1, 1], [np.nan, 1.0], labels=[0, 1]))
    assert d2_kl_score([0, 1], [0.0, 0.0]) == -math.inf


@pytest.mark.parametrize("weight", [None, [1], [0, 1]])
def test_d2_of_one_row_is_undefined(weight):
    n = 1 if weight is None else len(weight)
    with pytest.warns(UndefinedMetricWarning, match="less than two"):
        assert math.isnan(d2_kl_score([1] * n, [0.5] * n, labels=[0, 1], sample_weight=weight))
