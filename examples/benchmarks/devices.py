"""Seconds of a fit and of a prediction on the CPU, with one thread and with all of them, and on CUDA if there is one.

Wall-clock time, the median of several rounds; the rounds of all devices are interleaved. The network is the default
one at two batch sizes, and a wider one, each with a rate that measures the steps and with one that is known before.

    python examples/benchmarks/devices.py          # a minute or two
    python examples/benchmarks/devices.py --quick  # seconds, only to see that it runs
"""

import argparse
import time
import warnings

import numpy as np
import torch
from sklearn.datasets import make_classification

from sklkl import KLClassifier

SETTINGS = {
    "default network, batch 128": {"batch_size": 128},
    "default network, batch 1024": {"batch_size": 1024},
    "512-512 units, batch 1024": {"hidden_layer_sizes": (512, 512), "batch_size": 1024},
}


def devices():
    """Return the parameter ``device`` and the number of threads of each contestant, by name."""
    threads = {f"cpu, {n} thread{'s' * (n > 1)}": ("cpu", n) for n in sorted({1, torch.get_num_threads()})}
    return {**threads, **({"cuda": ("cuda", 1)} if torch.cuda.is_available() else {})}


def seconds_of(contestants, rounds):
    """Return the median seconds of each contestant, over interleaved rounds after one to warm up."""
    times = {name: [] for name in contestants}
    for _ in range(rounds + 1):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()  # ends with numbers on the CPU, so nothing is left to wait for
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values[1:])) for name, values in times.items()}


def report(title, seconds):
    print(f"\n{title}")
    for name, value in seconds.items():
        ratios = [f"{other} / {name}: {seconds[other] / value:.2f}" for other in seconds if name == "cuda" != other]
        print("  ".join([f"  {name:16s} {1e3 * value:10.1f} ms", *ratios]))


def with_threads(n_threads, work):
    def run():
        torch.set_num_threads(n_threads)
        return work()

    return run


def compare(found, X, y, epochs, rounds, params):
    fitted = {}

    def fit(name):
        device, _ = found[name]
        clf = KLClassifier(device=device, max_epochs=epochs, n_iter_no_change=None, random_state=0, **params)
        fitted[name] = clf.fit(X, y)

    def contest(work):
        return seconds_of(
            {name: with_threads(n, lambda name=name: work(name)) for name, (_, n) in found.items()}, rounds
        )

    training = contest(fit)
    return training, contest(lambda name: fitted[name].predict_proba(X))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little data, one round")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    n_rows, epochs, rounds = (500, 1, 1) if quick else (10_000, 5, 3)
    X, y = make_classification(n_rows, 50, n_informative=20, n_classes=10, random_state=0)
    found = devices()  # first, as the number of threads is changed from here on
    for name, params in SETTINGS.items():
        for rule in ("kl_adaptive", "onecycle"):
            training, prediction = compare(found, X, y, epochs, rounds, {**params, "learning_rate": rule})
            report(f"{name}, {rule}: {epochs} epochs of {n_rows} x 50", training)
        report(f"{name}: predict_proba of {n_rows} x 50", prediction)


if __name__ == "__main__":
    main()
