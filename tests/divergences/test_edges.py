"""Exact zeros, infinities, NaN, subnormals and near equality."""

import math

import numpy as np
import pytest
import torch

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES

from .oracles import DISJOINT, by_oracle, random_rows

everyone = pytest.mark.parametrize("name", DIVERGENCES)
INF = math.inf


@everyone
def test_disjoint_supports(name):
    for convert in (np.asarray, torch.asarray):
        p, q = (convert(np.array(x)) for x in ([1.0, 0, 0], [0, 0.5, 0.5]))
        assert float(DIVERGENCES[name](p, q)) == pytest.approx(DISJOINT[name], rel=1e-15)


@everyone
def test_equality_is_exactly_zero(name):
    for rows in (random_rows(50, 7), random_rows(50, 7, zeros=True), np.eye(4), np.array([[5e-324, 1.0]])):
        for dtype in (np.float32, np.float64):
            p = rows.astype(dtype)
            for values in (
                DIVERGENCES[name](p, p.copy()),
                DIVERGENCES[name](torch.asarray(p), torch.asarray(p)).numpy(),
            ):
                assert (values == 0).all()
                assert not np.signbit(values).any()


@everyone
def test_nan_propagates_within_its_row(name):
    p, q = random_rows(4, 3, seed=1), random_rows(4, 3, seed=2)
    p[1, 0] = q[2, 2] = np.nan
    p[3, 1], q[3, 1] = 0, np.nan
    with np.errstate(divide="ignore"):
        logs = np.log([p, q])
    for from_, rows in (("probs", (p, q)), ("log_probs", logs), ("logits", logs)):
        for convert in (np.asarray, torch.asarray):
            values = np.asarray(DIVERGENCES[name](*map(convert, rows), from_=from_))
            np.testing.assert_array_equal(np.isnan(values), [False, True, True, True])


@everyone
def test_negative_entries_give_nan(name):
    p, q = random_rows(4, 3, seed=1), random_rows(4, 3, seed=2)
    p[1, 0], q[2, 2] = -0.1, -1e-300
    p[3, 0] = q[3, 0] = -0.5
    np.testing.assert_array_equal(np.isnan(DIVERGENCES[name](p, q)), [False, True, True, True])


def test_infinity_where_the_reference_has_mass_and_the_approximation_none():
    assert d.kl_divergence([0.3, 0.3, 0.4], [0.5, 0.5, 0]) == INF
    assert d.reverse_kl_divergence([0.5, 0.5, 0], [0.3, 0.3, 0.4]) == INF
    assert d.cross_entropy([0.3, 0.3, 0.4], [0.5, 0.5, 0]) == INF
    assert d.renyi_divergence([0.3, 0.7], [1, 0], alpha=2) == INF
    assert d.renyi_divergence([0.3, 0.7], [1, 0], alpha=INF) == INF
    assert math.isfinite(d.kl_divergence([0.5, 0.5, 0], [0.3, 0.3, 0.4]))


def test_zero_log_zero_is_zero():
    np.testing.assert_allclose(d.kl_divergence([0, 1.0], [0.5, 0.5]), math.log(2), rtol=1e-15)
    assert d.kl_divergence([0, 1.0], [0, 1.0]) == 0
    entropy = d.entropy([1.0, 0, 0])
    assert entropy == 0
    assert not np.signbit(entropy)
    assert d.renyi_divergence([0, 0.5, 0.5], [0.5, 0.25, 0.25], alpha=0) == pytest.approx(math.log(2))


SUBNORMAL = {
    "in p": ([5e-324, 1.0], [0.5, 0.5]),
    "in q": ([0.5, 0.5], [5e-324, 1.0]),
    "in both": ([1e-310, 1.0], [2e-310, 1.0]),
    "apart": ([1e-310, 1.0], [1.0, 1e-310]),
    "in p, 0 in q": ([0.25, 5e-324, 0.75], [0.5, 0.25, 0.25]),
}


