"""A small student network beside its teacher: log-loss, accuracy, time per row and size on real data sets.

The teacher is the soft vote of a random forest, extra trees and histogram boosting, each with its default parameters.
The students are networks of one size: one is trained on hard labels with default parameters, the other on the teacher's
probabilities. Sets and preprocessing are those of ``quality.py``. Times are processor time on one thread, for float32
rows, which suit trees and networks alike.

    python examples/benchmarks/distillation.py --data FOLDER
    python examples/benchmarks/distillation.py --openml credit-g phoneme segment
    python examples/benchmarks/distillation.py --quick      # two sets that scikit-learn ships, one seed

With ``--teachers`` it asks instead what a teacher of unknown worth does to a student with default parameters: the
ensemble above (``good``), a tree of depth 3, naive Bayes, or a forest that comes ready and was fitted to labels of
which 30 % had been drawn anew (``flipped``). It prints the student's log-loss relative to that of the same network
without a teacher, with ``distill_weight="auto"`` and 0.5, and the time of a fit relative to that with 0.5.

    python examples/benchmarks/distillation.py --data FOLDER --teachers good tree bayes flipped --max-train 1000
"""

import pickle
import statistics
import time
import warnings

import numpy as np
import torch
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


def flipped_forest(X, y, seed):
    """Return a forest fitted to labels of which 30 % were drawn anew; each class keeps a row."""
    rng = np.random.RandomState(seed)
    classes, first = np.unique(y, return_index=True)
    drawn = rng.rand(len(y)) < 0.3
    drawn[first] = False
    labels = np.where(drawn, rng.choice(classes, size=len(y)), y)
    return FrozenEstimator(RandomForestClassifier(random_state=seed).fit(X, labels))


TEACHERS = {
    "good": lambda X, y, seed: ensemble(seed),
    "tree": lambda X, y, seed: DecisionTreeClassifier(max_depth=3, random_state=seed),
    "bayes": lambda X, y, seed: GaussianNB(),
    "flipped": flipped_forest,
}


def fitted_loss(classifier, X_train, X_test, y_train, y_test):
    """Return the test log-loss, and the processor seconds of the fit."""
    start = time.process_time()
    classifier.fit(X_train, y_train)
    seconds = time.process_time() - start
    return log_loss(y_test, classifier.predict_proba(X_test), labels=classifier.classes_), seconds


def run_of_teachers(names, load, seed, max_train):
    """Return an array (teacher, figure) of one split: log-losses without, with 0.5 and with auto, and seconds."""
    X_train, X_test, y_train, y_test = prepared(load, seed, max_train)
    data = (X_train.astype(np.float32), X_test.astype(np.float32), y_train, y_test)
    alone = KLClassifier(hidden_layer_sizes=(128, 128), device="cpu", random_state=seed)
    without, _ = fitted_loss(clone(alone), *data)
    rows = []
    for name in names:
        taught = clone(alone).set_params(teacher=TEACHERS[name](data[0], y_train, seed))
        half, auto = (fitted_loss(clone(taught).set_params(distill_weight=weight), *data) for weight in (0.5, "auto"))
        rows.append([without, half[0], auto[0], half[1], auto[1]])
    return np.array(rows)


def table_of_teachers(names, sets, seeds, max_train):
    """Print a line a set and teacher, means over seeds, and a line a teacher."""
    print(f"{'set':16s} {'teacher':8s} labels alone {'0.5':>8s} {'auto':>8s}  ratio, auto   time")
    means = []
    for name, load in sets.items():
        means.append(np.mean([run_of_teachers(names, load, seed, max_train) for seed in range(seeds)], axis=0))
        for teacher, (without, half, auto, once, seconds) in zip(names, means[-1], strict=True):
            losses = f"{without:12.4f} {half:8.4f} {auto:8.4f} {auto / without:12.3f}"
            print(f"{name:16s} {teacher:8s} {losses} {seconds / once:6.2f}", flush=True)
    for teacher, values in zip(names, np.moveaxis(means, 1, 0), strict=True):
        for weight, column in [("0.5", 1), ("auto", 2)]:
            ratios = values[:, column] / values[:, 0]
            print(f"{teacher}, {weight}: {np.exp(np.log(ratios).mean()):.3f} (worst set {ratios.max():.2f})", end="; ")
        times = values[:, 4] / values[:, 3]
        print(f"time {np.exp(np.log(times).mean()):.2f} (longest {times.max():.2f})")


def main():
    parser = set_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-train", type=int, default=3000, help="largest number of training rows")
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, help="what these teachers do to a default student")
    args = parser.parse_args()
    sets = chosen_sets(args)
    seeds, max_train = (1, 300) if args.quick else (args.seeds, args.max_train)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        if args.teachers:
            table_of_teachers(args.teachers, sets, seeds, max_train)
        else:
            summary(table(sets, seeds, max_train))


if __name__ == "__main__":
    main()
