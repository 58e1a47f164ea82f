"""Rows are held as whole tensors, and every row comes exactly once an epoch."""

import copy
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from torch.utils.data import DataLoader

import sklkl.data._batches
from sklkl.data import Batch, Batches, LazyRows, Rows


def numbered(n_rows, n_features=2):
    """Rows that say their number in every column."""
    numbers = np.arange(n_rows)
    X = np.repeat(numbers[:, None], n_features, axis=1).astype(np.float32)
    return Rows(X, numbers, weight=numbers.astype(np.float32))


def shuffled(rows, batch_size, seed=0):
    return Batches(rows, batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))


# Batch


def test_a_batch_unpacks_as_a_pair():
    x, y = Batch(torch.zeros(2, 3), torch.ones(2), weight=torch.ones(2))
    assert x.shape == (2, 3)
    assert y.shape == (2,)


def test_a_batch_carries_named_columns():
    batch = Batch(torch.zeros(2, 3), None, weight=torch.tensor([1.0, 2.0]), soft=torch.zeros(2, 4))
    assert batch.weight.tolist() == [1.0, 2.0]
    assert set(batch.columns) == {"weight", "soft"}


def test_a_batch_without_weights_has_none():
    assert Batch(torch.zeros(2, 3), None).weight is None


# Batches


