"""Closed forms against numerical integration and sums, between libraries, and at their edges."""

import array_api_strict as strict
import numpy as np
import pytest
import torch
from scipy import integrate, stats

import sklkl.divergences as d

EQUAL = {
    "bernoulli": (d.bernoulli_kl, ([0.0, 0.3, 1.0],)),
    "categorical": (d.categorical_kl, ([0.1, 0.2, 0.7],)),
    "poisson": (d.poisson_kl, ([0.0, 3.0, 1e6],)),
    "exponential": (d.exponential_kl, ([2.0, 1e-9],)),
    "laplace": (d.laplace_kl, ([1.0, 2.0], [0.1, 3.0])),
    "diagonal gaussian": (d.diagonal_gaussian_kl, ([1.0, 2.0], [0.1, 3.0])),
    "gaussian": (d.gaussian_kl, ([1.0, 2.0], [[2.0, 0.3], [0.3, 0.7]])),
    "dirichlet": (d.dirichlet_kl, ([0.5, 2.0, 30.0],)),
}

CONTINUOUS = {
    "normal": (d.diagonal_gaussian_kl(0.3, 0.8**2, -0.5, 1.7**2), stats.norm(0.3, 0.8), stats.norm(-0.5, 1.7)),
    "exponential": (d.exponential_kl(2.0, 0.7), stats.expon(scale=1 / 2), stats.expon(scale=1 / 0.7)),
    "laplace": (d.laplace_kl(0.2, 0.5, 1.0, 2.0), stats.laplace(0.2, 0.5), stats.laplace(1.0, 2.0)),
    "dirichlet": (d.dirichlet_kl([2.0, 3.0], [1.5, 4.0]), stats.beta(2, 3), stats.beta(1.5, 4)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_numerical_integral(name):
    value, p, q = CONTINUOUS[name]
    low, high = p.ppf([1e-15, 1 - 1e-15])
    points = [x for x in (0.2, 1.0) if low < x < high]
    integral, _ = integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high, points=points, limit=200)
    assert value == pytest.approx(integral, rel=1e-7)


def test_poisson_is_the_sum_over_counts():
    counts = np.arange(200)
    p, q = stats.poisson(3.2).pmf(counts), stats.poisson(5.1).logpmf(counts)
    assert d.poisson_kl(3.2, 5.1) == pytest.approx((p * (stats.poisson(3.2).logpmf(counts) - q)).sum())


def test_bernoulli_is_the_two_class_categorical():
    assert d.bernoulli_kl(0.3, 0.6) == pytest.approx(d.categorical_kl([0.3, 0.7], [0.6, 0.4]), rel=1e-14)


def test_full_covariance_equals_the_formula():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4, 4))
    cov_p, cov_q, mean_p, mean_q = a @ a.T + np.eye(4), b @ b.T + np.eye(4), *rng.normal(size=(2, 4))
    inverse, moved = np.linalg.inv(cov_q), mean_q - mean_p
    literal = np.trace(inverse @ cov_p) - 4 - np.log(np.linalg.det(inverse @ cov_p)) + moved @ inverse @ moved
    assert d.gaussian_kl(mean_p, cov_p, mean_q, cov_q) == pytest.approx(literal / 2, rel=1e-12)


def test_diagonal_equals_full_covariance():
    mean_p, var_p, mean_q, var_q = np.random.default_rng(0).uniform(0.5, 2, size=(4, 6, 3))
    full = d.gaussian_kl(mean_p, var_p[..., None] * np.eye(3), mean_q, var_q[..., None] * np.eye(3))
    assert full.shape == (6,)
    np.testing.assert_allclose(d.diagonal_gaussian_kl(mean_p, var_p, mean_q, var_q), full, rtol=1e-12)


