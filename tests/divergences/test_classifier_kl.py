"""The classifier's estimate against closed forms, against classifiers whose probabilities are known, and bad input."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, LeaveOneOut, ShuffleSplit, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sklkl._utils.frames import stacked_frames
from sklkl.divergences import Estimate, classifier_kl_divergence
from sklkl.divergences._classifier import cross_fitted_log_ratio


class Fixed(ClassifierMixin, BaseEstimator):
    """Probabilities of the classes 0 and 1 that are read off the first feature, which holds p(class 1)."""

    def __init__(self, classes=(0, 1)):
        self.classes = classes

    def fit(self, X, y):
        self.classes_ = np.array(self.classes)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])[:, self.classes_]


class FixedLog(Fixed):
    """The same with logarithms, whose difference the first feature holds."""

    def predict_log_proba(self, X):
        return np.column_stack([np.zeros(len(X)), -X[:, 0]])[:, self.classes_]


class Answers(Fixed):
    """The same in whatever form, or none."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        forms = {"tensor": lambda: torch.tensor(proba, requires_grad=True), "frame": lambda: pd.DataFrame(proba)}
        return {**forms, "one": lambda: proba[:, 1:], "none": lambda: None}[self.classes]()

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self


class Memory(ClassifierMixin, BaseEstimator):
    """Certain of the rows it was trained on, undecided otherwise."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen_ = dict(zip(X[:, 0], y, strict=True))
        return self

    def predict_proba(self, X):
        return np.array([np.eye(2)[self.seen_[x]] if x in self.seen_ else [0.5, 0.5] for x in X[:, 0]])


def normal_samples(seed, n, m, shift=1.0, scale=1.0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 1)), random.normal(shift, scale, size=(m, 1))


def bimodal_samples(seed, n, m):
    random = np.random.default_rng(seed)
    return random.normal(2 * random.choice([-1, 1], (n, 1)), 1), random.normal(0, 2.2, (m, 1))


def bimodal_kl():
    x = np.linspace(-12, 12, 24001)
    p = (np.exp(-((x - 2) ** 2) / 2) + np.exp(-((x + 2) ** 2) / 2)) / math.sqrt(8 * math.pi)
    q = np.exp(-((x / 2.2) ** 2) / 2) / math.sqrt(2 * math.pi) / 2.2
    return np.sum(p * np.log(p / q)) * (x[1] - x[0])


def mean_estimate(samples, repetitions=4, **options):
    return np.mean(
        [classifier_kl_divergence(*samples(seed), random_state=seed, **options) for seed in range(repetitions)]
    )


@pytest.mark.parametrize(("n", "m"), [(300, 900), (900, 300)])
@pytest.mark.parametrize("classifier", [None, LogisticRegression()])
def test_shift_whatever_the_sizes(n, m, classifier):
    found = mean_estimate(lambda seed: normal_samples(seed, n, m), classifier=classifier)
    assert abs(found - 0.5) < 0.08


def test_default_sees_a_change_of_scale():
    found = mean_estimate(lambda seed: normal_samples(seed, 500, 500, shift=0, scale=2))
    assert abs(found - (math.log(2) + 1 / 8 - 0.5)) < 0.06


def test_default_sees_bimodality():
    assert abs(mean_estimate(lambda seed: bimodal_samples(seed, 500, 500)) - bimodal_kl()) < 0.04


def test_equal_distributions():
    assert abs(mean_estimate(lambda seed: normal_samples(seed, 500, 500, shift=0))) < 0.01


def test_log_ratio_at_the_rows_of_both_samples():
    X, Y = normal_samples(0, 2000, 500)
    for Z, found in zip((X, Y), cross_fitted_log_ratio(X, Y, LogisticRegression(), 5, 0), strict=True):
        assert found.shape == (len(Z),)
        np.testing.assert_allclose(found, 0.5 - Z[:, 0], atol=0.5)


@pytest.mark.parametrize(
    ("n", "m", "cv"), [(7, 23, 5), (30, 10, 3), (10, 10, LeaveOneOut()), (9, 6, KFold(3, shuffle=True))]
)
def test_a_classifier_that_knows_the_sizes_alone_finds_nothing(n, m, cv):
    X, Y = normal_samples(0, n, m)
    ratios = cross_fitted_log_ratio(X, Y, DummyClassifier(strategy="prior"), cv, 0)
    for values in ratios:
        np.testing.assert_allclose(values, 0, atol=1e-12)


def test_rows_are_held_out():
    X, Y = np.arange(20.0)[:, None], np.arange(20.0, 40)[:, None]
    assert classifier_kl_divergence(X, Y, classifier=Memory()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("classes", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("kind", "rows", "expected"), [(Fixed, 0.2, math.log(4)), (FixedLog, 800.0, 800.0)])
def test_columns_follow_classes(classes, kind, rows, expected):
    X, Y = np.full((20, 1), rows), np.full((10, 1), rows)
    found = classifier_kl_divergence(X, Y, classifier=kind(classes))
    assert found == pytest.approx(expected - math.log(2), rel=1e-12)


@pytest.mark.parametrize("form", ["tensor", "frame"])
def test_answers_may_be_tensors_or_frames(form):
    X, Y = np.full((6, 1), 0.2), np.full((4, 1), 0.7)
    expected = classifier_kl_divergence(X, Y, classifier=Fixed(), cv=2, random_state=0)
    assert classifier_kl_divergence(X, Y, classifier=Answers(form), cv=2, random_state=0) == expected


def test_certainty_is_infinite():
    X, Y = np.full((20, 1), 0.5), np.full((20, 1), 0.5)
    X[0] = 0.0  # surely of P
    assert classifier_kl_divergence(X, Y, classifier=Fixed()) == math.inf
    value, low, high = classifier_kl_divergence(X, Y, classifier=Fixed(), confidence_level=0.9, random_state=0)
    assert value == high == math.inf
    assert low in (0, math.inf)
    X[1] = 1.0  # surely of Q, but it is not
    assert math.isnan(classifier_kl_divergence(X, Y, classifier=Fixed()))


def test_far_samples_are_finite_under_logistic_regression():
    X, Y = normal_samples(0, 200, 200, shift=60)
    found = classifier_kl_divergence(X, Y, classifier=LogisticRegression(C=1e6, max_iter=1000), random_state=0)
    assert 5 < found < math.inf


def test_the_classifier_is_not_changed():
    classifier = LogisticRegression()
    classifier_kl_divergence(*normal_samples(0, 30, 30), classifier=classifier)
    assert not hasattr(classifier, "coef_")


def test_forms_of_samples():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(60, 2)), random.normal(0.5, 1, size=(40, 2))
    expected = pytest.approx(classifier_kl_divergence(X, Y, random_state=0), rel=1e-6)
    assert classifier_kl_divergence(X.tolist(), Y.tolist(), random_state=0) == expected
    assert classifier_kl_divergence(sparse.csr_matrix(X), sparse.csr_array(Y), random_state=0) == expected
    assert classifier_kl_divergence(pd.DataFrame(X), pd.DataFrame(Y, index=range(7, 47)), random_state=0) == expected
    assert classifier_kl_divergence(pl.DataFrame(X), pl.DataFrame(Y), random_state=0) == expected
    flat = classifier_kl_divergence(X[:, 0], Y[:, 0], random_state=0)
    assert flat == classifier_kl_divergence(X[:, :1], Y[:, :1], random_state=0)


def test_table_of_mixed_types_with_missing_values():
    table = pd.DataFrame({"kind": pd.Categorical(["u", "v"] * 50), "size": [1.0, 2.0, np.nan, 4.0] * 25})
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    same = classifier_kl_divergence(table[:50], table[50:], classifier=trees, random_state=0)
    other = classifier_kl_divergence(
        table[table.kind == "u"], table[table.kind == "v"], classifier=trees, random_state=0
    )
    assert abs(same) < 0.2
    assert other > 2


def test_splitters_and_random_state_of_the_folds():
    X, Y = normal_samples(0, 60, 40)
    options = {"classifier": LogisticRegression()}
    ordered = classifier_kl_divergence(X, Y, cv=StratifiedKFold(5), **options)
    assert ordered == classifier_kl_divergence(X, Y, cv=None, **options)
    assert ordered == classifier_kl_divergence(
        X, Y, cv=list(StratifiedKFold(5).split(np.r_[X, Y], [0] * 60 + [1] * 40)), **options
    )
    shuffled = classifier_kl_divergence(X, Y, cv=5, random_state=0, **options)
    assert shuffled != ordered
    assert shuffled == classifier_kl_divergence(X, Y, cv=5, random_state=0, **options)


@pytest.mark.parametrize(("shift", "n", "m"), [(0.0, 100, 100), (1.0, 50, 150)])
def test_interval_covers_the_truth(shift, n, m):
    found = np.array(
        [
            classifier_kl_divergence(
                *normal_samples(seed, n, m, shift),
                classifier=LogisticRegression(),
                cv=2,
                confidence_level=0.9,
                n_resamples=199,
                random_state=0,
            )
            for seed in range(30)
        ]
    )
    truth = shift**2 / 2
    assert np.mean((found[:, 1] <= truth) & (truth <= found[:, 2])) > 0.8


def test_result_with_and_without_interval():
    X, Y = normal_samples(0, 50, 40)
    value = classifier_kl_divergence(X, Y, random_state=0)
    assert type(value) is float
    estimate = classifier_kl_divergence(X, Y, confidence_level=0.9, random_state=0)
    assert isinstance(estimate, Estimate)
    assert estimate.value == value
    assert estimate.low < value < estimate.high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"classifier": SVC()},
            r"'classifier' parameter.* must be None or a classifier with predict_proba.* Got SVC\(\) instead",
        ),
        ({"classifier": SVC}, "'classifier' parameter.* Got <class .*SVC'> instead"),
        (
            {"classifier": Answers("one")},
            r"Answers.predict_proba must give a column for each of 2 classes",
        ),
        (
            {"classifier": Answers("none")},
            "'predict_proba' of Answers must give probabilities .* Got NoneType",
        ),
        ({"cv": []}, r"'cv' parameter.* must be folds.* Got \[\] instead"),
        ({"cv": 1}, "'cv' parameter.* must be an integer from 2 to 8.* Got 1 instead"),
        ({"cv": 9}, "'cv' parameter.* must be an integer from 2 to 8.* Got 9 instead"),
        ({"cv": True}, "'cv' parameter .* Got True instead"),
        ({"cv": KFold(2)}, "'cv' parameter.* must be folds.* Got KFold.* instead"),
        ({"cv": ShuffleSplit(3, random_state=0)}, "'cv' parameter.* must be folds.* Got ShuffleSplit.* instead"),
        ({"confidence_level": 1}, "'confidence_level' parameter .* Got 1 instead"),
        ({"n_resamples": 0.5}, "'n_resamples' parameter .* Got 0.5 instead"),
        ({"random_state": -1}, "'random_state' parameter .* Got -1 instead"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        classifier_kl_divergence(np.ones((8, 1)), np.ones((8, 1)), **options)


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        ([1.0], [1.0, 2.0], r"'X' and 'Y' parameters must be .* Got the shapes \(1, 1\) and \(2, 1\) instead"),
        (
            np.ones((9, 2)),
            np.ones((9, 3)),
            r"'X' and 'Y' parameters must be .* Got the shapes \(9, 2\) and \(9, 3\) instead",
        ),
        (np.full((9, 1), np.nan), np.ones((9, 1)), "NaN"),
        (
            pd.DataFrame({"a": [1.0] * 9}),
            pd.DataFrame({"b": [1.0] * 9}),
            r"'X' and 'Y' .* same columns in the same order\. Got \['a'\] and \['b'\] instead",
        ),
    ],
)
def test_bad_samples(X, Y, message):
    with pytest.raises(ValueError, match=message):
        classifier_kl_divergence(X, Y)


def test_forests_give_certainty_and_say_so():
    X, Y = normal_samples(0, 60, 60, shift=8)
    forest = RandomForestClassifier(5, random_state=0)
    assert classifier_kl_divergence(X, Y, classifier=forest, random_state=0) == math.inf


LETTERS = np.array(list("abcabcabcd") * 12), np.array(list("bcdbcdbcde") * 12)
FRAMES = {
    "pandas categories of unlike levels": [pd.DataFrame({"x": pd.Categorical(x)}) for x in LETTERS],
    "polars enumerations": [pl.DataFrame({"x": x}).cast(pl.Enum(sorted(set(x)))) for x in LETTERS],
    "polars integers": [pl.DataFrame({"x": range(k, k + 120)}).cast(t) for k, t in ((0, pl.Int32), (30, pl.Int64))],
    "polars integer and float": [pl.DataFrame({"x": np.arange(120.0)}).cast(t) for t in (pl.UInt8, pl.Float32)],
    "pyarrow": [pa.table({"x": pa.array(range(k, k + 120), t)}) for k, t in ((0, pa.int16()), (30, pa.float64()))],
    "polars with and without a sign": [
        pl.DataFrame({"x": pl.Series(range(120), dtype=t)}) for t in (pl.Int8, pl.UInt64)
    ],
    "of two libraries": [pl.DataFrame({"x": range(120)}), pd.DataFrame({"x": np.arange(120.0)})],
}


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
def test_frames_whose_columns_are_of_unlike_types(frames):
    classifier = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    to_pandas = FunctionTransformer(lambda X: X.to_pandas() if hasattr(X, "to_pandas") else X)
    value = classifier_kl_divergence(*frames, classifier=make_pipeline(to_pandas, classifier), cv=3, random_state=0)
    assert np.isfinite(value)


@pytest.mark.parametrize("kind", [pl.Datetime, pl.Duration])
def test_polars_units_of_time_are_stacked(kind):
    frame = pl.DataFrame({"x": [1, 2, 3]})
    rows = stacked_frames(frame.cast(kind("ms")), frame.cast(kind("us")))
    assert rows["x"].cast(kind("us")).cast(pl.Int64).to_list()[:3] == [1000, 2000, 3000]
    assert len(rows) == 6


def test_categories_of_both_frames_stay_categories():
    rows = stacked_frames(*FRAMES["pandas categories of unlike levels"])
    assert rows["x"].tolist() == [*LETTERS[0], *LETTERS[1]]
    assert rows["x"].cat.categories.tolist() == list("abcde")
