"""``distill_weight="auto"``: a teacher is weighed by rows that it has not seen, and does no harm."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sklkl import KLClassifier, KLNet
from sklkl.data import Batches


@pytest.fixture
def student():
    """Return ``student(**params)``: a classifier that takes a second to learn something."""

    def make(**params):
        own = {"hidden_layer_sizes": (16,), "max_epochs": 20, "random_state": 0, "device": "cpu"}
        makes_rows = params.get("teacher") is not None and params.get("augment", True) is not None
        return KLClassifier(**{**own, **({"augment_factor": 2} if makes_rows else {}), **params})

    return make


@pytest.fixture
def trainings(monkeypatch):
    """Every net that was trained, and on what."""
    seen, train = [], KLNet.train_on

    def watched(net, data, *args, **kwargs):
        seen.append((net, data))
        return train(net, data, *args, **kwargs)

    monkeypatch.setattr(KLNet, "train_on", watched)
    return seen


def sums(n_rows=400, seed=0):
    """Rows whose class a linear model knows and a stump does not, some labels wrong."""
    random = np.random.RandomState(seed)
    X = random.randn(n_rows, 6)
    return X, (X.sum(1) + 0.5 * random.randn(n_rows) > 0).astype(int)


def noisy(n_rows=300, seed=0):
    """Rows of many columns and labels that are often wrong, on which a network learns too much by heart."""
    random = np.random.RandomState(seed)
    X = random.randn(n_rows, 20)
    y = (X[:, :4].sum(1) > 0).astype(int)
    return X, np.where(random.uniform(size=n_rows) < 0.2, 1 - y, y)


def uniform(X):
    return np.full((len(X), 2), 0.5)


def turned(y, share=0.3):
    """Labels of which a share are wrong."""
    return np.where(np.random.RandomState(1).uniform(size=len(y)) < share, 1 - y, y)


def memorising(X, y, wrong=0.3):
    """A teacher that knows by heart what it was told, a part of it wrong."""
    return FrozenEstimator(KNeighborsClassifier(1).fit(X, turned(y, wrong)))


class Misled(LogisticRegression):
    """A good teacher for new rows; of those that it was fitted to it knows labels by heart, a third of them wrong."""

    def fit(self, X, y):
        self.known_ = KNeighborsClassifier(1).fit(X, turned(y))
        return super().fit(X, y)

    def predict_proba(self, X):
        known = self.known_.kneighbors(X, 1)[0] == 0
        return np.where(known, self.known_.predict_proba(X), super().predict_proba(X))


STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)
USELESS = {"stump": lambda X, y: STUMP, "uniform": lambda X, y: uniform, "memorising": memorising}


@pytest.mark.parametrize(
    ("kind", "early_stopping"), [*((kind, "auto") for kind in USELESS), ("memorising", True), ("memorising", False)]
)
def test_without_any_worth_the_student_is_that_of_labels_alone(student, once, kind, early_stopping):
    X, y = sums()
    params = {"early_stopping": early_stopping, "max_epochs": 10, "random_state": 4}
    clf = student(teacher=USELESS[kind](X, y), **params).fit(X, y)
    alone = once(early_stopping, lambda: student(**params).fit(X, y))
    assert clf.distill_weight_ == 0
    assert np.array_equal(clf.predict_proba(X), alone.predict_proba(X))


def test_labels_that_the_teacher_knows_by_heart_are_no_worth(student):
    """A frozen teacher knows the rows set aside as well, so its own log-loss there is 0; its student tells."""
    random = np.random.RandomState(0)
    X, y = random.randn(400, 6), random.randint(2, size=400)
    knows = FrozenEstimator(KNeighborsClassifier(1).fit(X, y))
    new = random.randn(2000, 6)
    losses = [
        log_loss(random.randint(2, size=2000), student(teacher=teacher, max_epochs=40).fit(X, y).predict_proba(new))
        for teacher in (knows, None)
    ]
    assert losses[0] < 1.03 * losses[1]


@pytest.mark.parametrize("teacher", [LogisticRegression(C=0.01), "frozen"], ids=str)
def test_a_good_teacher_has_a_share_and_helps(student, once, teacher):
    X, y = noisy()
    teacher = FrozenEstimator(LogisticRegression().fit(*noisy(5000, seed=1))) if teacher == "frozen" else teacher
    clf = student(teacher=teacher).fit(X, y)
    assert 0 < clf.distill_weight_ <= 0.5
    test = once("test", lambda: noisy(5000, seed=2))
    alone = once("alone", lambda: student().fit(X, y))
    assert log_loss(test[1], clf.predict_proba(test[0])) < log_loss(test[1], alone.predict_proba(test[0]))


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_a_teacher_is_not_heard_that_is_worse_on_the_rows_it_was_fitted_to(student, once, teacher_cv):
    """They are not those that show what it is worth, and it is these that it would teach."""
    X, y = noisy()
    params = {"max_epochs": 10, "random_state": 4}
    clf = student(teacher=Misled(C=0.01), teacher_cv=teacher_cv, **params).fit(X, y)
    alone = once("alone for 10 epochs", lambda: student(**params).fit(X, y))
    assert clf.distill_weight_ == 0
    assert np.array_equal(clf.predict_proba(X), alone.predict_proba(X))


def test_it_is_heard_where_it_is_not_asked_about_these_rows(student):
    X, y = noisy()
    clf = student(teacher=Misled(C=0.01), teacher_cv=3, augment=None, max_epochs=10)
    assert clf.fit(X, y).distill_weight_ > 0


# What is compared is what is trained


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_labels_alone_are_compared_as_they_are_trained(student, trainings, early_stopping):
    X, y = sums()
    student(teacher=STUMP, early_stopping=early_stopping, calibrate=False, max_epochs=10).fit(X, y)
    (compared, part), (final, whole) = trainings
    assert np.array_equal(part.train.X, whole.train.X)
    assert np.array_equal(part.valid.X, whole.valid.X)
    assert compared.distill_weight == final.distill_weight == 0
    assert np.array_equal(compared.predict_proba(X.astype("float32")), final.predict_proba(X.astype("float32")))


def test_few_rows_do_not_both_stop_the_labels_alone_and_judge(student, trainings):
    X, y = sums()
    student(teacher=STUMP, hidden_layer_sizes=(8,), max_epochs=1).fit(X[:100], y[:100])
    part = trainings[0][1]
    learned, aside = ({tuple(row) for row in rows.X.tolist()} for rows in (part.train, part.valid))
    assert learned.isdisjoint(aside)
    assert (len(learned), len(aside)) == (72, 13)  # 15 of the 100 judge


def test_what_is_set_aside_to_judge_says_nothing_of_classes(student):
    """Where one of the two rows of a class judges, the other is alone in what is split further."""
    X, y = sums(100)[0], np.maximum(np.arange(100) // 2 - 24, 0)
    student(teacher=STUMP, early_stopping=True, max_epochs=1).fit(X, y)


def test_a_ready_teacher_that_is_no_use_itself_needs_no_student_to_tell(student, trainings):
    """It may know the rows set aside, and is not better there than labels alone even so."""
    X, y = sums()
    assert student(teacher=memorising(X, y, wrong=0.5), max_epochs=10).fit(X, y).distill_weight_ == 0
    assert len(trainings) == 2


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_a_student_is_compared_as_it_is_trained(student, once, trainings, early_stopping):
    X, y = sums()
    frozen = once("frozen", lambda: FrozenEstimator(LogisticRegression().fit(*sums(5000, seed=1))))
    student(teacher=frozen, early_stopping=early_stopping).fit(X, y)
    _, (compared, part), (final, whole) = trainings
    assert (part.valid is None) == (whole.valid is None) == (early_stopping is not True)
    assert compared.max_epochs == final.max_epochs == len(compared.history) == len(final.history)
    assert compared.distill_weight == final.distill_weight == 0.5
    assert len(whole.train) == (3 * 340 if early_stopping is True else 3 * 400)
    assert len(part.train) == 3 * 340


def test_the_rest_of_the_soft_targets_is_that_of_the_network_compared(student, trainings, monkeypatch):
    monkeypatch.setattr("sklkl._fit.training_set.best_share", lambda *args: 0.25)
    monkeypatch.setattr("sklkl._fit.training_set.clearly_loses", lambda *args: False)
    X, y = sums()
    clf = student(teacher=STUMP, calibrate_teacher=False, augment=None, max_epochs=6).fit(X, y)
    assert clf.distill_weight_ == 0.25 * 0.5
    (alone, _), _, (_, data) = trainings
    expected = 0.75 * alone.predict_proba(data.train) + 0.25 * clone(STUMP).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(data.train.columns["teacher_proba"], expected, rtol=1e-5)


def test_a_student_that_is_worse_than_the_labels_alone_is_not_wanted(student, trainings, monkeypatch):
    """Whatever share the teacher has in the best mixture of probabilities."""
    monkeypatch.setattr("sklkl._fit.training_set.best_share", lambda *args: 0.9)
    monkeypatch.setattr("sklkl._fit.training_set.clearly_worse", lambda *args: False)
    X, y = sums()
    clf = student(teacher=DummyClassifier(strategy="uniform"), augment=None, max_epochs=10).fit(X, y)
    assert clf.distill_weight_ == 0
    assert len(trainings) == 3
    assert np.array_equal(clf.predict_proba(X), student(max_epochs=10).fit(X, y).predict_proba(X))


# Where there is nothing to compare


@pytest.mark.parametrize("params", [{"distill_rows": "unlabeled"}, {"teacher_classes": "union"}], ids=str)
def test_a_teacher_of_other_rows_or_classes_is_not_weighed(student, trainings, params):
    X, y = sums()
    clf = student(teacher=uniform, max_epochs=2, **params).fit(X, y)
    assert clf.distill_weight_ == 0.5
    assert len(trainings) == 1


def test_where_no_row_can_be_set_aside_it_is_not_weighed(student, trainings):
    clf = student(teacher=uniform, max_epochs=2).fit(np.eye(2), [0, 1])
    assert clf.distill_weight_ == 0.5
    assert len(trainings) == 1


def test_a_number_is_what_it_was(student, trainings):
    X, y = sums()
    assert student(teacher=STUMP, distill_weight=0.5, max_epochs=2).fit(X, y).distill_weight_ == 0.5
    assert len(trainings) == 1


# How much the labels count, and the weights of the rows


@pytest.mark.parametrize(("augment_factor", "n_unlabeled"), [(1, 0), (5, 0), (5, 300)])
def test_each_row_counts_the_same_whether_it_has_a_label_or_not(student, trainings, augment_factor, n_unlabeled):
    X, y = sums(100)
    more = sums(n_unlabeled, seed=1)[0] if n_unlabeled else None
    clf = student(teacher=STUMP, distill_weight=0.4, augment_factor=augment_factor, max_epochs=1)
    clf.fit(X, y, X_unlabeled=more)
    (net, data), rows = trainings[0], 100 + n_unlabeled + 100 * augment_factor
    (batch,) = Batches(data.train, rows)
    assert len(batch[0]) == rows
    with torch.no_grad():
        fit = net.loss_terms(net.module_(batch[0]), batch)["data_fit"].mean()
        alone = torch.nn.functional.cross_entropy(net.module_(batch[0][:100]), batch[1][:100])
    torch.testing.assert_close(fit, 0.6 * 100 / rows * alone)


@pytest.mark.parametrize("teacher_cv", [None, 3])
@pytest.mark.parametrize("by_class", [False, True])
def test_calibration_learns_with_the_weights(student, trainings, teacher_cv, by_class):
    """Rows without information, which weigh next to nothing, leave the soft targets of the others as they are."""
    X, y = sums(600)
    noise = np.arange(600) % 2 == 1
    X[noise], y[noise] = -X[noise], y[noise] + 2 * by_class
    clf = student(teacher=LogisticRegression(), teacher_cv=teacher_cv, calibrate_teacher=True, augment=None)
    clf.set_params(distill_weight=0.5, max_epochs=1)
    weight = {"class_weight": {0: 1.0, 1: 1.0, 2: 1e-6, 3: 1e-6}} if by_class else {}
    clf.set_params(**weight).fit(X, y, None if by_class else np.where(noise, 1e-6, 1.0))
    found = trainings[0][1].train.columns["teacher_proba"][~noise]
    clf.set_params(class_weight=None).fit(X[~noise], y[~noise])
    expected = trainings[1][1].train.columns["teacher_proba"]
    np.testing.assert_allclose(found[:, :2], expected, atol=0.1)
