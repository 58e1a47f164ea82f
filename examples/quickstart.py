"""Search the strength of KL regularisation by cross-validated log-loss.

For each of two data sets that scikit-learn ships: a table of strength against
cross-validated log-loss and accuracy, then the test log-loss of the chosen
strength, of no regularisation and of scikit-learn's MLPClassifier. Whatever
wins is what is printed.

    python examples/quickstart.py
"""

import warnings

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


def show_search(search):
    print("  strength   CV log-loss   CV accuracy")
    results = search.cv_results_
    losses = -results["mean_test_neg_log_loss"]
    scores = zip(losses, results["mean_test_accuracy"], strict=True)
    for strength, (loss, accuracy) in zip(STRENGTHS, scores, strict=True):
        print(f"  {strength:8g}   {loss:11.4f}   {accuracy:11.4f}")


def show_test(models, X, y):
    print("  on the test rows            log-loss   accuracy")
    for name, model in models.items():
        loss = log_loss(y, model.predict_proba(X))
        accuracy = accuracy_score(y, model.predict(X))
        print(f"  {name:26s}  {loss:8.4f}   {accuracy:8.4f}")


def main():
    # MLPClassifier's, after its 200 epochs
    warnings.simplefilter("ignore", ConvergenceWarning)
    for load in (load_digits, load_breast_cancer):
        X, y = load(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, stratify=y, random_state=0
        )
        rows = f"{len(X_train)} training rows, {len(X_test)} test rows"
        print(f"\n{load.__name__.removeprefix('load_')}: {rows}")
        search = searched(X_train, y_train)
        show_search(search)
        chosen = search.best_params_["klclassifier__kl_strength"]
        unpenalised = clone(search.best_estimator_).set_params(
            klclassifier__kl_strength=0.0
        )
        mlp = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
        models = {
            f"KLClassifier, strength {chosen:g}": search.best_estimator_,
            "KLClassifier, strength 0": unpenalised.fit(X_train, y_train),
            "MLPClassifier": mlp.fit(X_train, y_train),
        }
        show_test(models, X_test, y_test)


if __name__ == "__main__":
    main()
