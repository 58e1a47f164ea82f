"""Memory and time as rows grow: tables in memory and on disk, blocks, prediction, and calls of partial_fit.

Every figure is of a process of its own, on one thread: memory is its peak beyond what it had with the data loaded (of a
memory map, with all its pages read), time that of the processor. Rows have 50 columns of float32 and two classes; the
network has one layer of 64 units and goes over them twice in batches of 1,024, that which predicts is the default one.
It needs Linux, which tells the peak of a process.

    python examples/benchmarks/scale.py          # some minutes, 400 MB of a temporary folder
    python examples/benchmarks/scale.py --quick  # seconds, only to see that it runs
"""

import argparse
import multiprocessing
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier
from sklkl.data import RowBlocks

COLUMNS, EPOCHS, BATCH, BLOCK = 50, 2, 1024, 10_000


def classifier(**params):
    shape = {"hidden_layer_sizes": (64,), "batch_size": BATCH, "max_epochs": EPOCHS}
    return KLClassifier(**{**shape, "early_stopping": False, "device": "cpu", "random_state": 0, **params})


def peer():
    return MLPClassifier((64,), batch_size=BATCH, max_iter=EPOCHS, tol=0.0, random_state=0)


# Data


def rows(n_rows, seed=0, dtype=np.float32, order="C"):
    """Return rows that are made a part at a time, so that no more memory was ever taken."""
    X, y = np.empty((n_rows, COLUMNS), dtype=dtype, order=order), np.empty(n_rows, dtype=np.int64)
    for number, first in enumerate(range(0, n_rows, BLOCK)):
        part = np.random.RandomState([seed, number]).standard_normal((min(BLOCK, n_rows - first), COLUMNS))
        X[first : first + BLOCK], y[first : first + BLOCK] = part, part[:, 0] + part[:, 1] * part[:, 2] > 0
    return X, y


def mapped(n_rows, folder):
    X, y = rows(n_rows)
    np.save(folder / "X.npy", X)
    X = np.load(folder / "X.npy", mmap_mode="r")
    X.sum()
    return X, y


def as_files(n_blocks, folder):
    for number in range(n_blocks):
        X, y = rows(BLOCK, seed=number)
        np.savez(folder / f"{number}.npz", X=X, y=y)

    def read(number):
        with np.load(folder / f"{number}.npz") as block:
            return block["X"], block["y"]

    return RowBlocks.from_callable(read, n_blocks)


