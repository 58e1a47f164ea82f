"""The data fit against torch's, and means over rows and batches against numpy's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from sklkl.losses import CrossEntropy, TermMeans, _numbers, expectation, row_shares

WEIGHTS = st.lists(st.floats(0.1, 10), min_size=2, max_size=6)


def logits_and_codes(*shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    return logits, torch.randint(shape[-1], shape[:-1], generator=generator)


def test_cross_entropy_is_torchs_of_each_row():
    logits, y = logits_and_codes(6, 3)
    actual = CrossEntropy()(logits.log_softmax(-1), y)
    torch.testing.assert_close(actual, F.cross_entropy(logits, y, reduction="none"))


@pytest.mark.parametrize("shape", [(2, 6, 3), (4, 2, 6, 3)])
def test_cross_entropy_keeps_leading_axes(shape):
    logits, y = logits_and_codes(*shape)
    actual = CrossEntropy()(logits.log_softmax(-1), y)
    assert actual.shape == shape[:-1]
    torch.testing.assert_close(actual[1], CrossEntropy()(logits[1].log_softmax(-1), y[1]))


@given(WEIGHTS)
def test_shares_give_the_weighted_mean(weights):
    values = torch.arange(float(len(weights)), dtype=torch.float64)
    shares = row_shares(torch.zeros(len(weights), 2), torch.tensor(weights, dtype=torch.float64))
    assert (values @ shares).item() == pytest.approx(np.average(values, weights=weights))


def test_shares_without_weights_are_equal():
    assert row_shares(torch.zeros(4, 2, dtype=torch.float64), None).tolist() == [0.25] * 4


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float16])
def test_weights_of_any_type_have_shares(dtype):
    weight = torch.tensor([1, 0, 1, 1])
    shares = row_shares(torch.zeros(4, 2), weight.to(dtype)).float()
    torch.testing.assert_close(shares, weight / 3, rtol=1e-3, atol=0.0)


def test_no_rows_have_no_shares():
    assert row_shares(torch.zeros(0, 2), None).shape == (0,)


def test_shares_of_rows_without_any_weight_are_zero():
    assert row_shares(torch.zeros(3, 2), torch.zeros(3)).tolist() == [0, 0, 0]


@given(WEIGHTS)
def test_term_means_weigh_batches_by_their_mass(masses):
    means = TermMeans()
    for number, mass in enumerate(masses):
        means.add({"a": torch.tensor(float(number)), "b": torch.tensor(2.0)}, mass)
    read = means.read()
    assert read["a"] == pytest.approx(np.average(np.arange(len(masses)), weights=masses))
    assert read["b"] == pytest.approx(2)


def test_term_means_do_not_hold_a_graph():
    means = TermMeans()
    means.add({"a": torch.ones((), requires_grad=True) * 2}, 1)
    assert not isinstance(means.values["a"][0], torch.Tensor)


# Expectations


def double(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_an_expectation_broadcasts():
    p, values = torch.tensor([0.25, 0.75]), torch.tensor([[[4.0, 8.0], [0.0, -4.0]]])
    assert expectation(p, values).tolist() == [[7.0, -3.0]]


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
def test_what_cannot_happen_has_no_say(value):
    p, values = double([0.5, 0.5, 0.0]), double([2.0, 4.0, value])
    expected = expectation(p, values)
    expected.backward()
    assert expected.item() == 3.0
    assert values.grad.tolist() == [0.5, 0.5, 0.0]
    assert p.grad.tolist() == [2.0, 4.0, 0.0]


def test_the_gradient_of_a_negative_entropy_by_logit():
    """p (log p + H(p)), also where a class has no probability at all."""
    logits = double([1.0, 0.5, -1e9])
    log_p = logits.log_softmax(-1)
    expectation(log_p.exp(), log_p).backward()
    p = np.exp([1.0, 0.5]) / np.exp([1.0, 0.5]).sum()
    by_hand = p * (np.log(p) - (p * np.log(p)).sum())
    np.testing.assert_allclose(logits.grad, [*by_hand, 0.0], atol=1e-15)


@pytest.mark.parametrize(
    ("p", "values", "expected"), [(np.nan, 0.0, np.nan), (1.0, np.nan, np.nan), (0.5, -np.inf, -np.inf)]
)
def test_nan_and_infinity_are_not_hidden(p, values, expected):
    np.testing.assert_equal(expectation(double([p, 0.5]), double([values, 1.0])).item(), expected)


def test_numbers_of_half_precision_on_a_device_can_be_read():
    values = [torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(1.5, dtype=torch.bfloat16)]
    assert _numbers([*values, 2.0]) == [0.5, 1.5, 2.0]
