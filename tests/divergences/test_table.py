"""Tables of counts: their divergence by oracles, and where quantile bins are parted by values all samples have."""

import numpy as np
import pytest

from sklkl._utils.quantities import Quantity
from sklkl.divergences import DIVERGENCES
from sklkl.divergences._references import BinnedReference
from sklkl.divergences._table import NULLS, Table, count_divergence

from .oracles import by_oracle


def test_names():
    assert set(NULLS) == {"permutation", "asymptotic"}


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("pseudo_count", [0.0, 0.5])
def test_divergence_of_counts(divergence, pseudo_count):
    a, b = np.array([[5, 1, 4], [3, 3, 4]]), np.array([[2, 2, 16], [7, 7, 7]])
    p, q = ((counts + pseudo_count) / (counts + pseudo_count).sum(axis=1, keepdims=True) for counts in (a, b))
    found = count_divergence(divergence, a, b, pseudo_count)
    np.testing.assert_allclose(found, by_oracle(divergence, p, q), rtol=1e-12)


def test_empty_bins_without_pseudo_counts():
    a, b = np.array([2, 2]), np.array([4, 0])
    assert count_divergence("jeffreys", a, b, 0.0) == np.inf
    assert count_divergence("kl", a, b, 0.0) == np.inf
    js = 0.25 * np.log(2 / 3) + 0.25 * np.log(2) + 0.5 * np.log(4 / 3)
    assert count_divergence("js", a, b, 0.0) == pytest.approx(js, rel=1e-12)


def test_bins_that_both_samples_leave_empty_are_left_out():
    table = Table.of(np.array([2, 0, 0, 1]), np.array([0, 0, 3, 1]), np.array([0, 0, 1, 1]))
    assert [list(x) for x in (table.a, table.b, table.segments)] == [[2, 0, 1], [0, 3, 1], [0, 1, 1]]
    assert Table.of(np.array([2, 0, 1]), np.array([1, 0, 1])).segments.tolist() == [0, 1]


def test_segments_end_at_repeated_values_only():
    zeros_and_more = np.concatenate([np.zeros(50), np.arange(1.0, 51)])
    assert BinnedReference.by_quantiles(Quantity(zeros_and_more), 4).segments.tolist() == [0, 1, 2, 2, 3]
    assert BinnedReference.by_quantiles(Quantity(np.arange(100.0)), 4).segments.tolist() == [0, 0, 0, 0, 1]
