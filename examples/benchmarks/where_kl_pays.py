"""Where does which lever pay? Test log-loss, accuracy and time relative to a plain network, by rows and label noise.

A network of one hidden layer of 64 units is trained on few or many rows, a share of whose labels is replaced by
others, and judged by clean test rows. The levers: each penalty, its strength chosen by cross-validation among 0,
0.01, 0.03, 0.1 and 0.3; a random forest as teacher; eight networks in place of one; and two of them together.
Everything else has its default. Time is that of the processor, searches included. A search is a race over five folds:
after two of them only the two best strengths go on.

    python examples/benchmarks/where_kl_pays.py --data FOLDER --out FILE --picture FILE
    python examples/benchmarks/where_kl_pays.py --quick

Data and preprocessing are those of ``quality.py``. With ``--out`` what was measured is kept in a file, a line for each
case and lever, and not measured again: what was interrupted goes on from there, seed by seed.
"""

import itertools
import json
import sys
import time
import warnings
from functools import cache, partial
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


def raced(penalty, X, y, seed):
    """Return the strength of a penalty chosen by cross-validation, and the processor seconds that the search took."""
    start = time.process_time()
    folds = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y))
    early = scored(penalty, STRENGTHS, folds[:2], X, y, seed)
    best = sorted(STRENGTHS, key=early.get)[-2:]
    late = scored(penalty, best, folds[2:], X, y, seed)
    strength = max(best, key=lambda strength: 2 * early[strength] + 3 * late[strength])
    return strength, time.process_time() - start


def scored(penalty, strengths, folds, X, y, seed):
    """Return {strength: mean score} over some folds."""
    classifier, grid = network(seed, kl_penalty=penalty), {"kl_strength": strengths}
    search = StackedGridSearchCV(classifier, grid, scoring=score, cv=folds, refit=False)
    return dict(zip(strengths, search.fit(X, y).cv_results_["mean_test_score"], strict=True))


def score(classifier, X, y):
    return -measured(classifier, X, y)[0]


def measured(classifier, X, y):
    """Return log-loss and accuracy on the rows whose label the classifier knows: few rows may lack a class."""
    known = np.isin(y, classifier.classes_)
    proba, codes = classifier.predict_proba(X[known]), np.searchsorted(classifier.classes_, y[known])
    losses = -np.log(np.maximum(proba[np.arange(len(codes)), codes], 1e-15))
    return losses.mean(), (proba.argmax(1) == codes).mean()


def levers(penalties, seed):
    """Return what to measure, by name: parameters of a network, and the penalty whose strength is searched, if any."""
    teacher, ensemble = {"teacher": RandomForestClassifier(random_state=seed)}, {"n_members": 8}
    return {
        "none": ({}, None),
        **{name: ({}, name) for name in penalties},
        "teacher": (teacher, None),
        "ensemble": (ensemble, None),
        "teacher + ensemble": (teacher | ensemble, None),
        "confidence + ensemble": (ensemble, "confidence"),
    }


def case(data, way, search, seed):
    """Return log-loss, accuracy and processor seconds of a network with a lever, the search for it included."""
    X, X_test, y, y_test = data
    parameters, penalty = way
    strength, seconds = search(penalty) if penalty else (0.0, 0.0)
    searched = {"kl_penalty": penalty, "kl_strength": strength} if penalty else {}
    start = time.process_time()
    classifier = network(seed, **parameters, **searched).fit(X, y)
    seconds += time.process_time() - start
    return [float(value) for value in (*measured(classifier, X_test, y_test), seconds)]


def cases(args):
    """Return (set, rows, share flipped, seed) of everything to measure, seed by seed."""
    seeds = range(1 if args.quick else args.seeds)
    combinations = itertools.product(seeds, chosen_sets(args), args.rows, args.flipped)
    return [(name, n_rows, share, seed) for seed, name, n_rows, share in combinations]


def run(args, penalties):
    """Return {(set, rows, share flipped, seed): {lever: measures}}, of which a file may have some already."""
    table, sets, asked = kept(args.out), chosen_sets(args), {}
    for key in cases(args):
        ways, found = levers(penalties, key[-1]), table.get(key, {})
        left = {way: lever for way, lever in ways.items() if way not in found}
        if not left or measure(args, table, key, left, sets):
            asked[key] = {way: table[key][way] for way in ways}
    return asked


def measure(args, table, key, ways, sets):
    """Put the measures of a case into the table; return whether the set has as many rows."""
    name, n_rows, share, seed = key
    X, X_test, y, y_test = prepared(sets[name], seed, n_rows, 3000)
    if len(y) < n_rows:
        return False
    data = X, X_test, flipped(y, share, seed), y_test
    search = cache(partial(raced, X=X, y=data[2], seed=seed))
    for way, lever in ways.items():
        keep(args.out, table, key, way, case(data, lever, search, seed))
    return True


def kept(path):
    """Return what a file has, if there is one."""
    table = {}
    for line in path.read_text().splitlines() if path and path.exists() else ():
        key, way, values = json.loads(line)
        table.setdefault(tuple(key), {})[way] = values
    return table


def keep(path, table, key, way, values):
    """Put measures into the table and, as one line, into the file."""
    table.setdefault(key, {})[way] = values
    if path:
        print(*key, way, file=sys.stderr)
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
    parser.add_argument("--out", type=Path, help="file of what was measured, read and continued")
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
        network(0, max_epochs=1).fit([[0.0], [1.0]], [0, 1])  # what torch does once only is in no case's time
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
