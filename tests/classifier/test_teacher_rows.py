"""Which rows a teacher is heard on: all of them, or those without a label only."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import Distiller, KLNet


def softmax(X):
    logits = np.asarray(X)[:, :3]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


class Listening:
    """A function from rows to probabilities that remembers the rows."""

    def __init__(self):
        self.seen = []

    def __call__(self, X):
        self.seen.append(np.asarray(X))
        return softmax(X)


@pytest.fixture
def taught(quick):
    def make(**params):
        steady = {"distill_rows": "unlabeled", "augment": None, "early_stopping": False, "dropout": 0.0}
        return quick(**{**steady, "teacher": softmax, **params})

    return make


@pytest.fixture
def never_trained(monkeypatch):
    """Fail if training begins."""

    def trained(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(KLNet, "train_step", trained)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_loss_of_each_row_by_hand(taught, table, trained_on, alpha):
    X, y = table
    more = X[:30] + 1
    net = taught(distill_weight=alpha, dtype="float64").fit(X, y, X_unlabeled=more).net_
    (batch,) = trained_on[0].split([0, 150])
    terms = {name: values.detach().numpy() for name, values in net.loss_terms(net.module_(batch[0]), batch).items()}
    log_q = net.module_(batch[0]).log_softmax(-1).detach().numpy()
    p = softmax(more)
    np.testing.assert_allclose(terms["data_fit"], np.r_[-log_q[np.arange(120), y], np.zeros(30)], rtol=1e-9)
    divergence = (p * (np.log(p) - log_q[120:])).sum(1)
    np.testing.assert_allclose(terms["distillation"], np.r_[np.zeros(120), alpha * divergence], rtol=1e-6, atol=1e-12)


def test_labels_count_even_if_the_teacher_has_all_the_weight(taught, table):
    X, y = table
    clf = taught(distill_weight=1.0, max_epochs=40, weight_decay=0.0)
    assert clf.fit(X, y, X_unlabeled=X[:30] + 10).score(X, y) > 0.8
    assert clone(clf).set_params(distill_rows="all").fit(X, y, X_unlabeled=X[:30] + 10).score(X, y) < 0.5


@pytest.mark.parametrize("augment", [None, "munge"])
def test_the_teacher_is_asked_about_rows_without_a_label_only(taught, table, augment):
    X, y = table
    teacher = Listening()
    factor = {} if augment is None else {"augment_factor": 2}
    taught(teacher=teacher, augment=augment, **factor).fit(X, y, X_unlabeled=X[:9] + 100)
    assert [len(rows) for rows in teacher.seen] == ([9] if augment is None else [9, 18])
    assert all(rows.min() > 50 for rows in teacher.seen)


# Synthetic rows


@pytest.mark.parametrize("distill_rows", ["all", "unlabeled"])
def test_synthetic_rows_are_near_those_on_which_the_teacher_is_heard(taught, table, trained_on, distill_rows):
    X, y = table
    clf = taught(distill_rows=distill_rows, distill_weight=0.5, augment="auto", augment_factor=3)
    clf.fit(X, y, X_unlabeled=X[:20] + 100)
    clf.fit(X, y)
    rows = trained_on[0].X.numpy()
    assert (rows[140:] > 50).all() == (distill_rows == "unlabeled")
    assert [len(rows) for rows in trained_on] == [140 + 3 * (20 if distill_rows == "unlabeled" else 120), 480]
    assert np.abs(trained_on[1].X.numpy()).max() < 10


def test_synthetic_rows_of_a_frame(taught, table, trained_on):
    X, y = pd.DataFrame(table[0], columns=list("abcde")), table[1]
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))  # warns about missing names, and warnings are errors here
    taught(teacher=teacher, augment="noise", augment_factor=2).fit(X, y, X_unlabeled=X[:10])
    assert len(trained_on[0]) == 150


def test_sparse_rows_have_no_neighbours(taught, table, trained_on):
    X, y = table
    more = sparse.csr_array(X[:10])
    taught(teacher=LogisticRegression(), augment="auto").fit(X, y, X_unlabeled=more)
    assert len(trained_on[0]) == 130
    with pytest.raises(ValueError, match="'augment' parameter must be None for sparse X"):
        taught(teacher=LogisticRegression(), augment="munge").fit(X, y, X_unlabeled=more)


# Nothing to distil on


NOTHING = {
    "a teacher": ({}, {}),
    "an array": ({"teacher": None}, {"teacher_proba": np.full((120, 3), 1 / 3)}),
    "an array, which labels no synthetic rows": (
        {"teacher": None, "augment": "auto"},
        {"teacher_proba": np.full((120, 3), 1 / 3)},
    ),
    "generations": ({"teacher": None, "n_generations": 2}, {}),
    "without weight": ({"distill_weight": 0.0}, {}),
    "found weight": ({"distill_weight": "auto"}, {}),
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("case", NOTHING)
def test_without_such_rows_there_is_nothing_to_distil(taught, table, case):
    params, given = NOTHING[case]
    clf = taught(**params)
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="distill_rows='unlabeled' needs rows without a label: pass 'X_unlabeled'"):
        clf.fit(*table, **given)
    assert vars(clf) == before


@pytest.mark.usefixtures("never_trained")
def test_nor_are_there_neighbours_of_sparse_rows(taught, table):
    with pytest.raises(ValueError, match="augment='auto', which makes none here"):
        taught(teacher=LogisticRegression(), augment="auto").fit(sparse.csr_array(table[0]), table[1])


def test_without_a_teacher_it_means_nothing(taught, quick, table):
    X, y = table
    plain = quick(early_stopping=False, dropout=0.0).fit(X, y).predict_proba(X)
    with pytest.warns(UserWarning, match="'distill_rows' parameter of KLClassifier has no effect"):
        clf = taught(teacher=None).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), plain)


def test_one_row_of_weight_has_no_neighbours(taught, table):
    X, y = table
    clf = taught(augment="auto").fit(X, y, sample_weight=(np.arange(120) == 3).astype(float))
    assert "train_distillation" not in clf.history_[-1]


# With everything else


def test_several_labels(taught, table, trained_on):
    X, Y = table[0], np.eye(3, dtype=int)[table[1]]
    teacher = FrozenEstimator(MultiOutputClassifier(LogisticRegression()).fit(X, Y))
    net = taught(teacher=teacher, distill_weight=0.5).fit(X, Y, X_unlabeled=X[:9]).net_
    (batch,) = trained_on[0].split([0, 129])
    terms = net.loss_terms(net.module_(batch[0]), batch)
    assert (terms["distillation"][:120] == 0).all()
    assert (terms["distillation"][120:] > 0).all()
    assert (terms["data_fit"][120:] == 0).all()
    on = net.module_(batch[0])[:120].sigmoid().detach().numpy()
    by_hand = [log_loss(Y.ravel(), on.ravel()) * 3]
    np.testing.assert_allclose(terms["data_fit"][:120].mean().item(), by_hand, rtol=1e-5)


@pytest.mark.parametrize(
    "params",
    [
        {"teacher_cv": 3},
        {"calibrate_teacher": True},
        {"distill_weight": "auto"},
        {"n_generations": 2},
        {"early_stopping": True},
        {"distill_divergence": "js", "temperature": 2.0},
    ],
    ids=str,
)
def test_together_with(taught, table, params):
    X, y = table
    clf = taught(teacher=LogisticRegression(), augment="munge", augment_factor=1, **params).fit(X, y, X_unlabeled=X[:9])
    assert np.isfinite(clf.history_[:, "train_loss"]).all()


def test_generations_hear_the_one_before_on_the_same_rows(taught, table, trained_on):
    X, y = table
    net = taught(n_generations=2).fit(X, y, X_unlabeled=X[:9] + 1).net_
    (batch,) = trained_on[1].split([0, 129])
    terms = net.loss_terms(net.module_(batch[0]), batch)
    assert ((terms["distillation"] != 0).numpy() == (np.arange(129) >= 120)).all()


def test_a_stream(taught, table):
    X, y = table
    clf = taught(augment="munge", max_epochs=100)  # the default, as a stream has none
    clf.partial_fit(X, y, classes=range(3)).partial_fit(X[:9], y[:9])
    assert clf.history_[-1]["train_distillation"] > 0


@pytest.mark.parametrize("policy", ["union", "closed"])
def test_classes_the_student_alone_knows(taught, table, policy):
    """Old rows without a label keep the old classes apart from each other, a closed teacher also from the new."""
    X, y = table
    old, new = y < 2, y == 2
    before = FrozenEstimator(LogisticRegression().fit(X[old], y[old]))
    clf = taught(teacher=before, teacher_classes=policy, distill_weight=1.0, max_epochs=60)
    proba = clf.fit(X[new], y[new], X_unlabeled=X[old]).predict_proba(X)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert (proba[old, :2].argmax(1) == y[old]).mean() > 0.9
    assert (proba[new].argmax(1) == 2).mean() > 0.7
    recalled = (proba[old].argmax(1) == y[old]).mean()
    assert recalled > 0.8 if policy == "closed" else recalled < 0.2


def test_it_is_searched(taught, table):
    X, y = table
    student = taught(augment="munge", augment_factor=1)
    grid = {"distill_rows": ["all", "unlabeled"]}
    search = GridSearchCV(student, grid, cv=2, scoring="neg_log_loss", refit=False).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]
    assert clone(student).get_params()["distill_rows"] == "unlabeled"


@pytest.mark.parametrize("transformed", [True, False])
def test_a_pipeline_transforms_them_if_it_is_told_to(taught, table, transformed):
    X, y = table
    teacher = Listening()
    with config_context(enable_metadata_routing=True):
        student = taught(teacher=teacher).set_fit_request(X_unlabeled=True)
        steps = [("scale", StandardScaler(with_std=False)), ("student", student)]
        model = Pipeline(steps, transform_input=["X_unlabeled"] if transformed else None)
        model.fit(X + 100, y, X_unlabeled=X[:7] + 100)
    assert (teacher.seen[0].max() < 50) == transformed


@pytest.mark.parametrize(("n_rows", "passed"), [(119, 119), (120, 80)])
def test_folds_cut_what_is_exactly_as_long_as_x(taught, table, n_rows, passed):
    """scikit-learn tells what belongs to rows by its length; the user guide says so."""
    X, y = table
    seen = []

    def teacher(X):  # clones share it
        seen.append(len(X))
        return softmax(X)

    with config_context(enable_metadata_routing=True):
        student = taught(teacher=teacher).set_fit_request(X_unlabeled=True)
        cross_validate(student, X, y, cv=3, params={"X_unlabeled": X[:n_rows]})
    assert seen == 3 * [passed]


def test_a_distiller_compares_with_a_student_without_a_teacher(taught, table):
    X, y = table
    student = make_pipeline(StandardScaler(), taught(teacher=None, n_generations=2))
    model = Distiller(student, LogisticRegression(), random_state=0).fit(X, y, X_unlabeled=X[:30])
    assert set(model.report_) == {"teacher", "student", "student without teacher"}
