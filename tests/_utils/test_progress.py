import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklkl import Distiller, KLClassifier
from sklkl._utils.progress import current_fit
from sklkl.drift import DriftDetector
from sklkl.model_selection import StackedGridSearchCV

needs_callbacks = pytest.mark.skipif(not hasattr(KLClassifier, "set_callbacks"), reason="scikit-learn before 1.9")

X = np.random.RandomState(0).randn(60, 3)
y = (X[:, 0] > 0).astype(int)


class Recorder:
    """A callback of scikit-learn that writes down what it is told."""

    max_propagation_depth = None

    def __init__(self, stops_after=None):
        self.told, self.stops_after = [], stops_after

    def setup(self, estimator, context):
        self.told.append(("setup", type(estimator).__name__))

    def teardown(self, estimator, context):
        self.told.append(("teardown", type(estimator).__name__))

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.told.append(("end", context.task_name))
        return context.task_name == "epoch" and self.count("end", "epoch") == self.stops_after

    def count(self, *event):
        return Counter(self.told)[event]


def classifier(**params):
    return KLClassifier(**{"hidden_layer_sizes": 4, "max_epochs": 3, "random_state": 0, **params})


@needs_callbacks
def test_epochs_are_tasks_and_the_training_is_the_same():
    recorder = Recorder()
    clf = classifier().set_callbacks(recorder).fit(X, y)
    assert recorder.told[:3] == [("setup", "KLClassifier"), ("begin", "fit"), ("begin", "training")]
    assert recorder.told[3:9] == [("begin", "epoch"), ("end", "epoch")] * 3
    assert recorder.told[9:] == [("end", "training"), ("end", "fit"), ("teardown", "KLClassifier")]
    assert clf.net_.why_autograd_ is None
    np.testing.assert_allclose(clf.predict_proba(X), classifier().fit(X, y).predict_proba(X), rtol=1e-6)
    assert pickle.loads(pickle.dumps(clf.net_)).history[-1, "epoch"] == 3
    assert current_fit.get() is None


@needs_callbacks
def test_a_callback_may_end_a_training():
    clf = classifier().set_callbacks(Recorder(stops_after=2)).fit(X, y)
    assert clf.n_iter_ == 2


@needs_callbacks
def test_callbacks_are_torn_down_after_an_error():
    recorder = Recorder()
    with pytest.raises(ValueError, match="max_epochs"):
        classifier(max_epochs=0).set_callbacks(recorder).fit(X, y)
    assert recorder.told[-1] == ("teardown", "KLClassifier")
    assert current_fit.get() is None


@needs_callbacks
@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
def test_a_search_sees_the_epochs_of_its_candidates(kind):
    recorder = Recorder()
    kind(classifier(), {"kl_strength": [0, 0.1]}, cv=2).set_callbacks(recorder).fit(X, y)
    assert recorder.count("begin", "fit") == recorder.count("end", "fit") >= 1
    assert recorder.count("begin", "training") == recorder.count("end", "training") == 5
    assert recorder.count("begin", "epoch") == recorder.count("end", "epoch") == 15


@needs_callbacks
def test_members_and_a_teacher_are_tasks_of_their_student():
    recorder = Recorder()
    clf = classifier(n_members=2, teacher=LogisticRegression(), distill_weight=0.5).set_callbacks(recorder)
    clf.fit(X, y)
    assert recorder.count("end", "training") == 2
    assert recorder.count("end", "teacher LogisticRegression") >= 1


@needs_callbacks
def test_a_distiller_has_callbacks_too():
    recorder = Recorder()
    Distiller(classifier(), LogisticRegression(), report_fraction=None).set_callbacks(recorder).fit(X, y)
    assert recorder.count("end", "all rows") == 1
    assert recorder.count("end", "epoch") >= 3


def test_verbose_names_a_teacher(capsys):
    classifier(teacher=LogisticRegression(), verbose=1).fit(X, y)
    told = capsys.readouterr().err
    assert "[KLClassifier] teacher LogisticRegression: " in told
    assert "3/3" in told


def test_verbose_distiller(capsys):
    Distiller(classifier(), LogisticRegression(), random_state=0, verbose=1).fit(X, y)
    told = capsys.readouterr().err
    assert [
        name for name in ("report", "report: student without teacher", "all rows") if f"] {name}: " not in told
    ] == []


def test_verbose_detector(capsys):
    DriftDetector(random_state=0, verbose=1).fit(X).detect(X[:30])
    assert "3/3" in capsys.readouterr().err


def test_others_are_silent(capsys):
    Distiller(classifier(), LogisticRegression(), random_state=0).fit(X, y)
    DriftDetector(random_state=0).fit(X).detect(X[:30])
    assert capsys.readouterr() == ("", "")
