"""Candidates that are trained with several seeds."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.model_selection import StackedGridSearchCV
from sklkl.model_selection._repeats import with_seeds

GRID = {"klclassifier__kl_strength": [0.0, 0.5]}


def seeds_of(estimator, n_repeats):
    name = "klclassifier__random_state"
    return [params.get(name, 0) for params in with_seeds(estimator, [{}], n_repeats, "Search")]


METRICS = ["neg_log_loss", "accuracy"]


@pytest.mark.parametrize("scoring", ["neg_log_loss", METRICS])
def test_scores_are_means_over_seeds(once, quick, table, scoring):
    pipeline = make_pipeline(StandardScaler(), quick(dtype="float64"))
    params = {"refit": False, "cv": 2, "return_train_score": True}
    search = StackedGridSearchCV(pipeline, GRID, n_repeats=3, scoring=scoring, **params).fit(*table)
    each = {**GRID, "klclassifier__random_state": seeds_of(pipeline, 3)}
    plain = once("plain", lambda: GridSearchCV(pipeline, each, scoring=METRICS, **params).fit(*table))
    for name in ("split0_test", "split1_test", "mean_test", "mean_train"):
        for metric in ["score"] if isinstance(scoring, str) else scoring:
            expected = plain.cv_results_[f"{name}_{scoring if metric == 'score' else metric}"].reshape(2, 3)
            np.testing.assert_allclose(search.cv_results_[f"{name}_{metric}"], expected.mean(axis=1))
            if name == "mean_test":
                np.testing.assert_allclose(search.cv_results_[f"std_repeat_test_{metric}"], expected.std(axis=1))
    np.testing.assert_array_equal(search.cv_results_["stacked"], [6, 6])
    assert search.cv_results_["params"] == [{"klclassifier__kl_strength": value} for value in (0.0, 0.5)]


def test_the_stack_of_each_candidate_is_that_of_its_first_seed(quick, table):
    grid = [{"kl_strength": [0.0, 0.5]}, {"hidden_layer_sizes": [(3,)]}]
    params = {"n_repeats": 2, "max_stack": 3, "cv": 2, "refit": False}
    search = StackedGridSearchCV(quick(max_epochs=1), grid, **params).fit(*table)
    # the last seed of the second candidate is left over, and another shape makes a stack of its own
    assert search.cv_results_["stacked"].tolist() == [3, 3, 2]


def test_the_best_is_refitted_with_its_own_seed(quick, table):
    search = StackedGridSearchCV(quick(), {"kl_strength": [0.0, 0.5]}, n_repeats=2, cv=2).fit(*table)
    assert set(search.best_params_) == {"kl_strength"}
    assert search.best_estimator_.random_state == 0


def test_seeds_follow_from_the_classifiers(quick):
    pipeline = make_pipeline(StandardScaler(), quick())
    assert len(set(seeds_of(pipeline, 4))) == 4
    assert seeds_of(pipeline, 4)[:2] == seeds_of(pipeline, 2)
    other = make_pipeline(StandardScaler(), quick(random_state=1))
    assert not set(seeds_of(pipeline, 4)[1:]) & set(seeds_of(other, 4))


def test_without_a_seed_every_repeat_draws_its_own(quick, table):
    search = StackedGridSearchCV(
        quick(random_state=None), {"kl_strength": [0.0, 0.5]}, n_repeats=2, cv=2, scoring="neg_log_loss", refit=False
    ).fit(*table)
    assert (search.cv_results_["std_repeat_test_score"] > 0).all()
    np.testing.assert_array_equal(search.cv_results_["stacked"], [4, 4])


def test_no_seed_to_derive_others_from(quick, table):
    search = StackedGridSearchCV(quick(random_state=np.random.RandomState(0)), {"kl_strength": [0.0]}, n_repeats=2)
    with pytest.raises(ValueError, match="'random_state' parameter of KLClassifier must be an integer or None"):
        search.fit(*table)


def test_no_classifier_of_ours(table):
    search = StackedGridSearchCV(LogisticRegression(), {"C": [1.0]}, n_repeats=2)
    with pytest.raises(ValueError, match="'n_repeats' parameter of StackedGridSearchCV must be 1 for"):
        search.fit(*table)
