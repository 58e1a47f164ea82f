"""The rule "lock": its schedule, and that nothing of the initial rate is left in training."""

import math

import numpy as np
import pytest
import torch

from sklkl.optim import KLAdaptiveLR, Lock

from .training import OPTIMIZERS, adaptive, batches, loss_of, losses, network, one_step, table, train

# Some go on after the steps that they announced.
pytestmark = pytest.mark.filterwarnings("ignore:More steps are taken than")

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
RATES = [1e-6, 10.0]


def started(rate=0.1, n_classes=3, n_outputs=1, **params):
    rule = Lock(**params)
    rule.start(np.array(rate), n_classes, n_outputs)
    return rule


def run(rule, n_steps, kl=lambda rule: rule.target):
    """Advance, measuring ``kl`` where the rule measures; return the rate of every step."""
    seen = []
    for _ in range(n_steps):
        seen.append(float(rule.rate))
        if rule.measures:
            rule.record(np.array(kl(rule)), rule.rate)
            rule.is_new = np.array(False)
        rule.advance()
    return seen


# The initial rate


@pytest.mark.parametrize(("lr", "dtype"), [(1e-6, torch.float64), (1e-2, torch.float32), (10.0, torch.float32)])
@each_optimizer
def test_the_first_step_is_near_its_target_from_any_rate(optimizer, lr, dtype):
    net = network(dtype=dtype)
    rate = adaptive(net, optimizer, lr)
    rate.rule.start(np.array(lr), 3, 1)
    target = rate.rule.target
    train(rate, net, 1)
    assert 0.8 * target <= rate.step_kl_ <= target


@each_optimizer
def test_nothing_is_left_of_the_initial_rate(optimizer):
    nets = [network() for _ in RATES]
    for lr, net in zip(RATES, nets, strict=True):
        train(adaptive(net, optimizer, lr, total_steps=30), net, 30)
    assert torch.equal(*(torch.nn.utils.parameters_to_vector(net.parameters()) for net in nets))


def fixed_rate_loss(optimizer, lr, n_steps, n_rows):
    net = network()
    own = OPTIMIZERS[optimizer](net.parameters(), lr)
    for x, y in batches(*table(n_rows), n_steps):
        own.zero_grad()
        losses(net(x), y).backward()
        own.step()
    return loss_of(net, n_rows=n_rows)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_ends_as_well_as_with_a_good_fixed_rate(optimizer):
    best = min(fixed_rate_loss(optimizer, lr, 120, 2000) for lr in (1e-2, 0.1, 1.0))
    net = network()
    train(adaptive(net, optimizer, 10.0, total_steps=120), net, 120, n_rows=2000)
    assert loss_of(net, n_rows=2000) < 1.03 * best


def test_a_first_step_that_cannot_be_taken_is_made_up_for():
    """However wild the initial rate is, no step is taken with it while losses are not finite."""
    net, (x, y) = network(), table()
    rate = adaptive(net, lr=10.0, total_steps=300, n_measured=3)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for _ in range(7):
        one_step(rate, net, x, y, lambda value: value * math.nan)
    assert not rate.rule.measures
    while not rate.rule.measures:
        one_step(rate, net, x, y)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    target = rate.rule.target
    one_step(rate, net, x, y)
    assert 0.8 * target <= rate.step_kl_ <= target


def test_a_first_step_that_moves_nothing_however_long_is_not_taken():
    net = network()
    rate = KLAdaptiveLR(OPTIMIZERS["adamw"](net.parameters(), 1e-3), lambda x: 0 * net(x), 100)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    train(rate, net, 5)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert rate.step_kl_ == 0
    rate.predict = net
    train(rate, net, 100)
    assert not torch.equal(before[0], net[0].weight)


# The schedule


def test_where_every_step_is_right_the_root_of_the_target_rises_linearly():
    rule = started(total_steps=1000, kl_target=0.02)
    targets = []
    while rule.rises:
        targets.append(rule.target)
        assert rule.largest_kl == 8 * rule.target
        run(rule, 1)
    assert targets[-1] == pytest.approx(0.02)
    np.testing.assert_allclose(np.diff(np.sqrt(targets)), np.diff(np.sqrt(targets))[0], rtol=1e-6)


