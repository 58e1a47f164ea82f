"""Rows of a table that stays where it is are, batch by batch, those of a copy."""

import numpy as np
import pytest
import torch

from sklkl.data import Batches, LazyRows, Rows, _rows

X = np.random.RandomState(0).randn(40, 3)
Y, WEIGHT = np.arange(40) % 3, np.arange(1.0, 41.0, dtype=np.float32)


def read_only(X):
    X = X.astype(np.float32)
    X.flags.writeable = False
    return X


TABLES = {
    "float64": lambda X: X,
    "Fortran order": lambda X: np.asfortranarray(X, dtype=np.float32),
    "read-only": read_only,
    "big-endian": lambda X: X.astype(">f8"),
    "tensor": lambda X: torch.from_numpy(X.astype(np.float32)),
    "tensor of another type": torch.from_numpy,
}


def batches(rows, shuffle=True):
    found = Batches(rows, 7, shuffle=shuffle, generator=torch.Generator().manual_seed(0))
    return [(x.tolist(), y.tolist(), batch.weight.tolist()) for batch in found for x, y in [batch]]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_those_of_a_copy(kind, shuffle):
    lazy = LazyRows(TABLES[kind](X), Y, torch.float32, weight=WEIGHT)
    copied = Rows(X.astype(np.float32), Y, weight=WEIGHT)
    index = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:30]
    assert batches(lazy, shuffle) == batches(copied, shuffle)
    part, expected = lazy.part(index), copied.take(index)
    assert batches(part, shuffle) == batches(expected, shuffle)
    assert batches(part.part(index % 30), shuffle) == batches(expected.take(index % 30), shuffle)
    assert torch.equal(part.X, expected.X)
    assert (part.shape, len(part), part.dtype, part.device) == (expected.shape, 30, torch.float32, expected.device)


def test_columns_travel_with_a_part():
    rows = LazyRows(X, Y, torch.float32, weight=WEIGHT).part(torch.tensor([3, 1]))
    assert rows.weight.tolist() == [4.0, 2.0]
    assert rows.codes.tolist() == [0, 1]
    assert rows.with_columns(weight=None, soft=torch.zeros(2)).columns.keys() == {"soft"}
    assert rows.to("cpu") is rows
    assert rows[1][0].tolist() == X[1].astype(np.float32).tolist()


def test_only_large_parts_are_lazy(monkeypatch):
    rows, index = Rows(X, Y), torch.arange(20)
    assert type(rows.part(index)) is Rows
    monkeypatch.setattr(_rows, "LARGE", 59)
    assert type(rows.part(index)) is LazyRows
    assert torch.equal(rows.part(index).X, rows.take(index).X)


def test_rows_that_all_have_a_label_are_not_copied():
    rows = Rows(X, Y)
    assert rows.labelled() is rows


@pytest.mark.parametrize("table", [X, torch.from_numpy(X), X.astype(np.float32), X.astype(">f8")])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_batches_are_of_the_type_that_is_said(table, dtype):
    rows = LazyRows(table, Y, dtype)
    for found in (next(iter(Batches(rows, 7)))[0], next(iter(Batches(rows, 7, shuffle=True)))[0], rows[0][0]):
        assert found.dtype is rows.dtype is dtype


@pytest.mark.parametrize(("name", "given"), [("y", {"y": Y[:3]}), ("weight", {"y": Y, "weight": WEIGHT[:3]})])
def test_columns_of_another_length_are_refused(name, given):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Rows must have 40 rows, as X has. Got 3 instead"):
        LazyRows(X, dtype=torch.float32, **given)
