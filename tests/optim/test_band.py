"""The rule "band" is the one of reinforcement learning packages, step by step."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from sklkl.optim import Band

from .training import OPTIMIZERS, adaptive, batches, losses, network, table, train

# The constants of the schedulers in public code: target, factor, least and largest rate.
PUBLIC = {
    "skrl, rl_games": (0.008, 1.5, 1e-6, 1e-2),
    "rsl_rl": (0.01, 1.5, 1e-5, 1e-2),
}


def constants(name):
    """Parameters of ``Band``; public code shortens no step."""
    target, factor, *bounds = PUBLIC[name]
    return {"kl_target": target, "factor": factor, "bounds": tuple(bounds), "guard": math.inf}


def public_rule(lr, kl, target, factor, least, most):
    if kl > 2 * target:
        return max(lr / factor, least)
    if kl < target / 2:
        return min(lr * factor, most)
    return lr


def next_rate(rule, kl, rate, share=1.0):
    rule.start(np.array(rate), n_classes=3, n_outputs=1)
    rule.record(np.array(kl), np.array(share * rate))
    rule.advance()
    return float(rule.rate)


@pytest.mark.parametrize("name", PUBLIC)
def test_with_their_constants_it_is_the_rule_of_public_code(name):
    rule, target = Band(**constants(name)), PUBLIC[name][0]
    near = [0.01, 0.49, 0.51, 1.0, 1.99, 2.01, 100.0]
    for kl, rate in product([1e-9, 1e3, *(target * times for times in near)], np.geomspace(1e-5, 1e-2, 20)):
        assert next_rate(rule, kl, rate) == pytest.approx(public_rule(rate, kl, *PUBLIC[name]))
        assert rule.largest_kl == math.inf


@pytest.mark.parametrize("name", PUBLIC)
def test_with_their_constants_it_trains_like_a_plain_loop_of_public_code(name):
    ours, theirs = network(), network()
    seen = train(adaptive(ours, "adam", 1e-3, rule="band", **constants(name)), ours, 12, lambda rate: rate.lr_)
    optimizer, lr, expected = OPTIMIZERS["adam"](theirs.parameters(), 1e-3), 1e-3, []
    for x, y in batches(*table(), 12):
        before = theirs(x).softmax(-1)
        optimizer.zero_grad()
        losses(theirs(x), y).backward()
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        kl = (before * (before / theirs(x).softmax(-1)).log()).sum(-1).mean().item()
        lr = public_rule(lr, kl, *PUBLIC[name])
        expected.append(lr)
    assert seen == pytest.approx(expected)
    assert len(set(seen)) > 3
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_factor_is_used_beyond_twice_and_below_half_of_the_target():
    rule = Band(kl_target=0.1, factor=3.0, bounds=(1e-9, 100.0))
    assert next_rate(rule, 0.201, 1.0) == pytest.approx(1 / 3)
    assert next_rate(rule, 0.199, 1.0) == pytest.approx(1)
    assert next_rate(rule, 0.051, 1.0) == pytest.approx(1)
    assert next_rate(rule, 0.049, 1.0) == pytest.approx(3)


def test_the_bounds_hold():
    rule = Band(kl_target=0.1, bounds=(0.9, 1.1))
    assert next_rate(rule, 1.0, 1.0) == pytest.approx(0.9)
    assert next_rate(rule, 0.0, 1.0) == pytest.approx(1.1)
    assert next_rate(rule, math.inf, 1.0) == pytest.approx(0.9)


def test_the_rate_is_that_to_which_a_step_was_shortened():
    assert next_rate(Band(kl_target=0.1, bounds=(1e-9, 1.0)), 0.1, 0.5, share=0.01) == pytest.approx(0.005)


def test_the_guard_is_a_multiple_of_the_target():
    assert Band(kl_target=0.1, guard=5).largest_kl == pytest.approx(0.5)


def test_a_step_beyond_the_guard_is_shortened():
    net = network()
    rate = adaptive(net, "adam", 10.0, rule="band", kl_target=1e-3)
    train(rate, net, 1)
    assert 0 < rate.step_kl_ <= 8e-3
    assert rate.n_rejected_ == 1


BOUNDS = "two finite numbers > 0, the least and the largest rate"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("factor", 1, "a finite number > 1"),
        ("factor", math.inf, "a finite number > 1"),
        ("guard", 0, "a number > 2, or inf"),
        ("guard", math.nan, "a number > 2, or inf"),
        ("bounds", (1.0, 0.1), BOUNDS),
        ("bounds", (0, 0.1), BOUNDS),
        ("bounds", (0.1, math.inf), BOUNDS),
        ("bounds", (0.1,), BOUNDS),
        ("bounds", None, BOUNDS),
        ("bounds", (0.1, "1"), BOUNDS),
        ("kl_target", -1, "a finite number > 0, or None"),
    ],
)
def test_bad_parameters_are_refused(name, value, allowed, message_of):
    message = message_of(lambda: Band(**{name: value}))
    assert message == f"The {name!r} parameter of Band must be {allowed}. Got {value!r} instead."
