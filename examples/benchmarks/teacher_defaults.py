"""What the defaults around a teacher of a fixed weight are worth: test log-loss with some of them switched off.

A forest of 200 trees teaches a network of 128 units (at ``learning_rate="onecycle"``) on 400 rows of sets that
scikit-learn ships, with their labels and with 30 % of the training labels drawn anew at random.

    python examples/benchmarks/teacher_defaults.py          # about five minutes
    python examples/benchmarks/teacher_defaults.py --quick  # seconds, only to see that it runs
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklkl import KLClassifier

SETS = {"digits": load_digits, "breast_cancer": load_breast_cancer}
NEITHER = {"augment": None, "calibrate_teacher": False}
WAYS = {
    "labels only": None,
    "teacher, all defaults": {},
    "augment=None": {"augment": None},
    "calibrate_teacher=False": {"calibrate_teacher": False},
    "both": NEITHER,
    "both and early_stopping=True": {**NEITHER, "early_stopping": True},
    "all defaults, teacher_cv=5": {"teacher_cv": 5},
}


def noisy_split(load, noise, seed):
    """Return scaled X_train, X_test, y_train, y_test, a share of the training labels drawn anew."""
    X, y = load(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=400, stratify=y, random_state=seed)
    scaler, rng = StandardScaler().fit(X_train), np.random.RandomState(seed)
    y_train = np.where(rng.rand(400) < noise, rng.randint(y.max() + 1, size=400), y_train)
    return scaler.transform(X_train), scaler.transform(X_test), y_train, y_test


def loss(way, data, seed, epochs):
    """Return the test log-loss of one way to learn."""
    X_train, X_test, y_train, y_test = data
    teacher = None if WAYS[way] is None else RandomForestClassifier(200, random_state=seed)
    student = KLClassifier(
        hidden_layer_sizes=(128,), learning_rate="onecycle", max_epochs=epochs, teacher=teacher, device="cpu",
        distill_weight=0.5, random_state=seed, **(WAYS[way] or {}),
    )  # fmt: skip
    return log_loss(y_test, student.fit(X_train, y_train).predict_proba(X_test))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one split, two epochs")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    cases = [(name, noise) for name in SETS for noise in (0.0, 0.3)]
    splits = {case: [noisy_split(SETS[case[0]], case[1], seed) for seed in range(1 if quick else 5)] for case in cases}
    print(f"{'':30s}" + "".join(f"{name + (', noisy' if noise else ''):>22s}" for name, noise in cases))
    for way in WAYS:
        means = [
            np.mean([loss(way, data, seed, 2 if quick else 100) for seed, data in enumerate(splits[case])])
            for case in cases
        ]
        print(f"{way:30s}" + "".join(f"{mean:22.3f}" for mean in means), flush=True)


if __name__ == "__main__":
    main()
