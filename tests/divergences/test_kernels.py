"""The in-place NumPy forms against the definition, row by row."""

import numpy as np
import pytest

from sklkl.divergences import _kernels, js_divergence, kl_divergence

from .oracles import near_rows, random_rows


def definition(function):
    """The same function by a way that bypasses the kernel: the last axis moved to the front."""
    return lambda p, q: function(np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0), axis=0)


def awkward_rows():
    p, q = random_rows(40, 6, seed=1), random_rows(40, 6, seed=2)
    p[0, 0] = q[1, 1] = p[2, 2] = q[2, 2] = 0
    p[3, 0] = q[4, 0] = np.nan
    p[5, 0] = q[6, 0] = p[7, 1] = q[7, 1] = -0.1
    p[8, 0], q[9, 0], p[10, 0], q[10, 0] = 5e-324, 5e-324, 1e-310, 2e-310
    p[11], q[12] = 0, 0
    q[13] = p[13]
    q[14] = p[14] * (1 + 1e-9)
    p[15] *= 100
    q[16] *= 1e-3
    p[17, 0], q[18, 0] = np.inf, np.inf
    p[19, 0], q[19, 0] = 0, -0.1
    return p, q


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
def test_awkward_rows_equal_the_definition(function):
    p, q = awkward_rows()
    np.testing.assert_allclose(function(p, q), definition(function)(p, q), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(function(p, q[20]), definition(function)(p, q[20:21]), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(function(p[20], q), definition(function)(p[20:21], q), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
def test_normalizing_equals_the_definition(function):
    p, q = awkward_rows()
    expected = function(p.T, q.T, axis=0, normalize=True)
    np.testing.assert_allclose(function(p, q, normalize=True), expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-5])
def test_both_sides_of_the_switch(function, size):
    p, q, *_ = near_rows(size, n=100)
    np.testing.assert_allclose(function(p, q), definition(function)(p, q), rtol=1e-11)


def test_ordinary_rows_do_not_need_the_definition():
    p, q = random_rows(50, 10, seed=1, zeros=True), random_rows(50, 10, seed=2)
    for kernel in (_kernels.KLRows, _kernels.JSRows):
        with np.errstate(divide="ignore"):
            values = kernel(definition=None)(p, q)
        assert np.isfinite(values).all()


@pytest.mark.parametrize("divergence", [kl_divergence, js_divergence])
def test_rows_that_need_the_definition_may_have_any_number_of_axes(divergence):
    p, q = np.array([[[0.5, 0.5]], [[0.2, 0.8]]]), np.array([[0.5, 0.5], [0.2, 0.8]])
    expected = [[divergence(p[i, 0], q[j]) for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(divergence(p, q), expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("divergence", [kl_divergence, js_divergence])
def test_rows_are_normalized_on_the_way(divergence, dtype):
    rng = np.random.default_rng(0)
    p, q = rng.gamma(1, size=(2, 500, 7)) * rng.lognormal(0, 5, size=(2, 500, 1))
    p[::5, :3], q[::7, 2:] = 0, 0
    p[::11], q[::13] = 3 * q[::11], np.nan
    p, q = p.astype(dtype), q.astype(dtype)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    expected = definition(divergence)(p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True))
    np.testing.assert_allclose(divergence(p, q, normalize=True), expected, rtol=rtol, atol=1e-13)
