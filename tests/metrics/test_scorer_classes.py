"""Columns and classes: folds that lack one, kinds of labels, wrappers, estimators without the usual attributes."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.metrics import DivergenceScorer, get_scorer, mean_kl_divergence

from . import oracles

KL = get_scorer("neg_mean_kl")
KINDS = {
    "text": np.array(["setosa", "versicolor", "virginica"]),
    "objects": np.array(["x", "ä", "long name"], dtype=object),
    "gaps": np.array([-7, 3, 1000]),
    "floats": np.array([0.0, 1.0, 5.0]),
}


@pytest.fixture
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def model(iris):
    return GaussianNB().fit(*iris)


class Scripted(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are its input."""

    def __init__(self, classes=None):
        if classes is not None:
            self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X


class LogOnly(LogisticRegression):
    """One of those that give logarithms only."""

    @property
    def predict_proba(self):
        raise AttributeError("predict_proba")

    def predict_log_proba(self, X):
        return np.log(LogisticRegression.predict_proba.__get__(self)(X))


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_labels(iris, kind):
    X, codes = iris
    y = KINDS[kind][codes]
    model = GaussianNB().fit(X, y)
    expected = get_scorer("neg_mean_kl")(GaussianNB().fit(X, codes), X, codes)
    assert KL(model, X, y) == pytest.approx(expected, rel=1e-12)
    assert KL(model, X, pd.Series(y, index=range(5, 155))) == KL(model, X, y) == KL(model, X, y[:, None])
    assert KL(model, X, list(y)) == KL(model, X, y)


def test_boolean_labels(iris):
    X, codes = iris
    y = codes == 2
    model = GaussianNB().fit(X, y)
    assert KL(model, X, y) == pytest.approx(KL(GaussianNB().fit(X, y.astype(int)), X, y.astype(int)))
    assert KL(model, X, y.astype(int)) == KL(model, X, y)  # True == 1


WRAPPERS = {
    "pipeline": lambda model: make_pipeline(StandardScaler(), model),
    "search": lambda model: GridSearchCV(model, {"var_smoothing": [1e-9, 1e-3]}, scoring=KL),
    "calibrated": CalibratedClassifierCV,
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers(iris, wrap):
    X, codes = iris
    y = KINDS["text"][codes]
    model = wrap(GaussianNB()).fit(X, y)
    expected = -oracles.mean(oracles.kl(np.eye(3)[codes], model.predict_proba(X)))
    assert KL(model, X, y) == pytest.approx(expected, rel=1e-12)
    assert KL(FrozenEstimator(model), X, y) == KL(model, X, y)
    if hasattr(model, "best_estimator_"):
        assert KL(model.best_estimator_, X, y) == KL(model, X, y)


def test_a_class_that_the_fold_was_not_trained_on_has_probability_zero(iris):
    X, codes = iris
    y = KINDS["text"][codes]
    train = codes != 1
    model = GaussianNB().fit(X[train], y[train])
    assert KL(model, X, y) == -math.inf
    proba = np.insert(model.predict_proba(X), 1, 0.0, axis=1)
    for smoothing in (0.01, 0.5):
        truth, prediction = (oracles.smoothed(p, smoothing) for p in (np.eye(3)[codes], proba))
        found = get_scorer("neg_mean_kl", smoothing=smoothing)(model, X, y)
        assert found == pytest.approx(-oracles.kl(truth, prediction).mean(), rel=1e-12)
    js = get_scorer("neg_mean_js")(model, X, y)
    assert js == pytest.approx(-oracles.js(np.eye(3)[codes], proba).mean(), rel=1e-9)


def test_every_fold_lacks_a_class(iris):
    X, y = iris  # sorted: each fold tests a class that it has not seen
    with pytest.warns(RuntimeWarning, match="invalid value"), pytest.warns(UserWarning, match="non-finite"):
        search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}, scoring=KL, cv=KFold(3)).fit(X, y)
    assert search.best_score_ == -math.inf
    smooth = cross_val_score(GaussianNB(), X, y, scoring=get_scorer("neg_mean_kl", smoothing=0.1), cv=KFold(3))
    # certain and wrong among three classes
    assert smooth == pytest.approx(-0.9 * math.log((0.9 + 0.1 / 3) / (0.1 / 3)), rel=1e-3)


def test_a_fold_tests_some_classes_only(iris):
    X, y = iris
    folds = PredefinedSplit(np.where(np.arange(150) % 5 == 0, y, -1))
    scores = cross_val_score(GaussianNB(), X, y, scoring=KL, cv=folds)
    for score, (train, test) in zip(scores, folds.split(), strict=True):
        truth, proba = np.eye(3)[y[test]], GaussianNB().fit(X[train], y[train]).predict_proba(X[test])
        assert len(set(y[test])) == 1
        assert score == pytest.approx(-oracles.kl(truth, proba).mean(), rel=1e-9)
        assert math.isfinite(score)


