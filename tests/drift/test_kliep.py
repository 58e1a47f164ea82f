"""The kernel ratio against a general optimiser and against ratios of Gaussians that are known."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics.pairwise import rbf_kernel

from sklkl.divergences import diagonal_gaussian_kl
from sklkl.drift import _kliep
from sklkl.drift._kliep import _held_out_score, _mixture_weights, fit_kernel_ratio


def samples(n, d, shift, scale, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(shift, scale, size=(n, d))


def fitted(X, X_target, bandwidth=None, n_centers=100, cv=5):
    return fit_kernel_ratio(X, X_target, n_centers, bandwidth, cv, np.random.default_rng(0))


def log_ratio(X, shift, scale):
    """Return the logarithm of the density of N(shift, scale² I) over that of N(0, I)."""
    return (X**2 / 2 - (X - shift) ** 2 / (2 * scale**2) - np.log(scale)).sum(axis=1)


@pytest.mark.parametrize("bandwidth", [None, 0.3, 2.0])
def test_the_ratio_is_a_mixture_of_mean_one(bandwidth):
    X, X_target = samples(200, 2, 0.5, 0.8)
    ratio = fitted(X, X_target, bandwidth)
    assert ratio(X).mean() == pytest.approx(1)
    assert (ratio(np.vstack([X, X_target])) > 0).all()
    assert ratio.weights.sum() == pytest.approx(1)
    assert (ratio.weights >= 0).all()


def test_the_ratio_is_the_sum_it_says():
    X, X_target = samples(100, 3, 0.5, 0.8)
    ratio = fitted(X, X_target, bandwidth=0.7, n_centers=20)
    rows = (X - X.mean(axis=0)) / X.std(axis=0)
    kernels = rbf_kernel(rows, ratio.centers, gamma=1 / (2 * 0.7**2))
    expected = ratio.weights[0] + (kernels / kernels.mean(axis=0)) @ ratio.weights[1:]
    np.testing.assert_allclose(ratio(X), expected)


@pytest.mark.filterwarnings("ignore:Values in x were outside bounds")  # by the solver of SciPy before 1.16
def test_weights_maximise_the_likelihood():
    rng = np.random.default_rng(0)
    kernels, kernel_means = rng.gamma(0.3, size=(80, 6)), rng.uniform(0.1, 1, size=(1, 6))
    components = kernels / kernel_means
    found = _mixture_weights(kernels, kernel_means, np.ones((1, 80)), np.ones((1, 6)))[0]
    best = minimize(
        lambda w: -np.log(components @ w).mean(),
        np.full(6, 1 / 6),
        bounds=[(1e-12, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    gap = -best.fun - np.log(components @ found).mean()
    assert -1e-6 <= gap <= _kliep._TOLERANCE
    assert found.sum() == pytest.approx(1)


def test_the_likelihood_of_narrow_kernels_is_maximised_in_time(monkeypatch):
    """In fewer steps than those of plain expectation-maximisation."""
    monkeypatch.setattr(_kliep, "_MAX_ITER", 200)
    X, X_target = samples(300, 1, -1.0, 0.5)
    kernels = kernels_of(X_target, X_target[:100], 0.05)
    means = kernels_of(X, X_target[:100], 0.05).mean(axis=0, keepdims=True)
    weights = _mixture_weights(kernels, means, np.ones((1, 300)), np.ones((1, 101)))
    slopes = ((kernels / means) / (kernels @ (weights / means).T)).mean(axis=0)
    assert slopes.max() <= 1 + _kliep._TOLERANCE
    assert (weights > 0).all()  # none has vanished for good


def test_weights_are_a_mixtures_after_any_number_of_steps(monkeypatch):
    monkeypatch.setattr(_kliep, "_MAX_ITER", 3)
    kernels = np.random.default_rng(0).gamma(0.3, size=(80, 6))
    weights = _mixture_weights(kernels, np.ones((1, 6)), np.ones((1, 80)), np.ones((1, 6)))
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()


def test_components_and_rows_may_be_left_out(monkeypatch):
    monkeypatch.setattr(_kliep, "_TOLERANCE", 1e-5)
    rng = np.random.default_rng(0)
    kernels, kernel_means = rng.gamma(0.3, size=(40, 4)), np.ones((2, 4))
    rows, components = np.array([[True] * 40, [True] * 20 + [False] * 20]), np.array([[1, 1, 1, 1], [1, 0, 1, 0]])
    _, part = _mixture_weights(kernels, kernel_means, rows, components)
    (alone,) = _mixture_weights(kernels[:20, ::2], np.ones((1, 2)), np.ones((1, 20)), np.ones((1, 2)))
    np.testing.assert_allclose(part[::2], alone, atol=1e-3)
    np.testing.assert_array_equal(part[1::2], 0)


@pytest.mark.parametrize(("d", "shift", "scale"), [(1, -1.0, 0.5), (3, 0.4, 0.8)])
def test_ratios_of_gaussians(d, shift, scale):
    X, X_target = samples(600, d, shift, scale)
    ratio = fitted(X, X_target)
    assert np.corrcoef(ratio(X), np.exp(log_ratio(X, shift, scale)))[0, 1] > 0.95
    found, ones = np.log(ratio(X_target)).mean(), np.ones(d)
    assert found == pytest.approx(log_ratio(X_target, shift, scale).mean(), abs=0.06)
    assert found == pytest.approx(diagonal_gaussian_kl(shift * ones, scale**2 * ones, 0 * ones, ones), abs=0.1)


@pytest.mark.parametrize("d", [1, 5])
def test_without_shift_the_ratio_is_nearly_one(d):
    ratio = fitted(*samples(300, d, 0, 1))
    assert np.abs(ratio(samples(300, d, 0, 1, seed=1)[0]) - 1).mean() < 0.1


def test_units_of_the_features_do_not_matter():
    X, X_target = samples(60, 2, 0.5, 0.8)
    units, zeros = np.array([1e-6, 1e6]), np.array([5.0, -3e6])
    np.testing.assert_allclose(
        fitted(X * units + zeros, X_target * units + zeros)(X * units + zeros), fitted(X, X_target)(X), rtol=1e-5
    )


def test_constant_features_do_no_harm():
    X, X_target = samples(80, 1, 0.5, 0.8)
    constant = np.full((80, 1), 0.1)
    ratio = fitted(np.hstack([X, constant]), np.hstack([X_target, constant]))
    np.testing.assert_allclose(ratio(np.hstack([X, constant])), fitted(X, X_target)(X), rtol=1e-6)


def test_blocks_do_not_matter(monkeypatch):
    X, X_target = samples(60, 2, 0.5, 0.8)
    whole = fitted(X, X_target)(X)
    monkeypatch.setattr(_kliep, "_BLOCK", 500)
    np.testing.assert_allclose(fitted(X, X_target)(X), whole)


def test_no_few_rows_get_all_the_weight_of_a_far_target_row():
    X, X_target = samples(200, 1, 0, 1)
    X_target[0] = 6  # beyond all training rows: without the guard the nearest would stand for it alone
    weights = fitted(X, X_target, bandwidth=0.3)(X)
    assert weights.max() < 5
    assert weights.sum() ** 2 / (weights**2).sum() > 100


@pytest.mark.parametrize("bandwidth", [None, 0.5])
def test_samples_without_overlap(bandwidth):
    X, X_target = samples(50, 2, 100, 1)
    with pytest.raises(ValueError, match="'X' and 'X_target' .* samples that overlap: one target row .* bandwidth of"):
        fitted(X, X_target, bandwidth)


def kernels_of(rows, centers, bandwidth):
    return np.hstack([np.ones((len(rows), 1)), rbf_kernel(rows, centers, gamma=1 / (2 * bandwidth**2))])


def test_the_held_out_score_is_that_of_ratios_fitted_without_the_fold(monkeypatch):
    monkeypatch.setattr(_kliep, "_TOLERANCE", 1e-5)
    X, X_target = samples(100, 3, 0.3, 0.9)
    folds, chosen, bandwidth = np.arange(100) % 4, np.arange(60), 1.5
    gains = []
    for fold in range(4):
        fitted, held_out = folds != fold, folds == fold
        centers = X_target[chosen][fitted[chosen]]
        target, train = (kernels_of(rows, centers, bandwidth) for rows in (X_target, X))
        means = train[fitted].mean(axis=0, keepdims=True)
        weights = _mixture_weights(target[fitted], means, np.ones((1, 75)), np.ones(means.shape))[0] / means[0]
        gains.append(np.log(target[held_out] @ weights).mean() - np.log((train[held_out] @ weights).mean()))
    found = _held_out_score(X, X_target, folds, folds, chosen, bandwidth)
    assert found == pytest.approx(np.mean(gains), abs=1e-4)


def test_kernels_that_cover_held_out_rows_only_do_no_harm():
    rng = np.random.default_rng(0)
    X, X_target = np.append(rng.normal(size=20), np.full(20, 1000.0))[:, None], rng.normal(size=(20, 1))
    folds = np.repeat([0, 1], 20)
    assert _held_out_score(X, X_target, folds, np.arange(20) % 2, np.arange(20), 1.0) < np.inf
