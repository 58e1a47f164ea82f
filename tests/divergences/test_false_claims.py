"""Claims one often reads, each refuted by a number."""

import math

import numpy as np
import pytest

from sklkl.divergences import cross_entropy, entropy, js_divergence, kl_divergence, kl_to_uniform

P, Q = np.array([0.5, 0.5]), np.array([0.9, 0.1])


def test_kl_is_not_symmetric():
    assert kl_divergence(P, Q) == pytest.approx(0.510826, abs=1e-6)
    assert kl_divergence(Q, P) == pytest.approx(0.368064, abs=1e-6)


def test_kl_of_scaled_measures_is_scaled():
    """KL(aP‖aQ) = a KL(P‖Q), not KL(P‖Q)."""
    assert kl_divergence(10 * P, 10 * Q) == pytest.approx(10 * kl_divergence(P, Q))


def test_kl_of_a_mixture_is_less_than_the_mixture_of_kls():
    p1, p2, q = np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5, 0.5])
    assert kl_divergence((p1 + p2) / 2, q) == 0
    assert (kl_divergence(p1, q) + kl_divergence(p2, q)) / 2 == pytest.approx(math.log(2))
    # the whole difference is the Jensen-Shannon divergence of what was mixed
    assert js_divergence(p1, p2) == pytest.approx(math.log(2))


def test_relative_entropy_and_kl_are_one():
    """Relative to the uniform distribution it is log K - H: two words, one number."""
    assert kl_divergence(Q, P) == pytest.approx(math.log(2) - entropy(Q))
    assert kl_to_uniform(Q) == pytest.approx(kl_divergence(Q, P), rel=1e-14)


def test_kl_is_not_the_cross_entropy():
    assert cross_entropy(P, Q) == pytest.approx(1.203973, abs=1e-6)
    assert cross_entropy(P, Q) - kl_divergence(P, Q) == pytest.approx(entropy(P))
    assert cross_entropy(P, P) == pytest.approx(math.log(2))  # a perfect model does not reach 0


def test_kl_is_not_a_distance():
    """The triangle inequality fails: two short steps, one longer way."""
    a, b, c = np.array([0.5, 0.5]), np.array([0.25, 0.75]), np.array([0.1, 0.9])
    assert kl_divergence(a, c) > kl_divergence(a, b) + kl_divergence(b, c)
