"""Everything that can teach: checked probabilities, asked in bounded batches, never changed."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, KFold, ShuffleSplit, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from sklkl import Distiller, KLNet
from sklkl.distillation import EstimatorTeacher, FunctionTeacher, ModuleTeacher, make_teacher
from sklkl.modules import MLP


class Counting:
    """A function from rows to equal probabilities that remembers how many rows it saw at a time."""

    def __init__(self, n_classes=3):
        self.seen, self.n_classes = [], n_classes

    def __call__(self, X):
        self.seen.append(X.shape[0])
        return np.full((X.shape[0], self.n_classes), 1 / self.n_classes)


def weighted_twice(estimator, X, y, w):
    """Probabilities of a clone fitted with weights, and of one to repeated rows."""
    repeated = np.repeat(np.arange(len(y)), w.astype(int))
    fitted = EstimatorTeacher(estimator).fit(X, y, w)
    return fitted.predict_proba(X), EstimatorTeacher(estimator).fit(X[repeated], y[repeated]).predict_proba(X)


# Kinds


# A new kind adds its line here: a teacher for 5 features and 3 classes, and what makes it one.
KINDS = {
    "estimator": (LogisticRegression(), EstimatorTeacher),
    "pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), EstimatorTeacher),
    "module": (nn.Linear(5, 3), ModuleTeacher),
    "function": (Counting(), FunctionTeacher),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_face(kind):
    teacher, face = KINDS[kind]
    assert type(make_teacher(teacher)) is face


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_teaches_a_classifier(kind, quick, table):
    student = quick(teacher=KINDS[kind][0], augment="noise", distill_weight=0.5).fit(*table)
    assert student.history_[-1]["train_distillation"] >= 0
    assert clone(student).fit(*table).predict_proba(table[0]).shape == (120, 3)
    assert Distiller(quick(), KINDS[kind][0], report_fraction=None).fit(*table).predict(table[0]).shape == (120,)


@pytest.mark.parametrize(
    "teacher", ["forest", 3, None, LogisticRegression, nn.Linear, object()], ids=lambda wrong: type(wrong).__name__
)
def test_what_cannot_teach_is_refused(teacher):
    with pytest.raises(ValueError, match="'teacher' parameter must be an estimator with 'predict_proba'.*Got"):
        make_teacher(teacher)


class Foreign:
    classes_ = ["b", "a"]

    def predict_proba(self, X):
        return np.tile([0.25, 0.75], (len(X), 1))


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda model: model], ids=["frozen", "bare"])
def test_a_model_that_is_no_estimator_is_used_as_it_is(table, wrap):
    teacher = make_teacher(wrap(Foreign())).fit(*table, np.ones(120))
    assert teacher.classes_.tolist() == ["b", "a"]
    assert teacher.predict_proba(table[0]).tolist() == [[0.25, 0.75]] * 120
    assert not teacher.closed_


# Estimators that have probabilities only once they are fitted

STACK = StackingClassifier([("nb", GaussianNB())])
FITTED_LATER = {
    "stack": STACK,
    "pipeline": make_pipeline(StandardScaler(), STACK),
    "search": GridSearchCV(STACK, {}, cv=2),
}


@pytest.mark.parametrize("kind", FITTED_LATER)
def test_an_estimator_may_have_probabilities_once_it_is_fitted(kind, quick, table):
    student = quick(teacher=FITTED_LATER[kind], augment=None, distill_weight=0.5).fit(*table)
    assert student.history_[-1]["train_distillation"] >= 0


@pytest.mark.parametrize(
    "teacher",
    [SVC(), VotingClassifier([("nb", GaussianNB())]), Ridge(), make_pipeline(Ridge()), GridSearchCV(SVC(), {})],
)
def test_an_estimator_that_never_has_any_is_refused(teacher, quick, table):
    with pytest.raises(ValueError, match="'teacher' parameter"):
        quick(teacher=teacher).fit(*table)
    with pytest.raises(ValueError, match="'teacher' parameter"):
        Distiller(quick(), teacher).fit(*table)


# Weights


@pytest.mark.parametrize(
    "teacher",
    [
        GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1.0]}, cv=2),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), LogisticRegression())),
        make_pipeline(StandardScaler(), GridSearchCV(make_pipeline(LogisticRegression()), {}, cv=2)),
    ],
    ids=["search over a pipeline", "pipeline in a pipeline", "search in a pipeline"],
)
def test_weights_find_the_part_that_takes_them(teacher, table):
    X, y = table
    w = np.random.RandomState(0).randint(1, 4, size=len(y))
    weighted = EstimatorTeacher(teacher).fit(X, y, w).predict_proba(X)
    assert np.abs(weighted - EstimatorTeacher(teacher).fit(X, y).predict_proba(X)).max() > 1e-4


def test_weights_reach_pipelines_in_a_vote_without_being_requested(table, quick):
    X, y = table
    w = np.random.RandomState(0).randint(1, 4, size=len(y)).astype(float)
    piped, plain = make_pipeline(StandardScaler(), LogisticRegression()), GaussianNB()
    vote = VotingClassifier([("piped", piped), ("plain", plain)], voting="soft")
    fitted = EstimatorTeacher(vote).fit(X, y, w).predict_proba(X)
    parts = clone(piped).fit(X, y, logisticregression__sample_weight=w), clone(plain).fit(X, y, w)
    np.testing.assert_allclose(fitted, np.mean([part.predict_proba(X) for part in parts], axis=0), rtol=1e-6)
    stack = make_pipeline(StandardScaler(), StackingClassifier([("piped", piped)], cv=2))
    quick(teacher=stack, class_weight="balanced", teacher_cv=2, augment=None).fit(X, y)
    assert not np.allclose(fitted, EstimatorTeacher(vote).fit(X, y).predict_proba(X))


@pytest.mark.parametrize("kind", ["threshold", "one against all", "vote of pipelines"])
def test_weights_that_were_requested_are_routed(kind, quick, table):
    X, y = table[0], (table[1] > 0).astype(int)
    w = np.random.RandomState(0).randint(1, 4, size=len(y)).astype(float)
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        teacher = {
            "threshold": FixedThresholdClassifier(model),
            "one against all": OneVsRestClassifier(model),
            "vote of pipelines": VotingClassifier([("pipeline", make_pipeline(model))], voting="soft"),
        }[kind]
        fitted = EstimatorTeacher(teacher).fit(X, y, w).predict_proba(X)
        np.testing.assert_allclose(fitted, teacher.fit(X, y, sample_weight=w).predict_proba(X), rtol=1e-6)
        quick(teacher=teacher, augment=None, distill_weight=0.5).fit(X, y, sample_weight=w)


# A single class


def test_one_class_has_one_column(table):
    X = table[0]
    teacher = EstimatorTeacher(HistGradientBoostingClassifier(max_iter=2)).fit(X, np.zeros(len(X), dtype=int))
    assert teacher.predict_proba(X).tolist() == [[1.0]] * len(X)


# Bounded batches


@pytest.mark.parametrize(
    "convert",
    [np.asarray, sparse.csr_array, pd.DataFrame, lambda X: X[:, :, None]],
    ids=["array", "sparse", "frame", "deep"],
)
def test_many_rows_are_asked_for_in_batches(convert):
    teacher = Counting()
    assert FunctionTeacher(teacher).predict_proba(convert(np.zeros((25_001, 2)))).shape == (25_001, 3)
    assert teacher.seen == [10_000, 10_000, 5_001]


def test_batches_are_put_together_in_order():
    X = np.random.RandomState(0).uniform(size=(20_100, 1))
    proba = FunctionTeacher(lambda X: np.hstack([X, 1 - X])).predict_proba(X)
    np.testing.assert_allclose(proba[:, :1], X)


@pytest.mark.parametrize("bad", [np.nan, -0.5, 1.1])
def test_a_bad_row_is_named_by_its_own_number(bad):
    def function(X):
        return np.where(X == 10_500, bad, [[0.5, 0.5]])

    with pytest.raises(ValueError, match="Row 10500 is"):
        FunctionTeacher(function).predict_proba(np.arange(12_000)[:, None])


# Estimators


def test_an_estimator_is_cloned(table):
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    teacher = EstimatorTeacher(tree).fit(*table)
    with pytest.raises(NotFittedError):
        tree.predict(table[0])
    np.testing.assert_allclose(teacher.predict_proba(table[0]), tree.fit(*table).predict_proba(table[0]))
    assert teacher.classes_.tolist() == [0, 1, 2]


def test_a_frozen_estimator_stays_as_it_is(table):
    X, y = table
    frozen = FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(X, y))
    before = pickle.dumps(frozen)
    teacher = EstimatorTeacher(frozen).fit(X, (y + 1) % 3, np.ones(120))
    np.testing.assert_allclose(teacher.predict_proba(X), frozen.predict_proba(X))
    assert pickle.dumps(frozen) == before


def test_a_frozen_estimator_must_be_fitted(table):
    with pytest.raises(NotFittedError):
        EstimatorTeacher(FrozenEstimator(LogisticRegression())).fit(*table)


WEIGHTED = {
    "estimator": DecisionTreeClassifier(max_depth=3, random_state=0),
    "pipeline": make_pipeline(DecisionTreeClassifier(max_depth=3, random_state=0)),
    "vote": VotingClassifier([("tree", DecisionTreeClassifier(max_depth=3, random_state=0))], voting="soft"),
    "search": GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [3]}, cv=2),
}


@pytest.mark.parametrize("kind", WEIGHTED)
@pytest.mark.parametrize("routing", [False, True])
def test_weights_reach_the_estimator(table, kind, routing):
    w = np.random.RandomState(0).randint(1, 5, size=120).astype(float)
    with config_context(enable_metadata_routing=routing):
        weighted, repeated = weighted_twice(WEIGHTED[kind], *table, w)
    np.testing.assert_allclose(weighted, repeated)


def test_an_estimator_that_takes_no_weights_says_so(table):
    with pytest.raises(ValueError, match="KNeighborsClassifier.* takes no sample_weight.*'class_weight'"):
        EstimatorTeacher(KNeighborsClassifier()).fit(*table, np.ones(120))


class Sampler(BaseEstimator):
    """A step like those of packages that balance classes."""

    def fit_resample(self, X, y):
        return X[::2], y[::2]

    def fit_transform(self, X, y=None):
        return X

    def transform(self, X):
        return X


@pytest.mark.parametrize("search", [False, True])
def test_a_pipeline_that_resamples_leaves_no_weights(table, search):
    pipeline = make_pipeline(Sampler(), LogisticRegression())
    teacher = EstimatorTeacher(GridSearchCV(pipeline, {}) if search else pipeline)
    with pytest.raises(ValueError, match=r"teacher Sampler\(\) resamples the rows.* 'class_weight' gives weights"):
        teacher.fit(*table, np.ones(120))


def test_a_frozen_last_step_needs_no_weights(table):
    pipeline = make_pipeline(StandardScaler(), FrozenEstimator(KNeighborsClassifier().fit(*table)))
    assert EstimatorTeacher(pipeline).fit(*table, np.ones(120)).predict_proba(table[0]).shape == (120, 3)


@pytest.mark.parametrize(
    "estimator",
    [
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        StackingClassifier([("tree", DecisionTreeClassifier())], cv=2),
        KLNet(MLP, module__n_features=5, module__n_classes=3, max_epochs=1, verbose=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators(table, estimator):
    assert EstimatorTeacher(estimator).fit(*table).predict_proba(table[0]).shape == (120, 3)


# Out of fold


def test_out_of_fold_predictions_are_scikit_learns(table):
    tree, cv = DecisionTreeClassifier(max_depth=3, random_state=0), KFold(4)
    actual = EstimatorTeacher(tree).fit(*table).predict_out_of_fold(*table, cv)
    np.testing.assert_allclose(actual, cross_val_predict(tree, *table, cv=cv, method="predict_proba"))


@pytest.mark.parametrize("routing", [False, True])
def test_weights_out_of_fold(table, routing):
    w = np.random.RandomState(0).uniform(size=120)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    expected = cross_val_predict(tree, *table, cv=3, method="predict_proba", params={"sample_weight": w})
    with config_context(enable_metadata_routing=routing):
        actual = EstimatorTeacher(tree).fit(*table, w).predict_out_of_fold(*table, 3, w)
    np.testing.assert_allclose(actual, expected)


def test_labels_reach_the_folds_as_they_are(table):
    X, y = table[0], np.array(["a", "b", "c"])[table[1]]
    forest = RandomForestClassifier(5, class_weight={"a": 1, "b": 5, "c": 1}, random_state=0)
    actual = EstimatorTeacher(forest).fit(X, y).predict_out_of_fold(X, y, KFold(3))
    expected = np.empty((120, 3))
    for train, test in KFold(3).split(X):
        expected[test] = forest.fit(X[train], y[train]).predict_proba(X[test])
    np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("cv", [2, 3, KFold(40)], ids=str)
def test_rows_of_classes_that_their_clone_has_not_seen_are_zero(table, cv):
    X, y = table[0], np.array(["a", "b", "c"])[table[1]]
    y[7], y[[9, 10]] = "x", "z"
    proba = EstimatorTeacher(GaussianNB()).fit(X, y).predict_out_of_fold(X, y, cv)
    zero = proba.sum(1) == 0
    assert zero[7]
    assert zero[9] == zero[10] == isinstance(cv, KFold)  # which has three rows a part, in their order
    np.testing.assert_allclose(np.delete(proba, [7, 9, 10], axis=0).sum(1), 1)


def test_a_class_that_some_clones_have_seen_counts(table):
    X, y = table
    splits = [(np.arange(120), np.arange(120)), (np.flatnonzero(y > 0), np.arange(120))]
    proba = EstimatorTeacher(GaussianNB()).fit(X, y).predict_out_of_fold(X, y, splits)
    np.testing.assert_allclose(proba.sum(1), 1)


@pytest.mark.parametrize("labels", [np.array([0, 1, 2]), np.array(["a", "b", "c"])], ids=["numbers", "text"])
@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, pd.Series, pl.Series], ids=lambda c: c.__name__)
def test_a_teacher_fitted_here_is_closed(table, labels, container):
    X, y = table[0], container(labels[table[1]])
    assert EstimatorTeacher(GaussianNB()).fit(X, y).closed_
    frozen = FrozenEstimator(GaussianNB().fit(X, y))
    assert not EstimatorTeacher(frozen).fit(X, y).closed_


def test_a_frozen_last_step_of_other_classes_is_not_closed(table):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), FrozenEstimator(GaussianNB().fit(X, y)))
    assert not EstimatorTeacher(pipeline).fit(X[y > 0], y[y > 0]).closed_


def test_rows_that_no_fold_predicts_are_refused(table):
    teacher = EstimatorTeacher(DecisionTreeClassifier()).fit(*table)
    with pytest.raises(ValueError, match=r"Row \d+ is \[nan"):
        teacher.predict_out_of_fold(*table, ShuffleSplit(2, random_state=0))


def test_out_of_fold_predictions_do_not_know_the_row():
    random = np.random.RandomState(0)
    X, y = random.randn(200, 2), random.randint(2, size=200)
    teacher = EstimatorTeacher(KNeighborsClassifier(1)).fit(X, y)
    assert (teacher.predict_proba(X).argmax(1) == y).all()
    assert (teacher.predict_out_of_fold(X, y, 5).argmax(1) == y).mean() < 0.62


# Multilabel


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(5, random_state=0),
        MultiOutputClassifier(LogisticRegression()),
        OneVsRestClassifier(LogisticRegression()),
        KNeighborsClassifier(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_of_several_labels(table, estimator):
    X, Y = table[0], np.stack([table[1] > 0, table[1] != 1], axis=1).astype(int)
    teacher = EstimatorTeacher(estimator).fit(X, Y)
    fitted = estimator.fit(X, Y)
    listed = fitted.predict_proba(X)
    on = np.column_stack([p[:, 1] for p in listed]) if isinstance(listed, list) else listed
    proba = teacher.predict_proba(X, multilabel=True)
    np.testing.assert_allclose(proba, np.stack([1 - on, on], -1), atol=1e-12)
    assert teacher.predict_out_of_fold(X, Y, 3).shape == (120, 2, 2)
    assert teacher.classes_ is None


def test_a_label_that_is_always_on_or_off(table):
    X, Y = table[0], np.stack([table[1] > 0, np.zeros(120), np.ones(120)], axis=1).astype(int)
    teacher = EstimatorTeacher(DecisionTreeClassifier()).fit(X, Y)
    for proba in (teacher.predict_proba(X, multilabel=True), teacher.predict_out_of_fold(X, Y, 3)):
        assert (proba[:, 1] == [1, 0]).all()
        assert (proba[:, 2] == [0, 1]).all()


# Networks


class Touchy(nn.Module):
    """Batch normalisation, dropout, and a forward pass that writes to its input."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))

    def forward(self, x):
        return self.net(x.mul_(1))


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_copied_and_asked_in_evaluation_mode(table, training):
    module = Touchy().train(training)
    before = {name: values.clone() for name, values in module.state_dict().items()}
    teacher = ModuleTeacher(module)
    proba = teacher.predict_proba(table[0])
    np.testing.assert_allclose(proba, teacher.predict_proba(table[0]), rtol=1e-5)  # dropout would change all of it
    assert module.training is training
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    with torch.no_grad():
        expected = module.eval()(torch.tensor(table[0]).float()).double().softmax(-1)
    np.testing.assert_allclose(proba, expected, rtol=1e-5)  # logits near 1 in float32


