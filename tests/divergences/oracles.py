"""The textbook formula of every divergence, one line each, in 50-digit arithmetic; shared test data."""

import math

import mpmath as mp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

mp.mp.dps = 50

# Every run tries the same examples; no example database is written.
examples = settings(derandomize=True, deadline=None, database=None, max_examples=25)


def xlogy_ratio(p, q):
    """p log(p/q) with 0 log 0 = 0."""
    return mp.mpf(0) if p == 0 else mp.inf if q == 0 else p * mp.log(p / q)


def kl(p, q):
    return mp.fsum(xlogy_ratio(a, b) for a, b in zip(p, q, strict=True))


def js(p, q):
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, m) + kl(q, m)) / 2


def power_sum(p, q, alpha):
    return mp.fsum(a**alpha * b ** (1 - alpha) for a, b in zip(p, q, strict=True) if a > 0)


def hellinger2(p, q):
    return mp.fsum((mp.sqrt(a) - mp.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2


HALF = mp.mpf(1) / 2

# A new divergence adds its line here; the tests of values and of properties run over the registry.
ORACLES = {
    "alpha": lambda p, q: (1 - power_sum(p, q, HALF)) * 4,
    "bhattacharyya": lambda p, q: -mp.log(power_sum(p, q, HALF)),
    "chi2": lambda p, q: mp.fsum((a - b) ** 2 / b for a, b in zip(p, q, strict=True)),
    "generalized_kl": lambda p, q: kl(p, q) - mp.fsum(p) + mp.fsum(q),
    "hellinger": lambda p, q: mp.sqrt(hellinger2(p, q)),
    "jeffreys": lambda p, q: kl(p, q) + kl(q, p),
    "js": js,
    "js_distance": lambda p, q: mp.sqrt(js(p, q)),
    "kl": kl,
    "renyi": lambda p, q: -2 * mp.log(power_sum(p, q, HALF)),
    "reverse_kl": lambda p, q: kl(q, p),
    "total_variation": lambda p, q: mp.fsum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "tsallis": lambda p, q: (1 - power_sum(p, q, HALF)) * 2,
}

# Square roots of f-divergences: metrics, but not jointly convex.
ROOTS = {"js_distance", "hellinger"}
UNITLESS = {"chi2", "hellinger", "total_variation"}
SYMMETRIC = {
    "alpha",
    "bhattacharyya",
    "hellinger",
    "jeffreys",
    "js",
    "js_distance",
    "renyi",
    "total_variation",
    "tsallis",
}


# The value for disjoint supports, (1, 0, 0) and (0, ½, ½).
DISJOINT = {
    "alpha": 4.0,
    "bhattacharyya": math.inf,
    "chi2": math.inf,
    "generalized_kl": math.inf,
    "hellinger": 1.0,
    "jeffreys": math.inf,
    "js": math.log(2),
    "js_distance": math.sqrt(math.log(2)),
    "kl": math.inf,
    "renyi": math.inf,
    "reverse_kl": math.inf,
    "total_variation": 1.0,
    "tsallis": 2.0,
}


def exact(values):
    """The numbers a float array holds, as mpmath numbers, divided by their sum."""
    values = [mp.mpf(float(v)) for v in values]
    total = mp.fsum(values)
    return [v / total for v in values]


def by_oracle(name, p, q):
    """The oracle of `name` for each row of two arrays."""
    return np.array([float(ORACLES[name](exact(a), exact(b))) for a, b in zip(p, q, strict=True)])


def random_rows(n, k, seed=0, zeros=False):
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(k), n)
    if zeros:
        rows[rng.random(rows.shape) < 0.3] = 0
        rows[:, 0] += 0.1
    return rows / rows.sum(-1, keepdims=True)


def near_rows(kl_size, n=20, k=10, seed=0):
    """Pairs of rows whose KL divergence is about `kl_size`, and the logits they come from."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, k))
    b = a + np.sqrt(2 * kl_size) * rng.normal(size=(n, k))
    return softmax(a), softmax(b), a, b


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@st.composite
def distributions(draw, count=2, least=0, sizes=(2, 6)):
    """`count` distributions over the same outcomes, small rationals: zeros and ties are common."""
    k = draw(st.integers(*sizes))
    counts = st.lists(st.integers(least, 12), min_size=k, max_size=k).filter(any).map(np.array)
    return [row / row.sum() for row in (draw(counts) for _ in range(count))]
