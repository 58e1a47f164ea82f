"""Whether few rows can spare some for a validation part: test log-loss and accuracy with one and without.

:class:`sklkl.KLClassifier` with its defaults, which sets rows aside or does not, beside ``early_stopping=False``. Data
and preprocessing are those of ``quality.py``; test rows of classes that no training row has are left out.

    python examples/benchmarks/few_rows.py --data FOLDER
    python examples/benchmarks/few_rows.py --quick
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, scores, set_parser
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

ROWS = [60, 100, 150, 190]


def changes(load, n_rows, seed):
    """Return the logarithm of the ratio of log-losses, and the difference of accuracies, with to without."""
    X, X_test, y, y_test = prepared(load, seed, n_rows, 3000)
    known = np.isin(y_test, y)
    data = X, X_test[known], y, y_test[known]
    found = [
        scores(KLClassifier(device="cpu", early_stopping=early_stopping), *data, seed)
        for early_stopping in ("auto", False)
    ]
    (loss, accuracy, _), (loss_without, accuracy_without, _) = found
    return np.log(loss / loss_without), 100 * (accuracy - accuracy_without)


def show(n_rows, sets, seeds):
    """Print a line of means over sets and seeds, and the worst set."""
    fitting = {name: load for name, load in sets.items() if len(np.unique(load()[1])) <= n_rows}
    table = np.array([[changes(load, n_rows, seed) for seed in range(seeds)] for load in fitting.values()])
    means = table.mean(axis=1)
    (loss, accuracy), worst, names = means.mean(axis=0), means.argmax(axis=0)[0], list(fitting)
    least = means.argmin(axis=0)[1]
    cells = f"{np.exp(loss):.3f} | {np.exp(means[worst, 0]):.3f} ({names[worst]}) | {accuracy:+.1f}"
    print(f"| {n_rows} | {cells} | {means[least, 1]:+.1f} ({names[least]}) |", flush=True)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| rows | log-loss, mean ratio | largest | accuracy, mean difference, points | least |")
    print("|---|---|---|---|---|")
    with threadpool_limits(1):
        for n_rows in ROWS[:1] if args.quick else ROWS:
            show(n_rows, chosen_sets(args), 1 if args.quick else args.seeds)


if __name__ == "__main__":
    main()