def test_a_network_gives_a_logit_a_label():
    X = np.random.RandomState(0).randn(4, 5)
    module = nn.Linear(5, 3).double()
    proba = ModuleTeacher(module).predict_proba(X, multilabel=True)
    np.testing.assert_allclose(proba[..., 1], torch.sigmoid(module(torch.tensor(X))).detach())
    np.testing.assert_allclose(proba.sum(-1), 1)


@pytest.mark.parametrize("kind", ["read-only", "backwards", "sparse", "frame", "whole numbers", "list"])
def test_odd_inputs_for_a_network(kind):
    X = np.arange(20.0).reshape(4, 5)
    expected = ModuleTeacher(module := nn.Linear(5, 3)).predict_proba(X)
    given = {
        "backwards": X[::-1].copy()[::-1], "sparse": sparse.csr_array(X), "frame": pd.DataFrame(X),
        "whole numbers": X.astype(int), "list": X.tolist(), "read-only": X.copy(),
    }[kind]  # fmt: skip
    if kind == "read-only":
        given.flags.writeable = False
    np.testing.assert_allclose(ModuleTeacher(module).predict_proba(given), expected, rtol=1e-4)


def test_a_network_that_ends_in_a_softmax_is_told_of(table):
    X, y = table
    network = nn.Sequential(nn.Linear(5, 3), nn.Softmax(-1))
    with pytest.warns(
        UserWarning, match="The 'teacher' parameter must be a network that returns logits: leave the soft"
    ):
        ModuleTeacher(network).predict_proba(X)
    assert (ModuleTeacher(network).predict_proba(X, multilabel=True)[..., 1] > 0.5).all()


def test_no_rows_have_no_answers():
    assert FunctionTeacher(lambda X: np.full((len(X), 2), 0.5)).predict_proba(np.zeros((0, 3))).shape == (0, 2)
