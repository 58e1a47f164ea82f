"""Columns in other units: log-loss of classifiers that are given the same rows as they are, standardised and moved.

A column is given as it is, standardised (zero mean, unit variance), multiplied by 10^uniform(-4, 4), or shifted by
1,000 of its standard deviations. The built-in network scales its inputs; a network of the user's own gets what it is
given, under each rule for the learning rate.

    python examples/benchmarks/scales.py                  # sets that scikit-learn ships
    python examples/benchmarks/scales.py --data FOLDER    # see quality.py
    python examples/benchmarks/scales.py --quick
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, set_parser
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits
from torch import nn

from sklkl import KLClassifier


class Plain(nn.Sequential):
    """A network that takes its inputs as they are."""

    def __init__(self, n_features, n_classes):
        super().__init__(
            nn.Linear(n_features, 384), nn.ReLU(), nn.Dropout(0.3), nn.Linear(384, 256), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(256, n_classes),
        )  # fmt: skip


CLASSIFIERS = {
    "KLClassifier": KLClassifier(device="cpu"),
    "unscaled": KLClassifier(device="cpu", scale_inputs=False),
    "MLPClassifier": MLPClassifier(),
    **{
        f"own, {rule}": KLClassifier(device="cpu", module=Plain, learning_rate=rule)
        for rule in ("kl_adaptive", "onecycle", "constant")
    },
}

SHIPPED = {"wine": load_wine, "breast_cancer": load_breast_cancer, "digits": load_digits}


def shipped():
    """Return {name: loader} for sets that come with scikit-learn."""
    return {name: lambda load=load: load(return_X_y=True, as_frame=True) for name, load in SHIPPED.items()}


def moved(X, random):
    """Return {name: function of a table} of the four scales, of the columns of training rows."""
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    factors = 10 ** random.uniform(-4, 4, X.shape[1])
    return {
        "as given": lambda X: X,
        "standardised": lambda X: (X - mean) / deviation,
        "x 10^u(-4, 4)": lambda X: X * factors,
        "+ 1,000 sd": lambda X: X + 1000 * deviation,
    }


def encoding():
    """Return what makes numbers of a table and leaves their scales."""
    categorical = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (SimpleImputer(strategy="median"), make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )


def losses(load, seed, max_train, classifiers):
    """Return the test log-loss of each classifier on each scale."""
    X, y = load()
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=min(max_train, int(0.7 * len(X))), test_size=min(5000, int(0.3 * len(X))), stratify=y,
        random_state=seed,
    )  # fmt: skip
    encode = encoding().fit(X_train)
    X_train, X_test = encode.transform(X_train).astype(float), encode.transform(X_test).astype(float)
    result = {}
    for scale, move in moved(X_train, np.random.RandomState(seed)).items():
        for name, classifier in classifiers.items():
            fitted = clone(classifier).set_params(random_state=seed).fit(move(X_train), y_train)
            proba = fitted.predict_proba(move(X_test))
            result[name, scale] = log_loss(y_test, np.clip(proba, 1e-15, 1), labels=fitted.classes_)
    return result


def show(name, found, classifiers, scales):
    print(f"\n{name:20s}" + "".join(f"{scale:>15s}" for scale in scales))
    for classifier in classifiers:
        print(f"{classifier:20s}" + "".join(f"{found[classifier, scale]:15.4f}" for scale in scales), flush=True)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--max-train", type=int, default=1000)
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=list(CLASSIFIERS))
    args = parser.parse_args()
    chosen = args.data or args.openml
    sets = (
        chosen_sets(args) if chosen else {n: lambda f=f: f(return_X_y=True, as_frame=True) for n, f in SHIPPED.items()}
    )
    sets = {"wine": sets["wine"]} if args.quick and not chosen else sets
    classifiers = {name: CLASSIFIERS[name] for name in args.classifiers}
    warnings.simplefilter("ignore")  # those that do not converge are to be seen in the table
    torch.set_num_threads(1)
    with threadpool_limits(1):
        report(sets, classifiers, 1 if args.quick else args.seeds, args.max_train)


def report(sets, classifiers, seeds, max_train):
    """Print a table for each set, and geometric means over sets relative to KLClassifier's standardised columns."""
    means = []
    for name, load in sets.items():
        runs = [losses(load, seed, max_train, classifiers) for seed in range(seeds)]
        means.append({key: float(np.mean([run[key] for run in runs])) for key in runs[0]})
        scales = list(dict.fromkeys(scale for _, scale in runs[0]))
        show(name, means[-1], classifiers, scales)
    for classifier in classifiers:
        reference = np.array([found[classifier, "standardised"] for found in means])
        ratios = {
            (classifier, scale): np.exp(np.mean(np.log([found[classifier, scale] for found in means] / reference)))
            for scale in scales
        }
        if classifier == next(iter(classifiers)):
            print(f"\nGeometric mean over {len(means)} sets, each relative to its own standardised columns")
        print(f"{classifier:20s}" + "".join(f"{ratios[classifier, scale]:15.3f}" for scale in scales))


if __name__ == "__main__":
    main()
