"""Every scorer in searches on real data, against each fold's score by definition."""

import copy
import pickle
from typing import get_args

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer as sklearn_scorer
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    StratifiedKFold,
    cross_validate,
    learning_curve,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklkl.metrics
from sklkl.metrics import DivergenceScorer, calibration_kl, get_scorer, get_scorer_names, mean_kl_divergence
from sklkl.metrics._registry import ScorerName

from .oracles import SCORES, smoothed

NAMES = get_scorer_names()
DATA = {"binary": load_breast_cancer, "3 classes": load_iris}
every_name = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module", params=DATA)
def problem(request):
    """Return table, names of classes, their codes, and a teacher's probabilities."""
    loaded = DATA[request.param]()
    X, codes = loaded.data[::3], loaded.target[::3]
    teacher = smoothed(GaussianNB().fit(X, codes).predict_proba(X), 0.05)  # no zeros
    return X, loaded.target_names[codes].astype(object), codes, teacher


def by_definition(name, estimator, X, y, teacher, w=None):
    truth = teacher if "teacher" in name else (np.asarray(y)[:, None] == estimator.classes_).astype(float)
    return SCORES[name](truth, estimator.predict_proba(X), w)


def sorted_teacher(y, codes, teacher):
    """Columns in the order of the names, as ``classes_`` has them."""
    return teacher[:, [codes[y == name][0] for name in np.unique(y)]]


PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())
GRID, FOLDS = {"logisticregression__C": [0.01, 0.1]}, StratifiedKFold(2)


@pytest.fixture(scope="module")
def fold_models(problem):
    """Return candidate, fold, the model that the search fits there, and the fold's test rows."""
    X, y, _, _ = problem
    return [
        (candidate, fold, clone(PIPELINE).set_params(**params).fit(X[train], y[train]), test)
        for candidate, params in enumerate(ParameterGrid(GRID))
        for fold, (train, test) in enumerate(FOLDS.split(X, y))
    ]


@pytest.mark.parametrize("name", ["neg_mean_kl", "neg_teacher_kl"])  # all of them in a cross-validation below
def test_grid_search_of_a_pipeline(name, problem, fold_models):
    X, y, codes, teacher = problem
    teacher = sorted_teacher(y, codes, teacher)
    routed = {"teacher_proba": teacher} if "teacher" in name else {}
    search = GridSearchCV(PIPELINE, GRID, scoring=get_scorer(name), cv=FOLDS)
    with config_context(enable_metadata_routing=True):
        search.fit(X, y, **routed)
    for candidate, fold, fitted, test in fold_models:
        expected = by_definition(name, fitted, X[test], y[test], teacher[test])
        assert search.cv_results_[f"split{fold}_test_score"][candidate] == pytest.approx(expected, rel=1e-9)
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert get_scorer(name)(search, X, y, **routed) == pytest.approx(by_definition(name, search, X, y, teacher))
    clone(search)


def test_a_network(table, quick):
    X, y = table
    net = quick().fit(X[:80], y[:80])
    teacher = GaussianNB().fit(X, y).predict_proba(X)
    for name in NAMES:
        given = {"teacher_proba": teacher[80:]} if "teacher" in name else {}
        expected = by_definition(name, net, X[80:], y[80:], teacher[80:])
        assert get_scorer(name)(net, X[80:], y[80:], **given) == pytest.approx(expected, rel=1e-9)


def test_several_scorers_at_once(problem):
    X, y, codes, teacher = problem
    scoring = {name: get_scorer(name) for name in NAMES} | {"accuracy": "accuracy"}
    scoring["neg_log_loss"] = sklearn_scorer("neg_log_loss")
    teacher = sorted_teacher(y, codes, teacher)
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            make_pipeline(StandardScaler(), LogisticRegression()),
            *(X, y),
            scoring=scoring,
            params={"teacher_proba": teacher},
            return_estimator=True,
            return_indices=True,
        )
    for fold, (model, test) in enumerate(zip(found["estimator"], found["indices"]["test"], strict=True)):
        for name in NAMES:
            expected = by_definition(name, model, X[test], y[test], teacher[test])
            assert found[f"test_{name}"][fold] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found["test_neg_mean_kl"], found["test_neg_log_loss"], rtol=1e-9)


