"""Estimates of KL divergence from samples, beside the truth: mean and standard deviation over repetitions.

Two normal distributions that are half a nat apart, 1,000 rows of each, in several dimensions; their means differ by the
same in each.

    python examples/benchmarks/samples.py          # about three minutes
    python examples/benchmarks/samples.py --quick  # seconds, only to see that it runs
"""

import argparse
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from sklkl.divergences import classifier_kl_divergence, knn_kl_divergence

TRUTH = 0.5


def samples(n, d, rng):
    """Return two samples whose distributions have a divergence of `TRUTH` nats."""
    return rng.normal(size=(n, d)), rng.normal(np.sqrt(2 * TRUTH / d), size=(n, d))


def main(quick):
    n, repetitions = (100, 3) if quick else (1000, 100)
    estimators = {f"knn, k = {k}": partial(knn_kl_divergence, k=k) for k in (1, 3, 10)}
    estimators["classifier"] = classifier_kl_divergence
    print(f"truth {TRUTH} nats, {n} rows each, mean ± standard deviation of {repetitions} repetitions")
    print("  d  " + "".join(f"{name:>18s}" for name in estimators))
    for d in (1, 2, 5, 10):
        rng = np.random.default_rng(d)
        pairs = [samples(n, d, rng) for _ in range(repetitions)]
        values = [[estimate(*pair) for pair in pairs] for estimate in estimators.values()]
        print(f"{d:3d}  " + "".join(f"{np.mean(v):10.3f} ± {np.std(v):.3f}" for v in values), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows and repetitions, only to see that it runs")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        main(arguments.quick)
