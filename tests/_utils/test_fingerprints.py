"""Fingerprints: the same in another process, and others for what differs."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from sklkl import KLClassifier
from sklkl._utils.fingerprints import fingerprint

_VALUES = """
import numpy as np, torch
from sklearn.ensemble import RandomForestClassifier
from sklkl import KLClassifier
from sklkl._utils.fingerprints import fingerprint

def values():
    def local(n):
        return lambda x: x + n
    X, y = np.random.RandomState(0).randn(40, 3), np.arange(40) % 2
    torch.manual_seed(0)
    fitted = RandomForestClassifier(3, random_state=0).fit(X, y)
    network = torch.nn.Linear(3, 2)
    return [1, "a", X, y, fitted, network, network.weight, local(1), {"b", "c", "a"}, torch.float32, KLClassifier()]
"""


def test_they_are_the_same_in_another_process():
    names = {}
    exec(_VALUES, names)
    code = _VALUES + "print(*map(fingerprint, values()))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert other == list(map(fingerprint, names["values"]()))
    assert len(set(other)) == len(other)


X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (X, X + 1e-12),
        (X, X.astype(np.float32)),
        (X, X.reshape(3, 2)),
        (torch.zeros(3), torch.zeros(3).double()),
        (torch.zeros(3), torch.zeros(3, 1)),
        (torch.Generator().manual_seed(0), torch.Generator().manual_seed(1)),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x.exp(), lambda x: x.log()),
        (KLClassifier(lr=0.1), KLClassifier(lr=0.2)),
        (RandomForestClassifier, RandomForestClassifier()),
        (np.random.RandomState(0), np.random.RandomState(1)),
    ],
)
def test_what_differs_has_another_one(a, b):
    assert fingerprint(a) != fingerprint(b)
    assert None not in (fingerprint(a), fingerprint(b))


def test_where_it_is_does_not_matter(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert fingerprint(mapped) == fingerprint(X) == fingerprint(X.copy())
    assert fingerprint(torch.from_numpy(X)) == fingerprint(torch.from_numpy(X.T).T)


def test_what_no_other_process_could_compare_has_none():
    assert fingerprint([sys.stdout]) is None