def test_where_every_step_is_right_the_rate_rises_with_the_root_of_the_target_and_is_locked_at_its_peak():
    rule = started(total_steps=1000, kl_target=0.02)
    roots, rates = [], []
    while rule.rises:
        roots.append(math.sqrt(rule.target))
        rates += run(rule, 1)
    np.testing.assert_allclose(np.array(rates) / roots, rates[0] / roots[0])
    assert float(rule.found) == pytest.approx(rates[-1])


def test_the_locked_rate_is_the_geometric_mean_of_the_peaks_of_the_second_half():
    rule, peaks = started(total_steps=100, n_measured=1000), []
    random = np.random.RandomState(0)
    while rule.rises:
        if rule.n_steps >= rule.n_rise / 2:
            peaks.append(math.log(float(rule.rate)) - 0.5 * math.log(rule.target / rule.peak_target))
        run(rule, 1, lambda rule: rule.target * random.lognormal())
    assert len(peaks) >= 5
    assert float(rule.found) == pytest.approx(math.exp(np.mean(peaks)))


@pytest.mark.parametrize("kl", [0.01, 0.5, 0.999, 1.001, 2.0, 100.0])
def test_steps_too_long_lower_the_rate_and_too_short_raise_it(kl):
    rule, right = started(total_steps=1000), started(total_steps=1000)
    last, expected = run(rule, 2, lambda rule: kl * rule.target)[-1], run(right, 2)[-1]
    assert last < expected if kl > 1 else last > expected


@pytest.mark.parametrize("total_steps", [1, 5, 9, 10, 11, 33, 1000])
def test_the_rate_is_positive_throughout_and_past_the_end_and_declines_after_the_rise(total_steps):
    rule = started(total_steps=total_steps)
    rates = run(rule, 2 * total_steps + 50)
    assert all(0 < rate < math.inf for rate in rates)
    after = rates[rule.n_rise :]
    assert after == sorted(after, reverse=True)
    assert rates[-1] < 0.01 * float(rule.found)


def test_the_decline_is_half_a_cosine():
    rule = started(total_steps=1000)
    rates = run(rule, 1000)
    for share in (0.1, 0.5, 0.9):
        step = rule.n_rise + round(share * (1000 - rule.n_rise))
        assert rates[step] == pytest.approx(float(rule.found) * (1 + math.cos(math.pi * share)) / 2, rel=1e-6)


def test_in_a_stream_the_rate_declines_with_one_over_the_root_of_the_steps():
    rule = started(total_steps=None)
    rates = run(rule, 101 * rule.n_rise)
    found = float(rule.found)
    assert rates[rule.n_rise] == pytest.approx(found)
    assert rates[4 * rule.n_rise] == pytest.approx(found / 2)
    assert rates[100 * rule.n_rise] == pytest.approx(found / 10)
    assert min(rates) > 0


