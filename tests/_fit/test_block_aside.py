"""Every class has its share of the rows that are set aside, however few a block has, and keeps its first row."""

import numpy as np
import pytest

from sklkl._fit.block_aside import RowsAside


def set_aside(codes, size, share, n_classes=2):
    """Class codes of the rows set aside and of the first block's others, in blocks of so many rows."""
    aside, found = RowsAside(share, n_classes, np.random.RandomState(0)), []
    for number, block in enumerate(np.split(codes, range(size, len(codes), size))):
        chosen = aside.choose(block, np.random.RandomState(number))
        assert len(set(chosen)) == len(chosen)
        found.append(block[chosen])
    return np.concatenate(found)


@pytest.mark.parametrize("share", [0.001, 0.15, 0.9])
@pytest.mark.parametrize(("size", "n_rows"), [(1, 2000), (7, 4000), (100, 20_000), (5000, 20_000)])
def test_each_class_has_its_share(size, n_rows, share):
    codes = (np.arange(n_rows) % 100 == 0).astype(int)
    counts = np.bincount(set_aside(codes, size, share), minlength=2)
    assert (np.abs(counts - share * np.bincount(codes)) <= 1).all()  # what is due at the beginning and left at the end


@pytest.mark.parametrize("share", [0.15, 0.99])
def test_the_only_row_of_a_class_stays(share):
    codes = np.arange(50)
    assert len(set_aside(codes, 10, share, n_classes=50)) == 0


def test_an_indicator_is_not_stratified():
    codes = np.eye(2, dtype=int).repeat(50, axis=0)
    assert abs(len(set_aside(codes, 3, 0.2, n_classes=1)) - 20) <= 1
