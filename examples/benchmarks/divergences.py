"""Speed of the divergences beside SciPy and PyTorch, on the same data.

Every figure is processor time on one thread, the median of several rounds; the rounds of all contestants of a table
are interleaved, so that a machine whose speed drifts slows them all. Contestants are checked to agree first.

    python examples/benchmarks/divergences.py          # about three minutes
    python examples/benchmarks/divergences.py --quick  # seconds, only to see that it runs
"""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist, jensenshannon
from scipy.special import rel_entr
from scipy.stats import entropy
from threadpoolctl import threadpool_limits

from sklkl.divergences import js_distance, kl_divergence, pairwise_divergence


def distributions(n, k, seed):
    return np.random.default_rng(seed).dirichlet(np.ones(k), n)


def rel_entr_row_by_row(P, Q):
    return np.stack([rel_entr(p, Q).sum(axis=1) for p in P])


def paired_kl(n, k):
    p, q = distributions(n, k, 0), distributions(n, k, 1)
    p32, q32, tp, tq = p.astype(np.float32), q.astype(np.float32), torch.asarray(p), torch.asarray(q)
    return {
        "scipy.stats.entropy(axis=1)": lambda: entropy(p, q, axis=1),
        "scipy.special.rel_entr().sum": lambda: rel_entr(p, q).sum(axis=1),
        "torch F.kl_div(none).sum": lambda: F.kl_div(tq.log(), tp, reduction="none").sum(dim=1),
        "sklkl kl_divergence": lambda: kl_divergence(p, q),
        "sklkl kl_divergence, normalize=True": lambda: kl_divergence(p, q, normalize=True),
        "sklkl kl_divergence, float32": lambda: kl_divergence(p32, q32),
        "sklkl kl_divergence, torch": lambda: kl_divergence(tp, tq),
    }


def paired_js(n, k):
    p, q = distributions(n, k, 0), distributions(n, k, 1)
    return {
        "scipy jensenshannon(axis=1)": lambda: jensenshannon(p, q, axis=1),
        "sklkl js_distance": lambda: js_distance(p, q),
    }


def pairwise_kl(n, k):
    p, q = distributions(n, k, 0), distributions(n, k, 1)
    tp, tq = torch.asarray(p), torch.asarray(q)
    return {
        "rel_entr, row by row": lambda: rel_entr_row_by_row(p, q),
        "sklkl pairwise kl": lambda: pairwise_divergence(p, q),
        "sklkl pairwise kl, torch": lambda: pairwise_divergence(tp, tq),
        "sklkl pairwise jeffreys": lambda: pairwise_divergence(p, q, metric="jeffreys"),
    }


def pairwise_js(n, k):
    p, q = distributions(n, k, 0), distributions(n, k, 1)
    return {
        "scipy cdist jensenshannon": lambda: cdist(p, q, "jensenshannon"),
        "sklkl pairwise js_distance": lambda: pairwise_divergence(p, q, metric="js_distance"),
    }


def check(contestants):
    (_, first), *others = contestants.items()
    expected = first()
    for name, run in others:
        if "jeffreys" not in name:
            np.testing.assert_allclose(np.asarray(run()), expected, rtol=1e-4, err_msg=name)


def milliseconds(run):
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def compare(title, contestants, rounds):
    check(contestants)
    times = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            times[name].append(milliseconds(run))
    medians = {name: statistics.median(values) for name, values in times.items()}
    slowest = next(iter(medians.values()))
    print(f"\n{title:40s}       ms   times the speed of the first")
    for name, median in medians.items():
        print(f"  {name:38s} {median:8.1f}   {slowest / median:6.1f}")


def main(quick):
    n, m, k, rounds = (2000, 100, 20, 1) if quick else (100_000, 2000, 100, 7)
    compare(f"paired KL, {n} x {k}", paired_kl(n, k), rounds)
    compare(f"paired JS distance, {n} x {k}", paired_js(n, k), rounds)
    compare(f"pairwise KL, {m} x {m} x {k}", pairwise_kl(m, k), min(rounds, 3))
    compare(f"pairwise JS distance, {m} x {m} x {k}", pairwise_js(m, k), min(rounds, 3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, only to see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        main(arguments.quick)