def test_a_fold_trained_on_one_class(iris):
    X, y = iris
    model = GaussianNB().fit(X[y == 0], y[y == 0])
    assert KL(model, X[y == 1], y[y == 1]) == -math.inf
    assert get_scorer("neg_mean_kl", labels=[0, 1, 2])(model, X[y == 0], y[y == 0]) == 0
    with pytest.raises(ValueError, match=r"'labels' parameter.* must be .* two different.* Got \[0\] instead"):
        KL(model, X[y == 0], y[y == 0])


def test_labels_fix_the_share_of_smoothing():
    model, X = Scripted(np.array([0, 1])), np.array([[0.5, 0.5]] * 2)
    scorer = get_scorer("neg_mean_kl", smoothing=0.3, labels=[2, 1, 0])
    truth, proba = (oracles.smoothed(np.array(p), 0.3) for p in ([1.0, 0, 0], [0.5, 0.5, 0]))
    assert scorer(model, X, [0, 1]) == pytest.approx(-oracles.kl(truth, proba), rel=1e-12)


def test_classes_in_any_order():
    model, X = Scripted(np.array(["c", "a", "b"])), np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    expected = (math.log(0.3) + math.log(0.8)) / 2
    assert KL(model, X, ["a", "b"]) == pytest.approx(expected)
    assert get_scorer("neg_mean_kl", labels=["b", "c", "a"])(model, X, ["a", "b"]) == pytest.approx(expected)


def test_soft_labels(iris, model):
    X, y = iris
    soft = KNeighborsClassifier(10).fit(X, y).predict_proba(X)
    expected = -oracles.kl(soft, model.predict_proba(X)).mean()
    assert KL(model, X, soft) == pytest.approx(expected, rel=1e-9)
    turned = get_scorer("neg_mean_kl", labels=[2, 1, 0])
    assert turned(model, X, soft[:, ::-1]) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(
        ValueError, match=r"'y' .* of 3 columns, .* classes \[0, 1, 2\], or pass labels=.* Got 2 columns"
    ):
        KL(model, X, np.full((150, 2), 0.5))


def test_logarithms_only(iris):
    X, y = iris
    model, usual = LogOnly(max_iter=1000).fit(X, y), LogisticRegression(max_iter=1000).fit(X, y)
    assert not hasattr(model, "predict_proba")
    assert KL(model, X, y) == pytest.approx(KL(usual, X, y), rel=1e-9)


def test_one_column_of_two_classes():
    assert KL(Scripted(np.array(["no", "yes"])), np.array([0.8, 0.4]), ["yes", "no"]) == pytest.approx(
        math.log(0.8 * 0.6) / 2
    )


@pytest.mark.parametrize("model", [RidgeClassifier(), LinearRegression()])
def test_without_probabilities(iris, model):
    with pytest.raises(AttributeError, match="has none of the following attributes: predict_proba, predict_log_proba"):
        KL(model.fit(*iris), *iris)


def test_without_classes(iris):
    X, y = iris
    mixture = GaussianMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match="with classes_, or pass labels=.* Got a GaussianMixture without"):
        KL(mixture, X, y)
    expected = -mean_kl_divergence(y, mixture.predict_proba(X), labels=[1, 0, 2])
    assert get_scorer("neg_mean_kl", labels=[1, 0, 2])(mixture, X, y) == expected


def test_unknown_classes(model, iris):
    X, y = iris
    with pytest.raises(
        ValueError, match=r"'labels' parameter.* must be all classes, also \[2\].* Got \[0, 1\] instead"
    ):
        get_scorer("neg_mean_kl", labels=[0, 1])(model, X, y)
    with pytest.raises(ValueError, match=r"'y_true' .* labels among \[0, 1, 2\]\. Got the labels \[3\]"):
        get_scorer("neg_mean_kl", labels=[0, 1, 2])(model, X, np.where(y == 2, 3, y))
    with pytest.raises(ValueError, match="labels of the type of the estimator's classes"):
        KL(model, X, KINDS["text"][y])


TWO = np.array([[0, 1], [1, 1], [1, 0]] * 10)


def test_several_targets(iris, quick):
    X = iris[0][:30]
    ragged = np.column_stack([TWO[:, 0], np.arange(30) % 3])
    for model in (*(KNeighborsClassifier().fit(X, y) for y in (TWO, ragged)), quick().fit(X, TWO)):
        with pytest.raises(ValueError, match="multilabel"):
            KL(model, X, TWO)
        with pytest.raises(ValueError, match="multilabel"):
            KL(model, X, TWO[:, 0])
    with pytest.raises(ValueError, match=r"'y' parameter must be .*dense.* Got the shape \(\) instead"):
        KL(GaussianNB().fit(X, TWO[:, 0]), X, csr_matrix(TWO))
    with pytest.raises(ValueError, match="sum 2 in row 1"):
        KL(GaussianNB().fit(X, TWO[:, 0]), X, TWO)


