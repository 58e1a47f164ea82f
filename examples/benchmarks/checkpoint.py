"""What a checkpoint costs: processor time of an epoch with one and without, the time of a write, the size of the file.

The median of several trainings of 20 epochs, taken in turns, on one thread; then that of calls of ``partial_fit``.

    python examples/benchmarks/checkpoint.py
    python examples/benchmarks/checkpoint.py --quick
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier
from sklkl._utils.replacing import replace_file

N_EPOCHS = 20
SETTINGS = {
    "1,000 rows, one layer of 16": (1000, {"hidden_layer_sizes": 16}),
    "1,000 rows, default": (1000, {}),
    "10,000 rows, default": (10_000, {}),
    "10,000 rows, default, 5 members": (10_000, {"n_members": 5}),
}


def seconds(clf, X, y):
    """Return processor time of an epoch."""
    start = time.process_time()
    clf.fit(X, y)
    return (time.process_time() - start) / clf.n_iter_


def write_seconds(path):
    """Return the time in which a file of this content is replaced, with the wait for the disk."""
    data = path.read_bytes()
    start = time.perf_counter()
    replace_file(str(path), data)
    return time.perf_counter() - start


def measured(n_rows, params, n_repeats):
    """Return the medians of the time of an epoch without a checkpoint and with one, of a write, and the size."""
    X, y = make_classification(n_rows, 30, n_informative=15, n_classes=5, random_state=0)
    clf = KLClassifier(**params, max_epochs=N_EPOCHS, n_iter_no_change=None, random_state=0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n_repeats):
            path = Path(folder, f"fit{number}")
            plain = seconds(clf.set_params(checkpoint=None), X, y)
            kept = seconds(clf.set_params(checkpoint=path), X, y)
            rows.append((plain, kept, write_seconds(path), path.stat().st_size))
    return np.median(rows, axis=0)


def seconds_of_a_call(parts, **params):
    """Return the median processor time of a call of ``partial_fit``, after the first ones."""
    clf, found = KLClassifier(random_state=0, **params), []
    for X, y in parts:
        start = time.process_time()
        clf.partial_fit(X, y, classes=range(5))
        found.append(time.process_time() - start)
    return float(np.median(found[5:]))


def table_of_streams(n_calls):
    """Print what a call of ``partial_fit`` takes: by itself, with checkpoints, and where it was learned from before."""
    names = "ms a call", "with a checkpoint", "every 10 calls", "skipped"
    print(f"| rows a call, default | {' | '.join(names)} |")
    print("|" + "---|" * 5)
    for n_rows in (100, 1000):
        X, y = make_classification(n_rows * n_calls, 30, n_informative=15, n_classes=5, random_state=0)
        parts = list(zip(np.split(X, n_calls), np.split(y, n_calls), strict=True))
        with tempfile.TemporaryDirectory() as folder:
            first, second = (Path(folder, name) for name in ("first", "second"))
            kinds = {}, {"checkpoint": first}, {"checkpoint": second, "checkpoint_every": 10}, {"checkpoint": first}
            times = [f"{1e3 * seconds_of_a_call(parts, **params):.1f}" for params in kinds]
        print(f"| {n_rows:,} | {' | '.join(times)} |")


def main():
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one training of two settings")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    seconds(KLClassifier(max_epochs=2), *make_classification(200, 30, random_state=0))  # what is imported at first
    print(
        "| training | ms an epoch | with a checkpoint | ms a write at the end | kB at the end |\n|---|---|---|---|---|"
    )
    for name, (n_rows, params) in list(SETTINGS.items())[: 2 if quick else None]:
        plain, kept, write, size = measured(n_rows, params, 1 if quick else 5)
        print(f"| {name} | {1e3 * plain:.1f} | {1e3 * kept:.1f} | {1e3 * write:.1f} | {size / 1e3:,.0f} |")
    print()
    table_of_streams(10 if quick else 100)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
