"""Values to twelve digits: published constants and the textbook formulas in 50-digit arithmetic."""

import math

import numpy as np
import pytest

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES

from .oracles import ORACLES, by_oracle, near_rows, random_rows

P, U = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]

REFERENCE = {
    "kl": (d.kl_divergence(P, U), 0.08529960131837057),
    "reverse": (d.reverse_kl_divergence(P, U), 0.09745500678538762),
    "jeffreys": (d.jeffreys_divergence(P, U), 0.1827546081037582),
    "js": (d.js_divergence(P, U), 0.02245986042971459),
    "js bits": (d.js_divergence(P, U, base=2), 0.0324027292610075),
    "js distance": (d.js_distance(P, U), 0.149866141705572),
    "hellinger squared": (d.hellinger_distance(P, U) ** 2, 0.02264973081037424),
    "bhattacharyya": (d.bhattacharyya_distance(P, U), 0.02291017615507251),
    "total variation": (d.total_variation(P, U), 0.1733333333333333),
    "chi2": (d.chi2_divergence(P, U), 0.1568),
    "renyi 0.5": (d.renyi_divergence(P, U, alpha=0.5), 0.04582035231014503),
    "renyi 2": (d.renyi_divergence(P, U, alpha=2), 0.1456575724223632),
    "tsallis 0.5": (d.tsallis_divergence(P, U, alpha=0.5), 0.04529946162074847),
    "tsallis 2": (d.tsallis_divergence(P, U, alpha=2), 0.1568),
    "kl bits": (d.kl_divergence([0.5, 0.5], [0.9, 0.1], base=2), 0.7369655941662062),
    "entropy bits": (d.entropy([0.9, 0.1], base=2), 0.46899559358928117),
    "js distance of one-hot": (d.js_distance([1, 0], [0.5, 0.5]), 0.46450140402245893),
    "generalized kl": (d.generalized_kl([1, 2], [2, 1]), math.log(2)),
    "one mode of 1000": (d.kl_to_uniform(np.eye(1000)[0]), math.log(1000)),
    "inception score": (np.exp(d.kl_divergence(np.eye(10), np.full(10, 0.1)).mean()), 10.0),
    "normal": (d.diagonal_gaussian_kl(0, 1, 1, 4), 0.4431471805599453),
    "normal reverse": (d.diagonal_gaussian_kl(1, 4, 0, 1), 1.306852819440055),
    "bernoulli": (d.bernoulli_kl(0.3, 0.6), 0.1837868973868123),
    "poisson": (d.poisson_kl(3, 5), 0.467523128702028),
    "exponential": (d.exponential_kl(2, 3), 0.09453489189183562),
    "laplace": (d.laplace_kl(0, 1, 1, 2), 0.3770869011456665),
    "dirichlet": (d.dirichlet_kl([1, 2, 3], [2, 2, 2]), 0.8068528194400547),
    "gaussian": (d.gaussian_kl([0, 0], np.eye(2), [1, -1], [[2, 0.5], [0.5, 1]]), 1.279807893967711),
}


def test_reference_values():
    for name, (value, expected) in REFERENCE.items():
        np.testing.assert_allclose(value, expected, rtol=1e-12, err_msg=name)


def test_every_divergence_has_an_oracle():
    assert set(ORACLES) == set(DIVERGENCES)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_random_rows_match_the_formula(name):
    p, q = random_rows(30, 7, seed=1), random_rows(30, 7, seed=2)
    np.testing.assert_allclose(DIVERGENCES[name](p, q), by_oracle(name, p, q), rtol=1e-12)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize("size", [1e-2, 1e-6])
def test_float32_is_accurate_near_equality(name, size):
    p, q, a, b = near_rows(size)
    p, q = p.astype(np.float32), q.astype(np.float32)
    if name != "total_variation":  # first order in the rounding of its inputs
        np.testing.assert_allclose(DIVERGENCES[name](p, q), by_oracle(name, p, q), rtol=1e-5)
    a, b = a.astype(np.float32), b.astype(np.float32)
    from_logits = DIVERGENCES[name](a, b, from_="logits")
    assert from_logits.dtype == np.float32
    exact = (np.exp(z.astype(np.longdouble)) for z in (a, b))
    np.testing.assert_allclose(from_logits, _by_long_oracle(name, *exact), rtol=1e-5)


def _by_long_oracle(name, p, q):
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    return by_oracle(name, p, q) if name in {"js", "js_distance"} else DIVERGENCES[name](p, q, axis=1).astype(float)