def test_broadcasting():
    assert d.gaussian_kl(np.zeros((5, 2)), np.eye(2), [1, -1], np.eye(2)).shape == (5,)
    assert d.gaussian_kl(np.zeros((1, 1)), np.ones((1, 1, 1)), [1.0], [[2.0]]).shape == (1,)
    assert d.diagonal_gaussian_kl(np.zeros((5, 3)), 1, 0, 2).shape == (5,)
    assert d.dirichlet_kl(np.ones((4, 1, 3)), np.ones((2, 3))).shape == (4, 2)
    assert d.poisson_kl(np.ones((4, 1)), np.ones(3)).shape == (4, 3)


@pytest.mark.parametrize("name", EQUAL)
def test_equal_parameters_give_exactly_zero(name):
    function, parameters = EQUAL[name]
    assert (np.asarray(function(*parameters, *parameters)) == 0).all()


INSIDE = {
    "bernoulli": (d.bernoulli_kl, 0.3),
    "poisson": (d.poisson_kl, 3.0),
    "exponential": (d.exponential_kl, 2.0),
    "laplace": (lambda p, q: d.laplace_kl(0.0, p, 0.0, q), 0.7),
    "laplace, moved": (lambda p, q: d.laplace_kl(p, 1.0, q, 1.0), 2.0),
    "diagonal gaussian": (lambda p, q: d.diagonal_gaussian_kl(p, p, q, q), 1.5),
    "gaussian": (lambda p, q: d.gaussian_kl([p], [[p]], [q], [[q]]), 1.5),
}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("step", [1e-4, 1e-7])
def test_nearly_equal_parameters_keep_their_digits(name, step):
    """The divergence is quadratic in a small step: half the step gives a quarter."""
    function, p = INSIDE[name]
    whole, half = function(p, p + step), function(p, p + step / 2)
    assert whole > 0
    assert whole / half == pytest.approx(4, rel=10 * step + 1e-7)


@pytest.mark.parametrize("name", EQUAL)
@pytest.mark.parametrize("convert", [lambda x: torch.asarray(x, dtype=torch.float64), strict.asarray])
def test_libraries_agree(name, convert):
    function, parameters = EQUAL[name]
    other = [np.asarray(x) * 0.9 + 0.05 for x in parameters]
    ours = function(*(convert(np.asarray(x)) for x in (*parameters, *other)))
    assert not isinstance(ours, np.ndarray)
    np.testing.assert_allclose(np.from_dlpack(ours), function(*parameters, *other), rtol=1e-10)


def test_edges():
    np.testing.assert_array_equal(d.bernoulli_kl([0, 1, 0, 1], [0, 1, 1, 0]), [0, 0, np.inf, np.inf])
    np.testing.assert_array_equal(d.poisson_kl([0, 2, 0], [0, 0, 3]), [0, np.inf, 3])
    assert d.bernoulli_kl(1e-300, 0.5) == pytest.approx(np.log(2))


def test_outside_the_domain_is_nan():
    values = [
        d.bernoulli_kl([-0.1, 0.5], [0.5, 1.1]),
        d.poisson_kl([-1.0, 1.0], [1.0, -1.0]),
        d.exponential_kl([0.0, 1.0], [1.0, -1.0]),
        d.laplace_kl(0, [0.0, 1.0], 0, [1.0, -1.0]),
        d.diagonal_gaussian_kl(0, [[0.0], [1.0]], 0, [[1.0], [-1.0]]),
        d.dirichlet_kl([[0.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, -1.0]]),
        d.poisson_kl([np.nan, 1.0], [1.0, np.nan]),
    ]
    assert np.isnan(values).all()


@pytest.mark.parametrize("convert", [np.asarray, torch.asarray])
def test_covariance_must_be_positive_definite(convert):
    good, bad, mean = (convert(np.array(x)) for x in (np.eye(2), [[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0]))
    with pytest.raises(ValueError, match="'cov_p' parameter must be positive definite matrices"):
        d.gaussian_kl(mean, bad, mean, good)
    with pytest.raises(ValueError, match="'cov_q' parameter must be positive definite matrices"):
        d.gaussian_kl(mean, good, mean, bad)
