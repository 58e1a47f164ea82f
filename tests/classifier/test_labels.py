"""What comes in as y: labels keep their type, and what are no labels is refused."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.naive_bayes import GaussianNB
from torch import nn

from sklkl.penalties import PENALTIES

ORIGINALS = {
    "str": np.array(["cat", "dog", "emu"]),
    "object": np.array(["cat", "dog", "emu"], dtype=object),
    "holes": np.array([3, 7, 11]),
    "negative": np.array([-1, 0, 1], dtype=np.int8),
    "float": np.array([0.0, 1.0, 2.0]),
    "unsorted": np.array([9, 2, 5]),
}


def as_objects(values):
    """Return values of any kind as an array of objects."""
    held = np.empty(len(values), dtype=object)
    held[:] = values
    return held


@pytest.mark.parametrize("kind", ORIGINALS)
def test_labels_come_back_in_their_own_type(quick, table, kind):
    X, codes = table
    y = ORIGINALS[kind][codes]
    clf = quick(max_epochs=15).fit(X, y)
    predicted = clf.predict(X)
    assert predicted.dtype == y.dtype
    assert clf.classes_.tolist() == sorted(set(y.tolist()))
    assert np.array_equal(predicted, clf.classes_[clf.predict_proba(X).argmax(1)])
    assert (predicted == y).mean() > 0.7


@pytest.mark.parametrize("dtype", [object, "Int64"])
def test_a_teacher_learns_labels_of_that_type(quick, make_table, dtype):
    X, codes = make_table(n_classes=2)
    clf = quick(teacher=GaussianNB(), max_epochs=1).fit(
        X, pd.Series(codes == 1 if dtype is object else codes, dtype=dtype)
    )
    assert clf.classes_.tolist() == ([False, True] if dtype is object else [0, 1])


@pytest.mark.parametrize("kind", ["str", "holes", "float"])
def test_the_names_of_the_labels_do_not_matter(quick, once, table, kind):
    X, codes = table
    expected = once("codes", lambda: quick().fit(X, codes).predict_proba(X))
    assert np.array_equal(quick().fit(X, ORIGINALS[kind][codes]).predict_proba(X), expected)


@pytest.mark.parametrize(
    "container",
    [list, tuple, pd.Series, lambda y: pd.Series(y, dtype="category"), lambda y: pd.Series(y, dtype="string")],
    ids=["list", "tuple", "Series", "category", "string"],
)
def test_containers_of_labels(quick, once, table, container):
    X, codes = table
    y = ORIGINALS["str"][codes]
    expected = once("texts", lambda: quick().fit(X, y).predict(X))
    assert np.array_equal(quick().fit(X, container(y)).predict(X), expected)


COLUMNS = {
    "array": lambda y: y[:, None],
    "lists": lambda y: y[:, None].tolist(),
    "pandas": lambda y: pd.DataFrame({"label": y}),
    "polars": lambda y: pl.DataFrame({"label": y}),
    "nullable": lambda y: pd.DataFrame({"label": pd.array(y, dtype="Int64")}),
}
# How a column of labels may come to a teacher.
USES = {
    "no teacher": {},
    "teacher": {"teacher": GaussianNB(), "augment": None},
    "teacher_cv": {"teacher": GaussianNB(), "teacher_cv": 2, "distill_weight": 0.5, "augment": None},
    "module": {"teacher": nn.Linear(5, 3), "distill_weight": 0.5, "augment": None},
}


# every container without a teacher, and one with each
@pytest.mark.parametrize(
    ("container", "use"),
    [*((container, "no teacher") for container in COLUMNS), *(("array", use) for use in USES if use != "no teacher")],
)
def test_a_column_vector_warns_once(quick, once, table, container, use):
    X, y = table
    with pytest.warns(UserWarning, match="column-vector y was passed") as caught:
        clf = quick(**USES[use]).fit(X, COLUMNS[container](y))
    assert len(caught) == 1
    assert clf.predict(X).shape == (120,)
    assert np.array_equal(clf.predict_proba(X), once(use, lambda: quick(**USES[use]).fit(X, y).predict_proba(X)))


def test_a_column_vector_with_further_rows(quick, table):
    X, y = table
    taught = quick(teacher=GaussianNB(), augment=None)
    with pytest.warns(UserWarning, match="column-vector y was passed") as caught:
        clf = taught.fit(X, y[:, None], X_unlabeled=X[:7])
    assert len(caught) == 1
    assert np.array_equal(clf.predict_proba(X), taught.fit(X, y, X_unlabeled=X[:7]).predict_proba(X))


TYPED = {"int": [3, 7], "float": [0.0, 2.0], "bool": [False, True], "int64": [np.int64(3), np.int64(7)]}


@pytest.mark.parametrize("kind", TYPED)
@pytest.mark.parametrize(
    "container", [lambda y: y, pd.Series, lambda y: pd.DataFrame({"y": y})["y"], pl.Series], ids=range(4)
)
def test_objects_of_one_type_are_labels_of_that_type(quick, make_table, kind, container):
    X, codes = make_table(n_classes=2)
    y = as_objects([TYPED[kind][code] for code in codes])
    clf = quick(max_epochs=1).fit(X, container(y))
    assert clf.classes_.tolist() == TYPED[kind]
    assert clf.predict(X).dtype == np.asarray(TYPED[kind]).dtype


@pytest.mark.parametrize("dtype", ["Int64", "UInt8", "boolean", "Float32", "int64[pyarrow]", "bool[pyarrow]"])
def test_nullable_labels_keep_their_type(quick, make_table, dtype):
    X, codes = make_table(n_classes=2)
    clf = quick(max_epochs=1).fit(X, pd.Series(codes).astype(dtype))
    assert clf.classes_.tolist() == [0, 1]
    assert clf.classes_.dtype.kind == {"I": "i", "U": "u", "b": "b", "F": "f", "i": "i"}[dtype[0]]


def test_nullable_labels_beyond_what_a_float_holds_stay_apart(quick, make_table):
    X, codes = make_table(n_classes=2)
    clf = quick().fit(X, pd.Series(2**60 + codes, dtype="Int64"))
    assert clf.classes_.tolist() == [2**60, 2**60 + 1]


def test_texts_of_polars(quick, table):
    y = pl.Series(["b", "a"] * 60, dtype=pl.Enum(["b", "a"]))
    assert quick().fit(table[0], y).classes_.tolist() == ["a", "b"]


def test_texts_of_varying_length(quick, table):
    pytest.importorskip("numpy", minversion="2.0", reason="older ones have no StringDType")
    y = np.array(["b", "a"] * 60, dtype=np.dtypes.StringDType())
    assert quick().fit(table[0], y).classes_.tolist() == ["a", "b"]


# What are no labels


MISSING = {"NaN": np.nan, "None": None, "NaT": pd.NaT, "NA": pd.NA, "NaT of NumPy": np.datetime64("NaT", "s")}
VALUES = {"number": [1, 2], "float": [1.0, 2.0], "bool": [True, False], "text": ["a", "b"]}


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("kind", VALUES)
def test_a_missing_label_is_refused(quick, missing, kind):
    y = VALUES[kind] * 3 + [MISSING[missing]]
    for given in (y, tuple(y), as_objects(y), pd.Series(y, dtype=object)):
        with pytest.raises(ValueError, match=f"Input y contains {missing.split()[0]}: row 6 has no label"):
            quick().fit(np.zeros((7, 2)), given)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("several", [False, True])
def test_a_missing_label_in_columns_is_refused(quick, missing, several):
    column = pd.Series([0, 1, 0, MISSING[missing]], dtype=object)
    y = pd.DataFrame({"a": column, "b": [0, 1, 1, 1]}) if several else pd.DataFrame({"a": column})
    with pytest.raises(ValueError, match=f"Input y contains {missing.split()[0]}: row 3 has no label"):
        quick().fit(np.zeros((4, 2)), y)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("Int64", [0, 1]),
        ("boolean", [False, True]),
        ("Float64", [0.0, 1.0]),
        ("category", ["a", "b"]),
        ("string", ["a", "b"]),
        ("str", ["a", "b"]),
        ("string[pyarrow]", ["a", "b"]),
        ("int64[pyarrow]", [0, 1]),
        ("datetime64[ns]", [0, 1]),
    ],
)
def test_a_missing_label_of_pandas_is_refused(quick, table, dtype, values):
    y = pd.Series([None, *values * 59, values[0]], dtype=dtype)
    with pytest.raises(ValueError, match="Input y contains (NaN|None|NA|NaT): row 0 has no label"):
        quick().fit(table[0], y)


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["1", "2"]), pl.Int64, pl.Float32, pl.Boolean])
def test_a_missing_label_of_polars_is_refused(quick, dtype, frame):
    text = dtype not in (pl.Int64, pl.Float32, pl.Boolean)
    y = pl.Series("y", ["1", "2", None, "1"] if text else [1, 0, None, 1], dtype=dtype, strict=False)
    with pytest.raises(ValueError, match="Input y contains (NaN|None): row 2 has no label"):
        quick().fit(np.zeros((4, 2)), y.to_frame() if frame else y)


@pytest.mark.parametrize("unit", ["M8[D]", "M8[ns]", "m8[s]"])
def test_a_missing_time_is_refused(quick, unit):
    with pytest.raises(ValueError, match="Input y contains NaT: row 2 has no label"):
        quick().fit(np.zeros((4, 2)), np.array([1, 2, "NaT", 1], dtype=unit))


def test_a_masked_label_is_refused(quick):
    with pytest.raises(ValueError, match="Input y contains a masked value: row 1 has no label"):
        quick().fit(np.zeros((3, 2)), np.ma.array([0, 1, 1], mask=[False, True, False]))


def test_continuous_targets_are_refused(quick, table):
    X, _ = table
    with pytest.raises(ValueError, match="Unknown label type"):
        quick().fit(X, X[:, 0])


@pytest.mark.parametrize("other", [1, 1.5, True, b"b", np.int64(1), np.float32(1.5), date(2020, 1, 1)], ids=repr)
def test_texts_mixed_with_others_are_refused(quick, other):
    y = ["a", other, "b", other]
    for given in (y, tuple(y), as_objects(y), pd.Series(y, dtype=object)):
        with pytest.raises(TypeError, match="uniformly strings or numbers. Got .* and str instead|Got str and"):
            quick().fit(np.zeros((4, 2)), given)


@pytest.mark.parametrize("other", [Decimal(1), date(2020, 1, 1), {"a": 1}, [1, 2], 1j], ids=repr)
def test_labels_of_other_kinds_are_refused(quick, other):
    with pytest.raises(TypeError, match=f"uniformly strings or numbers. Got {type(other).__name__} instead"):
        quick().fit(np.zeros((3, 2)), as_objects([other, other, other]))


@pytest.mark.parametrize("first", ["labels", "indicator"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_resumed_training_keeps_to_its_kind_of_target(quick, table, first, method):
    X, y = table
    targets = {"labels": y, "indicator": np.eye(3, dtype=int)[y]}
    clf = quick(warm_start=True).fit(X, targets.pop(first))
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="The 'y' parameter must be .*, as in the training that is resumed. Got"):
        getattr(clf, method)(X, *targets.values())
    assert np.array_equal(clf.predict_proba(X), before)


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
        clf = quick(early_stopping=True, calibrate=False, max_epochs=100, n_iter_no_change=None).fit(X, y)
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
    clf = quick(max_epochs=60).fit(X, Y)
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
    free, held = (quick(max_epochs=15, kl_penalty=penalty, kl_strength=s).fit(X, Y) for s in (1e-9, 10.0))
    spread = [clf.predict_proba(X).std(0).mean() for clf in (free, held)]
    assert spread[1] < spread[0] / 2
    assert held.history_[-1, "train_kl_penalty"] > 0


@pytest.mark.parametrize(
    "container", [np.asarray, lambda Y: Y.tolist(), sparse.csr_array, pd.DataFrame, lambda Y: Y.astype(bool)],
    ids=["array", "lists", "sparse", "frame", "bool"],
)  # fmt: skip
def test_multilabel_containers(quick, once, labels, container):
    X, Y = labels
    expected = once("labels", lambda: quick().fit(X, Y).predict_proba(X))
    assert np.array_equal(quick().fit(X, container(Y)).predict_proba(X), expected)


def test_a_multilabel_target_can_be_split_and_streamed(quick, stream, labels):
    X, Y = labels
    clf = quick(early_stopping=True).fit(X, Y)
    assert np.isfinite(clf.history_[:, "valid_loss"]).all()
    clf.partial_fit(X, Y)
    assert clf.n_iter_ == 4
    clf = stream().partial_fit(X, Y, classes=range(4)).partial_fit(X[:3], Y[:3])
    assert clf.predict_proba(X).shape == Y.shape


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


def test_integers_beyond_63_bits_are_exact(quick, table):
    y = np.array([0, 2**63 + 1, 2**63 + 2], dtype=np.uint64)[table[1]]
    for given in (y, y.tolist(), y.astype(object)):
        clf = quick().fit(table[0], given)
        assert clf.classes_.tolist() == [0, 2**63 + 1, 2**63 + 2]
        assert clf.predict(table[0]).dtype == np.uint64


def test_integers_of_no_common_type_are_refused(quick):
    with pytest.raises(ValueError, match="'y' parameter must be labels of one type of integers, .* Got -1 and"):
        quick().fit(np.zeros((2, 2)), [-1, 2**63])


def test_who_gives_probabilities_as_labels_is_told_where_they_belong(quick, table):
    X, y = table
    with pytest.raises(ValueError, match="^Unknown label type: continuous-multioutput") as caught:
        quick().fit(X, np.full((len(y), 3), 1 / 3))
    assert "'teacher_proba'" in caught.value.__notes__[0]
