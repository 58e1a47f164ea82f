"""Rows of probabilities: divided by their sums, wrong ones named."""

import numpy as np
import pytest
import torch

from sklkl._utils.probabilities import unit_rows

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])


def test_rows_are_divided_by_their_sums():
    rows, wrong = unit_rows(P * [[1 + 9e-4], [1 - 9e-4]])
    np.testing.assert_allclose(rows, P, rtol=1e-14)
    assert not wrong.any()


@pytest.mark.parametrize(
    "row",
    [[0.5, 0.5, 0.002], [0, 0, 0], [-0.1, 0.6, 0.5], [np.inf, 0, 0], [np.inf, -np.inf, 0], [70, 20, 10]],
    ids=str,
)
@pytest.mark.parametrize("allow_nan", [True, False])
def test_wrong_rows(row, allow_nan):
    assert unit_rows(np.vstack([P, row]), allow_nan=allow_nan)[1].tolist() == [False, False, True]


def test_nan():
    rows = np.vstack([P, [np.nan, 0.5, 0.5], [np.nan, -0.5, 1.0]])
    assert unit_rows(rows)[1].tolist() == [False, False, True, True]
    unit, wrong = unit_rows(rows, allow_nan=True)
    assert wrong.tolist() == [False, False, False, True]
    assert np.isnan(unit[2]).all()


def test_any_number_of_axes():
    stacked = np.stack([P, 2 * P])
    assert unit_rows(stacked)[1].tolist() == [[False, False], [True, True]]
    np.testing.assert_allclose(unit_rows(stacked)[0], np.stack([P, P]))


@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_half_precision_is_rounding(n_classes):
    exact = np.random.default_rng(0).dirichlet(np.full(n_classes, 0.3), 500)
    bfloat16 = torch.tensor(exact).bfloat16().double().numpy()
    cut = (exact.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32).astype(np.float64)
    assert (np.abs(cut.sum(1) - 1) > 1e-3).any()
    for rows in (exact.astype(np.float16).astype(np.float64), bfloat16, cut):
        assert not unit_rows(rows)[1].any()


def test_coarse_values_do_not_excuse_wrong_sums():
    assert unit_rows(np.array([[0.5, 0.53125]]))[1].all()
    assert unit_rows(np.array([[0.5, 0.5], [50.0, 50.0]]))[1].tolist() == [False, True]
