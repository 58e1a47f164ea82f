"""Memory that is not the usual kind, whole numbers that floats cannot hold, and how much memory prediction takes."""

import copy
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from torch import nn


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


LAYOUTS = {
    "negative stride of rows": lambda X: X[::-1].copy()[::-1],
    "negative stride of columns": lambda X: X[:, ::-1].copy()[:, ::-1],
    "both negative": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "every second": lambda X: X.repeat(2, 0).repeat(2, 1)[::2, ::2],
    "read-only": read_only,
    "broadcast": lambda X: np.broadcast_to(X, X.shape),
    "masked, nothing hidden": np.ma.array,
}
TYPES = {
    **{name: lambda X, name=name: X.astype(name) for name in (">f8", ">f4", ">f2", "f2", "longdouble", "object", "U")},
    "object, negative stride": lambda X: X.astype(object)[::-1].copy()[::-1],
    "texts as objects": lambda X: X.astype(str).astype(object),
    "torch": lambda X: torch.from_numpy(X),
    "lists": lambda X: X.tolist(),
}
NULLABLE = ["Float64", "Float32", "float64[pyarrow]", "object"]
FRAMES = {f"frame of {name}": lambda X, name=name: pd.DataFrame(X).astype(name) for name in NULLABLE}
KINDS = {**LAYOUTS, **TYPES, **FRAMES, "mixed frame": lambda X: pd.DataFrame(X).astype({0: "Float64"})}
SHAPES = {"many": np.s_[:, :], "one row": np.s_[:1, :], "one column": np.s_[:, :1]}
# Rows for anything but the built-in network, rows without labels and probabilities are read as rows are: these differ
# in what is done to them.
each_of_some = pytest.mark.parametrize(
    "kind", ["both negative", "read-only", ">f4", "object", "torch", "lists", "frame of Float64"]
)


def numbers(table, shape="many"):
    """Inputs that are exact in float16, of one of the shapes, and labels."""
    X = (np.round(table[0] * 8) / 8)[:24][SHAPES[shape]]
    return X, (np.arange(24) % 3)[: len(X)]


@pytest.fixture
def wide(quick):
    """Return ``wide(**params)``: a classifier of float64 whose single epoch is a cheap one."""
    cheap = {"dtype": "float64", "max_epochs": 1, "augment": None, "learning_rate": "constant"}
    return lambda **params: quick(**{**cheap, **params})


def linear(X, y):
    torch.manual_seed(0)
    return nn.Linear(X.shape[1], len(set(y.tolist())))


# of one row or column, layouts that differ then from others, and one of each kind of values
FEW = [*LAYOUTS, ">f4", "object", "lists", "frame of Float64", "mixed frame", "odd address"]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        *(("many", kind) for kind in [*KINDS, "odd address", "odd address, float32"]),
        *((shape, kind) for shape in ("one row", "one column") for kind in FEW),
    ],
)
def test_odd_memory_is_fitted_and_predicted(wide, once, table, odd, kind, shape, same_but_for_rounding):
    X, y = numbers(table, shape)
    odds = {"odd address": odd, "odd address, float32": lambda X: odd(X.astype("f4"))}
    given = {**KINDS, **odds}[kind](X)
    before = copy.deepcopy(given)
    expected = once(shape, lambda: wide().fit(X, y).predict_proba(X))
    clf = wide().fit(given, y)
    same_but_for_rounding(clf.predict_proba(X), expected)
    np.testing.assert_allclose(clf.predict_proba(given), expected, atol=1e-6)
    assert np.array_equal(given, before)
    short = wide(dtype="float32").fit(given, y)  # the logits are near 1, to seven digits
    np.testing.assert_allclose(short.predict_proba(given), expected, atol=1e-4)


@each_of_some
def test_odd_memory_for_a_network_of_the_users_own(wide, once, table, kind):
    X, y = numbers(table)
    given, own = KINDS[kind](X), {"module": linear(X, y), "dtype": "float32"}
    expected = once("module", lambda: wide(**own).fit(X, y).predict_proba(X))
    np.testing.assert_allclose(wide(**own).fit(given, y).predict_proba(given), expected, atol=1e-5)


@each_of_some
def test_a_network_as_a_teacher_takes_what_the_student_takes(wide, once, table, kind, same_but_for_rounding):
    X, y = numbers(table)
    use = {
        "teacher": linear(X, y),
        "distill_weight": 0.5,
        "scale_inputs": False,
    }  # sparse columns are scaled in another way
    expected = once("teacher", lambda: wide(**use).fit(X, y).predict_proba(X))
    for given in (KINDS[kind](X), sparse.csr_array(X)):
        same_but_for_rounding(wide(**use).fit(given, y).predict_proba(X), expected)


@each_of_some
def test_odd_memory_of_rows_without_labels(wide, once, table, kind, same_but_for_rounding):
    """The network meets them too; what a penalty does with them is the same without a teacher."""
    X, y = numbers(table)
    use = {"teacher": linear(X, y), "distill_weight": 0.5, "kl_penalty": "vat", "kl_strength": 0.1}
    expected = once("unlabeled", lambda: wide(**use).fit(X, y, X_unlabeled=X).predict_proba(X))
    same_but_for_rounding(wide(**use).fit(X, y, X_unlabeled=KINDS[kind](X)).predict_proba(X), expected)


