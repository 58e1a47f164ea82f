"""What a training by several processes costs: processor time, bytes and memory of each, as everything grows.

Every process of ``data_parallel`` runs on this machine, over the loopback
device. Processor time is that of one process with one thread, the mean over
processes, and counts what it takes to send and to receive; the time that
messages are under way between machines is not in it. A step's time is
fitted by

    a + b * rows of the process * parameters (+ c + d * parameters if R > 1)

and what the fit says of numbers that were not measured is printed apart.

    python examples/benchmarks/ranks.py          # some minutes
    python examples/benchmarks/ranks.py --quick  # only to see that it runs
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from scipy.optimize import nnls
from sklearn.datasets import make_classification

from sklkl import KLClassifier
from sklkl._utils.ranks import active_ranks
from sklkl.parallel import data_parallel

FEATURES, BATCHES, EPOCHS = 50, 10, 3
LAYERS = {"64": (64,), "384-256": (384, 256), "1024-1024": (1024, 1024)}
GBIT = 1.25e8  # bytes a second of one gigabit a second


def settings(quick):
    """Return what is measured: units, rows of a joint batch, classes."""
    if quick:
        return [("64", 128, 10)]
    sizes = [(layers, batch, 10) for layers in LAYERS for batch in (128, 1024)]
    return sizes[:-1] + [("384-256", 1024, classes) for classes in (2, 100)]


def resident():
    """Return bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bytes_summed():
    """Return what this process has put into messages, nothing if alone."""
    return getattr(active_ranks(), "bytes_summed", 0)


def classifier(layers, batch, epochs=EPOCHS):
    sizes = {"hidden_layer_sizes": LAYERS[layers], "batch_size": batch}
    return KLClassifier(**sizes, max_epochs=epochs, early_stopping=False, random_state=0)


def step(layers, batch, classes):
    """Return a step's processor seconds and bytes, and parameters."""
    rows = batch * BATCHES
    X, y = make_classification(rows, FEATURES, n_informative=20, n_classes=classes, random_state=0)
    clf, before = classifier(layers, batch), bytes_summed()
    start = time.process_time()
    clf.fit(X, y)
    seconds = time.process_time() - start
    # without what a fit takes before and after its steps
    start = time.process_time()
    classifier(layers, batch, epochs=1).fit(X, y)
    seconds -= time.process_time() - start
    sent = (bytes_summed() - before) / (EPOCHS + 1)
    n_weights = sum(p.numel() for p in clf.module_.parameters())
    return seconds / ((EPOCHS - 1) * BATCHES), sent / BATCHES, n_weights


def memory(rows):
    """Return bytes of the rows, and of a fit above them."""
    X = np.random.default_rng(0).standard_normal((rows, FEATURES), np.float32)
    y = (X[:, 0] > 0).astype(int)
    before = resident()
    classifier("64", 2048, epochs=1).fit(X, y)
    return X.nbytes, max(0, peak() - before)


def work(folder, rank, n_ranks, quick):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # few epochs
    method = f"file://{folder}/ranks{n_ranks}"
    dist.init_process_group("gloo", init_method=method, rank=rank, world_size=n_ranks)
    with data_parallel():
        step("64", 128, 2)  # to warm up
        grown = [memory(n) for n in ([1000] if quick else [100_000, 300_000])]
        repeats = 1 if quick else 2
        found = [[step(*one) for one in settings(quick)] for _ in range(repeats)]
        result = {"steps": np.median(found, 0).tolist(), "memory": grown}
    Path(folder, f"{n_ranks}-{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


def measured(n_ranks, quick):
    """Return the means over processes."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--quick"] if quick else []
        environment = {"OMP_NUM_THREADS": "1", **os.environ}
        started = [
            subprocess.Popen(
                [sys.executable, __file__, "--as", folder, str(r), str(n_ranks)] + flags,
                env=environment,
            )
            for r in range(n_ranks)
        ]
        codes = [process.wait() for process in started]
        if any(codes):
            raise SystemExit("a process failed")
        files = [Path(folder, f"{n_ranks}-{r}.json") for r in range(n_ranks)]
        found = [json.loads(file.read_text()) for file in files]
    return {key: np.mean([one[key] for one in found], 0) for key in found[0]}


def terms(n_ranks, rows, n_weights):
    several = n_ranks > 1
    return [1.0, rows / n_ranks * n_weights, several, n_weights * several]


def fitted(points):
    """Return a, b, c and d, by least squares of relative errors."""
    A = np.array([terms(*point[:3]) for point in points])
    seconds = np.array([point[3] for point in points])
    scale = A.max(0).clip(min=1e-300)
    weights, _ = nnls(A / scale / seconds[:, None], np.ones(len(points)))
    return weights / scale


def show_steps(found, quick):
    points = []
    print("\nA step: milliseconds of processor time, and KB sent, a process")
    print("layers      rows  classes  params   R       ms   fit       KB")
    rows = []
    for n_ranks, result in found.items():
        for (layers, batch, classes), (seconds, sent, n_weights) in zip(settings(quick), result["steps"], strict=True):
            points.append((n_ranks, batch, n_weights, max(seconds, 1e-6)))
            rows.append((layers, batch, classes, int(n_weights), sent))
    a, b, c, d = fitted(points)
    for row, point in sorted(zip(rows, points, strict=True), key=lambda pair: (pair[1][2], pair[1][1], pair[1][0])):
        layers, batch, classes, n_weights, sent = row
        by_fit = np.dot(terms(*point[:3]), (a, b, c, d))
        print(
            f"{layers:10s} {batch:5d} {classes:8d} {n_weights:7d} {point[0]:3d} "
            f"{1e3 * point[3]:8.2f} {1e3 * by_fit:5.2f} {sent / 1e3:8.0f}"
        )
    print(
        f"fit: {1e6 * a:.0f} us, {1e12 * b:.1f} ps a row and parameter; "
        f"R > 1: {1e6 * c:.0f} us, {1e9 * d:.2f} ns a parameter"
    )
    return a, b, c, d


def show_extrapolation(weights):
    print("\nExtrapolated, not measured: milliseconds of a step, one machine")
    print("for each process; 10 Gbit/s, each process sends 2 (R - 1) / R of")
    print("4 bytes a parameter. The default network (140,000 parameters).")
    n_weights = 140_000
    for batch in (512, 8192):
        shown = []
        for n_ranks in (1, 2, 4, 16, 64):
            compute = np.dot(terms(n_ranks, batch, n_weights), weights)
            wire = 2 * (n_ranks - 1) / n_ranks * 4 * n_weights / (10 * GBIT)
            shown.append(f"R = {n_ranks}: {1e3 * (compute + wire):.1f}")
        print(f"  batch of {batch}: " + ", ".join(shown))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one setting")
    parser.add_argument("--as", nargs=3, dest="process", help="for itself")
    args = parser.parse_args()
    if args.process:
        folder, rank, n_ranks = args.process
        work(folder, int(rank), int(n_ranks), args.quick)
        return
    n_processes = (1, 2) if args.quick else (1, 2, 4)
    found = {n: measured(n, args.quick) for n in n_processes}
    weights = show_steps(found, args.quick)
    print("\nMemory of a process: MB of X, and of a fit above it")
    for n_ranks, result in found.items():
        for size, grown in result["memory"]:
            print(f"  R = {n_ranks}: {size / 1e6:6.1f}  {grown / 1e6:6.1f}")
    show_extrapolation(weights)


if __name__ == "__main__":
    main()