@pytest.mark.parametrize(("n_measured", "every"), [(20, 10), (30, 7), (7, 29), (1000, 1)])
def test_about_n_measured_of_the_steps_of_the_rise_are_measured_beside_the_first_five(n_measured, every):
    rule = started(total_steps=1000, n_measured=n_measured, guard_every=50)
    measured = []
    for step in range(1000):
        if rule.measures:
            measured.append(step)
        run(rule, 1)
    rise = [0, 1, 2, 3, 4, *range(every * -(-5 // every), 200, every)]
    assert measured == [*rise, *range(200, 1000, 50)]


@pytest.mark.parametrize(("total_steps", "n_rise"), [(1000, 200), (99, 19), (51, 10), (10, 10), (1, 10), (None, 10)])
def test_the_rate_is_found_in_a_fifth_of_training_but_in_10_steps_at_least(total_steps, n_rise):
    assert Lock(total_steps=total_steps).n_rise == n_rise
    assert Lock(total_steps=1000, rise=0.5).n_rise == 500


# Targets


def test_a_target_that_is_given_is_taken():
    assert started(total_steps=100, kl_target=0.5).peak_target == 0.5


def test_the_targets_of_several_outputs_add_up():
    assert started(n_outputs=4, total_steps=100).peak_target == pytest.approx(4 * started(total_steps=100).peak_target)


def test_the_target_grows_with_the_classes_and_is_positive_for_one():
    targets = [started(n_classes=n, total_steps=100).peak_target for n in (1, 2, 3, 10)]
    assert 0 < targets[0] <= targets[1] < targets[2] < targets[3]


@pytest.mark.parametrize("n_classes", [1, 2, 10, 1000])
def test_of_a_long_training_whose_best_epoch_is_kept_the_target_does_not_become_ever_smaller(n_classes):
    targets, kept = (
        [started(n_classes=n_classes, total_steps=n, keeps_best=keeps).peak_target for n in (20, 10**5, 10**6)]
        for keeps in (False, True)
    )
    assert kept[0] == targets[0]
    assert targets[2] < targets[1] < kept[1] == kept[2] == pytest.approx(0.002 * math.log(max(2, n_classes)) ** 2)


@pytest.mark.parametrize(("batch_size", "factor"), [(2, 0.125), (128, 1), (512, 2), (10_000, math.sqrt(8))])
def test_that_target_grows_with_the_root_of_the_batch_up_to_a_thousand_rows(batch_size, factor):
    one, other = (started(total_steps=10**6, keeps_best=True, **own) for own in ({}, {"batch_size": batch_size}))
    assert other.peak_target == pytest.approx(factor * one.peak_target)
    assert started(batch_size=batch_size).peak_target == started().peak_target


@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_the_fewer_steps_the_larger_the_target_up_to_a_share_of_the_largest_entropy(n_classes):
    targets = [started(n_classes=n_classes, total_steps=n).peak_target for n in (10_000, 1000, 100, 10, 1)]
    assert targets == sorted(targets)
    assert targets[-1] == pytest.approx(0.15 * math.log(n_classes))


def test_many_steps_share_a_sum_of_targets_and_few_a_sum_of_roots():
    def target(total_steps):
        return started(n_classes=2, total_steps=total_steps).peak_target

    assert 10**6 * target(10**6) == pytest.approx(10**5 * target(10**5), rel=1e-2)
    assert target(40) / target(80) > 3


# What goes wrong


@pytest.mark.parametrize("kl", [0.0, 5e-324, 1e300, math.inf])
def test_the_rate_stays_finite_and_positive_whatever_is_measured(kl):
    rule = started(total_steps=500)
    rates = run(rule, 600, lambda rule: kl)
    assert all(0 < rate < math.inf for rate in rates)
    assert 0 < float(rule.found) < math.inf


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_no_number_of_cuts_makes_the_rate_0_or_infinite(factor):
    rule = started(total_steps=1000)
    for _ in range(3000):
        rule.cut(factor)
        run(rule, 1)
        assert 0 < float(rule.rate) < 1e6
        assert 0 < float(rule.found) < 1e6


def test_a_cut_lasts():
    for n_steps in (20, 400):
        rule, other = started(total_steps=1000), started(total_steps=1000)
        run(rule, n_steps)
        run(other, n_steps)
        rule.cut(0.5)
        if n_steps == 400:
            assert run(rule, 100) == pytest.approx([rate / 2 for rate in run(other, 100)])
        assert float(rule.found) == pytest.approx(float(other.found) / 2)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("rise", 0, "a number > 0 and <= 1"),
        ("rise", 2, "a number > 0 and <= 1"),
        ("rise", math.nan, "a number > 0 and <= 1"),
        ("n_measured", 0, "an integer >= 1"),
        ("n_measured", 2.5, "an integer >= 1"),
        ("guard_every", 0, "an integer >= 1"),
        ("total_steps", 0, "an integer >= 1, or None"),
        ("total_steps", 1.5, "an integer >= 1, or None"),
        ("kl_target", 0, "a finite number > 0, or None"),
        ("kl_target", math.inf, "a finite number > 0, or None"),
    ],
)
def test_bad_parameters_are_refused(name, value, allowed, message_of):
    message = message_of(lambda: Lock(**{name: value}))
    assert message == f"The {name!r} parameter of Lock must be {allowed}. Got {value!r} instead."
