"""Rows that are read block by block come exactly once a pass, in batches as those of rows in memory."""

from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklkl.data import Batches, Rows, StreamedRows, _streamed

sizes_of_blocks = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def numbered(first, last):
    numbers = np.arange(first, last)
    return Rows(numbers[:, None].astype(np.float32), numbers, weight=numbers.astype(np.float32))


def streamed(sizes, n_blocks="known", read_all=None):
    blocks = [numbered(*edges) for edges in pairwise(accumulate(sizes, initial=0))]

    def read(order):
        return iter(blocks) if order is None else (blocks[number] for number in order)

    n_blocks = len(sizes) if n_blocks == "known" else n_blocks
    return StreamedRows(read_all or read, sum(sizes), n_blocks, blocks[0], blocks[0])


def passes(rows, batch_size, seed=0, n=2):
    batches = Batches(rows, batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))
    return [list(batches) for _ in range(n)]


@given(
    sizes=sizes_of_blocks, batch_size=st.integers(1, 25), joined=st.sampled_from([1, 10, 10**6]), known=st.booleans()
)
def test_every_row_comes_exactly_once_a_pass(sizes, batch_size, joined, known):
    rows = streamed(sizes, "known" if known else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_streamed, "JOINED", joined)
        found = passes(rows, batch_size)
    in_memory = [len(x) for x, _ in Batches(numbered(0, sum(sizes)), batch_size)]
    for batches in found:
        assert sorted(torch.cat([y for _, y in batches]).tolist()) == list(range(sum(sizes)))
        assert [len(x) for x, _ in batches] == in_memory
        assert all(torch.equal(batch[0][:, 0], batch.weight) for batch in batches)


def test_blocks_and_rows_are_shuffled_anew_in_each_pass(monkeypatch):
    monkeypatch.setattr(_streamed, "JOINED", 1)
    first, second = (torch.cat([y for _, y in batches]) for batches in passes(streamed([50] * 6), 50))
    assert first.tolist() != second.tolist()
    for order in (first, second):
        blocks = order.reshape(6, 50)
        assert all(len({row // 50 for row in block.tolist()}) == 1 for block in blocks)
        assert all(block.tolist() != sorted(block.tolist()) for block in blocks)
    assert (first[::50] // 50).tolist() != (second[::50] // 50).tolist()


def test_one_block_is_as_rows_in_memory():
    alone, in_memory = passes(streamed([50]), 8), passes(numbered(0, 50), 8)
    assert [[y.tolist() for _, y in batches] for batches in alone] == [
        [y.tolist() for _, y in batches] for batches in in_memory
    ]


def test_without_shuffling_the_order_is_kept():
    assert torch.cat([y for _, y in Batches(streamed([5, 1, 7]), 4)]).tolist() == list(range(13))


def test_rows_that_are_not_there_again_are_told():
    rows = streamed([5, 5], read_all=lambda order: iter([numbered(0, 5)]))
    with pytest.raises(ValueError, match="the same rows in each pass: 10. Got 5"):
        list(Batches(rows, 4))


def test_what_needs_all_rows_is_refused():
    rows = streamed([5, 5])
    with pytest.raises(TypeError, match="cannot be taken by number"):
        rows.take(torch.arange(2))
    with pytest.raises(AttributeError, match="have no X"):
        rows.X  # noqa: B018
    assert (rows.shape, len(rows)) == ((10, 1), 10)
