"""Plain data as the bytes of a file: all comes back as it was, and what is damaged is refused."""

import gc
import io
import json
import math
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from sklkl._utils import plain_file
from sklkl._utils.plain_file import from_bytes, is_plain, to_bytes

TREE = {
    "numbers": [1, 2.5, -math.inf, True, None, "text", 10**30],
    3: (
        torch.arange(6).reshape(2, 3),
        torch.tensor(2.0, dtype=torch.bfloat16),
        torch.zeros(0, 2),
        torch.tensor([True]),
    ),
    ("a", 1): {"array": np.arange(4.0)[::2], "scalar": np.float32(0.1), "dates": np.array(["2020-01-01"], "M8[D]")},
    "random_state": np.random.RandomState(0).get_state(),
}


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype is b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return a == b


def test_all_comes_back():
    assert is_plain(TREE)
    back = from_bytes(to_bytes(TREE))
    assert same(TREE, back)
    back["random_state"][1][0] = 0  # arrays can be written to
    assert math.isnan(from_bytes(to_bytes(math.nan)))


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        torch.nn.Linear(2, 2),
        np.array([None]),
        np.complex64(1j),
        np.zeros(1, "i4,f4"),
        [torch.zeros(2).to_sparse()],
    ],
)
def test_what_is_not_plain_is_refused(value):
    assert not is_plain(value)
    with pytest.raises(TypeError, match="cannot be stored without pickle"):
        to_bytes({"a": [value]})


def test_what_is_damaged_is_refused_or_the_same():
    data, read = to_bytes(TREE), 0
    for place in range(0, 8 * len(data), 97):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            found = from_bytes(bytes(changed))
        except ValueError:
            continue
        read += 1
        assert same(TREE, found)
    assert 0 < read < len(data) / 100  # dates and rights of members do not matter
    for length in range(0, len(data), 101):
        with pytest.raises(ValueError, match="BadZipFile"):
            from_bytes(data[:length])


@pytest.mark.parametrize(
    "tree",
    [
        {"tensor": "float64", "shape": [10**12]},
        {"tensor": "float64", "shape": [-1, -8]},
        {"tensor": "load", "shape": [1]},
        {"array": "|O", "shape": [1]},
        {"array": "<f8", "shape": [2**62, 2**62]},
        {"other": 1},
        {"dict": [1]},
    ],
)
def test_what_claims_to_be_else_is_refused(tree):
    file = io.BytesIO()
    with ZipFile(file, "w") as archive:
        archive.writestr("tree.json", json.dumps(tree))
        archive.writestr("numbers", bytes(64))
    with pytest.raises(ValueError):  # noqa: PT011
        from_bytes(file.getvalue())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the file that is not closed
def test_the_same_data_are_the_same_bytes_at_any_time(monkeypatch):
    tree = {"a": torch.arange(3), "b": [1.5, None]}
    first = to_bytes(tree)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert to_bytes(tree) == first


def test_an_interruption_while_it_is_written_is_one(monkeypatch):
    class Interrupted(ZipFile):
        def writestr(self, name, data):
            self.handle = self.open(name, "w")  # closing the file now is a ValueError
            raise KeyboardInterrupt

    monkeypatch.setattr(plain_file, "ZipFile", Interrupted)
    gc.freeze()  # what there is already is not looked through
    try:
        with pytest.raises(KeyboardInterrupt):
            to_bytes(TREE)
        gc.collect()
    finally:
        gc.unfreeze()
