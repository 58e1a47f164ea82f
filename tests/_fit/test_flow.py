"""The way from a user's arguments to a training: few moves between files, and no room is entered for nothing."""

import os
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB

import sklkl
from sklkl import KLClassifier, KLNet

PACKAGE = str(Path(sklkl.__file__).parent) + os.sep

X = np.random.RandomState(0).randn(300, 4)
Y = (X[:, 0] > 0).astype(int)
TEACHER = GaussianNB().fit(X, Y)

pytestmark = pytest.mark.skipif(
    sys.getprofile() is not None or sys.gettrace() is not None, reason="another profiler or a measure of coverage is on"
)


class HasArrived(Exception):
    """Training is about to begin."""


@pytest.fixture
def never_trains(monkeypatch):
    """End every fit where its first training would begin."""

    def arrive(*args, **kwargs):
        raise HasArrived

    monkeypatch.setattr(KLNet, "get_split_datasets", arrive)


def files_entered(fit):
    """Return the files of the package whose functions a fit called, in order, until it ended or training began."""
    names = []

    def note(frame, event, arg):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            names.append(frame.f_code.co_filename.removeprefix(PACKAGE).replace(os.sep, "/"))
        elif event == "call" and frame.f_code.co_name == "arrive":
            sys.setprofile(None)

    sys.setprofile(note)
    try:
        fit()
    except HasArrived:
        pass
    finally:
        sys.setprofile(None)
    return [name for name, _ in groupby(names)]


def fit_of(teacher_proba=None, **params):
    clf = KLClassifier(max_epochs=1, random_state=0, device="cpu", **params)
    return lambda: clf.fit(X, Y, teacher_proba=teacher_proba)


FROZEN = {"teacher": FrozenEstimator(TEACHER), "augment": None}


@pytest.mark.parametrize(
    ("most", "params"),
    [
        (30, {}),
        (39, {"teacher_proba": TEACHER.predict_proba(X)}),
        (41, {"teacher_proba": TEACHER.predict_proba(X), "distill_weight": 0.5}),
        (41, FROZEN),
        (43, {**FROZEN, "distill_weight": 0.5}),
    ],
    ids=["labels", "teacher_proba", "teacher_proba of a weight", "frozen", "frozen of a weight"],
)
def test_the_way_to_a_training_moves_little_between_files(never_trains, most, params):
    files_entered(fit_of(**params))  # whatever is imported where it is needed
    moves = len(files_entered(fit_of(**params))) - 1
    assert 20 < moves <= most


def test_labels_alone_enter_nothing_that_is_for_teachers():
    entered = set(files_entered(fit_of()))
    assert {"classifier.py", "_fit/fitting.py", "net/_loop.py"} < entered
    others = {"_fit/soft_targets.py", "_fit/teaching.py", "_fit/teacher_share.py", "_fit/weights.py"}
    others |= {"_fit/validation_rows.py", "_fit/monitors.py", "_fit/starting_weights.py"}
    assert not entered & others
    assert not [name for name in entered if name.startswith("distillation/")]
