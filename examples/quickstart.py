"""Search the strength of KL regularisation by cross-validated log-loss.

For each of two data sets that scikit-learn ships: a table of strength against
cross-validated log-loss and accuracy, then the test log-loss of the strength
that was found, of no regularisation and of scikit-learn's MLPClassifier.
Whatever wins is what is printed. One split into training and test rows says
little of models that are close: of several, as many as are asked for, means
are printed, and how often each model has the lowest log-loss.

    python examples/quickstart.py
    python examples/quickstart.py 6
"""

import sys
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

STRENGTHS = [0.0, 0.03, 0.1, 0.3]


def searched(X, y):
    """Return a search over the strength.

    It does what GridSearchCV does, but with all strengths at once.
    """
    clf = KLClassifier(hidden_layer_sizes=64, random_state=0)
    search = StackedGridSearchCV(
        make_pipeline(StandardScaler(), clf),
        {"klclassifier__kl_strength": STRENGTHS},
        scoring=["neg_log_loss", "accuracy"],
        refit="neg_log_loss",
        cv=3,
    )
    return search.fit(X, y)


def measured(X, y, seed):
    """Return log-loss and accuracy, of each strength and on the test rows."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, stratify=y, random_state=seed
    )
    search = searched(X_train, y_train)
    results = search.cv_results_
    by_strength = np.transpose(
        [-results["mean_test_neg_log_loss"], results["mean_test_accuracy"]]
    )
    unpenalised = clone(search.best_estimator_).set_params(
        klclassifier__kl_strength=0.0
    )
    mlp = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
    models = {
        "KLClassifier, strength found": search,
        "KLClassifier, strength 0": unpenalised.fit(X_train, y_train),
        "MLPClassifier": mlp.fit(X_train, y_train),
    }
    on_test = {
        name: (
            log_loss(y_test, model.predict_proba(X_test)),
            accuracy_score(y_test, model.predict(X_test)),
        )
        for name, model in models.items()
    }
    return by_strength, on_test


def show(name, by_strength, on_test):
    """Print the means over the splits, which come first in both."""
    print(f"\n{name}\n  strength   CV log-loss   CV accuracy")
    rows = np.mean(by_strength, axis=0)
    for strength, (loss, accuracy) in zip(STRENGTHS, rows, strict=True):
        print(f"  {strength:8g}   {loss:11.4f}   {accuracy:11.4f}")
    print("  on the test rows              log-loss   accuracy   best of all")
    best = [min(split, key=split.get) for split in on_test]
    for model in on_test[0]:
        loss, accuracy = np.mean([split[model] for split in on_test], axis=0)
        times = f"{best.count(model)} of {len(best)}"
        print(
            f"  {model:28s}    {loss:6.4f}     {accuracy:6.4f}   {times:>11s}"
        )


def main(n_splits=1):
    # MLPClassifier's, after its 200 epochs
    warnings.simplefilter("ignore", ConvergenceWarning)
    for load in (load_digits, load_breast_cancer):
        X, y = load(return_X_y=True)
        name = load.__name__.removeprefix("load_")
        splits = [measured(X, y, seed) for seed in range(n_splits)]
        show(f"{name}: {len(y)} rows", *zip(*splits, strict=True))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
