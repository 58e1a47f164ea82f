"""What comes in as y: labels keep their type, and what are no labels is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sklkl.penalties import PENALTIES

ORIGINALS = {
    "str": np.array(["cat", "dog", "emu"]),
    "object": np.array(["cat", "dog", "emu"], dtype=object),
    "holes": np.array([3, 7, 11]),
    "negative": np.array([-1, 0, 1], dtype=np.int8),
    "float": np.array([0.0, 1.0, 2.0]),
    "unsorted": np.array([9, 2, 5]),
}


@pytest.mark.parametrize("kind", ORIGINALS)
def test_labels_come_back_in_their_own_type(quick, table, kind):
    X, codes = table
    y = ORIGINALS[kind][codes]
    clf = quick(max_epochs=60, lr=0.05).fit(X, y)
    predicted = clf.predict(X)
    assert predicted.dtype == y.dtype
    assert clf.classes_.tolist() == sorted(set(y.tolist()))
    assert np.array_equal(predicted, clf.classes_[clf.predict_proba(X).argmax(1)])
    assert (predicted == y).mean() > 0.7


def test_bool_labels(quick, make_table):
    X, codes = make_table(n_classes=2)
    clf = quick().fit(X, codes == 1)
    assert clf.predict(X).dtype == bool
    assert clf.classes_.tolist() == [False, True]


@pytest.mark.parametrize("kind", ["str", "holes", "float"])
def test_the_names_of_the_labels_do_not_matter(quick, table, kind):
    X, codes = table
    clf, expected = quick().fit(X, ORIGINALS[kind][codes]), quick().fit(X, codes)
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    "container",
    [list, tuple, pd.Series, lambda y: pd.Series(y, dtype="category"), lambda y: pd.Series(y, dtype="string")],
    ids=["list", "tuple", "Series", "category", "string"],
)
def test_containers_of_labels(quick, table, container):
    X, codes = table
    y = ORIGINALS["str"][codes]
    assert np.array_equal(quick().fit(X, container(y)).predict(X), quick().fit(X, y).predict(X))


def test_a_column_vector_warns(quick, table):
    X, y = table
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        clf = quick().fit(X, y[:, None])
    assert clf.predict(X).shape == (120,)


# What are no labels


@pytest.mark.parametrize("missing", [np.nan, None], ids=str)
@pytest.mark.parametrize("kind", ["number", "text"])
def test_a_missing_label_is_refused(quick, table, missing, kind):
    X, codes = table
    y = (ORIGINALS["str"][codes] if kind == "text" else codes).astype(object)
    y[5] = missing
    with pytest.raises(ValueError, match="NaN|None"):
        quick().fit(X, y)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("Int64", [0, 1]), ("boolean", [False, True]), ("category", ["a", "b"]), ("string", ["a", "b"])],
)
def test_a_missing_label_of_pandas_is_refused(quick, table, dtype, values):
    y = pd.Series([None, *values * 59, values[0]], dtype=dtype)
    with pytest.raises(ValueError, match="contains NaN|contains None|contains NA"):
        quick().fit(table[0], y)


def test_nan_among_float_labels_is_refused(quick, table):
    X, y = table
    y = y.astype(float)
    y[5] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick().fit(X, y)


def test_continuous_targets_are_refused(quick, table):
    X, _ = table
    with pytest.raises(ValueError, match="Unknown label type"):
        quick().fit(X, X[:, 0])


@pytest.mark.parametrize("container", [list, lambda y: np.array(y, dtype=object), lambda y: pd.Series(y, dtype=object)])
def test_texts_mixed_with_numbers_are_refused(quick, container):
    with pytest.raises(TypeError, match="uniformly strings or numbers"):
        quick().fit(np.zeros((4, 2)), container(["a", 1, "b", 1]))


def test_several_columns_that_are_no_indicator_are_refused(quick, table):
    X, y = table
    with pytest.raises(ValueError, match="multilabel indicator"):
        quick().fit(X, np.stack([y, y], 1))


# Few rows of a class


@pytest.mark.parametrize("label", ["only", 7, True])
def test_one_class_is_fitted_and_predicted(quick, table, label):
    X, _ = table
    clf = quick(kl_strength=0.1).fit(X, [label] * 120)
    assert clf.classes_.tolist() == [label]
    assert set(clf.predict(X).tolist()) == {label}
    assert np.array_equal(clf.predict_proba(X), np.ones((120, 1)))


def test_a_class_with_one_row_stays_in_training_with_a_warning(quick, table):
    X, y = table
    y = y.copy()
    y[7] = 9
    with pytest.warns(UserWarning, match="1 classes have one row only"):
        clf = quick(early_stopping=True, max_epochs=200, lr=0.05, n_iter_no_change=None).fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2, 9]
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()
    assert clf.predict_proba(X)[7, 3] > 2 / 120  # it was learned from


def test_classes_come_from_all_labels_before_splitting(quick):
    """Two rows each of many classes: some class is in the validation part only."""
    random = np.random.RandomState(0)
    y = np.repeat(np.arange(60), 2)
    X = random.randn(120, 5)
    clf = quick(early_stopping=True, validation_fraction=0.2).fit(X, y)
    assert clf.classes_.tolist() == list(range(60))
    assert clf.predict_proba(X).shape == (120, 60)
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_class_in_the_validation_part_only_keeps_every_loss_finite(quick, penalty):
    y = np.repeat(np.arange(60), 2)
    X = np.random.RandomState(0).randn(120, 5)
    clf = quick(early_stopping=True, validation_fraction=0.2, kl_penalty=penalty, kl_strength=0.1).fit(X, y)
    assert np.isfinite(clf.history_[:, "train_loss"]).all()
    assert np.isfinite(clf.predict_log_proba(X)).all()


@pytest.mark.parametrize("early_stopping", [True, False, "auto"])
def test_every_row_of_a_class_of_its_own(quick, early_stopping):
    X = np.random.RandomState(0).randn(8, 5)
    clf = quick(early_stopping=early_stopping)
    if early_stopping is True:
        with pytest.warns(UserWarning, match="8 classes"):
            clf.fit(X, np.arange(8))
    else:
        clf.fit(X, np.arange(8))
    assert clf.predict_proba(X).shape == (8, 8)


# Several labels a row


@pytest.fixture
def labels(table):
    X, y = table
    return X, np.stack([y == 0, X[:, 0] > 0, y != 1, X[:, 1] > 3], axis=1).astype(int)


def test_multilabel_predictions(quick, labels):
    X, Y = labels
    clf = quick(max_epochs=60, lr=0.05).fit(X, Y)
    proba = clf.predict_proba(X)
    assert clf.classes_.tolist() == [0, 1, 2, 3]
    assert proba.shape == Y.shape
    assert proba.dtype == np.float64
    assert ((proba >= 0) & (proba <= 1)).all()
    assert np.array_equal(clf.predict(X), (proba > 0.5).astype(int))
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba, rtol=1e-12)
    assert clf.score(X, Y) > 0.6


@pytest.mark.parametrize("penalty", [p for p, kind in PENALTIES.items() if not kind.needs_net])
def test_multilabel_penalties_pull(quick, labels, penalty):
    X, Y = labels
    free, held = (quick(max_epochs=30, lr=0.05, kl_penalty=penalty, kl_strength=s).fit(X, Y) for s in (0.0, 10.0))
    spread = [clf.predict_proba(X).std(0).mean() for clf in (free, held)]
    assert spread[1] < spread[0] / 2
    assert held.history_[-1, "train_kl_penalty"] > 0


@pytest.mark.parametrize(
    "container", [np.asarray, lambda Y: Y.tolist(), sparse.csr_array, pd.DataFrame, lambda Y: Y.astype(bool)],
    ids=["array", "lists", "sparse", "frame", "bool"],
)  # fmt: skip
def test_multilabel_containers(quick, labels, container):
    X, Y = labels
    assert np.array_equal(quick().fit(X, container(Y)).predict_proba(X), quick().fit(X, Y).predict_proba(X))


def test_a_multilabel_target_can_be_split_and_streamed(quick, labels):
    X, Y = labels
    clf = quick(early_stopping=True).fit(X, Y)
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()
    clf.partial_fit(X, Y)
    assert clf.n_iter_ == 4
    stream = quick().partial_fit(X, Y, classes=range(4)).partial_fit(X[:3], Y[:3])
    assert stream.predict_proba(X).shape == Y.shape


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0}])
def test_class_weights_mean_nothing_for_several_labels(quick, labels, class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        quick(class_weight=class_weight).fit(*labels)


def test_multilabel_weights_count(exact, labels):
    X, Y = labels
    weight = np.random.RandomState(0).randint(3, size=120)
    repeated = exact().fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight, axis=0))
    weighted = exact().fit(X, Y, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