@pytest.mark.parametrize("size", [1e-8, 1e-12, 1e-20])
def test_float64_keeps_its_digits_near_equality(size):
    p, q, *_ = near_rows(size)
    assert (d.kl_divergence(p, q) > 0).all()
    np.testing.assert_allclose(d.jeffreys_divergence(p, q), by_oracle("jeffreys", p, q), rtol=1e-4)
    np.testing.assert_allclose(d.kl_divergence(p, q), d.jeffreys_divergence(p, q) / 2, rtol=1e-2)


@pytest.mark.parametrize("alpha", [0, 0.25, 3, 10, math.inf])
def test_renyi_orders(alpha):
    p, q = random_rows(5, 4, seed=3), random_rows(5, 4, seed=4)
    literal = (
        np.log(p / q).max(-1) if alpha == math.inf else np.log((p**alpha * q ** (1 - alpha)).sum(-1)) / (alpha - 1)
    )
    np.testing.assert_allclose(d.renyi_divergence(p, q, alpha=alpha), literal, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("alpha", [-1.5, -1, 0.3, 0.5, 2, 3])
def test_alpha_and_tsallis_orders(alpha):
    p, q = random_rows(5, 4, seed=3), random_rows(5, 4, seed=4)
    excess = (p**alpha * q ** (1 - alpha)).sum(-1) - 1
    np.testing.assert_allclose(d.alpha_divergence(p, q, alpha=alpha), excess / (alpha * (alpha - 1)), rtol=1e-12)
    if alpha >= 0:
        np.testing.assert_allclose(d.tsallis_divergence(p, q, alpha=alpha), excess / (alpha - 1), rtol=1e-12)


@pytest.mark.parametrize("function", [d.renyi_divergence, d.tsallis_divergence, d.alpha_divergence])
def test_order_one_is_kl_and_continuous(function):
    p, q = random_rows(5, 4, seed=3), random_rows(5, 4, seed=4)
    np.testing.assert_array_equal(function(p, q, alpha=1), d.kl_divergence(p, q))
    np.testing.assert_allclose(function(p, q, alpha=1 + 1e-9), d.kl_divergence(p, q), rtol=1e-7)


def test_alpha_zero_is_reverse_kl():
    p, q = random_rows(5, 4, seed=3), random_rows(5, 4, seed=4)
    np.testing.assert_array_equal(d.alpha_divergence(p, q, alpha=0), d.reverse_kl_divergence(p, q))


def test_js_of_several_weighted_distributions():
    rows, weights = [random_rows(6, 5, seed=s) for s in range(3)], np.array([0.5, 0.3, 0.2])
    mixture = sum(w * r for w, r in zip(weights, rows, strict=True))
    expected = sum(w * d.kl_divergence(r, mixture) for w, r in zip(weights, rows, strict=True))
    np.testing.assert_allclose(d.js_divergence(*rows, weights=weights * 10), expected, rtol=1e-12)
    np.testing.assert_allclose(d.js_distance(*rows, weights=list(weights)) ** 2, expected, rtol=1e-12)
    disjoint = d.js_divergence(*np.eye(4), base=4)
    assert disjoint == pytest.approx(1, abs=1e-15)


def test_zero_weight_takes_a_distribution_out():
    p, q, r = (random_rows(1, 3, seed=s)[0] for s in range(3))
    assert d.js_divergence(p, q, r, weights=[1, 1, 0]) == pytest.approx(d.js_divergence(p, q), rel=1e-14)
    assert d.js_divergence([1, 0], [0, 1], weights=[1, 0]) == 0


def test_kl_to_uniform_is_log_k_minus_entropy():
    p = random_rows(10, 6)
    np.testing.assert_allclose(d.kl_to_uniform(p), math.log(6) - d.entropy(p), rtol=1e-12)
    for from_, x in {"log_probs": np.log(p), "logits": np.log(p) + 3}.items():
        np.testing.assert_allclose(d.kl_to_uniform(x, from_=from_), d.kl_to_uniform(p), rtol=1e-12)
    assert d.kl_to_uniform(p.T, axis=0).shape == (10,)


def test_cross_entropy_is_entropy_plus_kl():
    p, q = random_rows(10, 6, zeros=True), random_rows(10, 6, seed=5)
    np.testing.assert_allclose(d.cross_entropy(p, q), d.entropy(p) + d.kl_divergence(p, q), rtol=1e-12)
