"""The KL of a step against decimal arithmetic of 60 digits, scipy and closed forms, from tiny to huge."""

import math
from decimal import Decimal, localcontext
from itertools import product

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from scipy.stats import entropy

from sklkl.divergences import kl_divergence
from sklkl.optim import step_kl


def logits_of_rows(seed):
    """Logits of hundreds of rows in random order: the largest, among which are equal ones, those between, and small."""
    random = np.random.RandomState(seed)
    corners = list(product([-20.0, -10.0, 0.0, 20.0], repeat=3))
    return random.permutation(np.vstack([corners, random.uniform(-20, 20, (100, 3)), 0.1 * random.randn(100, 3)]))


BEFORE, AFTER = logits_of_rows(0), logits_of_rows(1)


def tensor(values):
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def exact(before, after):
    """KL of one row in decimal arithmetic."""
    with localcontext() as context:
        context.prec = 60
        e = [[Decimal(float(logit)).exp() for logit in row] for row in (before, after)]
        p, q = ([value / sum(row) for value in row] for row in e)
        return float(sum(a * (a / b).ln() for a, b in zip(p, q, strict=True)))


@pytest.mark.parametrize("size", [1e-8, 1e-7, 1e-6, 1e-4, 1e-2, 0.1, 0.49, 0.51, 1, 10, 49, 51, 100, 600])
@pytest.mark.parametrize("before", [[0, 0, 0], [3.0, -2.0, 0.5], [40.0, 0.0, -40.0], [1e4, 1e4 + 1, 1e4 - 3]])
def test_every_length_of_step_is_exact(before, size):
    after = (np.array(before) + size * np.array([0.3, -1.0, 0.7])).tolist()
    expected = exact(before, after)
    value = step_kl(tensor([before]), tensor([after])).item()
    # what remains is the rounding of probabilities near 1, times the change
    assert value == pytest.approx(expected, rel=1e-7, abs=2e-16 * size)


def test_a_step_of_1e_minus_12_nats_is_right_to_many_digits():
    # two even classes: log cosh(d / 2)
    d = math.sqrt(8e-12)
    assert step_kl(tensor([[0, 0]]), tensor([[d, 0]])).item() == pytest.approx(1e-12, rel=1e-9, abs=0)
    d = math.sqrt(8e-20)
    assert step_kl(tensor([[0, 0]]), tensor([[d, 0]])).item() == pytest.approx(1e-20, rel=1e-5, abs=0)


@pytest.mark.parametrize("p", [0.5, 0.1, 1e-3])
def test_two_classes_in_closed_form(p):
    before, q = [math.log(p), math.log1p(-p)], 0.3
    after = [math.log(q), math.log1p(-q)]
    expected = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert step_kl(tensor([before]), tensor([after])).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_rows", [1, 4])
