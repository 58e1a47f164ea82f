"""Blocks that are joined in memory which is used again."""

import torch

from sklkl.data import Rows
from sklkl.data._joined import JoinedBlocks


def block(first, last):
    numbers = torch.arange(first, last)
    return Rows(numbers[:, None].float(), numbers, weight=numbers.double())


def assert_numbers(rows, numbers):
    for values in (rows.X[:, 0], rows.y, rows.weight):
        assert values.tolist() == list(numbers)


def test_blocks_are_joined_and_some_rows_are_kept():
    joined = JoinedBlocks(6)
    assert_numbers(joined.add(block(0, 4)), range(4))
    assert_numbers(joined.add(block(4, 8)), range(8))
    joined.keep(torch.tensor([6, 1]))
    assert_numbers(joined.add(block(8, 20)), [6, 1, *range(8, 20)])
    joined.keep(torch.tensor([], dtype=torch.long))
    assert_numbers(joined.add(block(0, 2)), range(2))


def test_a_block_alone_is_not_copied():
    rows = block(0, 4)
    assert JoinedBlocks(2).add(rows) is rows


def test_memory_is_used_again():
    joined, places = JoinedBlocks(6), set()
    for first in range(0, 80, 8):
        joined.add(block(first, first + 4))
        rows = joined.add(block(first + 4, first + 8))
        places.add((rows.X.data_ptr(), rows.codes.data_ptr()))
        assert rows.y[-8:].tolist() == list(range(first, first + 8))
        joined.keep(torch.tensor([0]))
    assert len(places) == 1