@everyone
@pytest.mark.parametrize("case", SUBNORMAL)
def test_subnormals(name, case):
    p, q = (np.array([x]) for x in SUBNORMAL[case])
    expected = by_oracle(name, p, q)
    if expected < 1e-300:  # the sums of the rows are rounded: nothing below 1e-300 can be right to many digits
        assert DIVERGENCES[name](p, q) < (1e-150 if name in {"js_distance", "hellinger"} else 1e-300)
    else:
        for value in (DIVERGENCES[name](p, q), DIVERGENCES[name](torch.asarray(p), torch.asarray(q)).numpy()):
            np.testing.assert_allclose(value, expected, rtol=1e-12)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_near_equality_is_never_negative(gap):
    p = random_rows(200, 6)
    q = p * (1 + gap * np.random.default_rng(1).uniform(-1, 1, p.shape))
    for dtype in (np.float32, np.float64):
        a, b = (x.astype(dtype) / x.astype(dtype).sum(-1, keepdims=True) for x in (p, q))
        for name, function in DIVERGENCES.items():
            assert (function(a, b) >= 0).all(), name
            assert (function(torch.asarray(a), torch.asarray(b)) >= 0).all(), name


def test_log_space_reaches_where_probabilities_underflow():
    log_p, log_q = np.array([0.0, -1000.0]), np.array([0.0, -1.0e6])
    assert d.kl_divergence(log_p, log_q, from_="log_probs") == 0
    assert d.kl_divergence([-1000.0, 0.0], [0.0, -2000.0], from_="logits") == pytest.approx(2000)
    assert d.renyi_divergence([-1000.0, 0.0], [0.0, -2000.0], alpha=0.5, from_="logits") == pytest.approx(1000)
    assert d.renyi_divergence([0.0, -800.0], [-2000.0, 0.0], alpha=2, from_="logits") == pytest.approx(2000)
    small = np.array([0.0, -200.0], dtype=np.float32)
    assert d.kl_divergence(small[::-1], small, from_="logits") == pytest.approx(200)


def test_shift_of_logits_changes_nothing():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 4))
    for name, function in DIVERGENCES.items():
        np.testing.assert_allclose(
            function(a + 100, b - 50, from_="logits"), function(a, b, from_="logits"), rtol=1e-10, err_msg=name
        )


def test_masked_logits_are_classes_that_do_not_exist():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 4))
    masked_a, masked_b = (np.concatenate([z, np.full((5, 2), -INF)], axis=1) for z in (a, b))
    for name, function in DIVERGENCES.items():
        np.testing.assert_allclose(
            function(masked_a, masked_b, from_="logits"), function(a, b, from_="logits"), rtol=1e-13, err_msg=name
        )


def test_row_of_zeros_cannot_be_normalized():
    assert np.isnan(d.kl_divergence([0.0, 0.0], [0.5, 0.5], normalize=True))
    assert np.isnan(d.kl_divergence([-INF, -INF], [0.0, 0.0], from_="logits"))


def test_unnormalised_measures_are_taken_literally():
    p, q = np.array([2.0, 3.0]), np.array([5.0, 1.0])
    assert d.kl_divergence(p, q) == pytest.approx(2 * math.log(2 / 5) + 3 * math.log(3))
    assert d.kl_divergence([0.1, 0.1], [1.0, 1.0]) == pytest.approx(0.2 * math.log(0.1))
    assert d.generalized_kl(p, q) == pytest.approx(d.kl_divergence(p, q) - 5 + 6)
    assert d.tsallis_divergence(p, q, alpha=2) == pytest.approx(4 / 5 + 9 - 1)


def test_sums_that_differ_by_rounding_only_do_not_count():
    """Each row below sums to one within float32; taken literally the KL divergence would be off by percents."""
    p = np.array([[0.2, 0.3, 0.5]], dtype=np.float32)
    q = (p + np.array([0.0005, -0.0002, -0.0003])).astype(np.float32)
    for a, b in ((p, q), (torch.asarray(p), torch.asarray(q))):
        np.testing.assert_allclose(np.asarray(d.kl_divergence(a, b)), by_oracle("kl", p, q), rtol=1e-5)
    as_float64 = d.kl_divergence(p.astype(float), q.astype(float), normalize=True)
    np.testing.assert_allclose(as_float64, by_oracle("kl", p, q), rtol=1e-9)
