"""Matrices of divergences against the row-wise definitions."""

import tracemalloc

import array_api_strict as strict
import numpy as np
import pytest
import torch

from sklkl.divergences import DIVERGENCES, _pairwise, pairwise_divergence

from .oracles import by_oracle, near_rows, random_rows, softmax

P, Q = random_rows(11, 6, seed=1, zeros=True), random_rows(7, 6, seed=2, zeros=True)
Q[0] = P[0]
Q[1] = P[1] * (1 + 1e-9 * np.arange(6))


def row_by_row(name, p, q, **options):
    return np.array([[DIVERGENCES[name](a, b, **options) for b in q] for a in p])


@pytest.mark.parametrize("name", DIVERGENCES)
def test_matrix_equals_rows(name):
    expected = row_by_row(name, P, Q)
    for convert in (np.asarray, torch.asarray, strict.asarray):
        values = pairwise_divergence(convert(P), convert(Q), metric=name)
        assert type(values) is type(convert(P))
        np.testing.assert_allclose(np.from_dlpack(values), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "jeffreys", "js", "js_distance", "hellinger"])
def test_options(name):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 4)) * 30, rng.normal(size=(6, 4))
    a[0, 0] = b[0, 0] = b[1, 1] = -np.inf
    cases = [
        (a, b, {"from_": "logits"}),
        (a, b, {"from_": "logits", "smoothing": 0.1}),
        (np.log(P + 0.1), np.log(Q + 0.2), {"from_": "log_probs"}),
        (P * 7, Q * 3, {"normalize": True}),
        (P * 7, Q * 3, {}),
        (P, Q, {"smoothing": 0.01}),
    ]
    if name != "hellinger":
        cases.append((P, Q, {"base": 2}))
    for p, q, options in cases:
        values = pairwise_divergence(p, q, metric=name, **options)
        expected = row_by_row(name, p, q, **options)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-14, err_msg=str(options))


@pytest.mark.parametrize("name", ["kl", "jeffreys", "js", "total_variation"])
def test_blocks_change_nothing(name, monkeypatch):
    p, q = random_rows(23, 5, seed=3, zeros=True), random_rows(17, 5, seed=4)
    whole = pairwise_divergence(p, q, metric=name)
    monkeypatch.setattr(_pairwise, "_BLOCK", 60)
    monkeypatch.setattr(_pairwise, "_JS_BLOCK", 40)
    np.testing.assert_allclose(pairwise_divergence(p, q, metric=name), whole, rtol=1e-12)


def test_memory_is_bounded():
    p = random_rows(1000, 60)
    for name in ("kl", "js", "total_variation"):
        tracemalloc.start()
        pairwise_divergence(p, metric=name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 90e6, name  # the result is 8 MB; whole temporaries would be 480 MB each


@pytest.mark.parametrize("name", ["kl", "js"])
def test_nearly_equal_rows_keep_their_digits(name):
    p, q, *_ = near_rows(1e-9)
    for dtype in (np.float32, np.float64):
        a, b = p.astype(dtype), q.astype(dtype)
        values = pairwise_divergence(a, b, metric=name)
        assert values.dtype == dtype
        np.testing.assert_allclose(np.diag(values), DIVERGENCES[name](a, b), rtol=1e-5)
        assert (values >= 0).all()


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "js"])
@pytest.mark.parametrize("size", [1e-3, 1e-5])
def test_float32_rows_sum_to_one_only_roughly(name, size):
    p, q, *_ = (x.astype(np.float32) for x in near_rows(size))
    values = pairwise_divergence(p, q, metric=name)
    np.testing.assert_allclose(np.diag(values), by_oracle(name, p, q), rtol=1e-5)


@pytest.mark.parametrize("name", ["kl", "js", "total_variation"])
def test_nan_and_negative_entries(name):
    p, q = random_rows(4, 3, seed=1), random_rows(3, 3, seed=2)
    p[1, 0], p[2, 1], q[2, 2] = np.nan, -0.1, np.nan
    expected = np.zeros((4, 3), dtype=bool)
    expected[[1, 2]] = expected[:, 2] = True
    np.testing.assert_array_equal(np.isnan(pairwise_divergence(p, q, metric=name)), expected)


def test_parameters_of_the_metric():
    values = pairwise_divergence(P, Q, metric="renyi", alpha=2)
    np.testing.assert_allclose(values, row_by_row("renyi", P, Q, alpha=2), rtol=1e-9, atol=1e-15)
    values = pairwise_divergence(P, Q, metric="js", weights=[0.3, 0.7])
    np.testing.assert_allclose(values, row_by_row("js", P, Q, weights=[0.3, 0.7]), rtol=1e-9, atol=1e-15)


def test_one_set_of_rows_and_lists():
    for name in DIVERGENCES:
        both = pairwise_divergence(P, P.copy(), metric=name)
        np.testing.assert_allclose(pairwise_divergence(P, metric=name), both, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(pairwise_divergence(P.tolist()), pairwise_divergence(P))


@pytest.mark.parametrize("name", ["kl", "js", "total_variation"])
def test_empty_sides(name):
    assert pairwise_divergence(P[:0], Q, metric=name).shape == (0, 7)
    assert pairwise_divergence(P, Q[:0], metric=name).shape == (11, 0)


@pytest.mark.parametrize("name", ["kl", "jeffreys", "js"])
def test_gradients(name):
    z = torch.asarray(np.random.default_rng(0).normal(size=(4, 3))).requires_grad_()
    pairwise_divergence(z, metric=name, from_="logits").sum().backward()
    pairs = z.detach().clone().requires_grad_()
    DIVERGENCES[name](pairs[:, None], pairs[None], from_="logits").sum().backward()
    torch.testing.assert_close(z.grad, pairs.grad)
    assert np.allclose(softmax(z.detach().numpy()).sum(-1), 1)


def test_errors():
    with pytest.raises(
        ValueError, match=r"'P' and 'Q' .* must be of shapes \(n, K\) and \(m, K\)\. Got .* \(11, 6\) and \(6,\)"
    ):
        pairwise_divergence(P, Q[0])
    with pytest.raises(ValueError, match="'metric' parameter .* Got 'euclidean' instead"):
        pairwise_divergence(P, metric="euclidean")
    with pytest.raises(ValueError, match="'base' parameter .* Got 2 instead"):
        pairwise_divergence(P, metric="total_variation", base=2)
    with pytest.raises(TypeError, match="alpha"):
        pairwise_divergence(P, metric="kl", alpha=2)
