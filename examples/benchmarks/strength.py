"""Is a search over ``kl_strength`` safe? Test log-loss of the searched strength relative to strength 0.

The strength of :class:`sklkl.KLClassifier` is chosen by cross-validated log-loss on the training rows, as a user would
with GridSearchCV, and compared on test rows with the same classifier at strength 0. Data and preprocessing are those
of ``quality.py``.

    python examples/benchmarks/strength.py --data FOLDER
    python examples/benchmarks/strength.py --quick
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, set_parser
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

STRENGTHS = [0.0, 0.01, 0.03, 0.1]


def compare(X_train, X_test, y_train, y_test, seed, penalty, folds):
    """Return the chosen strength and the test log-loss with it and with strength 0."""
    classifier = KLClassifier(learning_rate="onecycle", random_state=seed, device="cpu")
    grid = [{"kl_strength": STRENGTHS[:1]}, {"kl_penalty": [penalty], "kl_strength": STRENGTHS[1:]}]
    search = GridSearchCV(classifier, grid, scoring="neg_log_loss", cv=folds)
    search.fit(X_train, y_train)
    chosen = search.best_params_["kl_strength"]
    searched = log_loss(y_test, search.predict_proba(X_test), labels=search.classes_)
    if chosen == 0:
        return chosen, searched, searched
    plain = classifier.fit(X_train, y_train)
    return chosen, searched, log_loss(y_test, plain.predict_proba(X_test), labels=plain.classes_)


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--penalty", default="confidence")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000)
    args = parser.parse_args()
    sets = chosen_sets(args)
    seeds, max_train = (1, 200) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"penalty {args.penalty}, strengths {STRENGTHS}, {args.folds} folds, {seeds} seeds")
    print(f"{'set':16s} {'strength 0':>10s} {'searched':>9s} {'ratio':>6s}   strengths chosen")
    ratios = []
    with threadpool_limits(1):
        for name, load in sets.items():
            runs = [compare(*prepared(load, seed, max_train), seed, args.penalty, args.folds) for seed in range(seeds)]
            chosen, searched, plain = zip(*runs, strict=True)
            ratios.append(np.mean(searched) / np.mean(plain))
            print(
                f"{name:16s} {np.mean(plain):10.4f} {np.mean(searched):9.4f} {ratios[-1]:6.3f}   {chosen}", flush=True
            )
    print(f"\nGeometric mean over {len(ratios)} sets, searched / strength 0: {np.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
