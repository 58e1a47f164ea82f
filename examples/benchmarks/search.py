"""Cost of a search over ten strengths and five folds on scikit-learn's digits: candidates together, and one by one.

Processor time on one thread. The work is the same for everyone: as many fits, layers, epochs and rows a batch, Adam, no
rows set aside; float32 for torch. The stacked search and `GridSearchCV` search `kl_strength` of a
:class:`sklkl.KLClassifier` with its KL-adaptive rate; `MLPClassifier` searches `alpha` and plain skorch the weight
decay.

    python examples/benchmarks/search.py          # some minutes
    python examples/benchmarks/search.py --quick  # seconds, only to see that it runs
"""

import argparse
import time
import warnings

import numpy as np
import torch
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows, epochs and candidates")
    quick = parser.parse_args().quick
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
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
