"""Where does which lever pay? Test log-loss, accuracy and time relative to a plain network, by rows and label noise.

A network of one hidden layer of 64 units is trained on few or many rows, a share of whose labels is replaced by
others, and judged by clean test rows. The levers: each penalty, its strength chosen by five-fold cross-validation
among 0, 0.01, 0.03, 0.1 and 0.3; a random forest as teacher; eight networks in place of one; and two of them
together. Everything else has its default. Time is that of the processor, searches included.

    python examples/benchmarks/where_kl_pays.py --data FOLDER --results FILE --picture FILE
    python examples/benchmarks/where_kl_pays.py --quick

Data and preprocessing are those of ``quality.py``. With ``--results`` what was measured is kept in a file, one line a
case, and not measured again.
"""

import itertools
import json
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from quality import chosen_sets, prepared, set_parser
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from strength import flipped
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

ROWS = [100, 300, 1000, 3000]
FLIPPED = [0.0, 0.1, 0.3]
STRENGTHS = [0.0, 0.01, 0.03, 0.1, 0.3]
PENALTIES = ["confidence", "label_smoothing", "prior", "rdrop", "vat"]
FEW_PENALTIES = ["confidence"]
MEASURES = ["log-loss", "accuracy", "time"]


def network(seed, **params):
    return KLClassifier((64,), random_state=seed, device="cpu", **params)


