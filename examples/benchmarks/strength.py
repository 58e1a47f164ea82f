"""What does a search over ``kl_strength`` gain? Test log-loss of what is chosen, relative to strength 0.

Candidates are compared by cross-validated log-loss on the training rows, as a user would with
:class:`sklkl.model_selection.StackedGridSearchCV`; every candidate is then trained on all of them with several seeds,
and the mean of its test log-losses counts. "best" is what the test rows themselves would choose, as no
search can, and partly luck: "by half" is chosen by half of the test rows and measured on the others, so it is what
there is to gain.

    python examples/benchmarks/strength.py --data FOLDER
    python examples/benchmarks/strength.py --data FOLDER --flipped 0.3
    python examples/benchmarks/strength.py --quick

Data and preprocessing are those of ``quality.py``.
"""

import warnings

import numpy as np
import torch
from quality import chosen_sets, prepared, set_parser
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

STRENGTHS = [0.0, 0.01, 0.03, 0.1, 0.3]
DECAYS = [0.1, 0.3, 1.0]
N_FOLDS, N_SEEDS = 5, 4
PLAIN = STRENGTHS.index(0.0), DECAYS.index(0.3)


def flipped(y, share, seed):
    """Return labels of which a share are replaced by others, drawn at random."""
    random = np.random.RandomState(seed)
    classes, codes = np.unique(y, return_inverse=True)
    shift = np.where(random.rand(len(y)) < share, random.randint(1, len(classes), len(y)), 0)
    return classes[(codes + shift) % len(classes)]


def mean_losses(classifier, X, y):
    """Return the log-loss on rows that may lack a class, and on every other row of them."""
    proba = classifier.predict_proba(X)[np.arange(len(y)), np.searchsorted(classifier.classes_, y)]
    loss = -np.log(np.maximum(proba, 1e-15))
    return {"all": loss.mean(), "even": loss[::2].mean(), "odd": loss[1::2].mean()}


def losses(X, y, cv, seed, penalty):
    """Return the log-loss of every strength, decay, seed and split, on all rows and on each half of them."""
    grid = {
        "kl_strength": STRENGTHS,
        "weight_decay": DECAYS,
        "random_state": [N_SEEDS * seed + number for number in range(N_SEEDS)],
    }
    classifier = KLClassifier((64,), kl_penalty=penalty, device="cpu")
    search = StackedGridSearchCV(classifier, grid, scoring=mean_losses, cv=cv, refit=False).fit(X, y)
    return {rows: by_parameter(search.cv_results_, rows) for rows in ("all", "even", "odd")}


def by_parameter(results, rows):
    """Return a search's scores as an array by strength, decay, seed and split."""
    splits = [
        results[f"split{number}_test_{rows}"] for number in range(N_FOLDS) if f"split{number}_test_{rows}" in results
    ]
    by_name = np.stack(splits, axis=-1).reshape(len(STRENGTHS), N_SEEDS, len(DECAYS), len(splits))
    return by_name.swapaxes(1, 2)


def one_error(scores):
    """Return the weakest strength whose loss is within a standard error of the lowest one."""
    means = scores.mean(1)
    best = scores[means.argmin()]
    error = best.std(ddof=1) / np.sqrt(len(best))
    return int(np.flatnonzero(means <= means.min() + error)[0])


def by_half(test):
    """Return the loss on each half of the test rows of the strength that the other half chooses, and its mean."""
    even, odd = (test[rows][:, PLAIN[1]].mean((1, 2)) for rows in ("even", "odd"))
    return (even[odd.argmin()] + odd[even.argmin()]) / 2


def choices(cv):
    """Return the position of what each way to choose takes, from losses by strength, decay, seed and fold."""
    at_plain_decay = cv[:, PLAIN[1]]
    return {
        "strength": (at_plain_decay[:, 0].mean(-1).argmin(), PLAIN[1]),
        f"{N_SEEDS} repeats": (at_plain_decay.mean((1, 2)).argmin(), PLAIN[1]),
        "one error": (one_error(at_plain_decay.mean(1)), PLAIN[1]),
        "decay": (0, cv[0, :, 0].mean(-1).argmin()),
        "both": np.unravel_index(cv[:, :, 0].mean(-1).argmin(), cv.shape[:2]),
    }


def compare(load, seed, args):
    """Return the test log-loss of what each way chooses, by name, those of no search and of the best among them."""
    X, X_test, y, y_test = prepared(load, seed, 100 if args.quick else args.max_train, 3000)
    y = flipped(y, args.flipped, seed)
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    rows = np.arange(len(y) + len(y_test))
    split = [(rows[: len(y)], rows[len(y) :])]
    cv = losses(X, y, folds, seed, args.penalty)["all"]
    of_test = losses(np.vstack([X, X_test]), np.r_[y, y_test], split, seed, args.penalty)
    test = of_test["all"].mean((2, 3))
    best = {"by half": by_half(of_test), "best strength": test[:, PLAIN[1]].min(), "best of both": test.min()}
    return {"none": test[PLAIN], **{name: test[tuple(where)] for name, where in choices(cv).items()}, **best}


def line(name, loss, ratios):
    """Return a line of the table; the ratio of no search to itself is left out."""
    return f"| {name} | {loss} | " + " | ".join(f"{ratio:.3f}" for ratio in ratios[1:]) + " |"


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--penalty", default="confidence")
    parser.add_argument("--flipped", type=float, default=0.0, help="share of training labels to replace by others")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=1000)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"penalty {args.penalty}, strengths {STRENGTHS}, decays {DECAYS}, {args.flipped:.0%} of labels flipped")
    ratios = []
    with threadpool_limits(1):
        for name, load in chosen_sets(args).items():
            runs = [compare(load, seed, args) for seed in range(1 if args.quick else args.seeds)]
            means = {way: np.mean([run[way] for run in runs]) for way in runs[0]}
            if not ratios:
                print("| set | " + " | ".join(means) + " |")
            ratios.append([means[way] / means["none"] for way in means])
            print(
                f"| {name} | {means['none']:.4f} | " + " | ".join(f"{r:.3f}" for r in ratios[-1][1:]) + " |", flush=True
            )
    print("| geometric mean | | " + " | ".join(f"{r:.3f}" for r in np.exp(np.log(ratios).mean(0))[1:]) + " |")
    print("| largest | | " + " | ".join(f"{r:.3f}" for r in np.max(ratios, 0)[1:]) + " |")


if __name__ == "__main__":
    main()
