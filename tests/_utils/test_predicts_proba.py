"""Estimators that have predict_proba, now or once they are fitted, wherever a classifier is a parameter."""

import numpy as np
import pytest
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from sklkl._utils.predicts_proba import PredictsProba, predicts_proba
from sklkl.divergences import classifier_kl_divergence
from sklkl.drift import DensityRatioWeighter
from sklkl.preprocessing import ProbaDivergence

STACK = StackingClassifier([("nb", GaussianNB())], cv=2)


@pytest.mark.parametrize(
    "estimator",
    [GaussianNB(), STACK, make_pipeline(STACK), GridSearchCV(STACK, {}), GridSearchCV(make_pipeline(STACK), {})],
)
def test_has_it_or_will_have_it(estimator):
    assert predicts_proba(estimator)
    assert PredictsProba("fit").is_satisfied_by(estimator)


@pytest.mark.parametrize(
    "estimator",
    [SVC(), LinearSVC(), Ridge(), make_pipeline(Ridge()), VotingClassifier([("nb", GaussianNB())]), None, 3, object()],
)
def test_never_has_it(estimator):
    assert not predicts_proba(estimator)
    assert not PredictsProba("fit").is_satisfied_by(estimator)


def test_a_stack_serves_wherever_a_classifier_does(table):
    X, y = table
    assert np.isfinite(classifier_kl_divergence(X[:60], X[60:], classifier=STACK, random_state=0))
    assert ProbaDivergence(STACK, cv=2).fit(X, y).transform(X).shape[0] == 120
    weighter = DensityRatioWeighter(LogisticRegression(), method="classifier", classifier=STACK)
    assert weighter.fit(X, y, X_target=X + 0.1).predict(X).shape == (120,)
