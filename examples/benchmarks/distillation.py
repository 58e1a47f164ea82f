"""A small student network beside its teacher: log-loss, accuracy, time per row and size on real data sets.

The teacher is the soft vote of a random forest, extra trees and histogram boosting, each with its default parameters.
The students are networks of one size: one is trained on hard labels with default parameters, the other on the teacher's
probabilities. Sets and preprocessing are those of ``quality.py``. Times are processor time on one thread, for float32
rows, which suit trees and networks alike.

    python examples/benchmarks/distillation.py --data FOLDER
    python examples/benchmarks/distillation.py --openml credit-g phoneme segment
    python examples/benchmarks/distillation.py --quick      # two sets that scikit-learn ships, one seed

With ``--teachers`` it asks instead what a teacher of unknown worth does to a student with default parameters: the
ensemble above (``good``), a tree of depth 3, naive Bayes, a forest that comes ready and was fitted to labels of which
30 % had been drawn anew (``flipped``), or one whose own fit does that (``flipping``). It prints the student's log-loss
relative to that of the same network without a teacher, with ``distill_weight="auto"`` and 0.5, and the time of a fit
relative to that with 0.5.

    python examples/benchmarks/distillation.py --data FOLDER --teachers good tree bayes flipped flipping --jobs 8
    python examples/benchmarks/distillation.py --data FOLDER --teachers flipping --sets phoneme --seeds 1 --csv part.csv
    python examples/benchmarks/distillation.py --read part.csv other.csv        # the table of runs that were kept
"""

import contextlib
import pickle
import statistics
import time
import warnings

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from quality import chosen_sets, prepared, set_parser
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier

TEACHER = "teacher"
HARD = "hard labels"
STUDENT = "student"
MEASURES = ["log-loss", "accuracy", "us/row, 10,000", "us/row, 1", "MB", "fit, s"]


def ensemble(seed):
    """Return the unfitted teacher of the first table."""
    return VotingClassifier(
        [
            ("forest", RandomForestClassifier(random_state=seed)),
            ("extra", ExtraTreesClassifier(random_state=seed)),
            ("boosting", HistGradientBoostingClassifier(random_state=seed)),
        ],
        voting="soft",
    )


def models(seed):
    """Return {name: unfitted classifier}."""
    teacher = ensemble(seed)
    hard = KLClassifier(hidden_layer_sizes=(128, 128), learning_rate="onecycle", device="cpu", random_state=seed)
    # A teacher's probabilities regularise, so there is less need of dropout and no harm in longer training.
    student = clone(hard).set_params(teacher=clone(teacher), distill_weight=0.9, dropout=0.1, lr=5e-3, max_epochs=200)
    return {TEACHER: teacher, HARD: hard, STUDENT: student}


def microseconds(predict, X, repeat):
    """Return the median processor time for a row."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        predict(X)
        times.append(time.process_time() - start)
    return 1e6 * statistics.median(times) / len(X)


def measured(model, X_train, X_test, y_train, y_test):
    """Return the measures of a model after training it."""
    start = time.process_time()
    model.fit(X_train, y_train)
    seconds = time.process_time() - start
    proba = model.predict_proba(X_test)
    many = np.resize(X_test, (10_000, X_test.shape[1]))
    return [
        log_loss(y_test, proba, labels=model.classes_),
        accuracy_score(y_test, model.classes_[proba.argmax(axis=1)]),
        microseconds(model.predict_proba, many, repeat=3),
        microseconds(model.predict_proba, many[:1], repeat=11),
        len(pickle.dumps(model)) / 1e6,
        seconds,
    ]


def table(sets, seeds, max_train):
    """Return an array (set, model, measure) of means over seeds, printing a line a set and model."""
    print(f"{'set':16s} {'model':12s}" + "".join(f"{name:>16s}" for name in MEASURES))
    rows = []
    for name, load in sets.items():
        runs = []
        for seed in range(seeds):
            X_train, X_test, y_train, y_test = prepared(load, seed, max_train)
            data = (X_train.astype(np.float32), X_test.astype(np.float32), y_train, y_test)
            runs.append([measured(model, *data) for model in models(seed).values()])
        rows.append(np.mean(runs, axis=0))
        for model, values in zip(models(0), rows[-1], strict=True):
            print(f"{name:16s} {model:12s}" + "".join(f"{value:16.4f}" for value in values), flush=True)
    return np.array(rows)


def summary(rows):
    """Print geometric means over sets of the student's figures, relative to the others'."""
    teacher, hard, student = np.moveaxis(rows, 1, 0)
    for name, other in [(TEACHER, teacher), (HARD, hard)]:
        ratios = student[:, 0] / other[:, 0]
        print(f"log-loss, student / {name}: {np.exp(np.log(ratios).mean()):.3f} (worst set {ratios.max():.2f})")
    for measure, what in [(2, "10,000 rows at once"), (3, "one row")]:
        ratios = teacher[:, measure] / student[:, measure]
        print(f"times faster than the teacher, {what}: {np.exp(np.log(ratios).mean()):.1f} (least {ratios.min():.1f})")


def with_flips(y, seed):
    """Return labels of which 30 % were drawn anew; each class keeps a row."""
    rng = np.random.RandomState(seed)
    classes, first = np.unique(y, return_index=True)
    drawn = rng.rand(len(y)) < 0.3
    drawn[first] = False
    return np.where(drawn, rng.choice(classes, size=len(y)), y)


class FlippingForest(RandomForestClassifier):
    """A forest whose fit draws 30 % of the labels anew."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(X, with_flips(y, self.random_state), sample_weight)


