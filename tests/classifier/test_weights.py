"""A weight of two is a row twice, a weight of zero is no row, and class weights are weights."""

import numpy as np
import pytest
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


@each_penalty
def test_a_row_without_weight_is_no_row(exact, table, penalty):
    X, y = table
    kept = np.random.RandomState(0).rand(120) < 0.7
    weighted = exact(**with_penalty(penalty)).fit(X, y, sample_weight=kept)
    removed = exact(**with_penalty(penalty)).fit(X[kept], y[kept])
    np.testing.assert_allclose(weighted.predict_proba(X), removed.predict_proba(X), rtol=1e-6)


def test_a_row_without_weight_is_no_row_with_chance_too(quick, make_table):
    X, y = make_table(300)
    kept = np.random.RandomState(0).rand(300) < 0.8
    weighted = quick().fit(X, y, sample_weight=kept.astype(float))
    removed = quick().fit(X[kept], y[kept], sample_weight=np.ones(kept.sum()))
    np.testing.assert_allclose(weighted.predict_proba(X), removed.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_scale_of_the_weights_does_not_matter(exact, table, scale):
    X, y = table
    plain, scaled = exact().fit(X, y), exact().fit(X, y, sample_weight=np.full(120, scale))
    np.testing.assert_allclose(scaled.predict_proba(X), plain.predict_proba(X), rtol=1e-6)


def test_a_class_without_weight_stays_a_class(quick, table):
    X, y = table
    clf = quick().fit(X, y, sample_weight=y > 0)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.predict_proba(X).shape == (120, 3)


def test_weights_count_in_batches(quick, table):
    """In several batches too, a heavy class is predicted more often."""
    X, y = table
    heavy = quick(max_epochs=20, batch_size=16, lr=0.02).fit(X, y, sample_weight=np.where(y == 1, 20.0, 1.0))
    plain = quick(max_epochs=20, batch_size=16, lr=0.02).fit(X, y)
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
    ],
    ids=["zero", "negative", "nan", "inf", "length", "2-D"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights_are_refused(quick, table, weight, message, method):
    X, y = table
    clf = quick() if method == "fit" else quick().fit(X, y)
    with pytest.raises(ValueError, match=message):
        getattr(clf, method)(X, y, sample_weight=weight)


# Class weights


def test_a_dict_of_class_weights(exact, table):
    X, y = table
    by_class = {0: 0.5, 1: 2.0, 2: 1.0}
    weighted = exact().fit(X, y, sample_weight=[by_class[label] for label in y])
    np.testing.assert_allclose(
        exact(class_weight=by_class).fit(X, y).predict_proba(X), weighted.predict_proba(X), rtol=1e-6
    )


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


def test_class_weights_count_in_partial_fit(exact, table):
    X, y = table
    by_class = {0: 0.5, 1: 2.0, 2: 1.0}
    expected = exact().partial_fit(X, y, classes=range(3), sample_weight=[by_class[label] for label in y])
    actual = exact(class_weight=by_class).partial_fit(X, y, classes=range(3))
    np.testing.assert_allclose(actual.predict_proba(X), expected.predict_proba(X), rtol=1e-6)


def test_balanced_is_refused_for_a_stream(quick, table):
    with pytest.raises(ValueError, match="'class_weight' parameter cannot be 'balanced' for partial_fit"):
        quick(class_weight="balanced").partial_fit(*table, classes=range(3))


@pytest.mark.parametrize(
    "class_weight", [{9: 1.0}, {0: -1.0, 1: 1.0, 2: 1.0}, {0: 0.0, 1: 0.0, 2: 0.0}, {0: np.nan, 1: 1, 2: 1}], ids=str
)
def test_bad_class_weights_are_refused(quick, table, class_weight):
    with pytest.raises(ValueError, match="class_weight"):
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