@each_of_some
def test_odd_memory_of_a_teachers_probabilities(wide, once, table, kind, same_but_for_rounding):
    X, y = table
    proba = np.random.RandomState(0).multinomial(64, [0.2, 0.3, 0.5], size=120) / 64
    expected = once("teacher_proba", lambda: wide().fit(X, y, teacher_proba=proba).predict_proba(X))
    same_but_for_rounding(wide().fit(X, y, teacher_proba=KINDS[kind](proba)).predict_proba(X), expected)


# Whole numbers


class Ids(nn.Module):
    """A network that keeps what it was given as whole numbers."""

    def __init__(self, n_classes):
        super().__init__()
        self.out, self.seen = nn.Linear(2, n_classes), []

    def forward(self, x):
        self.seen.append(x.long().tolist())
        return self.out(x * 0)


IDS = {
    "array": np.asarray,
    "unsigned": lambda X: np.asarray(X, dtype=np.uint32),
    "big-endian": lambda X: np.asarray(X, dtype=">i8"),
    "lists": list,
    "object": lambda X: np.array(X, dtype=object),
    "pandas": lambda X: pd.DataFrame(X, columns=["a", "b"]),
    "nullable": lambda X: pd.DataFrame(X, columns=["a", "b"], dtype="Int64"),
    "beside floats": lambda X: pd.DataFrame({"a": np.array(X)[:, 0], "b": [0.5] * len(X)}),
    "polars": lambda X: pl.DataFrame({"a": np.array(X)[:, 0], "b": [0.5] * len(X)}),
    "sparse": lambda X: sparse.csr_array(np.array(X)),
}
LABELS = [0, 1, 0, 1]


def ids(first):
    return (first + np.arange(8).reshape(4, 2)).tolist()


@pytest.mark.parametrize(
    ("kind", "sign"),
    [*((kind, 1) for kind in IDS), *((kind, -1) for kind in ("array", "object", "nullable", "sparse"))],
)
def test_whole_numbers_that_a_float_cannot_hold_are_refused(quick, kind, sign):
    far, near = IDS[kind]((sign * np.array(ids(2**24 + 1))).tolist()), IDS[kind](ids(0))
    held = "must be whole numbers that float32 can hold"
    message = rf"The 'X(_unlabeled)?' parameter {held}.* Got -?167772\d\d, which would become"
    with pytest.raises(ValueError, match=message):
        quick(module=Ids).fit(far, LABELS)
    clf = quick(module=Ids).fit(near, LABELS)
    with pytest.raises(ValueError, match=message):
        clf.predict(far)
    with pytest.raises(ValueError, match=message):
        quick(module=Ids, kl_penalty="vat", kl_strength=0.1).fit(near, LABELS, X_unlabeled=far)
    with pytest.raises(ValueError, match=message):
        quick(teacher=clf.module_, augment=None).fit(far, LABELS)


def test_whole_numbers_reach_a_network_unchanged(quick):
    for first, dtype in [(0, "float32"), (2**24 - 8, "float32"), (2**24 + 1, "float64"), (2**53 - 8, "float64")]:
        X = ids(first)
        clf = quick(module=Ids, dtype=dtype, batch_size=4, max_epochs=1).fit(X, LABELS)
        seen = {value for batch in clf.module_.seen for row in batch for value in row}
        assert seen == {value for row in X for value in row}
    with pytest.raises(ValueError, match="float64 can hold"):
        quick(module=Ids, dtype="float64").fit(ids(2**53 + 1), LABELS)


def test_large_whole_numbers_that_have_a_place_are_taken(quick):
    assert quick(module=Ids).fit((2**26 * np.arange(1, 9).reshape(4, 2)).tolist(), LABELS).n_iter_ == 3


def test_the_built_in_network_measures_large_whole_numbers(quick):
    X = np.array(ids(2**24 + 1)) % 7 + 2**24
    assert quick().fit(X, LABELS).predict_proba(X).shape == (4, 2)


# How much


@pytest.mark.parametrize(
    ("method", "dtype", "module"),
    [
        ("predict_proba", "f4", None),
        ("predict_proba", "f8", lambda n_classes: nn.Linear(20, n_classes)),
        ("predict_log_proba", "f8", None),
        ("predict", "f4", None),
    ],
)
def test_prediction_from_a_file_takes_little_more_than_its_result(quick, make_table, tmp_path, method, dtype, module):
    clf = quick(module=module, max_epochs=1).fit(*make_table(50, n_features=20))
    np.save(tmp_path / "X.npy", np.zeros((75_000, 20), dtype=dtype))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        result = getattr(clf, method)(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(result) == 75_000
    assert peak < result.nbytes + 2.5e6  # X takes 6 or 12 MB, a batch of it at most 2
    assert result.flags.owndata