def as_parquet(n_blocks, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    def table(number):
        X, y = rows(BLOCK, seed=number)
        return pa.table({**{f"x{j}": column for j, column in enumerate(X.T)}, "y": y})

    with pq.ParquetWriter(folder / "rows.parquet", table(0).schema) as writer:
        for number in range(n_blocks):
            writer.write_table(table(number))
    return RowBlocks.from_parquet(folder / "rows.parquet", target="y")


def warm_up():
    X, y = rows(1000)
    classifier(early_stopping=True).fit(X, y).predict_proba(X)


# Measurements, each in a process of its own


def memory(name):
    """Return the memory in MB that this process has ("VmRSS"), or the most since that was forgotten ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def measured(work):
    """Return the peak memory in MB beyond that of now, and the seconds of processor time, of a function."""
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before, start = memory("VmRSS"), time.process_time()
    work()
    return memory("VmHWM") - before, time.process_time() - start


def fitted(make, n_rows, folder, early_stopping=False):
    X, y = make(n_rows, folder)
    clf = classifier(early_stopping=early_stopping)
    return *measured(lambda: clf.fit(X, y)), X.nbytes / 1e6


def fitted_peer(n_rows, folder):
    X, y = rows(n_rows)
    return *measured(lambda: peer().fit(X, y)), X.nbytes / 1e6


def fitted_blocks(make, n_blocks, folder):
    classifier(early_stopping=True).fit(make(1, folder))
    blocks, clf = make(n_blocks, folder), classifier(early_stopping=True)
    return *measured(lambda: clf.fit(blocks)), n_blocks * BLOCK * COLUMNS * 4 / 1e6


def predicted(dtype, n_rows, folder):
    X, y = rows(n_rows, dtype=dtype)
    clf = KLClassifier(max_epochs=1, device="cpu", random_state=0).fit(X[:2000], y[:2000])
    clf.predict_proba(X[:1000])
    taken, seconds = measured(lambda: clf.predict_proba(X))
    return taken - 2 * 8 * n_rows / 1e6, seconds, X.nbytes / 1e6


def streamed(calls, folder):
    """Return milliseconds a call, and the memory in MB since the first calls, at each of some numbers of calls."""
    X, y = rows(100)
    clf, found = KLClassifier((64,), device="cpu", random_state=0), []
    for last in calls:
        start, n_before = time.process_time(), clf.n_iter_ if hasattr(clf, "net_") else 0
        while not hasattr(clf, "net_") or clf.n_iter_ < last:
            clf.partial_fit(X, y, classes=[0, 1])
        found.append(((time.process_time() - start) * 1e3 / (last - n_before), memory("VmRSS")))
    return [(milliseconds, taken - found[0][1]) for milliseconds, taken in found]


def alone(function, *arguments):
    """Return what a function returns in a process of its own."""

    def work():
        warm_up()  # a fork has the libraries' code anew
        other.send(function(*arguments, Path(folder)))

    context = multiprocessing.get_context("fork")
    mine, other = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=work)
        process.start()
        other.close()  # so that a process that dies is noticed
        found = mine.recv()
        process.join()
    return found


# Tables


KINDS = {
    "float32": (lambda n, folder: rows(n), False),
    "float32, early stopping": (lambda n, folder: rows(n), True),
    "Fortran order, early stopping": (lambda n, folder: rows(n, order="F"), True),
    "float64, early stopping": (lambda n, folder: rows(n, dtype=np.float64), True),
    "memory map, early stopping": (mapped, True),
}


def line(name, *cells):
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def head(*names):
    line(*names)
    print("|" + "---|" * len(names))


def table_of_fits(sizes, sizes_of_peer):
    head("`fit`", "rows", "data, MB", "memory above them, MB", "times the data", "µs a row and epoch")
    for name, (make, early_stopping) in KINDS.items():
        for n_rows in sizes:
            show_fit(name, n_rows, *alone(lambda n, f: fitted(make, n, f, early_stopping), n_rows))  # noqa: B023
    for n_rows in sizes_of_peer:
        show_fit("MLPClassifier, float32", n_rows, *alone(fitted_peer, n_rows))


def show_fit(name, n_rows, taken, seconds, data):
    cells = f"{n_rows:,}", f"{data:.0f}", f"{taken:.0f}", f"{taken / data:.2f}"
    line(name, *cells, f"{seconds / n_rows / EPOCHS * 1e6:.1f}")


def table_of_blocks(numbers):
    head("`fit` of `RowBlocks`, early stopping", "blocks", "data, MB", "memory, MB", "µs a row and epoch")
    for name, make in {"files of NumPy": as_files, "row groups of Parquet": as_parquet}.items():
        for n_blocks in numbers:
            taken, seconds, data = alone(lambda n, f: fitted_blocks(make, n, f), n_blocks)  # noqa: B023
            time_of_row = f"{seconds / n_blocks / BLOCK / EPOCHS * 1e6:.1f}"
            line(name, str(n_blocks), f"{data:.0f}", f"{taken:.0f}", time_of_row)


def table_of_predictions(sizes):
    head("`predict_proba`", "rows", "data, MB", "memory above data and result, MB", "µs a row")
    for dtype in (np.float32, np.float64):
        for n_rows in sizes:
            taken, seconds, data = alone(lambda n, f: predicted(dtype, n, f), n_rows)  # noqa: B023
            cells = f"{n_rows:,}", f"{data:.0f}", f"{taken:.0f}", f"{seconds / n_rows * 1e6:.1f}"
            line(np.dtype(dtype).name, *cells)


def table_of_calls(calls):
    head("`partial_fit` of 100 rows, up to call", "ms a call", "memory since the first, MB")
    for last, (milliseconds, taken) in zip(calls, alone(streamed, calls), strict=True):
        line(f"{last:,}", f"{milliseconds:.1f}", f"{taken:.1f}")


def main(quick=False):
    warnings.simplefilter("ignore")  # two epochs are few
    torch.set_num_threads(1)
    warm_up()  # so that no import is measured
    sizes = (10_000,) if quick else (10_000, 100_000, 1_000_000)
    with threadpool_limits(1):
        table_of_fits(sizes, sizes[:2])
        print()
        table_of_blocks((5,) if quick else (10, 50, 100, 200))
        print()
        table_of_predictions(sizes)
        print()
        table_of_calls((50, 100) if quick else (100, 500, 1000, 2000, 3000, 4000))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    main(parser.parse_args().quick)
