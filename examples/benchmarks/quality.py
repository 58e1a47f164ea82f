"""Probabilities beside scikit-learn's classifiers: test log-loss, accuracy and fit time on real data sets.

Every classifier has its default parameters and the same preprocessing: numeric columns through a quantile transform to
a normal shape, categories one-hot. Sets are read from a folder, or fetched from OpenML by name.

    python examples/benchmarks/quality.py --data FOLDER
    python examples/benchmarks/quality.py --openml credit-g phoneme segment
    python examples/benchmarks/quality.py --quick      # two sets that scikit-learn ships, one seed
    python examples/benchmarks/quality.py --data FOLDER --peers lightgbm xgboost catboost realmlp tabm

A folder has a ``meta.json``, ``{name: {"file": "name.csv.gz", "categorical": [columns], "text": null}, ...}``, and
its CSV files with the labels in the column ``target``; sets with a text column and files of other kinds are left out.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from quality_peers import PEERS
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

CLASSIFIERS = {
    "KLClassifier": KLClassifier(device="cpu"),
    "KLClassifier, one cycle": KLClassifier(device="cpu", learning_rate="onecycle"),
    "MLPClassifier": MLPClassifier(),
    "HistGradientBoosting": HistGradientBoostingClassifier(),
    "LogisticRegression": LogisticRegression(max_iter=1000),
}
REFERENCE = "MLPClassifier"


def folder_sets(folder):
    """Return {name: loader} for the tabular sets of a folder."""
    meta = json.loads((folder / "meta.json").read_text())

    def load(entry):
        types = dict.fromkeys([*entry["categorical"], "target"], str)
        X = pd.read_csv(folder / entry["file"], dtype=types, keep_default_na=False, na_values=[""])
        y = X.pop("target")
        return X.astype(dict.fromkeys(entry["categorical"], "category")), y.to_numpy(dtype=str)

    return {
        name: lambda entry=entry: load(entry)
        for name, entry in sorted(meta.items())
        if ".csv" in entry["file"] and not entry.get("text")
    }


def openml_sets(names):
    """Return {name: loader} for sets of OpenML; needs a network."""

    def load(name):
        X, y = fetch_openml(name, version=1, return_X_y=True, as_frame=True)
        return X, y.to_numpy(dtype=str)

    return {name: lambda name=name: load(name) for name in names}


def shipped_sets():
    """Return {name: loader} for sets that come with scikit-learn."""
    return {
        "breast_cancer": lambda: load_breast_cancer(return_X_y=True, as_frame=True),
        "digits": lambda: load_digits(return_X_y=True, as_frame=True),
    }


def set_parser(description):
    """Return a parser of the arguments that choose sets."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of data sets")
    parser.add_argument("--openml", nargs="+", help="names of OpenML data sets")
    parser.add_argument("--sets", nargs="+", help="only these sets of the folder")
    parser.add_argument("--quick", action="store_true", help="sets shipped with scikit-learn, one seed, few rows")
    return parser


def chosen_sets(args):
    """Return {name: loader} for what was chosen."""
    sets = folder_sets(args.data) if args.data else openml_sets(args.openml) if args.openml else shipped_sets()
    return {name: load for name, load in sets.items() if not args.sets or name in args.sets}


def preprocessing(n_rows):
    numeric = make_pipeline(
        SimpleImputer(strategy="median"),
        QuantileTransformer(output_distribution="normal", n_quantiles=min(1000, n_rows), random_state=0),
    )
    categorical = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numeric, make_column_selector(dtype_include="number")),
        (categorical, make_column_selector(dtype_exclude="number")),
    )


def prepared(load, seed, max_train, max_test=10_000):
    """Return preprocessed X_train, X_test, y_train, y_test: 30 % of the rows for the test."""
    X, y = load()
    n_test = min(max_test, int(0.3 * len(X)))
    n_train = min(max_train, len(X) - n_test)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=n_train, test_size=n_test, stratify=y, random_state=seed
    )
    transform = preprocessing(n_train).fit(X_train)
    return transform.transform(X_train), transform.transform(X_test), y_train, y_test


def scores(classifier, X_train, X_test, y_train, y_test, seed):
    """Return log-loss, accuracy and fit time in processor seconds."""
    classifier = clone(classifier).set_params(random_state=seed)
    start = time.process_time()
    classifier.fit(X_train, y_train)
    seconds = time.process_time() - start
    proba = classifier.predict_proba(X_test)
    predicted = classifier.classes_[proba.argmax(axis=1)]
    return log_loss(y_test, proba, labels=classifier.classes_), accuracy_score(y_test, predicted), seconds


def measured(sets, classifiers, seeds, max_train):
    """Return an array (set, classifier, measure) of means over seeds, printing a line a set and classifier."""
    print(f"{'set':16s} {'classifier':24s} {'log-loss':>9s} {'accuracy':>9s} {'fit, s':>8s}")
    table = []
    for name, load in sets.items():
        runs = []
        for seed in range(seeds):
            data = prepared(load, seed, max_train)
            runs.append([scores(classifier, *data, seed) for classifier in classifiers.values()])
        table.append(np.mean(runs, axis=0))
        for classifier, (loss, accuracy, seconds) in zip(classifiers, table[-1], strict=True):
            print(f"{name:16s} {classifier:24s} {loss:9.4f} {accuracy:9.4f} {seconds:8.2f}", flush=True)
    return np.array(table)


def summary(table, names):
    """Print geometric means over sets, relative to the reference."""
    reference = names.index(REFERENCE)
    ratios = np.exp(np.log(table / table[:, [reference]]).mean(axis=0))
    print(f"\nGeometric mean over {len(table)} sets, relative to {REFERENCE}:")
    for name, (loss, _, seconds), values in zip(names, ratios, table.transpose(1, 0, 2), strict=True):
        worst = (values[:, 0] / table[:, reference, 0]).max()
        print(
            f"  {name:24s} log-loss {loss:.3f} (worst set {worst:.2f}), fit time {seconds:.2f}, "
            f"mean accuracy {values[:, 1].mean():.4f}"
        )


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000, help="largest number of training rows")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=[], help="packages to install by yourself")
    args = parser.parse_args()
    sets = chosen_sets(args)
    seeds, max_train = (1, 300) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")  # MLPClassifier says that it has not converged after its 200 epochs
    torch.set_num_threads(1)
    classifiers = CLASSIFIERS | {name: PEERS[name]() for name in args.peers}
    with threadpool_limits(1):
        summary(measured(sets, classifiers, seeds, max_train), list(classifiers))


if __name__ == "__main__":
    main()
