"""Fingerprints: the same in another process, and others for what differs."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator

from sklkl import KLClassifier
from sklkl._utils.fingerprints import fingerprint
from tests.fresh_process import values


def test_they_are_the_same_in_another_process(fresh_process):
    other = fresh_process["fingerprints"]
    assert other == list(map(fingerprint, values()))
    assert len(set(other)) == len(other)


X = np.arange(6.0).reshape(2, 3)


def local(n):
    def function(x, *, factor=n):
        return factor * x

    return function


def fitted(lr=0.1):
    rows = np.arange(12.0).reshape(6, 2)
    params = {"learning_rate": "constant", "hidden_layer_sizes": (), "max_epochs": 1, "random_state": 0}
    clf = KLClassifier(**params, lr=lr).fit(rows, [0, 1] * 3)
    return FrozenEstimator(clf.set_params(lr=1))  # only what it has learned is another


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
        (local(1), local(2)),
        ({1: 0, "a": 1}, {1: 0, "a": 2}),
        (sparse.csr_array(X), sparse.csr_array(2 * X)),
        (fitted(lr=0.1), fitted(lr=0.2)),
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


@pytest.mark.parametrize("value", [[sys.stdout], {"a": sys.stdout, "b": 1}, SimpleNamespace(a=sys.stdout, b=1)])
def test_what_no_other_process_could_compare_has_none(value):
    assert fingerprint(value) is None


def test_times_and_what_was_asked_in_between_do_not_matter():
    assert fingerprint(fitted()) == fingerprint(fitted())
    table = sparse.csr_array(X)
    before = fingerprint(table)
    assert table.has_sorted_indices
    assert fingerprint(table) == before


def test_a_set_in_code_is_that_of_another_process():
    """Where strings are, a set is in the order of hashes, which differ; so it is here for numbers that collide."""
    one, other = frozenset([0, 8]), frozenset([8, 0])
    assert list(one) != list(other)
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one) != fingerprint({0, 8})
