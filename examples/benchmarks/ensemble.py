"""Several networks in one classifier: test log-loss and fit time beside one network, and distilled back into one.

Each is given the same preprocessed rows, see quality.py, once with one hidden layer of 64 units and once with the
default layers. ``n_members=8`` averages the probabilities of eight networks, which are trained as one stack; "into
one" is one network whose teacher they are. Time is that of the processor, on one thread.

    python examples/benchmarks/ensemble.py                  # sets that scikit-learn ships
    python examples/benchmarks/ensemble.py --data FOLDER    # see quality.py
    python examples/benchmarks/ensemble.py --quick
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, scores, set_parser
from scales import shipped
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

NETWORKS = {
    "64 units": KLClassifier(device="cpu", hidden_layer_sizes=64),
    "default layers": KLClassifier(device="cpu"),
}


def contestants(network, n_members):
    """Return {name: classifier}: one network, several, and one that learns from several."""
    members = clone(network).set_params(n_members=n_members)
    return {
        "one network": network,
        f"n_members={n_members}": members,
        f"{n_members} into one": clone(network).set_params(teacher=members),
    }


def measured(sets, classifiers, seeds, max_train):
    """Return an array (set, classifier, measure) of means over seeds, printing a line a set and classifier."""
    table = []
    for name, load in sets.items():
        runs = []
        for seed in range(seeds):
            data = prepared(load, seed, max_train, max_test=5000)
            runs.append([scores(classifier, *data, seed) for classifier in classifiers.values()])
        table.append(np.mean(runs, axis=0))
        for classifier, (loss, accuracy, seconds) in zip(classifiers, table[-1], strict=True):
            ratio = loss / table[-1][0][0]
            print(f"{name:16s} {classifier:14s} {loss:9.4f} {ratio:6.3f} {accuracy:9.4f} {seconds:8.2f}", flush=True)
    return np.array(table)


def summary(table, classifiers):
    """Print geometric means over sets, relative to one network."""
    ratios = table / table[:, :1]
    print(f"Geometric mean over {len(table)} sets, relative to one network:")
    for number, name in enumerate(classifiers):
        loss, accuracy, seconds = np.exp(np.log(ratios[:, number]).mean(axis=0))
        worst = ratios[:, number, 0].max()
        print(f"  {name:14s} log-loss {loss:.3f} (worst set {worst:.3f}), accuracy {accuracy:.3f}, time {seconds:.2f}")


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--max-train", type=int, default=1000)
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    args = parser.parse_args()
    sets = chosen_sets(args) if args.data or args.openml else shipped()
    if args.quick and not args.data:
        sets, args.seeds, args.networks = {"wine": sets["wine"]}, 1, ["64 units"]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        KLClassifier(max_epochs=1).fit(np.eye(4), [0, 0, 1, 1])  # the first fit of a process imports what it needs
        for name in args.networks:
            print(f"\n{name:16s} {'':14s} {'log-loss':>9s} {'ratio':>6s} {'accuracy':>9s} {'fit, s':>8s}")
            classifiers = contestants(NETWORKS[name], args.members)
            summary(measured(sets, classifiers, args.seeds, args.max_train), classifiers)


if __name__ == "__main__":
    main()
