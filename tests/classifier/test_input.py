"""What comes in as X: every kind of array that works, and a clear error for every one that does not."""

import copy
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from scipy import sparse
from torch import nn

from sklkl.data import RowBlocks
from sklkl.modules import ACTIVATIONS, MLP
from sklkl.penalties import Prior

NAMES = list("abcde")


def frame(X, library):
    return pd.DataFrame(X, columns=NAMES) if library == "pandas" else pl.DataFrame(X, schema=NAMES)


class Flat(nn.Module):
    """A network for inputs of any rank."""

    def __init__(self, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(n_classes))

    def forward(self, x):
        return self.layers(x)


class FlatFloat32(Flat):
    """A network that knows one floating type only."""

    def forward(self, x):
        return super().forward(x.float())


class Scaled(MLP):
    """The built-in network with a layer of its own in front."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes, hidden_layer_sizes=(8,))
        self.first = nn.Linear(n_features, n_features)

    def forward(self, x):
        x = 3 * self.first(x)
        for layer in list(self)[:-1]:
            x = layer(x)
        return x


# Values


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "predict_proba", "predict_log_proba"])
def test_not_finite_values_are_refused(quick, once, table, value, method):
    X, y = table
    bad = X.copy()
    bad[3, 2] = value
    clf = quick() if method == "fit" else once("fitted", lambda: quick().fit(X, y))
    with pytest.raises(ValueError, match="Input X contains (NaN|infinity)"):
        getattr(clf, method)(bad, *([y] if "fit" in method else []))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_value_too_large_for_float32_is_refused_in_training(quick, table, method):
    X, y = table
    bad = X.copy()
    bad[3, 2] = 1e40
    clf = quick() if method == "fit" else quick().fit(X, y)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        getattr(clf, method)(bad, y)


def test_a_value_too_large_for_float32_is_fine_in_float64(quick, table):
    X, y = table
    assert np.isfinite(quick(dtype="float64").fit(X * 1e40, y).predict_proba(X * 1e40)).all()


def test_a_value_too_large_for_the_module_is_refused_in_prediction(quick, table):
    X, y = table
    clf = quick(module=FlatFloat32).fit(X, y)
    with pytest.raises(ValueError, match="too large"):
        clf.predict_proba(X * 1e40)
    assert np.isfinite(quick(module=Flat).fit(X, y).predict_proba(X * 1e40)).all()


@pytest.mark.parametrize(("scale", "dtype"), [(1e40, "f8"), (1e307, "f8"), (1e38, "f4")])
def test_huge_finite_values_give_probabilities_or_an_error(quick, table, message_of, scale, dtype):
    X, y = table
    clf = quick().fit(X, y)
    huge = (np.sign(X) * scale).astype(dtype)
    message = message_of(lambda: clf.predict_proba(huge))
    if message is None:
        np.testing.assert_allclose(clf.predict_proba(huge).sum(1), 1)
    else:
        assert "X" in message


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_huge_training_values_give_probabilities_or_an_error(quick, table, message_of):
    X, y = table
    clf = quick()
    message = message_of(lambda: clf.fit((np.sign(X) * 1e38).astype(np.float32), y))
    if message is None:
        assert np.isfinite(clf.predict_proba(X)).all()
    else:
        assert "scaling" in message


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_column_is_fine(quick, table, value):
    X, y = table
    X = X.copy()
    X[:, 2] = value
    assert np.isfinite(quick().fit(X, y).predict_proba(X)).all()


# Types and layouts


def test_a_read_only_memmap_works_and_is_not_written(quick, table, tmp_path, same_but_for_rounding):
    X, y = table
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = quick(dtype="float64").fit(X, y).predict_proba(X)
    same_but_for_rounding(quick(dtype="float64").fit(mapped, y).predict_proba(mapped), expected)
    assert np.array_equal(np.load(tmp_path / "X.npy"), X)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, bool])
def test_whole_numbers_work(quick, once, table, dtype):
    X, y = (table[0] > 0).astype(dtype), table[1]
    expected = once("0 and 1", lambda: quick().fit(X.astype(float), y).predict_proba(X.astype(float)))
    np.testing.assert_allclose(quick().fit(X, y).predict_proba(X), expected, rtol=1e-5)


def test_inputs_and_constructor_parameters_are_untouched(quick, table):
    X, y = table
    weight, class_weight, penalty, callbacks = np.ones(120), {0: 1.0, 1: 2.0, 2: 1.0}, Prior(), []
    given = {"class_weight": class_weight, "kl_penalty": penalty, "callbacks": callbacks, "kl_strength": 0.1}
    clf = quick(**given)
    before = copy.deepcopy((X, y, weight, class_weight, vars(penalty)))
    parameters = clf.get_params(deep=False)
    clf.fit(X, y, sample_weight=weight).predict(X)
    np.testing.assert_equal((X, y, weight, class_weight, vars(penalty)), before)
    assert callbacks == []
    after = clf.get_params(deep=False)
    assert all(after[name] is value for name, value in parameters.items())


# Sparse


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_matrix])
def test_sparse_gives_the_same_as_dense(quick, once, table, container, same_but_for_rounding):
    X, y = np.where(table[0] > 0.5, table[0], 0), table[1]
    params = {"dtype": "float64", "scale_inputs": False}  # which is another for sparse columns
    expected = once("dense", lambda: quick(**params).fit(X, y).predict_proba(X))
    clf = quick(**params).fit(container(X), y)
    same_but_for_rounding(clf.predict_proba(X), expected)
    same_but_for_rounding(clf.predict_proba(container(X)), clf.predict_proba(X))


def test_sparse_is_never_made_dense_as_a_whole(quick):
    X = sparse.random(500, 5000, density=1e-3, format="csr", random_state=0, dtype=np.float32)
    y = np.arange(500) % 2
    tracemalloc.start()
    try:
        quick(hidden_layer_sizes=(4,), max_epochs=1, batch_size=50).fit(X, y).predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500 * 5000 * 4 / 4


# Frames


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_give_names_and_the_same_model(quick, table, library, same_but_for_rounding):
    X, y = table
    clf = quick(dtype="float64").fit(frame(X, library), y)
    assert clf.feature_names_in_.tolist() == NAMES
    same_but_for_rounding(clf.predict_proba(frame(X, library)), quick(dtype="float64").fit(X, y).predict_proba(X))


def test_an_array_after_a_frame_has_no_names(quick, table):
    X, y = table
    clf = quick().fit(frame(X, "pandas"), y).fit(X[:, :4], y)
    assert clf.n_features_in_ == 4
    assert not hasattr(clf, "feature_names_in_")


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("method", ["predict", "partial_fit"])
def test_reordered_columns_are_refused(quick, table, library, method):
    X, y = table
    clf = quick().fit(frame(X, library), y)
    with pytest.raises(ValueError, match="same order"):
        getattr(clf, method)(frame(X, library)[NAMES[::-1]], *([y] if method == "partial_fit" else []))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_other_columns_are_refused(quick, table, library):
    X, y = table
    clf = quick().fit(frame(X, library), y)
    renamed = {"a": "z"}
    other = frame(X, library)
    other = other.rename(columns=renamed) if library == "pandas" else other.rename(renamed)
    with pytest.raises(ValueError, match="unseen at fit time:\n- z"):
        clf.predict(other)


def test_an_array_for_a_model_of_a_frame_warns(quick, table):
    X, y = table
    clf = quick().fit(frame(X, "pandas"), y)
    with pytest.warns(UserWarning, match="valid feature names"):
        clf.predict(X)


def test_frames_of_mixed_number_types(quick, table):
    X, y = frame(table[0], "pandas"), table[1]
    mixed = X.assign(a=(X["a"] * 10).round().astype("Int64"), b=X["b"] > 0, c=X["c"].astype("Float32"))
    assert quick().fit(mixed, y).predict_proba(mixed).shape == (120, 3)


def test_missing_values_and_texts_in_frames_are_refused(quick, table):
    X, y = frame(table[0], "pandas"), table[1]
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(X.assign(a=pd.array([None] + [1] * 119, dtype="Int64")), y)
    with pytest.raises(ValueError, match="could not convert string to float"):
        quick().fit(X.assign(a="text"), y)


UNREADABLE = {
    "ragged": [[1.0] * 5, [1.0] * 4],
    "dicts": [[{"a": 1}] * 5] * 2,
    "missing values as objects": pd.DataFrame(np.full((2, 5), pd.NA, dtype=object)),
    "sparse frame filled with NaN": pd.DataFrame(np.zeros((2, 5))).astype("Sparse[float]"),
    "equal names": pd.DataFrame(np.zeros((2, 5)), columns=["a"] * 5),
    "lazy": pl.DataFrame({"a": [1.0, 2.0]}).lazy(),
    "sparse tensor": torch.zeros(2, 5).to_sparse(),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_refused_by_name(quick, once, table, kind):
    if kind == "equal names":
        pytest.importorskip("sklearn", minversion="1.9", reason="older ones read such frames")
    message = "(Input X|'X' parameter) must be an? "
    with pytest.raises((ValueError, TypeError), match=message):
        quick().fit(UNREADABLE[kind], [0, 1])
    clf = once("fitted", lambda: quick().fit(*table))
    with pytest.raises((ValueError, TypeError), match=message):
        clf.predict(UNREADABLE[kind])


DAYS = np.datetime64("2026-01-01", "ns") + np.arange(120).astype("timedelta64[D]")
TIMES = {
    "array": DAYS[:, None],
    "spans": (DAYS - DAYS[0])[:, None],
    "list": [[day] for day in DAYS],
    "list of arrays": list(DAYS[:, None]),
    "list of days": [[day] for day in DAYS.astype("datetime64[D]").tolist()],
    "objects": np.array([[0.0, span] for span in DAYS - DAYS[0]], dtype=object),
    "pandas": pd.DataFrame({"a": DAYS}),
    "with a zone": pd.DataFrame({"a": pd.Series(DAYS).dt.tz_localize("UTC")}),
    "beside numbers": pd.DataFrame({"b": 1.0, "a": DAYS}),
    "polars": pl.DataFrame({"a": DAYS}),
    "days": pl.DataFrame({"a": DAYS}).cast(pl.Date),
    "pyarrow": pa.table({"a": DAYS}),
    "pyarrow's days": pa.table({"a": pa.array(DAYS).cast(pa.date32())}),
    "pyarrow's spans": pa.table({"a": pa.array(DAYS - DAYS[0])}),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_are_no_numbers(quick, once, table, kind):
    X, y = TIMES[kind], table[1]
    message = "The 'X' parameter must be numbers, into which times are to be turned before .* Got "
    message += (
        ".* in column 'a' instead" if hasattr(X, "columns") else r"((datetime|timedelta)64(\[ns\])?|date) instead"
    )
    for rows in (X, RowBlocks.from_callable(lambda number: (X, y), 1)):
        with pytest.raises(TypeError, match=message):
            quick().fit(*((X, y) if rows is X else (rows,)))
    clf = once("one column", lambda: quick().fit(np.arange(120.0)[:, None], y))
    with pytest.raises(TypeError, match=message):
        clf.predict(X)


class WithoutTypes:
    """A frame of another library, of which only the names of columns and the values are known."""

    def __init__(self, values):
        self.columns, self.values, self.shape = list("abcde"), values, values.shape

    def __len__(self):
        return len(self.values)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


def test_a_frame_need_not_know_types(quick, table):
    X, y = table
    expected = quick().fit(X, y).predict_proba(X)
    assert np.array_equal(quick().fit(WithoutTypes(X), y).predict_proba(X), expected)


def test_times_of_a_validation_part_are_no_numbers(quick, table):
    X, y = table
    with pytest.raises(TypeError, match="The 'X_val' parameter must be numbers, into which times"):
        quick().fit(X, y, X_val=np.repeat(DAYS[:, None], 5, axis=1), y_val=y)


def test_tensors_of_every_type_are_read(quick, table):
    X, y = table
    rounded = torch.tensor(X).bfloat16()
    expected = quick().fit(rounded.float().numpy(), y).predict_proba(X)
    assert np.array_equal(quick().fit(rounded, y).predict_proba(X), expected)
    with_history = torch.tensor(X, requires_grad=True) * 1
    assert np.array_equal(quick().fit(with_history, y).predict_proba(X), quick().fit(X, y).predict_proba(with_history))
    for module in (Flat, None):
        assert np.isfinite(quick(teacher=Flat(3), module=module, augment=None).fit(X, y).predict_proba(rounded)).all()


def test_a_masked_value_is_a_missing_one(quick, table):
    X = np.ma.MaskedArray(table[0], mask=table[0] > 2)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        quick().fit(X, table[1])


# Shapes


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 3)), "X has 3 features, but KLClassifier is expecting 5 features as input"),
        (np.zeros(5), "Expected 2D array, got 1D array instead"),
        (np.zeros((0, 5)), r"Found array with 0 sample\(s\)"),
        (np.zeros((4, 5), dtype=complex), "Complex data not supported"),
        (np.zeros((4, 5, 2)), "Found array with dim 3"),
        ([["a"] * 5], "dtype='numeric' is not compatible with arrays of bytes/strings|could not convert string"),
    ],
    ids=["width", "1-D", "no rows", "complex", "3-D", "text"],
)
def test_other_shapes_and_types_get_scikit_learns_own_messages(quick, once, table, bad, message):
    clf = once("fitted", lambda: quick().fit(*table))
    with pytest.raises(ValueError, match=message):
        clf.predict(bad)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros(5), np.zeros(5), "Expected 2D array, got 1D array instead"),
        (np.zeros((0, 5)), np.zeros(0), r"Found array with 0 sample\(s\)"),
        (np.zeros((5, 0)), np.zeros(5), r"Found array with 0 feature\(s\)"),
        (np.zeros((5, 2)), np.zeros(4), "inconsistent numbers of samples"),
        (np.zeros((5, 2), dtype=complex), np.zeros(5), "Complex data not supported"),
        (np.zeros((5, 2)), None, "requires y to be passed"),
    ],
    ids=["1-D", "no rows", "no columns", "lengths", "complex", "no y"],
)
def test_bad_training_shapes_get_scikit_learns_own_messages(quick, X, y, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, y)


def test_one_row(quick):
    clf = quick().fit([[1.0, 2.0]], ["a"])
    assert clf.predict([[1.0, 2.0]]).tolist() == ["a"]


@pytest.mark.parametrize("shape", [(60, 4, 3), (60, 1, 6, 6), (60, 2, 3, 4, 2)])
def test_inputs_of_any_rank_with_a_module(quick, shape):
    X = np.random.RandomState(0).randn(*shape)
    y = (X.reshape(60, -1)[:, 0] > 0).astype(int)
    clf = quick(module=Flat, max_epochs=30, early_stopping=False).fit(X, y)
    assert clf.predict_proba(X).shape == (60, 2)
    assert clf.n_features_in_ == shape[1]
    assert clf.score(X, y) > 0.8


@pytest.mark.parametrize("shape", [(6,), (0, 4, 3)])
def test_bad_shapes_with_a_module_are_refused(quick, shape):
    with pytest.raises(ValueError, match="Expected 2D array|Found array with 0"):
        quick(module=Flat).fit(np.zeros(shape), np.zeros(shape[0]))


# Prediction


def test_prediction_is_the_same_row_by_row(quick, make_table):
    X, y = make_table(300)
    clf = quick().fit(X, y)
    one_by_one = np.concatenate([clf.predict_proba(X[[row]]) for row in range(50)])
    np.testing.assert_allclose(clf.predict_proba(X)[:50], one_by_one, rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_few_rows_get_the_predictions_they_get_among_many(quick, table, activation):
    X, y = table
    clf = quick(activation=activation, dropout=0.5).fit(X, y)
    for n_rows in (1, 2, 16, 17):
        np.testing.assert_allclose(clf.predict_proba(X[:n_rows]), clf.predict_proba(X)[:n_rows], rtol=1e-12)
        np.testing.assert_allclose(clf.predict_log_proba(X[:n_rows]), clf.predict_log_proba(X)[:n_rows], rtol=1e-12)
        assert np.array_equal(clf.predict(X[:n_rows]), clf.predict(X)[:n_rows])


@pytest.mark.parametrize("n_rows", [1, 17])
def test_a_network_derived_from_the_built_in_one_is_used_as_it_is(quick, table, n_rows):
    X, y = table
    clf = quick(module=Scaled).fit(X, y)
    inputs = torch.from_numpy(X[:n_rows].astype(np.float32))
    expected = torch.softmax(clf.module_.eval()(inputs).detach(), -1)
    np.testing.assert_allclose(clf.predict_proba(X[:n_rows]), expected, rtol=1e-5)


def test_memory_of_prediction_is_bounded_by_the_batch(quick, make_table):
    clf = quick(hidden_layer_sizes=(4,), max_epochs=1).fit(*make_table(50, n_features=20))
    seen = []
    clf.module_.register_forward_hook(lambda module, args, output: seen.append(args[0].numel()))
    X = np.zeros((250_000, 20), dtype=np.float32)
    tracemalloc.start()
    try:
        assert len(clf.predict(X)) == 250_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(seen) == X.size
    assert max(seen) <= 2**20
    assert peak < 12e6  # three copies of the answer, of which each takes 2 MB; X takes 20


@pytest.mark.parametrize("n_rows", [1, 2**14, 2**16 + 3])
def test_any_number_of_rows_is_predicted(quick, once, table, n_rows):
    clf = once("fitted", lambda: quick().fit(*table))
    X = np.random.RandomState(0).randn(n_rows, 5)
    proba = clf.predict_proba(X)
    assert proba.shape == (n_rows, 3)
    np.testing.assert_allclose(proba[[0, -1]], clf.predict_proba(X[[0, -1]]), rtol=1e-12)


def test_tensors_whose_memory_numpy_cannot_read(quick, stream, table, monkeypatch):
    """Those of a GPU, say."""
    X, y, weight, proba = *table, np.random.RandomState(0).rand(120), np.full((120, 3), 1 / 3)
    given = [torch.from_numpy(values) for values in (X, y, weight, proba)]
    labels = torch.from_numpy(np.eye(3, dtype=int)[y])
    expected = quick().fit(X, y, weight, proba, X_val=X, y_val=y, sample_weight_val=weight).predict_proba(X)

    def refuse(tensor, *args, **kwargs):
        raise TypeError("can't convert this tensor to numpy")

    monkeypatch.setattr(torch.Tensor, "__array__", refuse)
    clf = quick().fit(*given, X_val=given[0], y_val=given[1], sample_weight_val=given[2])
    assert np.array_equal(clf.predict_proba(given[0]), expected)
    assert stream().partial_fit(*given[:2], torch.arange(3), given[2]).classes_.tolist() == [0, 1, 2]
    assert quick().fit(given[0], labels).predict(given[0]).shape == (120, 3)
