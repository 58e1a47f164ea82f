"""Cost of a search over ten strengths and five folds: candidates together, one by one, and halved over epochs.

Processor time on one thread. The work is the same for everyone: as many fits, layers, epochs and rows a batch, Adam, no
rows set aside; float32 for torch. The stacked search and `GridSearchCV` search `kl_strength` of a
:class:`sklkl.KLClassifier` with its KL-adaptive rate; `MLPClassifier` searches `alpha` and plain skorch the weight
decay.

With ``--halving`` the network has its defaults, early stopping included, and the stacked search is compared with itself
when the worse half of the candidates stops after a few epochs. What was chosen is judged by the scores of the whole
search, relative to its best.

    python examples/benchmarks/search.py                          # some minutes
    python examples/benchmarks/search.py --halving --data FOLDER  # sets and preprocessing of quality.py
    python examples/benchmarks/search.py --quick                  # seconds, only to see that it runs
"""

import time
import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, set_parser
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from threadpoolctl import threadpool_limits
from torch import nn

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

STRENGTHS = [0.0, *np.geomspace(1e-3, 0.5, 9)]
OURS = "StackedGridSearchCV"
DEFAULT = KLClassifier().hidden_layer_sizes
HALVE_AFTER = (4, 8)


def network(layers):
    sizes = [64, *layers, 10]
    parts = [[nn.Linear(a, b), nn.ReLU()] for a, b in zip(sizes, sizes[1:], strict=False)]
    return nn.Sequential(*[part for pair in parts for part in pair][:-1])


def contestants(layers, epochs, strengths):
    """Return the searches by name: kind of search, estimator, grid."""
    ours = KLClassifier(layers, "relu", max_epochs=epochs, batch_size=128, early_stopping=False, random_state=0)
    mlp = MLPClassifier(layers, batch_size=128, max_iter=epochs, tol=0.0, n_iter_no_change=10**6, random_state=0)
    plain = NeuralNetClassifier(
        network(layers), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.AdamW, optimizer__fused=True, lr=1e-3,
        batch_size=128, max_epochs=epochs, train_split=None, iterator_train__shuffle=True, verbose=0,
    )  # fmt: skip
    return {
        OURS: (StackedGridSearchCV, ours, {"kl_strength": strengths}),
        "GridSearchCV": (GridSearchCV, ours, {"kl_strength": strengths}),
        "MLPClassifier": (GridSearchCV, mlp, {"alpha": strengths}),
        "plain skorch": (GridSearchCV, plain, {"optimizer__weight_decay": strengths}),
    }


def compare(X, y, layers, epochs, strengths, folds):
    seconds, results = {}, {}
    torch.manual_seed(0)  # for the network of plain skorch
    for name, (kind, estimator, grid) in contestants(layers, epochs, strengths).items():
        search = kind(estimator, grid, scoring="neg_log_loss", cv=StratifiedKFold(folds), refit=False)
        start = time.process_time()
        results[name] = search.fit(X, y).cv_results_
        seconds[name] = time.process_time() - start
    print(f"\nLayers {layers}, {len(strengths)} candidates x {folds} folds, {len(X)} rows, {epochs} epochs")
    for name, value in seconds.items():
        best = -results[name]["mean_test_score"].max()
        print(f"  {name:20s} {value:8.1f} s   x {value / seconds[OURS]:5.2f}   best log-loss {best:.4f}", flush=True)
    apart = np.abs(results[OURS]["mean_test_score"] - results["GridSearchCV"]["mean_test_score"])
    print(f"  {'':20s} stacked against alone, mean scores: largest difference {apart.max():.1e}", flush=True)


def halved(X, y, layers, strengths, folds):
    """Return, for each number of epochs before the first halving, the time and the score of what is chosen."""
    results, seconds = {}, {}
    for after in (None, *HALVE_AFTER):
        classifier = KLClassifier(layers, random_state=0, device="cpu")
        cv = StratifiedKFold(folds, shuffle=True, random_state=0)
        grid = {"kl_strength": strengths}
        search = StackedGridSearchCV(classifier, grid, scoring="neg_log_loss", cv=cv, refit=False, halve_after=after)
        start = time.process_time()
        results[after] = -search.fit(X, y).cv_results_["mean_test_score"]
        seconds[after] = time.process_time() - start
    whole = results[None]
    return {
        after: (seconds[after] / seconds[None], whole[losses.argmin()] / whole.min(), whole[0] / whole.min())
        for after, losses in results.items()
    }


def compare_halving(args, folds, strengths, max_train):
    print("| set | layers | halved after | time | its choice / the best | strength 0 / the best |")
    print("|---|---|---|---|---|---|")
    for name, load in chosen_sets(args).items():
        X, _, y, _ = prepared(load, 0, max_train)
        for layers in ((64,), DEFAULT):
            for after, (time_ratio, choice, none) in halved(X, y, layers, strengths, folds).items():
                if after is not None:
                    row = f"{time_ratio:.2f} | {choice:.3f} | {none:.3f}"
                    print(f"| {name} | {layers} | {after} epochs | {row} |", flush=True)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--halving", action="store_true", help="compare halving over epochs")
    args = parser.parse_args()
    quick = args.quick
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.halving or quick:
        with threadpool_limits(1):
            compare_halving(args, 2 if quick else 5, STRENGTHS[::4] if quick else STRENGTHS, 100 if quick else 1500)
    if args.halving:
        return
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    with threadpool_limits(1):
        for layers in ((16,), (64,), DEFAULT):
            if quick:
                compare(X[:300], y[:300], layers, epochs=2, strengths=STRENGTHS[:3], folds=2)
            else:
                compare(X, y, layers, epochs=30, strengths=STRENGTHS, folds=5)


if __name__ == "__main__":
    main()
