"""Blocks from functions, Arrow, Parquet and what looks like a data set of Hugging Face."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from sklkl.data import RowBlocks

TABLE = pa.table(
    {
        "size": np.arange(10.0),
        "kind": pa.array(list("abbaabbaab")).dictionary_encode(),
        "mass": np.arange(1.0, 11.0),
        "views": [[float(i), -float(i)] for i in range(10)],
        "on": np.arange(10) % 2,
        "off": 1 - np.arange(10) % 2,
    }
)


class HuggingFace:
    """What is used of ``datasets.Dataset``, of a table."""

    def __init__(self, table):
        self.table, self.column_names = table, table.column_names

    def select_columns(self, names):
        return type(self)(self.table.select(names))

    def with_format(self, kind):
        assert kind == "arrow"
        return self


class Ready(HuggingFace):
    def __len__(self):
        return len(self.table)

    def __getitem__(self, which):
        return self.table.slice(which.start, which.stop - which.start)


class Iterable(HuggingFace):
    def iter(self, batch_size):
        yield from (self.table.slice(first, batch_size) for first in range(0, len(self.table), batch_size))

    def __getitem__(self, which):
        raise NotImplementedError


@pytest.fixture(params=["parquet", "dataset", "ready", "iterable"])
def made(request, tmp_path):
    """Return ``made(**params)``: the table in blocks of four rows, from each kind of source."""
    pq.write_table(TABLE, tmp_path / "rows.parquet", row_group_size=4)
    make = {
        "parquet": lambda **params: RowBlocks.from_parquet(tmp_path, **params),
        "dataset": lambda **params: RowBlocks.from_arrow(pyarrow.dataset.dataset(tmp_path), **params),
        "ready": lambda **params: RowBlocks.from_huggingface(Ready(TABLE), block_rows=4, **params),
        "iterable": lambda **params: RowBlocks.from_huggingface(Iterable(TABLE), block_rows=4, **params),
    }
    return make[request.param]


def test_blocks_of_columns(made):
    blocks = made(target="kind", sample_weight="mass", columns=["size", "on"])
    for labels_only in (False, True):
        numbers, found = zip(*blocks.blocks(labels_only=labels_only), strict=True)
        assert numbers == (0, 1, 2)
        assert np.concatenate([block.y for block in found]).tolist() == list("abbaabbaab")
        assert np.concatenate([block.sample_weight for block in found]).tolist() == list(range(1, 11))
        assert [len(block.y) for block in found] == [4, 4, 2]
    X = np.concatenate([np.asarray(block.X) for _, block in blocks.blocks()])
    assert X.tolist() == [[i, i % 2] for i in range(10)]
    assert next(blocks.blocks())[1].X.column_names == ["size", "on"]


def test_one_column_of_lists_is_a_matrix(made):
    X = [block.X for _, block in made(target="kind", columns=["views"]).blocks()]
    assert np.concatenate(X).tolist() == [[i, -i] for i in range(10)]


def test_several_targets_are_an_indicator(made):
    _, block = next(made(target=["on", "off"], columns=["size"]).blocks())
    assert block.y.tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]
    assert block.sample_weight is None


def test_all_other_columns_are_inputs_unless_they_are_named(made):
    with pytest.raises(ValueError, match="one of lists of equal length. Got 'views' of type list"):
        next(made(target="kind", sample_weight="mass").blocks())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target": "sort"}, "'target' parameter of RowBlocks must be of the columns .*'kind'.* Got 'sort'"),
        ({"target": "kind", "columns": ["x"]}, "'columns' parameter .* Got 'x'"),
        ({"target": []}, "'target' parameter .* Got none"),
        ({"target": 3}, "'target' parameter .* Got 3"),
        ({"target": "kind", "columns": "x"}, "'columns' parameter .* Got 'x'"),
        ({"target": "kind", "columns": ["on", "kind"]}, "none is named twice. Got 'kind' twice"),
        ({"target": "kind", "columns": []}, "'columns' parameter .* Got none"),
        ({"target": "kind", "sample_weight": "w"}, "'sample_weight' parameter .* Got 'w'"),
    ],
)
def test_columns_that_are_not_there_are_named(made, params, message):
    with pytest.raises(ValueError, match=message):
        made(**params)


def test_without_a_target_there_are_no_labels(made):
    for labels_only in (False, True):
        assert [block.y for _, block in made(columns=["on"]).blocks(labels_only=labels_only)] == [None] * 3


def test_the_index_of_a_frame_is_no_input(tmp_path):
    for index in (None, "number"):
        frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]}, index=pd.Index([5, 3], name=index))
        frame.to_parquet(tmp_path / "rows.parquet")
        _, block = next(RowBlocks.from_parquet(tmp_path, "y").blocks())
        assert block.X.column_names == ["a"]
    table = Ready(pa.Table.from_pandas(frame.rename_axis(index=None)))
    _, block = next(RowBlocks.from_huggingface(table, "y").blocks())
    assert block.X.column_names == ["a"]


def test_folders_are_columns(tmp_path):
    for place in ("Bergen", "Oslo"):
        (tmp_path / f"place={place}").mkdir()
        pq.write_table(pa.table({"a": [1.0, 2.0]}), tmp_path / f"place={place}" / "rows.parquet")
    blocks = RowBlocks.from_parquet(tmp_path, "place")
    for labels_only in (False, True):
        found = [block.y.tolist() for _, block in blocks.blocks(labels_only=labels_only)]
        assert found == [["Bergen"] * 2, ["Oslo"] * 2]
    assert next(blocks.blocks())[1].X.column_names == ["a"]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float64(), 2)], ids=str)
def test_a_missing_list_is_refused(kind):
    table = pa.table({"x": pa.array([None, [1.0, 2.0]], kind), "y": [0, 1]})
    with pytest.raises(ValueError, match="one of lists of equal length. Got a missing list"):
        next(RowBlocks.from_arrow(pyarrow.dataset.dataset(table), "y").blocks())


def test_lists_of_several_lengths_are_refused():
    table = pa.table({"x": [[1.0], [1.0, 2.0]], "y": [0, 1]})
    with pytest.raises(ValueError, match="one of lists of equal length. Got lists of several lengths"):
        next(RowBlocks.from_arrow(pyarrow.dataset.dataset(table), "y").blocks())


EMPTY = {"dataset": lambda: pyarrow.dataset.dataset(TABLE[:0]), "ready": lambda: Ready(TABLE[:0])}


@pytest.mark.parametrize("name", EMPTY)
def test_data_without_rows_are_named(name):
    make = RowBlocks.from_arrow if name == "dataset" else RowBlocks.from_huggingface
    with pytest.raises(ValueError, match="'dataset' parameter of RowBlocks must be data with rows. Got none"):
        list(make(EMPTY[name](), "kind").blocks())


NESTED = {
    "lists of lists": pa.array([[[1.0]], [[2.0]]]),
    "pictures": pa.array([{"bytes": b"", "path": ""}] * 2),
    "tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((2, 3, 3))),
}


@pytest.mark.parametrize("name", NESTED)
def test_columns_that_are_no_numbers_are_named_by_type(name):
    source = RowBlocks.from_arrow(pyarrow.dataset.dataset(pa.table({"x": NESTED[name], "y": [0, 1]})), "y")
    with pytest.raises(ValueError, match=r"'columns' parameter of RowBlocks must be numbers.* Got 'x' of type "):
        next(source.blocks())


def test_blocks_of_functions():
    def block(number):
        return pd.DataFrame({"a": [number]}), [number]

    assert [number for number, _ in RowBlocks.from_callable(block, 3).blocks([2, 0])] == [2, 0]
    one_by_one = RowBlocks.from_callable(lambda: map(block, range(3)))
    assert [block.y for _, block in one_by_one.blocks([2, 0])] == [[0], [1], [2]]
    with pytest.raises(ValueError, match="'block' parameter of RowBlocks must be a tuple .* Got DataFrame"):
        next(RowBlocks.from_callable(lambda number: block(number)[0], 3).blocks())
    with pytest.raises(ValueError, match="'n_blocks' parameter of RowBlocks must be an integer >= 1. Got 0"):
        RowBlocks.from_callable(block, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RowBlocks.from_callable(iter([])), "'read' parameter of RowBlocks must be a function"),
        (lambda: RowBlocks.from_arrow(TABLE, "kind"), "'dataset' parameter of RowBlocks must be a pyarrow.* Got Table"),
        (lambda: RowBlocks.from_huggingface([], "kind"), "'dataset' parameter .* of Hugging Face .* Got list"),
    ],
)
def test_what_is_no_source_is_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("numbered", [False, True])
def test_an_error_of_the_source_says_in_which_block(numbered):
    def read(number):
        return {0: ([[0.0]], [0])}[number]

    source = RowBlocks.from_callable(read, 2) if numbered else RowBlocks.from_callable(lambda: map(read, range(2)))
    with pytest.raises(KeyError) as found:
        list(source.blocks())
    assert found.value.__notes__ == ["This is of block 1."]


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    with pytest.raises(ImportError, match=r"This needs pyarrow.*sklkl\[stream\]"):
        RowBlocks.from_parquet("rows.parquet", "y")