def test_predictions_are_checked(model, iris):
    X, y = iris
    scripted = Scripted(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match="'y_proba' .* sum 3 in row 0"):
        KL(scripted, np.ones((150, 3)), y)
    with pytest.raises(ValueError, match=r"Got a Scripted of 3 classes that gives the shape \(150, 4\)"):
        KL(scripted, np.full((150, 4), 0.25), y)
    assert math.isnan(KL(scripted, np.full((150, 3), np.nan), y))
    with pytest.raises(ValueError, match="'y' parameter .* Got None instead"):
        KL(model, X)
    with pytest.raises(
        ValueError, match="'teacher_proba' parameter .* must be None, because the scorer compares with y"
    ):
        KL(model, X, y, teacher_proba=model.predict_proba(X))


def test_teachers_of_other_classes(iris):
    X, y = iris
    teacher = GaussianNB().fit(X, y).predict_proba(X)
    train = y != 1
    student = GaussianNB().fit(X[train], y[train])
    scorer = get_scorer("neg_teacher_js")
    with pytest.raises(
        ValueError, match=r"'teacher_proba' .* of 2 columns, .* \[0, 2\], or pass labels=.* Got 3 columns"
    ):
        scorer(student, X, y, teacher_proba=teacher)
    proba = np.insert(student.predict_proba(X), 1, 0.0, axis=1)
    found = get_scorer("neg_teacher_js", labels=[0, 1, 2])(student, X, y, teacher_proba=teacher)
    assert found == pytest.approx(-oracles.js(teacher, proba).mean(), rel=1e-9)
    # without y, and with one column for two classes
    assert scorer(student, X, teacher_proba=proba[:, [0, 2]]) == 0
    assert scorer(student, X, teacher_proba=proba[:, 2]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_named_columns_are_matched_by_name(iris, frame):
    X, codes = iris
    names = KINDS["text"]
    teacher = GaussianNB().fit(X, codes).predict_proba(X)
    named = frame({names[k]: teacher[:, k] for k in (2, 0, 1)})
    for student_classes in ([0, 1, 2], [0, 2]):
        train = np.isin(codes, student_classes)
        student = GaussianNB().fit(X[train], names[codes[train]])
        proba = np.zeros((150, 3))
        proba[:, student_classes] = student.predict_proba(X)
        expected = -oracles.js(teacher, proba).mean()
        for options in ({}, {"labels": names}, {"labels": names[::-1]}):
            found = get_scorer("neg_teacher_js", **options)(student, X, teacher_proba=named)
            assert found == pytest.approx(expected, rel=1e-9)
            assert get_scorer("neg_mean_js", **options)(student, X, named) == pytest.approx(expected, rel=1e-9)
    with pytest.raises(
        ValueError, match=r"'labels' parameter.* must be all classes, also \['virginica'\].* Got .* instead"
    ):
        get_scorer("neg_teacher_js", labels=names[:2])(student, X, teacher_proba=named)


def test_other_columns_count_by_position(iris):
    X, codes = iris
    y = codes + 1
    student = GaussianNB().fit(X, y)
    proba = student.predict_proba(X)
    for frame in (pd.DataFrame(proba), pd.DataFrame(proba, columns=list("abc")), pl.DataFrame(proba)):
        assert get_scorer("neg_teacher_kl")(student, X, y, teacher_proba=frame) == 0
    student = GaussianNB().fit(X, codes == 2)
    second = pd.DataFrame({True: student.predict_proba(X)[:, 1]})
    assert get_scorer("neg_teacher_kl")(student, X, teacher_proba=second) == pytest.approx(0, abs=1e-12)


def test_a_scorer_of_ones_own_metric(model, iris):
    X, y = iris

    def wrong(y_true, y_proba, *, sample_weight, labels):
        assert list(labels) == [0, 1, 2]
        return np.average(np.asarray(labels)[y_proba.argmax(1)] != y_true, weights=sample_weight)

    assert DivergenceScorer(wrong)(model, X, y) == pytest.approx(model.score(X, y) - 1)
    model = GaussianNB().fit(X[y > 0], y[y > 0])
    expected = np.array([1, 2, 0], dtype=object)
    assert DivergenceScorer(lambda t, p, *, sample_weight, labels: float((labels == expected).all()))(model, X, y) == -1


def test_a_frame_of_an_estimator_is_read_by_its_names():
    proba = pd.DataFrame([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], columns=["c", "b", "a"])
    for predicted in (proba, proba[["a", "b", "c"]].to_numpy(), pl.from_pandas(proba)):
        assert KL(Scripted(np.array(["a", "b", "c"])), predicted, ["a", "c"]) == pytest.approx(
            np.log(0.7 * 0.6) / 2, rel=1e-12
        )