@given(n_rows=st.integers(1, 60), batch_size=st.integers(1, 70), shuffle=st.booleans())
def test_every_row_comes_exactly_once_an_epoch(n_rows, batch_size, shuffle):
    batches = Batches(numbered(n_rows), batch_size, shuffle=shuffle, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        seen = torch.cat([y for _, y in batches])
        assert sorted(seen.tolist()) == list(range(n_rows))


@given(n_rows=st.integers(1, 60), batch_size=st.integers(1, 70))
def test_sizes_differ_by_one_row_at_most_and_keep_the_limit(n_rows, batch_size):
    batches = Batches(numbered(n_rows), batch_size)
    sizes = [len(x) for x, _ in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size
    assert len(sizes) == len(batches)


@given(n_rows=st.integers(1, 60), batch_size=st.integers(1, 70))
def test_inputs_codes_and_columns_travel_together(n_rows, batch_size):
    for batch in shuffled(numbered(n_rows), batch_size):
        x, y = batch
        assert torch.equal(x[:, 0], y.float())
        assert torch.equal(batch.weight, y.float())


def test_without_shuffling_the_order_is_kept():
    assert torch.cat([y for _, y in Batches(numbered(10), 4)]).tolist() == list(range(10))


def test_every_epoch_has_a_new_order():
    batches = shuffled(numbered(50), 10)
    first, second = (torch.cat([y for _, y in batches]).tolist() for _ in range(2))
    assert first != second
    assert first != sorted(first)


def test_the_same_generator_gives_the_same_order():
    first, second = (torch.cat([y for _, y in shuffled(numbered(50), 10, seed=3)]) for _ in range(2))
    assert torch.equal(first, second)


def test_a_generator_of_its_own_leaves_the_global_state_alone(global_state_untouched):
    with global_state_untouched():
        list(shuffled(numbered(50), 10))


@pytest.mark.parametrize("elements", [1, 7, 40, 10**6])
def test_the_order_does_not_depend_on_how_many_rows_are_gathered_at_once(elements, monkeypatch):
    expected = [y.tolist() for _, y in shuffled(numbered(50), 8)]
    monkeypatch.setattr(sklkl.data._batches, "_GATHER_ELEMENTS", elements)
    assert [y.tolist() for _, y in shuffled(numbered(50), 8)] == expected


def test_large_rows_are_gathered_a_few_batches_at_a_time(monkeypatch):
    taken = []
    take = Rows.take
    monkeypatch.setattr(sklkl.data._batches, "_GATHER_ELEMENTS", 2 * 8 * 100)  # two batches of eight rows
    monkeypatch.setattr(Rows, "take", lambda self, index: taken.append(len(index)) or take(self, index))
    list(shuffled(numbered(64, n_features=100), 8))
    assert taken == [16, 16, 16, 16]


def test_another_kind_of_data_set_is_refused():
    with pytest.raises(TypeError, match="'rows' parameter of Batches must be .* instead.*DataLoader"):
        Batches(torch.utils.data.TensorDataset(torch.zeros(3, 1)), 2)


# Rows: what comes in


def test_dense_rows_are_not_copied():
    X = np.zeros((4, 2), dtype=np.float32)
    assert Rows(X).X.data_ptr() == X.ctypes.data


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_stays_sparse_and_its_batches_are_dense(container):
    X = np.diag(np.arange(1.0, 7.0))
    rows = Rows(container(X), np.arange(6))
    assert sparse.issparse(rows.X)
    assert rows.X.format == "csr"
    batches = list(shuffled(rows, 2))
    assert all(isinstance(x, torch.Tensor) and x.layout == torch.strided for x, _ in batches)
    seen = {int(y): x for batch_x, batch_y in batches for x, y in zip(batch_x, batch_y, strict=True)}
    assert all(np.array_equal(seen[row].numpy(), X[row]) for row in range(6))


def odd_arrays():
    """Arrays that torch cannot hold as they are, all with the same values."""
    plain = np.arange(12.0).reshape(6, 2)
    read_only = plain.copy()
    read_only.flags.writeable = False
    return {
        "read-only": read_only,
        "big-endian": plain.astype(">f8"),
        "negative stride": plain[::-1].copy()[::-1],
        "F order": np.asfortranarray(plain),
        "step": np.repeat(plain, 2, axis=0)[::2],
        "list": plain.tolist(),
    }


@pytest.mark.parametrize("kind", odd_arrays())
def test_odd_arrays_keep_their_values_and_are_not_written(kind):
    values = odd_arrays()[kind]
    rows = Rows(values, np.arange(6))
    rows.X.add_(0)  # writable memory
    assert rows.X.tolist() == np.arange(12.0).reshape(6, 2).tolist()


def test_writing_to_rows_made_from_read_only_memory_does_not_reach_it():
    values = odd_arrays()["read-only"]
    Rows(values).X.zero_()
    assert values.sum() == 66


@pytest.mark.parametrize(("X", "y"), [([["a"], [object()]], [0, 1]), (np.zeros((2, 1)), np.array([0, None]))])
def test_dtype_object_is_refused(X, y):
    with pytest.raises(TypeError, match="parameters of Rows must be numeric arrays. Got one of dtype object"):
        Rows(np.array(X, dtype=object) if isinstance(X, list) else X, y)


@pytest.mark.parametrize("columns", [{"y": np.zeros(2)}, {"weight": np.ones(4)}])
def test_columns_of_another_length_are_refused(columns):
    with pytest.raises(ValueError, match=f"'{next(iter(columns))}' parameter of Rows must have 3 rows"):
        Rows(np.zeros((3, 1)), **columns)


def test_columns_that_are_none_are_left_out():
    rows = Rows(np.zeros((3, 1)), weight=None)
    assert rows.columns == {}
    assert rows.weight is None


# Rows: what goes out


def test_take_selects_and_repeats_rows():
    rows = numbered(5).take(torch.tensor([3, 0, 3]))
    assert rows.y.tolist() == [3, 0, 3]
    assert rows.weight.tolist() == [3.0, 0.0, 3.0]
    assert rows.X[:, 1].tolist() == [3.0, 0.0, 3.0]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_one_row_at_a_time(container):
    x, y = Rows(container(np.arange(6.0).reshape(3, 2)), np.array([4, 5, 6]))[1]
    assert x.tolist() == [2.0, 3.0]
    assert y == 5


def test_a_row_carries_its_columns():
    assert numbered(3)[2].weight == 2.0


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("edges", [[0, 2], [1, 3], [0, 1, 5], [2, 2, 4]], ids=str)
def test_split_gives_the_rows_between_the_edges(container, edges):
    X = np.arange(10.0).reshape(5, 2)
    batches = list(Rows(container(X), np.arange(5), weight=np.arange(5)).split(edges))
    expected = [list(range(start, end)) for start, end in pairwise(edges)]
    assert [x[:, 0].tolist() for x, _ in batches] == [[2.0 * row for row in rows] for rows in expected]
    assert [y.tolist() for _, y in batches] == expected
    assert [batch.weight.tolist() for batch in batches] == expected


def test_to_moves_every_tensor():
    rows = numbered(3).to("meta")
    assert {rows.X.device.type, rows.y.device.type, rows.weight.device.type, rows.device.type} == {"meta"}


def test_batches_of_sparse_rows_join_their_class_codes():
    rows = Rows(sparse.csr_array(np.eye(3)), np.arange(3)).to("meta")
    assert sparse.issparse(rows.X)
    assert {tensor.device.type for batch in Batches(rows, 2) for tensor in batch} == {"meta"}


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_a_data_loader_works_over_rows(container):
    X = np.repeat(np.arange(10.0)[:, None], 3, axis=1)
    loader = DataLoader(Rows(container(X), np.arange(10)), batch_size=4)
    batches = list(loader)
    assert [len(x) for x, _ in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([x for x, _ in batches])[:, 0], torch.cat([y for _, y in batches]).double())


@pytest.mark.parametrize("shape", [(4, 3), (4, 2, 3), (4, 1, 5, 5)])
def test_rows_of_any_rank(shape):
    X = np.random.RandomState(0).randn(*shape)
    assert np.array_equal(torch.cat([x for x, _ in Batches(Rows(X, np.zeros(4)), 3)]).numpy(), X)


# What is passed by mistake, and other hands


@pytest.mark.parametrize("batch_size", [0, -1, None, 2.5, "3", True])
def test_a_batch_size_that_is_none_is_refused(batch_size):
    with pytest.raises(ValueError, match="The 'batch_size' parameter of Batches must be an integer >= 1. Got"):
        Batches(Rows(torch.zeros(3, 1)), batch_size)


@pytest.mark.parametrize("shuffle", [False, True])
def test_no_rows_give_no_batch(shuffle):
    for rows in (Rows(torch.zeros(0, 2), torch.zeros(0)), LazyRows(np.zeros((0, 2)), None, torch.float32)):
        batches = Batches(rows, 4, shuffle)
        assert len(batches) == len(list(batches)) == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [("X", 3.0), ("X", torch.eye(4).to_sparse()), ("y", 3), ("y", torch.tensor(3)), ("weight", 1.0)],
)
def test_what_has_no_rows_is_refused_by_name(name, values):
    given = {"X": np.zeros((4, 2)), name: values}
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Rows must be a dense tensor, an array or a"):
        Rows(**given)


def test_masked_values_are_nan():
    rows = Rows(np.ma.array([1, 2, 3], mask=[False, True, False]))
    assert rows.X.isnan().tolist() == [False, True, False]


def test_a_row_is_counted_from_the_end_too():
    rows = Rows(torch.arange(3), torch.arange(3))
    assert rows[-1][1] == 2
    assert [int(y) for _, y in rows] == [0, 1, 2]
    for number in (3, -4):
        with pytest.raises(IndexError):
            rows[number]
    with pytest.raises(TypeError):
        rows[:2]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda batch: pickle.loads(pickle.dumps(batch))])
def test_a_batch_is_copied_with_its_columns(copied):
    batch = copied(Batch(torch.eye(2), torch.arange(2), weight=torch.ones(2)))
    assert type(batch) is Batch
    assert torch.equal(batch[0], torch.eye(2))
    assert batch.weight.tolist() == [1, 1]


def test_a_worker_sends_batches():
    rows = Rows(torch.eye(4), torch.arange(4), weight=torch.arange(4))
    loader = DataLoader(range(4), batch_size=2, collate_fn=lambda numbers: next(rows.split([0, 2])), num_workers=1)
    assert [batch.weight.tolist() for batch in loader] == [[0, 1]] * 2


@pytest.mark.parametrize("generator", [None, torch.Generator()])
def test_another_default_device_shuffles_the_same_rows(generator):
    lazy = LazyRows(np.eye(4), torch.arange(4), torch.float32)
    with torch.device("meta"):
        for rows in (Rows(np.eye(4), np.arange(4)), lazy):
            found = [y for _, y in Batches(rows, 2, shuffle=True, generator=generator)]
            assert rows[1][1] == 1
            assert sorted(torch.cat(found).tolist()) == [0, 1, 2, 3]
