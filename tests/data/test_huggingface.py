"""Data sets of Hugging Face: what is read of them, here of stand-ins, and of the real ones where they are installed."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from sklkl import KLClassifier
from sklkl._utils.arrays import as_array
from sklkl.data import RowBlocks

N_ROWS = 50


class Stream:
    """What is used of an ``IterableDataset`` after ``map``, whose columns are not known before it is read."""

    column_names = None

    def __init__(self, table):
        self.table = table

    def select_columns(self, names):
        return Stream(self.table.select(names))

    def with_format(self, kind):
        return self

    def iter(self, batch_size):
        yield from (self.table.slice(first, batch_size) for first in range(0, len(self.table), batch_size))


def rows(n_rows=N_ROWS):
    return {"size": np.arange(float(n_rows)), "mass": np.ones(n_rows), "kind": np.arange(n_rows) % 2}


def read(dataset, **params):
    """Return names of the inputs, the inputs and the labels of all blocks."""
    found = [block for _, block in RowBlocks.from_huggingface(dataset, "kind", block_rows=20, **params).blocks()]
    X = np.concatenate([np.asarray(block.X) for block in found])
    return found[0].X.column_names, X, np.concatenate([block.y for block in found])


def check(dataset, names=("size", "mass")):
    found, X, y = read(dataset)
    assert tuple(found) == names
    assert X[:, 0].tolist() == rows()["size"].tolist()
    assert y.tolist() == rows()["kind"].tolist()


def test_the_columns_of_a_stream_are_read_of_its_first_row():
    check(Stream(pa.table(rows())))


def viewed(**view):
    """Return what a ``Dataset`` says of itself after ``with_format`` or ``with_transform``."""
    plain = {"type": None, "columns": list(rows()), "output_all_columns": False}
    return SimpleNamespace(column_names=list(rows()), format=plain | view, with_format=None)


NO_SOURCE = {
    "a folder of splits": (
        SimpleNamespace(column_names={"train": list(rows())}, with_format=None),
        "one split of a DatasetDict",
    ),
    "a stream without a row": (Stream(pa.table({})), "with columns and rows"),
    "a table of another library": (pa.table(rows()), "of Hugging Face .* Got Table"),
    "a name": ("imdb", "of Hugging Face .* Got str"),
    "a transform": (viewed(type="custom"), "that dataset.map.transform. returns. Got SimpleNamespace with a transform"),
}


@pytest.mark.parametrize("name", NO_SOURCE)
def test_what_has_no_table_to_read_is_refused(name):
    dataset, message = NO_SOURCE[name]
    with pytest.raises(TypeError, match=f"'dataset' parameter of RowBlocks must be .*{message}"):
        RowBlocks.from_huggingface(dataset, "kind")


def test_columns_that_a_format_hides_are_no_inputs():
    with pytest.raises(ValueError, match=r"'target' parameter of RowBlocks must be of the columns \['size', 'mass'\]"):
        RowBlocks.from_huggingface(viewed(columns=["size", "mass"]), "kind")


REAL = {
    "rows": lambda data: data,
    "torch": lambda data: data.with_format("torch"),
    "hidden": lambda data: data.with_format("numpy", columns=["size", "kind"]),
    "hidden, shown": lambda data: data.with_format("numpy", columns=["size"], output_all_columns=True),
    "classes": lambda data: data.class_encode_column("kind"),
    "stream": lambda data: data.to_iterable_dataset(num_shards=3),
    "mapped stream": lambda data: data.to_iterable_dataset().map(lambda row: {"mass": 2 * row["size"]}),
    "filtered stream": lambda data: data.to_iterable_dataset().filter(lambda row: row["mass"] > 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_data_sets(name):
    data = pytest.importorskip("datasets").Dataset.from_dict(rows())
    check(REAL[name](data), ("size",) if name == "hidden" else ("size", "mass"))


class Column(Sequence):
    """What a ``Dataset`` gives for the name of a column, which must not be read row by row."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, which):
        assert isinstance(which, slice)
        return self.values[which]


Column.__module__ = "datasets.arrow_dataset"


def test_a_column_is_read_at_once():
    assert as_array("y", Column([1, 2])).tolist() == [1, 2]
    clf = KLClassifier((8,), max_epochs=2, random_state=0).fit(Column([[0.0], [1.0]]), Column(["a", "b"]))
    assert clf.predict_proba(Column([[0.5]])).shape == (1, 2)


@pytest.mark.parametrize("kind", [None, "numpy", "torch"])
def test_real_columns_are_rows(kind):
    datasets = pytest.importorskip("datasets")
    X, y = np.random.RandomState(0).randn(60, 3), ["a", "b"] * 30
    data = datasets.Dataset.from_dict({"x": X.tolist(), "y": y}).with_format(kind)
    clf = KLClassifier((8,), max_epochs=2, random_state=0)
    clf.fit(data["x"], data["y"], X_val=data["x"], y_val=data["y"])
    np.testing.assert_allclose(clf.predict_proba(data["x"]), clf.predict_proba(X), rtol=1e-5)


def test_splits_and_transforms_of_real_data_sets():
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict(rows())
    for dataset in (datasets.DatasetDict(train=data), data.with_transform(lambda batch: batch)):
        with pytest.raises(TypeError, match="'dataset' parameter of RowBlocks"):
            RowBlocks.from_huggingface(dataset, "kind")
