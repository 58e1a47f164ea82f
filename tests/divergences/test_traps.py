"""Cases in which well-known implementations return NaN, the wrong sign or another number."""

import math

import numpy as np
import pytest
import torch

import sklkl.divergences as d

from .oracles import by_oracle, near_rows, random_rows


def test_js_distance_of_nearly_equal_rows_is_a_number():
    """A sum of relative entropies that comes out at -1e-17 has a square root of NaN."""
    p = random_rows(2000, 5)
    q = p * (1 + 1e-15)
    distances = d.js_distance(p, q)
    assert np.isfinite(distances).all()
    assert distances.max() < 1e-7


def test_js_of_subnormals_is_bounded():
    """p / m with m subnormal overflows to inf."""
    assert d.js_distance([5e-324, 1.0], [1e-323, 1.0]) < 1e-150
    assert d.js_divergence([1.0, 5e-324], [5e-324, 1.0]) == pytest.approx(math.log(2))


def test_js_is_as_exact_near_as_far():
    for size in (1e-10, 1e-5, 0.5):
        p, q, *_ = near_rows(size)
        tolerance = 1e-12 if size > 1e-9 else 1e-7
        np.testing.assert_allclose(d.js_divergence(p, q), by_oracle("js", p, q), rtol=tolerance)


def test_impossible_class_in_both_is_no_nan():
    """target log target - target input is 0 * -inf for a class that is impossible on both sides."""
    log_p = torch.tensor([math.log(0.5), math.log(0.5), -math.inf])
    assert d.kl_divergence(log_p, log_p, from_="log_probs") == 0


def test_rows_are_not_averaged_and_the_reference_comes_first():
    p, q = torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    torch.testing.assert_close(d.kl_divergence(p, q), torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(-1))


def test_rows_lie_along_the_last_axis_and_are_not_normalised_unasked():
    p, q = np.array([[1.0, 3.0], [1.0, 1.0]]), np.array([[2.0, 2.0], [1.0, 1.0]])
    np.testing.assert_allclose(d.kl_divergence(p, q), [math.log(0.5) + 3 * math.log(1.5), 0])


def test_small_probabilities_are_not_clipped():
    """A clip at 1e-7 would erase the tail that carries the whole divergence."""
    p, q = np.full(1000, 1e-8), np.full(1000, 1e-8)
    p[:500], q[500:] = 3e-8, 3e-8
    p[0], q[0] = 1 - p[1:].sum(), 1 - q[1:].sum()
    np.testing.assert_allclose(d.kl_divergence(p, q), by_oracle("kl", [p], [q])[0], rtol=1e-9)
    assert d.kl_divergence(p, q) > 1e-5


def test_cross_entropy_is_not_capped():
    assert d.cross_entropy([1.0, 0.0], [1e-300, 1.0]) == pytest.approx(300 * math.log(10))


def test_support_is_not_cut_to_the_common_part():
    """On the common support alone the sum is negative."""
    p, q = np.array([0.25, 0.25, 0.5]), np.array([0.5, 0.5, 0.0])
    assert (p[:2] * np.log(p[:2] / q[:2])).sum() == pytest.approx(-0.3466, abs=1e-4)
    assert d.kl_divergence(p, q) == math.inf


def test_an_empty_bin_is_infinite_until_smoothing_is_asked_for():
    """Filling it with some epsilon makes the population stability index anything from 0.07 to 35."""
    expected, actual = [0.25, 0.25, 0.25, 0.25], [0.3, 0.3, 0.4, 0.0]
    assert d.jeffreys_divergence(expected, actual) == math.inf
    assert 0 < d.jeffreys_divergence(expected, actual, smoothing=0.01) < 2


@pytest.mark.parametrize("size", [3e-3, 3e-5, 3e-7])
def test_float32_does_not_cancel(size):
    """The plain sum of p (log p - log q) is off by 1 %, 14 % and 7600 % here."""
    p, q, *_ = near_rows(size, n=200)
    p, q = (torch.asarray(x.astype(np.float32)) for x in (p, q))
    np.testing.assert_allclose(d.kl_divergence(p, q).numpy(), by_oracle("kl", p, q), rtol=1e-5)


def test_matrix_form_has_an_exact_diagonal():
    for dtype in (np.float32, np.float64):
        p = random_rows(60, 30).astype(dtype)
        for metric in ("kl", "reverse_kl", "jeffreys", "js", "js_distance"):
            values = d.pairwise_divergence(p, metric=metric)
            assert (np.diag(values) == 0).all()
            assert (values >= 0).all()