def searched(penalty, X, y, seed):
    """Return the parameters of a network whose strength is chosen by cross-validation."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    grid = {"kl_strength": STRENGTHS}
    search = StackedGridSearchCV(network(seed, kl_penalty=penalty), grid, scoring=score, cv=folds, refit=False)
    return {"kl_penalty": penalty, **search.fit(X, y).best_params_}


def score(classifier, X, y):
    return -measured(classifier, X, y)[0]


def measured(classifier, X, y):
    """Return log-loss and accuracy on the rows whose label the classifier knows: few rows may lack a class."""
    known = np.isin(y, classifier.classes_)
    proba, codes = classifier.predict_proba(X[known]), np.searchsorted(classifier.classes_, y[known])
    losses = -np.log(np.maximum(proba[np.arange(len(codes)), codes], 1e-15))
    return losses.mean(), (proba.argmax(1) == codes).mean()


def forest(seed):
    return RandomForestClassifier(random_state=seed)


def levers(penalties):
    """Return what to measure, by name: functions from rows, labels and a seed to the parameters of a network."""
    none = {"none": lambda X, y, seed: {}}
    by_penalty = {name: lambda X, y, seed, name=name: searched(name, X, y, seed) for name in penalties}
    others = {
        "teacher": lambda X, y, seed: {"teacher": forest(seed)},
        "ensemble": lambda X, y, seed: {"n_members": 8},
        "teacher + ensemble": lambda X, y, seed: {"teacher": forest(seed), "n_members": 8},
        "confidence + ensemble": lambda X, y, seed: {**searched("confidence", X, y, seed), "n_members": 8},
    }
    return {**none, **by_penalty, **others}


def case(data, parameters, seed):
    """Return log-loss, accuracy and processor seconds of a network with these parameters."""
    X, X_test, y, y_test = data
    start = time.process_time()
    classifier = network(seed, **parameters(X, y, seed)).fit(X, y)
    seconds = time.process_time() - start
    return [float(value) for value in (*measured(classifier, X_test, y_test), seconds)]


def cases(args):
    """Return (set, rows, share flipped, seed) of everything to measure."""
    seeds = range(1 if args.quick else args.seeds)
    return itertools.product(seeds, chosen_sets(args), args.rows, args.flipped)


def run(args, penalties):
    """Return {(set, rows, share flipped, seed): {lever: measures}}, with what a file has of it already."""
    kept = args.results.read_text().splitlines() if args.results and args.results.exists() else []
    table = {}
    for key, way, values in map(json.loads, kept):
        table.setdefault(tuple(key), {})[way] = values
    sets, ways = chosen_sets(args), levers(penalties)
    for seed, name, n_rows, share in cases(args):
        X, X_test, y, y_test = prepared(sets[name], seed, n_rows, 3000)
        if len(y) == n_rows:
            found = table.setdefault((name, n_rows, share, seed), {})
            data = X, X_test, flipped(y, share, seed), y_test
            for way in (way for way in ways if way not in found):
                found[way] = case(data, ways[way], seed)
                keep(args.results, [name, n_rows, share, seed], way, found[way])
    return table


def keep(path, key, way, values):
    if path:
        with path.open("a") as file:
            file.write(json.dumps([key, way, values]) + "\n")


def relative(table, n_rows, share):
    """Return {lever: (mean, standard error)} of each measure relative to no lever, over sets and seeds."""
    runs = [values for (_, rows, flips, _), values in table.items() if (rows, flips) == (n_rows, share)]
    found = {}
    for way in runs[0] if runs else ():
        here, none = (np.array([run[name] for run in runs if way in run]) for name in (way, "none"))
        changes = np.c_[np.log(here[:, 0] / none[:, 0]), here[:, 1] - none[:, 1], np.log(here[:, 2] / none[:, 2])]
        error = changes.std(0, ddof=1) / np.sqrt(len(here)) if len(here) > 1 else np.zeros(3)
        mean = changes.mean(0)
        found[way] = {
            "log-loss": (np.exp(mean[0]), np.exp(mean[0]) * error[0]),
            "accuracy": (100 * mean[1], 100 * error[1]),
            "time": (np.exp(mean[2]), np.exp(mean[2]) * error[2]),
        }
    return found


TITLES = {
    "log-loss": "Test log-loss relative to no lever (geometric mean ± standard error)",
    "accuracy": "Test accuracy, difference in percentage points (mean ± standard error)",
    "time": "Processor time relative to no lever (geometric mean)",
}


def show(figures, measure):
    """Print a table of a measure: a line a lever, a column for each number of rows and share of flipped labels."""
    print(f"\n{TITLES[measure]}\n")
    print("| lever | " + " | ".join(f"{rows:,}, {share:.0%}" for rows, share in figures) + " |")
    print("|---" * (1 + len(figures)) + "|")
    ways = [way for way in next(iter(figures.values())) if way != "none"]
    for way in ways:
        pairs = [figures[column][way][measure] for column in figures]
        texts = {
            "log-loss": [f"{mean:.3f} ± {error:.3f}" for mean, error in pairs],
            "accuracy": [f"{mean:+.1f} ± {error:.1f}" for mean, error in pairs],
            "time": [f"{mean:.1f}" for mean, _ in pairs],
        }
        print(f"| {way} | " + " | ".join(texts[measure]) + " |")


def draw(figures, path):
    """Draw log-losses relative to no lever against the number of rows, a panel for each share of flipped labels."""
    shares = sorted({share for _, share in figures})
    fig, axes = plt.subplots(1, len(shares), figsize=(11, 4.4), sharey=True, layout="constrained")
    for ax, share in zip(np.atleast_1d(axes), shares, strict=True):
        rows = [n for n, flips in figures if flips == share]
        for number, way in enumerate(way for way in figures[rows[0], share] if way != "none"):
            means, errors = np.transpose([figures[n, share][way]["log-loss"] for n in rows])
            style = {"marker": "osD^vPX*h"[number % 9], "color": f"C{number}", "capsize": 2, "markersize": 5}
            ax.errorbar(np.array(rows) * 1.03 ** (number - 4), means, errors, label=way, **style)
        ax.axhline(1, color="0.4", linewidth=1, linestyle="--")
        ax.set(xscale="log", xlabel="training rows", title=f"{share:.0%} of labels flipped")
        ax.set_xticks(rows, [f"{n:,}" for n in rows])
        ax.minorticks_off()
    np.atleast_1d(axes)[0].set_ylabel("test log-loss relative to no lever")
    fig.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside right center")
    fig.savefig(path)


def parsed():
    parser = set_parser(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--flipped", type=float, nargs="+", default=FLIPPED)
    parser.add_argument("--penalties", nargs="+", default=PENALTIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, help="file of what was measured, read and continued")
    parser.add_argument("--picture", type=Path, help="file to draw to")
    return parser.parse_args()


def main():
    args = parsed()
    warnings.simplefilter("ignore")
    plt.style.use("tableau-colorblind10")
    torch.set_num_threads(1)
    if args.quick:
        args.rows, args.flipped, args.penalties = [100], [0.3], FEW_PENALTIES
    with threadpool_limits(1):
        table = run(args, args.penalties)
    figures = {(n, share): relative(table, n, share) for n in args.rows for share in args.flipped}
    figures = {column: found for column, found in figures.items() if found}
    seeds, names = {key[3] for key in table}, sorted({key[0] for key in table})
    print(f"{len(table)} cases: {', '.join(names)}; {len(seeds)} seeds")
    for measure in MEASURES:
        show(figures, measure)
    if args.picture:
        draw(figures, args.picture)


if __name__ == "__main__":
    main()
