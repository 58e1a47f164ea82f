"""Teachers that know other classes, give no probabilities or cannot work: an error before training, and no change."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from sklkl import KLNet

ABC = np.array(["a", "b", "c"])


@pytest.fixture
def lettered(table):
    """The table with the labels a, b and c."""
    return table[0], ABC[table[1]]


@pytest.fixture
def taught(quick):
    return lambda **params: quick(**{"distill_weight": 1.0, "augment": None, "early_stopping": False, **params})


@pytest.fixture
def never_trained(monkeypatch):
    """Fail if training begins."""

    def trained(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(KLNet, "train_step", trained)


def proba_of(n_rows=120, n_classes=3):
    return np.random.RandomState(0).dirichlet(np.ones(n_classes), size=n_rows)


def frozen(X, y):
    return FrozenEstimator(LogisticRegression().fit(X, y))


def refused(clf, match, *args, error=ValueError, **kwargs):
    """Check that fit raises, and leaves the estimator as it was."""
    before = dict(vars(clf))
    with pytest.raises(error, match=match):
        clf.fit(*args, **kwargs)
    assert vars(clf) == before


# Row 16: other classes


@pytest.mark.parametrize("columns", [[2, 0, 1], [2, 1, 0]], ids=str)
@pytest.mark.parametrize("container", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
@pytest.mark.parametrize("letters", [False, True])
def test_row_16_named_columns_of_another_order(taught, table, columns, container, letters):
    X, y = table
    y = ABC[y] if letters else y
    names = ABC if letters else np.arange(3)
    frame = pd.DataFrame(proba_of(), columns=names).iloc[:, columns]
    if not letters and columns == [2, 1, 0]:
        frame = pd.DataFrame(proba_of()).iloc[:, ::-1]  # a RangeIndex that runs backwards
    if container is pl.DataFrame:
        frame = pl.DataFrame(frame.to_numpy(), schema=[str(name) for name in frame.columns])
    expected = taught().fit(X, y, teacher_proba=proba_of()).predict_proba(X)
    assert np.array_equal(taught().fit(X, y, teacher_proba=frame).predict_proba(X), expected)


def test_row_16_a_teacher_of_another_order(taught, lettered):
    class Backwards(LogisticRegression):
        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    X, y = lettered
    teacher = Backwards().fit(X, y)
    teacher.classes_ = teacher.classes_[::-1]
    plain = taught(teacher=frozen(X, y)).fit(X, y).predict_proba(X)
    backwards = taught(teacher=FrozenEstimator(teacher)).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(backwards, plain, rtol=1e-5)  # a row's sum is rounded in another order


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kept", ["ab", "abd", "abcd"])
def test_row_16_other_classes_are_an_error_by_default(taught, lettered, kept):
    X, y = lettered
    theirs = np.resize(list(kept), 120)
    match = (
        r"The teacher knows the classes \[.*\], the student \['a', 'b', 'c'\]\. Set teacher_classes='common'.*'closed'"
    )
    refused(taught(teacher=frozen(X, theirs)), match, X, y)


@pytest.mark.usefixtures("never_trained")
def test_row_16_nothing_in_common(taught, lettered):
    X, y = lettered
    theirs = frozen(X, np.resize(["x", "z"], 120))
    refused(taught(teacher=theirs, teacher_classes="common"), "disjoint", X, y)


def test_row_16_common_classes_only(taught, lettered):
    """The teacher knows a and b: the ratio of these two is learned, c is free."""
    X, y = lettered
    proba = np.column_stack([np.full(120, 0.9), np.full(120, 0.1)])
    steady = {"max_epochs": 60, "dropout": 0.0, "weight_decay": 0.0}
    clf = taught(teacher_classes="common", distill_weight=1.0, **steady)
    learned = clf.fit(X, y, teacher_proba=pd.DataFrame(proba, columns=["a", "b"])).predict_proba(X)
    np.testing.assert_allclose(learned[:, 0] / (learned[:, 0] + learned[:, 1]), 0.9, atol=0.05)
    assert learned[:, 2].std() > 0.01


def test_row_16_extra_classes_are_dropped_and_the_others_renormalised(taught, lettered):
    X, y = lettered
    proba = proba_of(n_classes=4)
    clf = taught(teacher_classes="common").fit(X, y, teacher_proba=pd.DataFrame(proba, columns=list("abcd")))
    known = proba[:, :3] / proba[:, :3].sum(1, keepdims=True)
    np.testing.assert_allclose(
        clf.predict_proba(X), taught().fit(X, y, teacher_proba=known).predict_proba(X), rtol=1e-5
    )


def test_row_16_union_gives_the_student_the_teachers_classes(taught, lettered):
    X, y = lettered
    teacher = frozen(X, np.resize(list("bcde"), 120))
    clf = taught(teacher=teacher, teacher_classes="union", distill_weight=0.5).fit(X, y)
    assert clf.classes_.tolist() == list("abcde")
    assert clf.predict_proba(X).shape == (120, 5)
    refitted = taught(teacher=teacher.estimator, teacher_classes="union").fit(X, y)
    assert refitted.classes_.tolist() == list("abc")  # not frozen: fitted to y, it knows what y has


@pytest.mark.usefixtures("never_trained")
def test_row_16_columns_without_names_must_be_as_many(taught, table):
    refused(taught(), "gives 2 columns, but there are 3 classes", *table, teacher_proba=proba_of(n_classes=2))
    teacher = lambda X: proba_of(len(X), 4)  # noqa: E731
    refused(taught(teacher=teacher), "gives 4 columns, but there are 3 classes", *table)


# Row 17: no probabilities


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("bad", [[np.nan, 0.5, 0.5], [-0.1, 0.6, 0.5], [0.5, 0.5, 2e-3], [np.inf, 0, 0]], ids=str)
@pytest.mark.parametrize("by", ["array", "teacher"])
def test_row_17_no_probabilities_name_the_row(taught, table, bad, by):
    X, y = table
    proba = proba_of()
    proba[77] = bad
    if by == "array":
        refused(taught(), "'teacher_proba' must give probabilities .* Row 77 is", X, y, teacher_proba=proba)
    else:
        refused(taught(teacher=lambda X: proba), "teacher must give probabilities .* Row 77 is", X, y)


def test_row_17_the_number_is_that_in_X(taught, table):
    X, y = table
    proba, weight = proba_of(), np.ones(120)
    proba[77], weight[:50] = np.nan, 0
    refused(taught(), "Row 77 is", X, y, weight, teacher_proba=proba)
    teacher = lambda rows: np.where((rows == X[77]).all(1)[:, None], np.nan, 1 / 3) * np.ones(3)  # noqa: E731
    refused(taught(teacher=teacher), "Row 77 is", X, y, weight)
    weight[77] = 0
    taught().fit(X, y, weight, teacher_proba=proba)  # a row of no weight is as good as removed


@pytest.mark.parametrize("drift", [1 + 9e-4, 1 - 9e-4])
def test_row_17_rounding_is_renormalised(taught, table, drift):
    X, y = table
    expected = taught().fit(X, y, teacher_proba=proba_of()).predict_proba(X)
    actual = taught().fit(X, y, teacher_proba=drift * proba_of()).predict_proba(X)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("shape", [(119, 3), (120,), (120, 3, 1)], ids=str)
def test_row_17_another_shape(taught, table, shape):
    refused(taught(), r"'teacher_proba'", *table, teacher_proba=np.ones(shape))


# Row 18: teachers that cannot work


@pytest.mark.usefixtures("never_trained")
def test_row_18_an_unfitted_frozen_teacher(taught, table):
    refused(taught(teacher=FrozenEstimator(LogisticRegression())), "not fitted", *table, error=NotFittedError)


@pytest.mark.usefixtures("never_trained")
def test_row_18_a_teacher_of_other_features(taught, table):
    X, y = table
    refused(taught(teacher=frozen(X[:, :3], y)), "X has 5 features, but LogisticRegression is expecting 3", X, y)


@pytest.mark.usefixtures("never_trained")
def test_row_18_a_failing_teacher_keeps_the_old_model(quick, table):
    X, y = table
    clf = quick(augment=None, teacher=DecisionTreeClassifier(max_depth=-3))
    clf.net_, clf.classes_ = "the old", "model"
    refused(clf, "'max_depth' parameter of DecisionTreeClassifier", X, y)


# Rows 19 and 20: zeros and rounding


@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "js"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 10.0])
def test_rows_19_and_20_zeros_are_finite_and_nothing_is_negative(taught, table, divergence, temperature):
    X, y = table
    clf = taught(distill_divergence=divergence, temperature=temperature, max_epochs=10)
    history = clf.fit(X, y, teacher_proba=np.eye(3)[y]).history_
    values = np.array(history[:, "train_distillation"])
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert values[-1] < values[0]
    assert not any("event_not_finite" in epoch for epoch in history)


# Parameters that do not go together


TWO = "either the 'teacher' parameter or 'teacher_proba'"
TOGETHER = {
    "two teachers": ({"teacher": LogisticRegression()}, {"teacher_proba": proba_of()}, TWO),
    "folds without an estimator": ({"teacher_cv": 3}, {"teacher_proba": proba_of()}, "'teacher' must be an estimator"),
    "folds of a frozen one": ({"teacher": FrozenEstimator(LogisticRegression()), "teacher_cv": 3}, {}, "not be frozen"),
    "augment without a teacher": ({"augment": "munge"}, {"teacher_proba": proba_of()}, "'augment' needs a 'teacher'"),
    "unlabeled without a teacher": ({}, {"X_unlabeled": np.zeros((3, 5))}, "'X_unlabeled' needs a 'teacher'"),
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("case", TOGETHER)
def test_what_does_not_go_together(taught, table, case):
    params, given, match = TOGETHER[case]
    refused(taught(**params), match, *table, **given)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(
    ("extra", "match"),
    [
        (np.zeros((3, 4)), "X_unlabeled has 4 features, but KLClassifier is expecting 5"),
        (np.full((3, 5), np.nan), "contains NaN"),
    ],
    ids=["width", "nan"],
)
def test_bad_rows_without_a_label_are_refused_before_the_teacher_is_fitted(taught, table, extra, match):
    class Never(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            raise AssertionError("the teacher was fitted")

    refused(taught(teacher=Never()), match, *table, X_unlabeled=extra)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("weights", [{"class_weight": "balanced"}, {}], ids=str)
def test_weights_that_a_teacher_cannot_take(taught, table, weights):
    clf = taught(teacher=KNeighborsClassifier(), **weights)
    refused(clf, "no sample_weight, but 'sample_weight' or 'class_weight'", *table, None if weights else np.ones(120))


@pytest.mark.usefixtures("never_trained")
def test_folds_that_cannot_be(taught, table):
    match = "teacher_cv=3 cannot split these rows: n_splits=3 cannot be greater"
    refused(taught(teacher=DecisionTreeClassifier(), teacher_cv=3), match, table[0][:3], [0, 1, 2])


@pytest.mark.usefixtures("never_trained")
def test_a_teacher_of_another_number_of_labels(taught, table):
    X, Y = table[0], np.eye(3, dtype=int)[table[1]]
    refused(taught(teacher=lambda X: np.full((len(X), 2), 0.5)), "gives 2 labels, y has 3", X, Y)
    refused(taught(teacher=lambda X: np.full((len(X), 3), 1.5)), "Row 0 is", X, Y)
