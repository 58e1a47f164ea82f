"""A weight of two is a row twice, a weight of zero is no row, and class weights are weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import compute_class_weight

from sklkl.penalties import PENALTIES

PLAIN = [name for name, kind in PENALTIES.items() if not kind.needs_net]  # without chance of their own
each_penalty = pytest.mark.parametrize("penalty", [None, *PLAIN])


def with_penalty(penalty):
    return {} if penalty is None else {"kl_penalty": penalty, "kl_strength": 0.3}


@each_penalty
def test_whole_weights_are_repeated_rows(exact, table, penalty):
    X, y = table
    weight = np.random.RandomState(0).randint(4, size=120)
    weighted = exact(**with_penalty(penalty)).fit(X, y, sample_weight=weight)
    repeated = exact(**with_penalty(penalty)).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    assert weighted.history_[-1, "train_loss"] == pytest.approx(repeated.history_[-1, "train_loss"], rel=1e-6)


def test_a_row_without_weight_is_no_row_with_chance_too(quick, make_table):
    X, y = make_table(300)
    kept = np.random.RandomState(0).rand(300) < 0.8
    weighted = quick().fit(X, y, sample_weight=kept.astype(float))
    removed = quick().fit(X[kept], y[kept], sample_weight=np.ones(kept.sum()))
    np.testing.assert_allclose(weighted.predict_proba(X), removed.predict_proba(X), rtol=1e-5)


def as_type(dtype):
    return lambda values: values.astype(dtype)


@pytest.mark.parametrize("scale", [1e3, 3e38, 1e308, 1e-44, 5e-324])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_weights_of_any_size_are_no_weights(exact, once, table, scale, dtype):
    X, y = table
    plain = once(dtype, lambda: exact(dtype=dtype, max_epochs=3).fit(X, y))
    scaled = exact(dtype=dtype, max_epochs=3).fit(X, y, sample_weight=np.full(120, scale))
    np.testing.assert_allclose(scaled.predict_proba(X), plain.predict_proba(X), rtol=1e-5)
    np.testing.assert_allclose(scaled.history_[:, "train_loss"], plain.history_[:, "train_loss"], rtol=1e-5)


@pytest.mark.parametrize("scale", [2.0**-1060, 1e-40, 1e38, 2.0**1020])
@pytest.mark.parametrize("largest", [3.0, 10.0], ids=["random", "one outlier"])
def test_only_ratios_of_weights_count(exact, once, table, scale, largest):
    X, y = table
    weight = np.random.RandomState(0).randint(4, size=120).astype(float)
    weight[3] = largest
    plain = once(("ratios", largest), lambda: exact(max_epochs=3).fit(X, y, sample_weight=weight))
    scaled = exact(max_epochs=3).fit(X, y, sample_weight=weight * scale)
    np.testing.assert_allclose(scaled.predict_proba(X), plain.predict_proba(X), rtol=1e-6)
    assert scaled.history_[-1, "train_loss"] == pytest.approx(plain.history_[-1, "train_loss"], rel=1e-6)


@pytest.mark.parametrize("convert", [list, pd.Series, pl.Series, *map(as_type, [np.longdouble, object, ">f8"])])
def test_huge_weights_in_any_container(quick, once, table, convert):
    X, y = table
    weight = np.random.RandomState(0).rand(120) + 0.5
    expected = once("containers", lambda: quick().fit(X, y, sample_weight=weight).predict_proba(X))
    actual = quick().fit(X, y, sample_weight=convert(weight * 1e300)).predict_proba(X)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_weights_does_not_matter_to_a_teacher_or_a_validation_part(quick, once, make_table, scale):
    X, y = make_table(220)
    for params in ({"early_stopping": True}, {"teacher": GaussianNB(), "augment": None, "calibrate_teacher": False}):

        def proba(weight, params=params):
            return quick(**params).fit(X, y, sample_weight=np.full(220, weight)).predict_proba(X)

        np.testing.assert_allclose(proba(scale), once(("scale", *params), lambda proba=proba: proba(1.0)), rtol=1e-6)


def test_a_weight_beside_which_all_others_vanish(exact, table):
    X, y = table
    weight = np.where(np.arange(120) < 60, 1e-300, 1e300)
    expected = exact().fit(X, y, sample_weight=np.arange(120) >= 60).predict_proba(X)
    np.testing.assert_allclose(exact().fit(X, y, sample_weight=weight).predict_proba(X), expected, rtol=1e-6)


def test_a_class_without_weight_stays_a_class(quick, table):
    X, y = table
    clf = quick().fit(X, y, sample_weight=y > 0)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.predict_proba(X).shape == (120, 3)


def test_weights_count_in_batches(quick, table):
    """In several batches too, a heavy class is predicted more often."""
    X, y = table
    heavy = quick(max_epochs=10, batch_size=16).fit(X, y, sample_weight=np.where(y == 1, 20.0, 1.0))
    plain = quick(max_epochs=10, batch_size=16).fit(X, y)
    assert heavy.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(120), "positive weight|non-zero"),
        (np.r_[-1.0, np.ones(119)], "[Nn]egative"),
        (np.r_[np.nan, np.ones(119)], "NaN"),
        (np.r_[np.inf, np.ones(119)], "infinity"),
        (np.ones(119), "shape"),
        (np.ones((120, 2)), "1D array or scalar"),
        (["heavy"] * 120, "could not convert"),
        ([10**400] * 120, "finite numbers"),
        ({0: 1.0}, "finite numbers"),
        ([None] * 120, "NaN|None"),
    ],
    ids=["zero", "negative", "nan", "inf", "length", "2-D", "text", "no float", "dict", "None"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights_are_refused(quick, once, table, weight, message, method):
    X, y = table
    clf = quick() if method == "fit" else once("fitted", lambda: quick().fit(X, y))
    with pytest.raises(ValueError, match=f"The 'sample_weight' parameter must .*({message})"):
        getattr(clf, method)(X, y, sample_weight=weight)


# Class weights


def test_class_weights_are_named_by_label(exact, table):
    X, codes = table
    y = np.array(["cat", "dog", "emu"])[codes]
    by_code, by_label = {0: 0.5, 1: 2.0, 2: 1.0}, {"emu": 1.0, "dog": 2.0, "cat": 0.5}
    expected = exact(class_weight=by_code).fit(X, codes).predict_proba(X)
    assert np.array_equal(exact(class_weight=by_label).fit(X, y).predict_proba(X), expected)


def test_balanced_class_weights(exact, table):
    X, y = table
    y = np.where(np.arange(120) % 5 == 0, y, 0)
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=y)
    expected = exact().fit(X, y, sample_weight=balanced[y]).predict_proba(X)
    np.testing.assert_allclose(exact(class_weight="balanced").fit(X, y).predict_proba(X), expected, rtol=1e-6)


def test_classes_are_balanced_by_the_weight_of_their_rows(exact, table):
    X, y = table
    weight = np.random.RandomState(0).rand(120) * np.choose(y, [1.0, 5.0, 20.0])
    expected = weight / np.bincount(y, weights=weight)[y]  # each class weighs the same in all
    actual = exact(class_weight="balanced").fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_allclose(actual, exact().fit(X, y, sample_weight=expected).predict_proba(X), rtol=1e-6)


def test_class_weights_multiply_sample_weights(exact, table):
    X, y = table
    weight, by_class = np.random.RandomState(0).rand(120), {0: 0.5, 1: 2.0, 2: 1.0}
    expected = exact().fit(X, y, sample_weight=weight * [by_class[label] for label in y]).predict_proba(X)
    actual = exact(class_weight=by_class).fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_class_weights_count_in_partial_fit(stream, table):
    X, y = table
    params = {"dropout": 0.0, "batch_size": 1000, "dtype": "float64"}
    by_class = {0: 0.5, 1: 2.0, 2: 1.0}
    expected = stream(**params).partial_fit(X, y, classes=range(3), sample_weight=[by_class[label] for label in y])
    actual = stream(class_weight=by_class, **params).partial_fit(X, y, classes=range(3))
    np.testing.assert_allclose(actual.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-310, 1e300])
def test_only_ratios_of_class_weights_count(exact, table, scale):
    X, y = table
    weight = np.random.RandomState(0).rand(120)
    plain, scaled = (
        exact(class_weight={0: 2.0 * factor, 1: factor, 2: 4.0 * factor}).fit(X, y, sample_weight=weight)
        for factor in (1.0, scale)
    )
    np.testing.assert_allclose(scaled.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


def test_huge_class_weights_may_undo_tiny_sample_weights(exact, table):
    X, y = table
    weight = np.choose(y, [1e-300, 1.0, 1e300])
    clf = exact(class_weight={0: 1e300, 1: 1.0, 2: 1e-300}).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(clf.predict_proba(X), exact().fit(X, y).predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_classes_are_balanced_whatever_the_size_of_the_weights(exact, table, scale):
    X, y = table
    weight = np.random.RandomState(0).rand(120)
    plain, scaled = (exact(class_weight="balanced").fit(X, y, sample_weight=weight * factor) for factor in (1.0, scale))
    np.testing.assert_allclose(scaled.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("class_weight", [{0: 2.0, 2: 3.0}, {0: 2.0, 1: 1.0, 2: 3.0, 9: 4.0}])
def test_class_weights_as_scikit_learn_reads_them(exact, table, class_weight):
    """Classes that a dict lacks weigh 1; it may name a class that no row has if it names all others."""
    X, y = table
    expected = compute_class_weight(class_weight, classes=np.arange(3), y=y)[y]
    actual = exact(class_weight=class_weight).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(actual, exact().fit(X, y, sample_weight=expected).predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("class_weight", [{0: 2.0, 2: 3.0}, {0: 2.0, 1: 1.0, 2: 3.0, 9: 4.0}])
@pytest.mark.parametrize("kept", [[1, 2], [0, 1], [1]], ids=str)
def test_class_weights_of_classes_that_a_batch_lacks(stream, table, class_weight, kept):
    X, y = table
    params = {"dropout": 0.0, "batch_size": 1000, "dtype": "float64"}
    X, y = X[np.isin(y, kept)], y[np.isin(y, kept)]
    by_class = np.array([class_weight.get(label, 1.0) for label in range(3)])
    clf = stream(class_weight=class_weight, **params).partial_fit(X, y, classes=range(3))
    expected = stream(**params).partial_fit(X, y, classes=range(3), sample_weight=by_class[y])
    np.testing.assert_allclose(clf.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


def test_balanced_is_refused_for_a_stream(quick, table):
    with pytest.raises(ValueError, match="'class_weight' parameter cannot be 'balanced' for partial_fit"):
        quick(class_weight="balanced").partial_fit(*table, classes=range(3))


@pytest.mark.parametrize(
    "class_weight",
    [
        {9: 1.0},
        {0: 1.0, 9: 1.0},
        {0: -1.0, 1: 1.0, 2: 1.0},
        {0: 0.0, 1: 0.0, 2: 0.0},
        {0: np.nan, 1: 1, 2: 1},
        {0: np.inf, 1: 1, 2: 1},
        {0: 10**400, 1: 1, 2: 1},
        {0: None, 1: 1, 2: 1},
        {0: "much", 1: 1, 2: 1},
    ],
    ids=lambda weights: str(weights)[:30],
)
def test_bad_class_weights_are_refused(quick, table, class_weight):
    with pytest.raises(
        ValueError, match="The 'class_weight' parameter.* must have|'class_weight' parameter of .* must be"
    ):
        quick(class_weight=class_weight).fit(*table)


def test_a_class_weight_of_zero_removes_the_rows_of_the_class(exact, table):
    X, y = table
    actual = exact(class_weight={0: 0.0, 1: 1.0, 2: 1.0}).fit(X, y)
    expected = exact().fit(X, y, sample_weight=y > 0)
    np.testing.assert_allclose(actual.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


# Scores


def test_the_score_is_the_weighted_accuracy(quick, table):
    X, y = table
    clf, weight = quick().fit(X, y), np.random.RandomState(0).rand(120)
    assert clf.score(X, y, sample_weight=weight) == pytest.approx(np.average(clf.predict(X) == y, weights=weight))
