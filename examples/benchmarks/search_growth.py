"""How time and memory of a stacked search grow with candidates, rows and columns.

One hidden layer of 16 units, ten epochs, three folds, and from a base of 10 candidates, 1,000 rows and 20 columns one
of these at a time grows a hundredfold. Processor time on one thread of a fit, that is of a candidate in a fold, and the
peak of memory above what there was before the search, each in a process of its own (Linux). `GridSearchCV` does the
same work one by one, where that does not take too long.

    python examples/benchmarks/search_growth.py          # some minutes
    python examples/benchmarks/search_growth.py --quick  # seconds, only to see that it runs
"""

import argparse
import warnings

import numpy as np
import torch
from scale import alone, line, measured
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

BASE = {"candidates": 10, "rows": 1000, "columns": 20}
FOLDS = 3
# fits one by one: more take too long
MOST_ALONE = 300


def searched(kind, size, folder):
    """Return the peak memory in MB and the processor seconds of a search."""
    n_rows, n_columns = size["rows"], size["columns"]
    X, y = make_classification(n_rows, n_columns, n_informative=10, n_classes=5, random_state=0)
    clf = KLClassifier((16,), max_epochs=10, batch_size=128, early_stopping=False, random_state=0, device="cpu")
    grid = {"kl_strength": np.geomspace(1e-3, 1, size["candidates"])}
    search = kind(clf, grid, scoring="neg_log_loss", cv=StratifiedKFold(FOLDS), refit=False)
    return measured(lambda: search.fit(X.astype(np.float32), y))


def sizes(factors):
    """Return the base, and the base with one of its numbers multiplied."""
    larger = [{**BASE, name: BASE[name] * factor} for name in BASE for factor in factors]
    return [BASE, *larger]


def show(size):
    fits, cells = size["candidates"] * FOLDS, []
    for kind in (StackedGridSearchCV, GridSearchCV):
        if kind is GridSearchCV and fits > MOST_ALONE:
            cells += ["", ""]
            continue
        taken, seconds = alone(searched, kind, size)
        cells += [f"{1e3 * seconds / fits:.1f}", f"{taken:.0f}"]
    line(" | ".join(f"{number:,}" for number in size.values()), *cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little growth")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    line(" | ".join(BASE), "stacked, ms a fit", "MB", "one by one, ms a fit", "MB")
    line(" | ".join("---" for _ in BASE), *["---"] * 4)
    with threadpool_limits(1):
        for size in sizes([2] if quick else [10, 100]):
            show(size)


if __name__ == "__main__":
    main()
