"""Rates that are known before the step: constant, and one cycle, which torch has too."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklkl.optim import ConstantRate, OneCycle

# Some go on after the steps that they announced.
pytestmark = pytest.mark.filterwarnings("ignore:More steps are taken than")

each_schedule = pytest.mark.parametrize("schedule", [ConstantRate, OneCycle])


def sgd(*rates):
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def run(schedule, total_steps, n_steps, base=0.1):
    """The rates of ``n_steps`` steps."""
    optimizer = sgd(base)
    rate = schedule(optimizer, total_steps)
    seen = []
    for _ in range(n_steps):
        rate.before_step()
        seen += rates(optimizer)
    return seen


# Both


@each_schedule
@given(total_steps=st.one_of(st.none(), st.integers(1, 300)), n_steps=st.integers(1, 400))
def test_rates_are_finite_and_never_above_the_base(schedule, total_steps, n_steps):
    seen = run(schedule, total_steps, n_steps)
    assert all(math.isfinite(rate) and 0 <= rate <= 0.1 * (1 + 1e-12) for rate in seen)


@each_schedule
@given(total_steps=st.integers(1, 300))
def test_rates_are_positive_within_the_announced_steps(schedule, total_steps):
    assert all(rate > 0 for rate in run(schedule, total_steps, total_steps))


@each_schedule
def test_close_gives_the_optimizer_its_own_rates_back(schedule):
    optimizer = sgd(0.1, 0.3)
    rate = schedule(optimizer, 10)
    for _ in range(7):
        rate.before_step()
    rate.close()
    assert rates(optimizer) == [0.1, 0.3]


@each_schedule
def test_a_cut_lasts(schedule):
    expected = run(schedule, 10, 10)
    optimizer = sgd(0.1)
    rate = schedule(optimizer, 10)
    rate.before_step()
    rate.cut(0.5)
    for step in range(1, 10):
        rate.before_step()
        assert rates(optimizer) == [pytest.approx(expected[step] / 2)]
    rate.close()
    assert rates(optimizer) == [0.05]


def test_the_constant_rate_is_constant():
    assert set(run(ConstantRate, 10, 20)) == {0.1}


# One cycle


def test_one_cycle_rises_to_the_base_and_falls_to_nothing():
    seen = run(OneCycle, 1000, 1000)
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
    assert run(OneCycle, 1000, 1000) == pytest.approx(expected, abs=0.1 * 0.006)


def test_one_cycle_of_unknown_length_is_constant():
    assert set(run(OneCycle, None, 20)) == {0.1}


def test_one_cycle_stays_at_nothing_past_its_end():
    assert run(OneCycle, 10, 15)[10:] == [0.0] * 5


def test_one_cycle_factor_at_the_turns():
    rate = OneCycle(sgd(0.1), total_steps=100)
    assert rate.factor(0) == pytest.approx(rate.start)
    assert rate.factor(30) == 1
    assert rate.factor(100) == pytest.approx(0)
