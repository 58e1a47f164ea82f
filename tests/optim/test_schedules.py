"""Optimisers by name and rules for the rate; properties run over the registries."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklkl.optim import LEARNING_RATES, OPTIMIZERS, ConstantRate, OneCycle, make_learning_rate

each_rule = pytest.mark.parametrize("name", LEARNING_RATES)
each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def sgd(*rates):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def run(name, total_steps, n_steps, base=0.1):
    """The rates of ``n_steps`` steps."""
    optimizer = sgd(base)
    rule = make_learning_rate(name, optimizer, total_steps)
    seen = []
    for _ in range(n_steps):
        rule.before_step()
        seen += rates(optimizer)
    return seen


# Optimisers


def quadratic_steps(optimizer_class, n_steps=50, **params):
    x = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = optimizer_class([x], **params)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (x * torch.tensor([1.0, 2.0])).square().sum().backward()
        optimizer.step()
    return x.detach()


@each_optimizer
def test_every_optimizer_comes_down_a_quadratic(name):
    optimizer_class, params = OPTIMIZERS[name]
    assert quadratic_steps(optimizer_class, lr=0.01, **params).square().sum() < 13 * 0.9


def test_adam_decouples_the_weight_decay():
    adam, params = OPTIMIZERS["adam"]
    ours = quadratic_steps(adam, lr=0.01, **{**params, "weight_decay": 0.1})
    torch.testing.assert_close(ours, quadratic_steps(torch.optim.AdamW, lr=0.01, weight_decay=0.1))


# Rules


@each_rule
@given(total_steps=st.one_of(st.none(), st.integers(1, 300)), n_steps=st.integers(1, 400))
def test_rates_are_finite_and_never_above_the_base(name, total_steps, n_steps):
    seen = run(name, total_steps, n_steps)
    assert all(math.isfinite(rate) and 0 <= rate <= 0.1 * (1 + 1e-12) for rate in seen)


@each_rule
@given(total_steps=st.integers(1, 300))
def test_rates_are_positive_within_the_announced_steps(name, total_steps):
    assert all(rate > 0 for rate in run(name, total_steps, total_steps))


@each_rule
def test_groups_keep_their_proportions(name):
    optimizer = sgd(0.1, 0.3)
    rule = make_learning_rate(name, optimizer, 10)
    for _ in range(10):
        rule.before_step()
        low, high = rates(optimizer)
        assert high == pytest.approx(3 * low)


@each_rule
def test_close_gives_the_optimizer_its_own_rates_back(name):
    optimizer = sgd(0.1, 0.3)
    rule = make_learning_rate(name, optimizer, 10)
    for _ in range(7):
        rule.before_step()
    rule.close()
    assert rates(optimizer) == [0.1, 0.3]


@each_rule
def test_a_cut_lasts(name):
    expected = run(name, 10, 10)
    optimizer = sgd(0.1)
    rule = make_learning_rate(name, optimizer, 10)
    rule.before_step()
    rule.cut(0.5)
    for step in range(1, 10):
        rule.before_step()
        assert rates(optimizer) == [pytest.approx(expected[step] / 2)]
    rule.close()
    assert rates(optimizer) == [0.05]


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match=r"'learning_rate' parameter must be one of \['constant'.*Got 'linear'"):
        make_learning_rate("linear", sgd(0.1), 10)


def test_the_constant_rate_is_constant():
    assert set(run("constant", 10, 20)) == {0.1}
    assert isinstance(make_learning_rate("constant", sgd(0.1), None), ConstantRate)


# One cycle


def test_one_cycle_rises_to_the_base_and_falls_to_nothing():
    seen = run("onecycle", 1000, 1000)
    peak = seen.index(max(seen))
    assert peak == 300
    assert seen[peak] == pytest.approx(0.1)
    assert seen[:peak] == sorted(seen[:peak])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[0] == pytest.approx(0.004)
    assert seen[-1] < 1e-6


def test_one_cycle_is_torchs_but_for_the_rounding_of_phases():
    optimizer = sgd(0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=1000, cycle_momentum=False)
    expected = []
    for _ in range(1000):
        expected += rates(optimizer)
        optimizer.step()
        if len(expected) < 1000:
            theirs.step()
    assert run("onecycle", 1000, 1000) == pytest.approx(expected, abs=0.1 * 0.006)


def test_one_cycle_of_unknown_length_is_constant():
    assert set(run("onecycle", None, 20)) == {0.1}


def test_one_cycle_stays_at_nothing_past_its_end():
    assert run("onecycle", 10, 15)[10:] == [0.0] * 5


def test_one_cycle_factor_at_the_turns():
    rule = OneCycle(sgd(0.1), total_steps=100)
    assert rule.factor(0) == pytest.approx(rule.start)
    assert rule.factor(30) == 1
    assert rule.factor(100) == pytest.approx(0)
