"""Mathematical properties, tried on many small distributions with zeros and ties, over the whole registry.

Every example is tried on all divergences: to draw one takes longer than to compute them.
"""

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES

from .oracles import ROOTS, SYMMETRIC, distributions, examples

TINY = 1e-13


def at_most(small, large):
    return small <= large * (1 + 1e-9) + TINY


@examples
@given(rows=distributions())
def test_non_negative_and_zero_only_if_equal(rows):
    p, q = rows
    for name, f in DIVERGENCES.items():
        value = f(p, q)
        assert value >= 0, name
        assert (value == 0) == np.array_equal(p, q), name
        assert f(p, p) == 0, name


@examples
@given(rows=distributions(), data=st.data())
def test_permutation_of_the_outcomes_changes_nothing(rows, data):
    p, q = rows
    order = data.draw(st.permutations(range(len(p))))
    for name, f in DIVERGENCES.items():
        np.testing.assert_allclose(f(p[order], q[order]), f(p, q), rtol=1e-12, atol=TINY, err_msg=name)


@examples
@given(rows=distributions(count=4), share=st.floats(0.01, 0.99))
def test_joint_convexity(rows, share):
    p1, q1, p2, q2 = rows
    for name in sorted(set(DIVERGENCES) - ROOTS):
        f = DIVERGENCES[name]
        mixed = f(share * p1 + (1 - share) * p2, share * q1 + (1 - share) * q2)
        assert at_most(mixed, share * f(p1, q1) + (1 - share) * f(p2, q2)), name


@examples
@given(rows=distributions(), seed=st.integers(0, 1000), merge=st.booleans())
def test_data_processing(rows, seed, merge):
    p, q = rows
    rng = np.random.default_rng(seed)
    channel = rng.dirichlet(np.ones(3), len(p)) if not merge else np.eye(2)[rng.integers(2, size=len(p))]
    for name, f in DIVERGENCES.items():
        assert at_most(f(p @ channel, q @ channel), f(p, q) + 1e-12), name


@examples
@given(rows=distributions())
def test_symmetry(rows):
    p, q = rows
    for name in sorted(SYMMETRIC):
        f = DIVERGENCES[name]
        np.testing.assert_allclose(f(p, q), f(q, p), rtol=1e-12, atol=TINY, err_msg=name)


@examples
@given(rows=distributions(count=3))
def test_triangle_inequality(rows):
    p, q, r = rows
    for name in ("hellinger", "js_distance", "total_variation"):
        f = DIVERGENCES[name]
        assert at_most(f(p, r), f(p, q) + f(q, r)), name


@examples
@given(seed=st.integers(0, 1000), n=st.integers(2, 5), k=st.integers(2, 5))
def test_chain_rule_of_kl(seed, n, k):
    rng = np.random.default_rng(seed)
    p, q = (rng.dirichlet(np.ones(n * k)).reshape(n, k) for _ in range(2))
    given_x = d.kl_divergence(p, q, normalize=True)
    marginal = d.kl_divergence(p.sum(1), q.sum(1))
    np.testing.assert_allclose(d.kl_divergence(p.ravel(), q.ravel()), marginal + p.sum(1) @ given_x, rtol=1e-12)


@examples
@given(rows=distributions(count=2, least=1), others=distributions(count=2, least=1))
def test_independent_pairs_add(rows, others):
    (p1, q1), (p2, q2) = rows, others
    for name in ("kl", "reverse_kl", "jeffreys", "renyi", "bhattacharyya"):
        f = DIVERGENCES[name]
        joint = f(np.outer(p1, p2).ravel(), np.outer(q1, q2).ravel())
        np.testing.assert_allclose(joint, f(p1, q1) + f(p2, q2), rtol=1e-10, atol=TINY)


@examples
@given(rows=distributions(count=3, least=1), share=st.floats(0.01, 0.99))
def test_compensation_identity(rows, share):
    """The mean divergence to q is the Jensen-Shannon divergence plus that of the mixture."""
    p1, p2, q = rows
    mean = share * d.kl_divergence(p1, q) + (1 - share) * d.kl_divergence(p2, q)
    js = d.js_divergence(p1, p2, weights=[share, 1 - share])
    np.testing.assert_allclose(mean, js + d.kl_divergence(share * p1 + (1 - share) * p2, q), rtol=1e-10, atol=TINY)


@examples
@given(rows=distributions())
def test_inequalities_between_divergences(rows):
    p, q = rows
    tv, h2 = d.total_variation(p, q), d.hellinger_distance(p, q) ** 2
    kl, chi2 = d.kl_divergence(p, q), d.chi2_divergence(p, q)
    assert at_most(2 * tv**2, kl)  # Pinsker
    assert at_most(h2, tv)
    assert at_most(tv, math.sqrt(2 * h2) + TINY)
    assert at_most(kl, math.log1p(chi2))
    assert at_most(d.js_divergence(p, q), math.log(2) * tv)
    assert tv <= 1 + TINY
    assert h2 <= 1 + TINY


@examples
@given(rows=distributions())
def test_renyi_grows_with_its_order(rows):
    p, q = rows
    values = [d.renyi_divergence(p, q, alpha=a) for a in (0, 0.1, 0.5, 0.9, 1, 1.5, 3, 20, math.inf)]
    assert all(at_most(a, b) for a, b in zip(values, values[1:], strict=False))


@examples
@given(rows=distributions(count=1))
def test_entropy_is_between_zero_and_log_k(rows):
    (p,) = rows
    assert 0 <= d.entropy(p) <= math.log(len(p)) + TINY
    assert 0 <= d.kl_to_uniform(p) <= math.log(len(p)) + TINY


@examples
@given(rows=distributions(least=1), scale=st.floats(0.01, 100))
def test_normalize_takes_out_any_scale(rows, scale):
    p, q = rows
    assume(not np.array_equal(p, q))
    for name, f in DIVERGENCES.items():
        np.testing.assert_allclose(f(scale * p, q / scale, normalize=True), f(p, q), rtol=1e-9, err_msg=name)
