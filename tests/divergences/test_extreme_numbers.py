"""Numbers that vanish, sums that differ, half precision: results as exact as the inputs, against mpmath."""

import math

import mpmath
import numpy as np
import pytest
import torch

import sklkl.divergences as d

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
# by how much the logits are stretched, so that many probabilities of the type are subnormal or zero
STRETCHED = {"float16": 5, "bfloat16": 60, "float32": 60, "float64": 200}


def stretched(dtype, n_classes=300, n=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(n, 40, n_classes, generator=generator, dtype=torch.float64) * STRETCHED[dtype]
    return [x.to(DTYPES[dtype]) for x in logits.softmax(-1)]


def js_by_mpmath(rows, weights):
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(float(x)) for x in row] for row in rows]
        shares = [mpmath.mpf(w) / mpmath.fsum(weights) for w in weights]
        mixture = [mpmath.fsum(w * p[k] for w, p in zip(shares, rows, strict=True)) for k in range(len(rows[0]))]
        return float(
            mpmath.fsum(
                w * (x * mpmath.log(x / m) - x + m) if x else w * m
                for w, p in zip(shares, rows, strict=True)
                for x, m in zip(p, mixture, strict=True)
            )
        )


@pytest.mark.parametrize("dtype", STRETCHED)
@pytest.mark.parametrize("weights", [None, [1e17, 1]])
def test_js_is_bounded_where_the_mixture_vanishes(dtype, weights):
    p, q, _ = stretched(dtype)
    values = d.js_divergence(p, q, weights=weights)
    assert values.dtype == p.dtype
    expected = [js_by_mpmath(rows, weights or [1, 1]) for rows in zip(p[:2].tolist(), q[:2].tolist(), strict=True)]
    eps = torch.finfo(p.dtype).eps
    np.testing.assert_allclose(values[:2].double().numpy(), expected, rtol=4 * eps, atol=torch.finfo(p.dtype).tiny)
    assert values.max() <= math.log(2) * (1 + eps)
    assert d.js_distance(p, q, weights=weights).isfinite().all()
    assert d.pairwise_divergence(p[:4], q[:4], metric="js").isfinite().all()


