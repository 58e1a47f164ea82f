"""Weights and teachers on their way through searches, cut to folds."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context
from sklearn.datasets import load_wine
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.metrics import get_scorer, get_scorer_names

from .oracles import SCORES

NAMES = get_scorer_names()
FOLDS = StratifiedKFold(3)


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    teacher = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(X, y).predict_proba(X)
    return X, y, teacher, np.random.default_rng(0).random(len(y))


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def per_fold(name, wine, *, weighted=True):
    """Each fold's score by definition, of a model fitted without weights."""
    X, y, teacher, w = wine
    scores = []
    for train, test in FOLDS.split(X, y):
        proba = GaussianNB().fit(X[train], y[train]).predict_proba(X[test])
        truth = teacher[test] if "teacher" in name else np.eye(3)[y[test]]
        scores.append(SCORES[name](truth, proba, w[test] if weighted else None))
    return scores


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("name", NAMES)
def test_weights_and_teachers_reach_each_fold(name, wine):
    X, y, teacher, w = wine
    scorer = get_scorer(name).set_score_request(sample_weight="importance")
    assert scorer.set_score_request() is scorer
    model = GaussianNB().set_fit_request(sample_weight=False)
    params = {"importance": w} | ({"teacher_proba": teacher} if "teacher" in name else {})
    scores = cross_val_score(model, X, y, scoring=scorer, params=params, cv=FOLDS)
    np.testing.assert_allclose(scores, per_fold(name, wine), rtol=1e-8)
    assert not np.allclose(scores, per_fold(name, wine, weighted=False), rtol=1e-3)
    search = GridSearchCV(model, {"var_smoothing": [1e-9]}, scoring=scorer, cv=FOLDS).fit(X, y, **params)
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-8)


@pytest.mark.usefixtures("routing")
def test_workers_get_weights_and_teachers(wine):
    X, y, teacher, w = wine
    scoring = {name: get_scorer(name).set_score_request(sample_weight=True) for name in NAMES}
    model = GaussianNB().set_fit_request(sample_weight=False)
    params = {"sample_weight": w, "teacher_proba": teacher}
    with parallel_config("threading"):  # that scorers survive the way to processes is a test of copies
        found = cross_validate(model, X, y, scoring=scoring, params=params, cv=FOLDS, n_jobs=2)
    for name in NAMES:
        np.testing.assert_allclose(found[f"test_{name}"], per_fold(name, wine), rtol=1e-8)


@pytest.mark.usefixtures("routing")
def test_teachers_under_another_name(wine):
    X, y, teacher, _ = wine
    scorer = get_scorer("neg_teacher_kl").set_score_request(teacher_proba="forest")
    scores = cross_val_score(GaussianNB(), X, y, scoring=scorer, params={"forest": teacher}, cv=FOLDS)
    np.testing.assert_allclose(scores, per_fold("neg_teacher_kl", wine, weighted=False), rtol=1e-8)


@pytest.mark.usefixtures("routing")
def test_weights_nobody_decided_on_are_an_error(wine):
    X, y, _, w = wine
    model = GaussianNB().set_fit_request(sample_weight=True)
    with pytest.raises(UnsetMetadataPassedError, match=r"DivergenceScorer\(mean_kl_divergence\).score"):
        cross_val_score(model, X, y, scoring=get_scorer("neg_mean_kl"), params={"sample_weight": w})
    ignoring = get_scorer("neg_mean_kl").set_score_request(sample_weight=False)
    weighted_fit = cross_val_score(model, X, y, scoring=ignoring, params={"sample_weight": w})
    assert np.isfinite(weighted_fit).all()


@pytest.mark.usefixtures("routing")
def test_requests():
    scorer, teacher = get_scorer("neg_mean_kl"), get_scorer("neg_teacher_kl")
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": None}
    assert teacher.get_metadata_routing().score.requests == {"sample_weight": None, "teacher_proba": True}
    teacher.set_score_request(sample_weight=True)
    assert teacher.get_metadata_routing().score.requests == {"sample_weight": True, "teacher_proba": True}
    with pytest.raises(TypeError, match="'teacher_proba' .* has no teacher.* Got True"):
        scorer.set_score_request(teacher_proba=True)
    with pytest.raises(TypeError, match="groups"):
        scorer.set_score_request(groups=True)
    with pytest.raises(ValueError, match="alias"):
        scorer.set_score_request(sample_weight="not a name")
    assert scorer.get_metadata_routing().score.requests == {"sample_weight": None}


def test_requests_need_routing():
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        get_scorer("neg_mean_kl").set_score_request(sample_weight=True)


def test_a_missing_teacher_is_explained(wine):
    X, y, teacher, _ = wine
    with pytest.raises(ValueError, match="'teacher_proba' .*enable_metadata_routing=True.* Got None"):
        cross_val_score(GaussianNB(), X, y, scoring=get_scorer("neg_teacher_kl"), error_score="raise")


@pytest.mark.parametrize("several", [False, True])
def test_searches_pass_weights_on_without_routing_too(wine, several):
    X, y, _, w = wine
    scorer = get_scorer("neg_mean_kl")
    scoring = {"kl": scorer, "accuracy": "accuracy"} if several else scorer
    grid = {"var_smoothing": [1e-9]}
    search = GridSearchCV(GaussianNB(), grid, scoring=scoring, refit=False, cv=FOLDS).fit(X, y, sample_weight=w)
    for fold, (train, test) in enumerate(FOLDS.split(X, y)):
        proba = GaussianNB().fit(X[train], y[train], w[train]).predict_proba(X[test])
        expected = SCORES["neg_mean_kl"](np.eye(3)[y[test]], proba, w[test])
        found = search.cv_results_[f"split{fold}_test_{'kl' if several else 'score'}"][0]
        assert found == pytest.approx(expected, rel=1e-8)
