"""The rule "lock" where predictions are saturated from the beginning: larger targets while they are wrong."""

import numpy as np
import pytest
import torch

from sklkl.optim import Lock

SURE = 0.99 * np.log(3)


def started(*shape):
    rule = Lock(total_steps=100)
    rule.start(np.full(shape, 1e-3), n_classes=3, n_outputs=1)
    return rule


def test_targets_of_saturated_networks_grow_with_the_square_of_the_loss():
    rule, plain = started(3), started(3).target
    rule.see(np.array([20.0, 1.0, 20.0]) * np.log(3), np.array([SURE, SURE, 0.5]))  # wrong, right, not saturated
    assert rule.target / plain == pytest.approx([100.0, 1.0, 1.0])
    assert rule.largest_kl == pytest.approx(8 * rule.target)


def test_they_are_as_usual_once_the_loss_is():
    rule, plain = started(), started().target
    rule.see(np.array(20 * np.log(3)), np.array(SURE))
    rule.is_new = np.array(False)
    assert rule.looks
    rule.see(np.array(1.0), np.array(0.1))
    assert rule.target == pytest.approx(plain)


def test_an_ordinary_network_is_looked_at_once():
    rule = started()
    rule.see(np.array(20 * np.log(3)), np.array(0.1))
    rule.is_new = np.array(False)
    assert not rule.looks


@pytest.mark.parametrize("loss", [np.inf, np.nan, 1e300])
def test_targets_are_finite_whatever_the_loss(loss):
    rule = started()
    rule.see(np.array(loss), np.array(SURE))
    assert np.isfinite(rule.target)


def test_it_is_a_part_of_the_state():
    rule, other = started(2), started(2)
    rule.see(np.array([1.0, 50.0]), np.array([0.1, SURE]))
    state = rule.state_dict()
    assert isinstance(state["saturated"], torch.Tensor)
    other.load_state_dict(state)
    assert other.saturated.tolist() == [False, True]