def flipped_forest(X, y, seed):
    """Return a forest that was fitted to labels of which 30 % were drawn anew."""
    return FrozenEstimator(RandomForestClassifier(random_state=seed).fit(X, with_flips(y, seed)))


TEACHERS = {
    "good": lambda X, y, seed: ensemble(seed),
    "tree": lambda X, y, seed: DecisionTreeClassifier(max_depth=3, random_state=seed),
    "bayes": lambda X, y, seed: GaussianNB(),
    "flipped": flipped_forest,
    "flipping": lambda X, y, seed: FlippingForest(random_state=seed),
}


def fitted_loss(classifier, X_train, X_test, y_train, y_test):
    """Return the test log-loss, and the processor seconds of the fit."""
    start = time.process_time()
    classifier.fit(X_train, y_train)
    seconds = time.process_time() - start
    return log_loss(y_test, classifier.predict_proba(X_test), labels=classifier.classes_), seconds


def run_of_teachers(names, set_name, load, seed, max_train):
    """Return a dict a teacher for one split of a set: log-losses without, with 0.5 and with auto, and seconds."""
    with one_thread():
        X_train, X_test, y_train, y_test = prepared(load, seed, max_train)
        data = (X_train.astype(np.float32), X_test.astype(np.float32), y_train, y_test)
        alone = KLClassifier(hidden_layer_sizes=(128, 128), device="cpu", random_state=seed)
        without, _ = fitted_loss(clone(alone), *data)
        rows = []
        for name in names:
            taught = clone(alone).set_params(teacher=TEACHERS[name](data[0], y_train, seed))
            half, once = fitted_loss(clone(taught).set_params(distill_weight=0.5), *data)
            auto, seconds = fitted_loss(taught, *data)
            figures = {"alone": without, "0.5": half, "auto": auto, "0.5, s": once, "auto, s": seconds}
            rows.append({"set": set_name, "teacher": name, "seed": seed, **figures})
        return rows


def runs_of_teachers(names, sets, seeds, max_train, jobs, csv):
    """Return a frame with a row for each set, seed and teacher; ``jobs`` processes share the sets and seeds.

    What is finished is in the file ``csv``, if there is one, whatever happens to the rest.
    """
    cells = [delayed(run_of_teachers)(names, *item, seed, max_train) for item in sets.items() for seed in seeds]
    runs = pd.DataFrame()
    for done, rows in enumerate(Parallel(jobs, return_as="generator_unordered")(cells), 1):
        runs = pd.concat([runs, pd.DataFrame(rows)])
        if csv:
            runs.to_csv(csv, index=False)
        print(f"{done} of {len(cells)}: {rows[0]['set']}, seed {rows[0]['seed']}", flush=True)
    return runs


def table_of_teachers(runs):
    """Print a line a set and teacher, means over seeds, with the ratio of auto to alone, and a line a teacher."""
    means = runs.groupby(["set", "teacher"])[["alone", "0.5", "auto", "0.5, s", "auto, s"]].mean()
    ratios = means[["0.5", "auto"]].div(means["alone"], axis=0)
    times = means["auto, s"] / means["0.5, s"]
    print(means[["alone", "0.5", "auto"]].assign(ratio=ratios["auto"], time=times).round(4).to_string())
    for teacher, rows in ratios.groupby("teacher"):
        for weight, values in rows.items():
            print(f"{teacher}, {weight}: {np.exp(np.log(values).mean()):.3f} (worst set {values.max():.2f})", end="; ")
        took = times[rows.index]
        print(f"time {np.exp(np.log(took).mean()):.2f} (longest {took.max():.2f})")


@contextlib.contextmanager
def one_thread():
    """Run on one thread and without warnings, in whatever process."""
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        yield


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--max-train", type=int, default=3000, help="largest number of training rows")
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, help="what these teachers do to a default student")
    parser.add_argument("--jobs", type=int, default=1, help="number of processes, with --teachers")
    parser.add_argument("--csv", help="file for the runs with --teachers, a line for each set, seed and teacher")
    parser.add_argument("--read", nargs="+", help="print the table of these files of --csv instead")
    args = parser.parse_args()
    if args.read:
        table_of_teachers(pd.concat(map(pd.read_csv, args.read)))
        return
    sets = chosen_sets(args)
    n_seeds, max_train = (1, 300) if args.quick else (args.seeds, args.max_train)
    if args.teachers:
        seeds = range(args.first_seed, args.first_seed + n_seeds)
        table_of_teachers(runs_of_teachers(args.teachers, sets, seeds, max_train, args.jobs, args.csv))
        return
    with one_thread():
        summary(table(sets, n_seeds, max_train))


if __name__ == "__main__":
    main()
