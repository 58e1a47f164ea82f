"""Rows and dropout of a stack are those that each network would have alone."""

import numpy as np
import pytest
import torch
from scipy import sparse

from sklkl.data import Batches, Rows
from sklkl.modules import Dropout
from sklkl.net._stack_batches import StackMeans, masks, stacked

EDGES, UNITS = [0, 3, 5, 8], (5, 3)
LIKE = torch.zeros(0)


def layers(seed, rates=(0.3, 0.3)):
    generator = torch.Generator().manual_seed(seed)
    return [Dropout(p, generator) for p in rates]


@pytest.mark.parametrize("rates", [(0.3, 0.3), (0.3, 0.6), (0.0, 0.0)])
@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_masks_are_those_of_each_layer_in_turn(rates, seeds, monkeypatch):
    monkeypatch.setattr("sklkl.net._stack_batches._MASKED_AT_ONCE", 50)  # some batches, not all
    drawn = list(masks([layers(seed, rates) for seed in seeds], EDGES, UNITS, LIKE))
    alone = [layers(seed, rates) for seed in seeds]
    for batch, n_rows in zip(drawn, np.diff(EDGES), strict=True):
        for number, n in enumerate(UNITS):
            own = torch.stack([network[number].mask((n_rows, n), LIKE) for network in alone])
            torch.testing.assert_close(batch[number], own if len(seeds) > 1 else own[0], rtol=0, atol=0)


def test_no_dropout_has_no_masks():
    assert list(masks([[]], EDGES, UNITS, LIKE)) == [None] * 3


@pytest.mark.parametrize("kind", ["gathered", "scaled", "sparse", "in order"])
def test_batches_are_those_of_each(kind):
    rng = np.random.RandomState(0)
    X = [rng.randn(8, 2) for _ in range(2)]
    rows = [
        Rows(sparse.csr_array(x) if kind == "sparse" else x, np.arange(8) + 10 * number, weight=rng.rand(8))
        for number, x in enumerate(X)
    ]

    def iterators():
        return [Batches(own, 3, kind != "in order", torch.Generator().manual_seed(i)) for i, own in enumerate(rows)]

    scalings = [torch.neg, torch.exp] if kind == "scaled" else [None, None]
    for batch, *alone in zip(stacked(iterators(), scalings), *iterators(), strict=True):
        for number, (one, scaling) in enumerate(zip(alone, scalings, strict=True)):
            x = one[0] if scaling is None else scaling(one[0])
            found = batch[0][number], batch[1][number], batch.weight[number]
            torch.testing.assert_close(found, (x, one[1], one.weight), rtol=0, atol=0)


def test_means_of_each_network():
    means = StackMeans()
    for n_rows, values in ((3, [1.0, 2.0]), (1, [5.0, 6.0])):
        (batch,) = stacked([Batches(Rows(np.zeros((n_rows, 1)), np.zeros(n_rows)), n_rows)], [None])
        means.add({"data_fit": torch.tensor(values)}, batch)
    assert means.n_batches == 2
    assert means.read() == [{"data_fit": 2.0}, {"data_fit": 3.0}]
