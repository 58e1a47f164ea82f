"""What a fit of blocks takes of memory does not grow with their number."""

import tracemalloc
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from sklkl import KLClassifier
from sklkl._fit import blocks as of_fit
from sklkl.data import RowBlocks, _streamed

N_ROWS, N_COLUMNS = 1500, 20


class TensorMemory(TorchDispatchMode):
    """Counts the bytes of the tensors that are there, each memory once, and the most there ever were."""

    def __init__(self):
        super().__init__()
        self.holders, self.sizes = Counter(), {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for value in tree_flatten(made)[0]:
            if isinstance(value, torch.Tensor):
                self.hold(value)
        return made

    def hold(self, tensor):
        place = tensor.untyped_storage().data_ptr()
        if not self.holders[place]:
            self.sizes[place] = tensor.untyped_storage().nbytes()
            self.now += self.sizes[place]
            self.peak = max(self.peak, self.now)
        self.holders[place] += 1
        weakref.finalize(tensor, self.release, place)

    def release(self, place):
        self.holders[place] -= 1
        if not self.holders[place]:
            self.now -= self.sizes[place]


def read(number):
    X = np.random.RandomState(number).standard_normal((N_ROWS, N_COLUMNS)).astype(np.float32)
    return X, X[:, 0] + X[:, 1] * X[:, 2] > 0


def fit(n_blocks):
    clf = KLClassifier((4,), batch_size=N_ROWS, max_epochs=1, learning_rate="constant", device="cpu", random_state=0)
    clf.fit(RowBlocks.from_callable(read, n_blocks))


def peak_of_arrays(n_blocks):
    """Return the most bytes of NumPy and Python."""
    tracemalloc.start()
    try:
        fit(n_blocks)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_of_tensors(n_blocks):
    with TensorMemory() as tensors:
        fit(n_blocks)
    return tensors.peak


@pytest.mark.parametrize("peak", [peak_of_arrays, peak_of_tensors])
def test_memory_is_flat(monkeypatch, peak):
    """As with large blocks, of which a few are joined, and which have more rows than are looked at or validated."""
    monkeypatch.setattr(_streamed, "JOINED", 4 * N_ROWS * N_COLUMNS)
    monkeypatch.setattr(of_fit, "MOST_ROWS", N_ROWS)
    monkeypatch.setattr(of_fit, "_VALIDATED", N_ROWS * N_COLUMNS)
    fit(1)  # what is imported at first
    few, many = peak(10), peak(30)
    assert many < 1.1 * few