def test_other_users_of_scorers(problem):
    X, y, _, _ = problem
    model, scorer = GaussianNB().fit(X, y), get_scorer("neg_mean_kl", smoothing=0.01)
    worse = permutation_importance(model, X, y, scoring=scorer, n_repeats=2, random_state=0).importances_mean
    assert worse.max() > 0
    _, _, scores = learning_curve(model, X, y, scoring=scorer, train_sizes=[0.5, 1.0], cv=StratifiedKFold(2))
    assert scores.shape == (2, 2)
    assert (scores < 0).all()


def test_parameters_of_the_metric(problem):
    X, y, codes, _ = problem
    model = GaussianNB().fit(X, codes)
    proba = model.predict_proba(X)
    scorer = DivergenceScorer(calibration_kl, n_bins=3, smoothing=0.1)
    assert scorer(model, X, codes) == -calibration_kl(codes, proba, n_bins=3, smoothing=0.1)
    scorer = DivergenceScorer(mean_kl_divergence, greater_is_better=True)
    assert scorer(model, X, codes) == mean_kl_divergence(codes, proba)


def test_a_perfect_score_is_not_a_negative_zero():
    X = np.array([[0.0], [1.0]] * 3)
    model = make_pipeline(GaussianNB()).fit(X, [0, 1] * 3)
    assert str(get_scorer("neg_mean_kl")(model, X, [0, 1] * 3)) == "0.0"


@every_name
def test_copies(name, problem):
    X, y, codes, teacher = problem
    scorer = get_scorer(name, labels=np.unique(y), **({} if name == "teacher_top1" else {"smoothing": 0.1}))
    with config_context(enable_metadata_routing=True):
        scorer.set_score_request(sample_weight="w")
    model = GaussianNB().fit(X, y)
    given = {"teacher_proba": sorted_teacher(y, codes, teacher)} if "teacher" in name else {}
    for other in (pickle.loads(pickle.dumps(scorer)), copy.deepcopy(scorer), clone(scorer, safe=False)):
        assert other is not scorer
        assert other(model, X, y, **given) == scorer(model, X, y, **given)
        assert repr(other) == repr(scorer)
        assert other.get_metadata_routing().score.requests == scorer.get_metadata_routing().score.requests


def test_names():
    assert set(NAMES) == set(SCORES)
    assert sorted(NAMES) == NAMES == list(get_args(ScorerName))
    assert get_scorer("neg_mean_kl") is not get_scorer("neg_mean_kl")
    with pytest.raises(
        ValueError,
        match="'name' parameter.* must be one of 'd2_kl', .*'teacher_top1'.* Got 'neg_mean_reverse_kl' instead",
    ):
        get_scorer("neg_mean_reverse_kl")
    with pytest.raises(ValueError, match="'name' parameter .* Got None instead"):
        get_scorer(None)


def test_repr_shows_what_differs_from_the_default():
    assert repr(get_scorer("neg_mean_kl")) == "DivergenceScorer(mean_kl_divergence)"
    shown = "DivergenceScorer(d2_kl_score, greater_is_better=True, smoothing=0.5, labels=['a', 'b'])"
    assert repr(get_scorer("d2_kl", smoothing=0.5, labels=np.array(["a", "b"]))) == shown
    long = repr(get_scorer("neg_teacher_kl", labels=range(1000)))
    assert long.startswith("DivergenceScorer(mean_kl_divergence, reference='teacher_proba', labels=[0, 1, 2")
    assert len(long) < 120


def test_bad_parameters():
    with pytest.raises(
        ValueError, match="'reference' parameter.* must be one of 'y', 'teacher_proba'.* Got 'x' instead"
    ):
        DivergenceScorer(mean_kl_divergence, reference="x")
    with pytest.raises(ValueError, match="'labels' parameter.* must be a list of at least two.* Got .* instead"):
        get_scorer("neg_mean_kl", labels=["a", "a"])
    with pytest.raises(TypeError, match="'n_bins'"):
        get_scorer("neg_mean_kl", n_bins=3)
    with pytest.raises(TypeError, match="sample_weight"):
        DivergenceScorer(lambda y_true, y_proba: 0.0)


def test_scorers_are_no_private_part_of_scikit_learn():
    assert sklkl.metrics.DivergenceScorer.__mro__ == (DivergenceScorer, object)