def test_it_is_the_mean_of_the_definition(n_rows):
    p, q = softmax(BEFORE, -1), softmax(AFTER, -1)
    values = step_kl(tensor(BEFORE).reshape(-1, n_rows, 3), tensor(AFTER).reshape(-1, n_rows, 3))
    by_row = np.concatenate([kl_divergence(*row) for row in zip(p[:, None], q[:, None], strict=True)])
    for definition in (entropy(p, q, axis=-1), by_row):
        np.testing.assert_allclose(values, definition.reshape(-1, n_rows).mean(-1), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("shift", [-1e3, -0.1, 1e-9, 0.0, 1.0, 1e3])
def test_a_shift_of_all_logits_is_no_step(shift):
    assert (step_kl(tensor(BEFORE)[:, None], tensor(BEFORE)[:, None]) == 0).all()
    np.testing.assert_allclose(step_kl(tensor(BEFORE)[:, None], tensor(BEFORE + shift)[:, None]), 0, atol=1e-12)


def test_float32_logits_are_measured_in_float64():
    before = torch.zeros(1, 2, dtype=torch.float32)
    after = torch.tensor([[2e-6, 0.0]], dtype=torch.float32)
    value = step_kl(before, after)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(5e-13, rel=1e-6, abs=0)


# Means and sums


def test_the_mean_is_weighted():
    random = np.random.RandomState(0)
    before, after, weight = random.randn(5, 3), random.randn(5, 3), random.rand(5)
    rows = rel_entr(softmax(before, -1), softmax(after, -1)).sum(-1)
    value = step_kl(tensor(before), tensor(after), tensor(weight)).item()
    assert value == pytest.approx(np.average(rows, weights=weight))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_without_weight_does_not_count_whatever_it_is(bad):
    random = np.random.RandomState(0)
    before, after = random.randn(3, 3), random.randn(3, 3)
    expected = step_kl(tensor(before[:2]), tensor(after[:2])).item()
    after[2, 1] = bad
    assert step_kl(tensor(before), tensor(after), tensor([1, 1, 0])).item() == pytest.approx(expected)
    before[2] = bad
    assert step_kl(tensor(before), tensor(after), tensor([1, 1, 0])).item() == pytest.approx(expected)


def test_no_weight_at_all_is_no_step():
    assert step_kl(tensor([[0, 0]]), tensor([[1, 0]]), tensor([0])).item() == 0


@pytest.mark.parametrize("stack", [(2,), (2, 3)])
def test_each_network_of_a_stack_has_its_own(stack):
    random = np.random.RandomState(0)
    before, after = random.randn(*stack, 5, 4), random.randn(*stack, 5, 4)
    weight = random.rand(5)
    value = step_kl(tensor(before), tensor(after), tensor(weight))
    assert value.shape == stack
    for i in np.ndindex(stack):
        assert value[i].item() == pytest.approx(step_kl(tensor(before[i]), tensor(after[i]), tensor(weight)).item())


def test_several_outputs_of_a_row_add_up():
    random = np.random.RandomState(0)
    before, after = random.randn(2, 5, 4, 3), random.randn(2, 5, 4, 3)
    expected = rel_entr(softmax(before, -1), softmax(after, -1)).sum((-1, -2)).mean(-1)
    np.testing.assert_allclose(step_kl(tensor(before), tensor(after), n_stack_axes=1), expected)
    value = step_kl(tensor(before[0]), tensor(after[0]), n_stack_axes=0)
    assert value.shape == ()
    assert value.item() == pytest.approx(expected[0])


# Logits that are not finite


def test_a_class_that_stays_ruled_out_does_not_count():
    masked = step_kl(tensor([[0.3, -math.inf, 1.0]]), tensor([[0.1, -math.inf, 1.2]]))
    assert masked.item() == pytest.approx(exact([0.3, 1.0], [0.1, 1.2]))
    near = step_kl(tensor([[0.3, -math.inf, 1.0]]), tensor([[0.3, -math.inf, 1.0 + 1e-6]]))
    assert near.item() == pytest.approx(exact([0.3, 1.0], [0.3, 1.0 + 1e-6]), rel=1e-6, abs=0)
    far = step_kl(tensor([[0.3, -math.inf, 1.0]]), tensor([[200.0, -math.inf, 1.2]]))
    assert far.item() == pytest.approx(exact([0.3, 1.0], [200.0, 1.2]))


def test_to_rule_out_a_class_is_infinitely_far_and_to_admit_one_is_not():
    assert step_kl(tensor([[0.0, 0.0]]), tensor([[0.0, -math.inf]])).item() == math.inf
    admitted = step_kl(tensor([[0.0, -math.inf]]), tensor([[0.0, 0.0]]))
    assert admitted.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["before", "after"])
def test_other_logits_are_nan_in_their_network_alone(bad, where):
    logits = {"before": tensor(np.zeros((2, 3, 2))), "after": tensor(np.ones((2, 3, 2)))}
    logits[where][0, 1, 0] = bad
    value = step_kl(**logits)
    assert value[0].isnan()
    assert value[1] == 0