@pytest.mark.parametrize("weights", [[1e17, 1], [1e8, 1], [1e6, 1], [1, 1e-300], [1, 1e6, 1e-6]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_js_of_weights_that_are_far_apart(weights, dtype):
    random = np.random.default_rng(0)
    one_hot = np.eye(3)[: len(weights)]
    for rows in (one_hot, random.dirichlet(np.ones(5), len(weights)), random.dirichlet(np.full(5, 0.02), len(weights))):
        rows = rows.astype(dtype)
        expected = js_by_mpmath(rows, weights)
        found = d.js_divergence(*rows, weights=weights)
        assert found == pytest.approx(
            expected, rel=30 * float(np.finfo(dtype).eps), abs=1e-37 if dtype is np.float32 else 0
        )


@pytest.mark.parametrize("dtype", STRETCHED)
def test_gradients_are_finite_where_numbers_vanish(dtype):
    rows = [x.requires_grad_() for x in stretched(dtype)]
    d.js_divergence(*rows, weights=[1, 1e8, 1e-9]).sum().backward()
    assert all(x.grad.isfinite().all() for x in rows)


def kl_by_mpmath(p, q):
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(p, q, strict=True)]
        return (
            math.inf
            if any(a and not b for a, b in pairs)
            else float(mpmath.fsum(a * mpmath.log(a / b) for a, b in pairs if a))
        )


UNEQUAL = [
    ([1.0, 2.0], [1e17, 1e17]),
    ([1e-20, 1e-20], [1.0, 1.0]),
    ([1e-20, 0.0], [1.0, 3.0]),
    ([0.25, 0.5], [3.0, 1e9]),
    ([1e17, 1e17], [1.0, 2.0]),
    ([1e-7, 0.5], [1.0, 0.5]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("p", "q"), UNEQUAL)
def test_kl_of_measures_whose_sums_are_far_apart(p, q, dtype):
    p, q = np.array(p, dtype), np.array(q, dtype)
    tolerance = {"rel": 30 * float(np.finfo(dtype).eps)}
    for function, expected in (
        (d.kl_divergence, kl_by_mpmath(p, q)),
        (d.reverse_kl_divergence, kl_by_mpmath(q, p)),
        (d.categorical_kl, kl_by_mpmath(p, q)),
    ):
        assert function(p, q) == pytest.approx(expected, **tolerance)
        for convert in (np.asarray, torch.asarray):
            assert float(function(convert(p[None]), convert(q[None]))[0]) == pytest.approx(expected, **tolerance)
    for convert in (np.asarray, torch.asarray):
        matrix = d.pairwise_divergence(convert(p[None]), convert(q[None]))
        assert float(matrix[0, 0]) == pytest.approx(kl_by_mpmath(p, q), **tolerance)


@pytest.mark.parametrize(("p", "q"), UNEQUAL)
@pytest.mark.parametrize("alpha", [0.5, 0.25])
def test_power_sums_of_measures_whose_sums_are_far_apart(p, q, alpha):
    with mpmath.workdps(50):
        power = mpmath.fsum(
            mpmath.mpf(a) ** alpha * mpmath.mpf(b) ** (1 - alpha) for a, b in zip(p, q, strict=True) if a
        )
        tsallis, renyi = float((power - 1) / (alpha - 1)), float(mpmath.log(power) / (alpha - 1))
    assert d.tsallis_divergence(p, q, alpha=alpha) == pytest.approx(tsallis, rel=1e-14)
    assert d.renyi_divergence(p, q, alpha=alpha) == pytest.approx(renyi, rel=1e-14)


def test_vmap_reads_no_values():
    p = torch.rand(4, 3).softmax(-1)
    torch.testing.assert_close(torch.vmap(d.kl_divergence)(p, p.flip(0)), d.kl_divergence(p, p.flip(0)))


@pytest.mark.parametrize("name", d.DIVERGENCES)
def test_half_precision_is_only_that_of_the_inputs(name):
    exact = torch.asarray(np.random.default_rng(0).dirichlet(np.ones(50), 20))
    for rows in (exact.half().numpy(), exact.half(), exact.bfloat16()):
        inputs = torch.asarray(rows).double()
        expected = d.DIVERGENCES[name](inputs, inputs.flip(0), normalize=True)
        found = d.DIVERGENCES[name](rows, rows[::-1] if isinstance(rows, np.ndarray) else rows.flip(0), normalize=True)
        assert found.dtype == rows.dtype
        eps = torch.finfo(torch.asarray(rows).dtype).eps
        np.testing.assert_allclose(torch.asarray(found).double(), expected, rtol=eps)


def dirichlet_by_mpmath(a, b):
    with mpmath.workdps(50):
        a, b = ([mpmath.mpf(float(x)) for x in xs] for xs in (a, b))
        total = mpmath.loggamma(mpmath.fsum(a)) - mpmath.loggamma(mpmath.fsum(b))
        psi = mpmath.digamma(mpmath.fsum(a))
        terms = (
            mpmath.loggamma(y) - mpmath.loggamma(x) + (x - y) * (mpmath.digamma(x) - psi)
            for x, y in zip(a, b, strict=True)
        )
        return float(total + mpmath.fsum(terms))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a", "b"), [((100, 200), (110, 200)), ((1, 2, 3), (2, 2, 2)), ((900, 50), (800, 60))])
def test_dirichlet_in_every_precision(dtype, a, b):
    a, b = (torch.tensor(x, dtype=DTYPES[dtype]) for x in (a, b))
    expected = dirichlet_by_mpmath(a.tolist(), b.tolist())
    eps = torch.finfo(a.dtype).eps
    assert float(d.dirichlet_kl(a, b)) == pytest.approx(expected, rel=max(eps, 1e-11))
    if dtype != "bfloat16":
        assert float(d.dirichlet_kl(a.numpy(), b.numpy())) == pytest.approx(expected, rel=max(eps, 1e-11))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("p", "step"), [(1e-4, 1e-6), (0.3, -1e-5), (0.5, 1e-3), (0.7, 1e-6), (0.9999, -1e-5)])
def test_bernoulli_of_nearly_equal_probabilities(dtype, p, step):
    p, q = np.array([p], dtype), np.array([p + step * min(p, 1 - p)], dtype)
    with mpmath.workdps(60):
        a, b = mpmath.mpf(float(p[0])), mpmath.mpf(float(q[0]))
        expected = float(a * mpmath.log(a / b) + (1 - a) * mpmath.log((1 - a) / (1 - b)))
    assert d.bernoulli_kl(p, q)[0] == pytest.approx(expected, rel=1e-5 if dtype is np.float32 else 1e-9)


def test_covariances_that_are_nearly_equal_in_single_precision():
    cov = np.array([[2, 0.7], [0.7, 1]], np.float32)
    near = cov * np.float32(1 + 1e-4)
    zero = np.zeros(2, np.float32)
    expected = d.gaussian_kl(*(x.astype(np.float64) for x in (zero, cov, zero, near)))
    assert d.gaussian_kl(zero, cov, zero, near) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(1e-8 / 2, rel=1e-2)  # (d / 2) (log c + 1 / c - 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_covariances_in_half_precision(dtype):
    eye = torch.eye(2, dtype=dtype)
    assert d.gaussian_kl(torch.zeros(2, dtype=dtype), eye, torch.ones(2, dtype=dtype), eye) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (([0, 0], [1, 1], [0, 0], [1, 1]), r"'mean_p' and 'cov_p' .* Got the shapes \(2,\) and \(2,\) instead"),
        (([0, 0], [[1, 1]], [0, 0], np.eye(2)), r"'mean_p' and 'cov_p' .* Got the shapes \(2,\) and \(1, 2\) instead"),
        (([0, 0], np.eye(2), [0, 0, 0], np.eye(3)), r"'mean_q' and 'cov_q' .* Got the shapes \(3,\) and \(3, 3\)"),
        ((0, np.eye(2), 0, np.eye(2)), r"'mean_p' and 'cov_p' .* Got the shapes \(\) and \(2, 2\) instead"),
        (([0, 0], np.eye(2), [0, 0], [[1, 2], [2, 1]]), "'cov_q' .* positive definite matrices"),
    ],
)
@pytest.mark.parametrize("convert", [np.asarray, torch.asarray])
def test_what_is_wrong_with_a_covariance(parameters, message, convert):
    with pytest.raises(ValueError, match=message):
        d.gaussian_kl(*(convert(np.asarray(x, dtype=float)) for x in parameters))


@pytest.mark.parametrize("function", [*d.DIVERGENCES.values(), d.entropy, d.cross_entropy, d.kl_to_uniform])
@pytest.mark.parametrize("from_", ["probs", "log_probs", "logits"])
def test_rows_of_no_classes_and_plain_numbers_are_refused(function, from_):
    n = 1 if function in (d.entropy, d.kl_to_uniform) else 2
    for convert in (np.asarray, torch.asarray):
        with pytest.raises(ValueError, match="one entry or more along axis 1. Got none instead"):
            function(*[convert(np.empty((3, 0)))] * n, from_=from_)
        with pytest.raises(ValueError, match="one dimension or more. Got plain numbers instead"):
            function(*[convert(np.array(0.5))] * n, from_=from_)


@pytest.mark.parametrize("name", d.DIVERGENCES)
def test_masked_entries_are_missing(name):
    rows = np.ma.array([[0.5, 0.5], [0.2, 0.8]], mask=[[0, 1], [0, 0]])
    found = d.DIVERGENCES[name](rows, [0.4, 0.6])
    np.testing.assert_array_equal(np.isnan(found), [True, False])
    assert np.isnan(d.pairwise_divergence(rows, metric=name)[0, 1])
