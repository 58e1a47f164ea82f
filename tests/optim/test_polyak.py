"""The rule "polyak" against its closed form."""

import math

import numpy as np
import pytest
import torch

from sklkl.optim import KLAdaptiveLR, Polyak

from .training import Stack, adaptive, network, one_step, table, train


def first_step(optimizer, lr=0.1, **params):
    """The rate of a first step, the loss, and the gradients it was taken with."""
    net, (x, y) = network(), table()
    own = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](net.parameters(), lr=lr)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    rate = KLAdaptiveLR(own, net, rule="polyak", kl_target=1e6, **params)
    loss = one_step(rate, net, x, y).item()
    return rate.lr_, loss, [p.grad for p in net.parameters()], before, list(net.parameters())


@pytest.mark.parametrize("c", [1.0, 2.0, 30.0])
def test_for_plain_descent_it_is_the_loss_over_the_square_of_the_gradient(c):
    rate, loss, gradients, before, after = first_step("sgd", c=c, growth=1e6)
    expected = loss / (c * sum(gradient.square().sum().item() for gradient in gradients))
    assert rate == pytest.approx(expected)
    for old, new, gradient in zip(before, after, gradients, strict=True):
        torch.testing.assert_close(new, old - expected * gradient)


def test_for_adam_it_is_the_loss_over_the_product_of_gradient_and_step():
    rate, loss, gradients, before, after = first_step("adam", c=3.0, growth=1e6)
    # Adam's first step at rate 1 is the sign of the gradient, but for epsilon
    steps = [gradient / (gradient.abs() + 1e-8) for gradient in gradients]
    slope = sum((g * s).sum().item() for g, s in zip(gradients, steps, strict=True))
    assert rate == pytest.approx(loss / (3 * slope))
    for old, new, step in zip(before, after, steps, strict=True):
        torch.testing.assert_close(new, old - rate * step)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_rate_grows_by_no_more_than_the_factor(optimizer):
    assert first_step(optimizer, lr=1e-6, growth=1.25)[0] == pytest.approx(1.25e-6)
    net = network()
    rates = train(adaptive(net, "adam", 1e-6, rule="polyak"), net, 30, lambda rate: rate.lr_)
    assert max(np.diff(np.log(rates))) <= math.log(1.1) + 1e-9


def choose(loss, slope, rate=1.0, **params):
    rule = Polyak(**params)
    rule.start(np.array(rate), n_classes=2, n_outputs=1)
    rule.choose(np.array(loss), np.array(slope))
    return float(rule.rate)


@pytest.mark.parametrize(("loss", "slope"), [(1.0, 0.0), (1.0, -2.0), (0.0, 0.0), (1e300, 1e-300)])
def test_without_a_slope_the_rate_grows_to_its_cap(loss, slope):
    assert choose(loss, slope, growth=1.5) == pytest.approx(1.5)


@pytest.mark.parametrize(("loss", "slope"), [(0.0, 1.0), (1e-300, 1e300), (-1.0, 1.0)])
def test_the_rate_is_never_0(loss, slope):
    assert 0 < choose(loss, slope) < 1e-6


def test_it_reaches_the_least_loss_of_soft_targets():
    """KL(target‖output) has the least value 0 where a network can give the targets."""
    net, (x, _) = network(), table()
    target = network(seed=1)(x).softmax(-1).detach()
    rate = KLAdaptiveLR(torch.optim.SGD(net.parameters(), lr=1e-3), net, rule="polyak")
    seen = []
    for _ in range(200):
        rate.optimizer.zero_grad()
        loss = (target * (target.log() - net(x).log_softmax(-1))).sum(-1).mean()
        loss.backward()
        rate.step(loss, x)
        seen.append(loss.item())
    assert seen[-1] < 0.05 * seen[0]


def test_every_guard_steps_one_is_measured_and_shortened():
    net = network()
    rate = adaptive(net, "sgd", 10.0, rule="polyak", kl_target=1e-4, guard_every=4)
    train(rate, net, 9)
    assert rate.n_measured_ == 3
    assert rate.n_rejected_ >= 1
    assert rate.step_kl_ <= 8e-4


def test_a_network_of_a_stack_without_a_loss_chooses_no_rate():
    stack, (x, y) = Stack([network(0), network(1)]), table()
    rate = adaptive(stack, "adam", 0.1, rule="polyak", c=50.0)
    train(rate, stack, 3)
    before = rate.lr_
    one_step(rate, stack, x, y, lambda value: value * torch.tensor([1.0, math.nan], dtype=torch.float64))
    assert rate.lr_[0] != before[0]
    assert rate.lr_[1] == pytest.approx(before[1] / 2)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("c", 0, "a finite number > 0"),
        ("c", math.nan, "a finite number > 0"),
        ("growth", 1, "a finite number > 1"),
        ("growth", 0.5, "a finite number > 1"),
        ("guard_every", 0, "an integer >= 1"),
        ("kl_target", 0, "a finite number > 0, or None"),
    ],
)
def test_bad_parameters_are_refused(name, value, allowed, message_of):
    message = message_of(lambda: Polyak(**{name: value}))
    assert message == f"The {name!r} parameter of Polyak must be {allowed}. Got {value!r} instead."
