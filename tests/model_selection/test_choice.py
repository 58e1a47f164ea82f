"""The strongest candidate within one standard error of the best."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from sklkl.model_selection import one_standard_error


def results(scores, values=(0.0, 0.1, 0.2, 0.3), name="kl_strength", metric="score"):
    """Return what a search has of candidates whose scores in five folds have a standard error of 0.1."""
    folds = {f"split{i}_test_{metric}": np.zeros(len(scores)) for i in range(5)}
    means = {f"mean_test_{metric}": np.array(scores), f"std_test_{metric}": np.full(len(scores), 0.2)}
    return {f"param_{name}": np.ma.masked_invalid(values), **folds, **means}


@pytest.mark.parametrize(
    ("scores", "larger", "expected"),
    [
        ([-1.0, -1.05, -1.09, -1.11], True, 2),
        ([-1.0, -1.05, -1.09, -1.11], False, 0),
        ([-1.2, -1.05, -1.0, -1.11], False, 1),
        ([-1.0, -2.0, -2.0, np.nan], True, 0),
    ],
)
def test_the_strongest_within_an_error(scores, larger, expected):
    assert one_standard_error("kl_strength", larger=larger)(results(scores)) == expected


def test_of_equal_values_the_best():
    assert one_standard_error("kl_strength")(results([-1.0, -1.05, -1.02], [0.0, 0.1, 0.1])) == 2


def test_the_parameter_of_a_step():
    assert one_standard_error("kl_strength")(results([-1.0, -1.05], [0, 1], name="net__kl_strength")) == 1


def test_candidates_without_the_parameter_are_not_taken_unless_best():
    choose = one_standard_error("kl_strength")
    assert choose(results([-1.0, -1.05, -2.0], [np.nan, 0.1, 0.2])) == 1
    assert choose(results([-1.0, -2.0], [np.nan, 0.1])) == 0


def test_one_of_several_metrics():
    assert one_standard_error("kl_strength", metric="hits")(results([1.0, 0.95], [0, 1], metric="hits")) == 1


def test_unknown_parameter():
    with pytest.raises(ValueError, match=r"'towards' parameter must be one of .* \['kl_strength'\]. Got 'strength'"):
        one_standard_error("strength")(results([-1.0, -1.0], [0, 1]))


def test_no_score():
    with pytest.raises(ValueError, match="No candidate has a score"):
        one_standard_error("kl_strength")(results([np.nan, np.nan], [0, 1]))


def test_in_a_search(table):
    choose = pickle.loads(pickle.dumps(one_standard_error("C", larger=False)))
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, refit=choose, cv=3).fit(*table)
    assert search.best_index_ == choose(search.cv_results_)
    assert repr(choose) == "one_standard_error('C', larger=False, metric='score')"
