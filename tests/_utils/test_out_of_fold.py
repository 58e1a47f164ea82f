"""Probabilities with one column for each class, of rows that the classifier was not trained on."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB

from sklkl._utils.out_of_fold import aligned_proba, checked_splits, out_of_fold_proba

X, Y = load_iris(return_X_y=True)
CLASSES = np.array([0, 1, 2])


class TwoColumns(GaussianNB):
    """Forgets its last class."""

    def predict_proba(self, X):
        return super().predict_proba(X)[:, :2]


def test_columns_follow_the_classes():
    model = GaussianNB().fit(X[50:], Y[50:])
    found = aligned_proba(model, X, np.array([2, 0, 1]))
    np.testing.assert_array_equal(found[:, [2, 0]], model.predict_proba(X))
    np.testing.assert_array_equal(found[:, 1], 0)


def test_unknown_classes_and_other_shapes_are_refused():
    model = GaussianNB().fit(X, Y)
    with pytest.raises(ValueError, match=r"'y' parameter must be labels among .* \[0, 1\]\. Got the label 2 instead"):
        aligned_proba(model, X, CLASSES[:2])
    with pytest.raises(ValueError, match=r"^TwoColumns.predict_proba must .* each of 3 classes\. Got .*\(150, 2\)"):
        aligned_proba(TwoColumns().fit(X, Y), X, CLASSES)


def test_every_row_is_predicted_by_a_clone_that_has_not_seen_it():
    folds = StratifiedKFold(5)
    found = out_of_fold_proba(GaussianNB(), X, Y, folds.split(X, Y), {}, CLASSES)
    np.testing.assert_allclose(found, cross_val_predict(GaussianNB(), X, Y, cv=folds, method="predict_proba"))


def test_rows_in_no_test_part_are_nan_and_those_in_several_are_averaged():
    (train, test), *_ = KFold(3).split(X)
    once, twice = (out_of_fold_proba(GaussianNB(), X, Y, [(train, test)] * n, {}, CLASSES) for n in (1, 2))
    assert np.isnan(once[train]).all()
    np.testing.assert_allclose(twice, once)
    np.testing.assert_array_equal(once[test, 0], 0)  # the fold's clone has never seen the first class


def test_parameters_of_fit_are_cut_to_the_fold():
    weight = np.where(Y == 0, 1.0, 3.0)
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    found = out_of_fold_proba(GaussianNB(), X, Y, [(train, test)], {"sample_weight": weight}, CLASSES)
    expected = GaussianNB().fit(X[train], Y[train], sample_weight=weight[train]).predict_proba(X[test])
    np.testing.assert_array_equal(found[test], expected)


def test_splits_by_numbers_or_masks():
    mask = np.array([True, False, True])
    for train, test in ([0, 2], [1]), (mask, ~mask), (range(0, 3, 2), [-2]):
        [(first, second)] = checked_splits("cv", None, [(train, test)], 3)
        assert (first.tolist(), second.tolist()) == ([0, 2], [1])


@pytest.mark.parametrize("split", [([0], [99]), (["a"], [1]), ([0.5], [1]), 3, ([0],), ([[0], [1, 2]], [1])], ids=str)
def test_splits_of_other_rows_are_refused(split):
    with pytest.raises(ValueError, match="^cv='mine' cannot split these rows: "):
        checked_splits("cv", "mine", [split], 3)
