"""A step that is changed afterwards is the optimiser's own step at the other rate, for one network and for a stack."""

import math

import numpy as np
import pytest
import torch

from sklkl.optim._scaled_step import ScaledStep

from .training import OPTIMIZERS, Stack, copied, losses, network, table

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
FAR = [pytest.param(False, id="near"), pytest.param(True, id="far")]


def set_gradients(net):
    x, y = table(32, dtype=next(net.parameters()).dtype)
    net.zero_grad()
    losses(net(x), y).sum().backward()


def plain_step(net, optimizer, rate):
    set_gradients(net)
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()


def scaled_step(net, step, rate, final, far=False):
    set_gradients(net)
    step.take(np.array(rate), keep=True, far=far)
    step.retake(np.array(final))


def moments(optimizer):
    return [value for state in optimizer.state.values() for value in state.values()]


def assert_same(ours, theirs, rtol=1e-9):
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * 1e-3)


@pytest.mark.parametrize("far", FAR)
@each_optimizer
def test_a_changed_step_is_the_optimizers_own_at_that_rate(optimizer, far):
    ours, theirs = network(), network()
    ours_optimizer, theirs_optimizer = (OPTIMIZERS[optimizer](net.parameters(), 0.1) for net in (ours, theirs))
    step = ScaledStep(ours_optimizer, ())
    for rate, final in [(1.0, 0.01), (1e-4, 0.02), (0.5, 0.003), (0.02, 0.02)]:
        scaled_step(ours, step, rate, final, far)
        plain_step(theirs, theirs_optimizer, final)
        assert_same(ours.parameters(), theirs.parameters())
    assert_same(moments(ours_optimizer), moments(theirs_optimizer), rtol=1e-7)


@each_optimizer
def test_moments_do_not_depend_on_the_rate_at_all(optimizer):
    seen = []
    for rate, final in [(1.0, 0.01), (0.01, 0.0), (1e-6, 100.0)]:
        net = network()
        own = OPTIMIZERS[optimizer](net.parameters(), 0.1)
        scaled_step(net, ScaledStep(own, ()), rate, final)
        seen.append(moments(own))
    assert seen[0]
    assert all(torch.equal(a, b) for other in seen[1:] for a, b in zip(seen[0], other, strict=True))


@each_optimizer
def test_a_step_that_is_not_changed_is_the_optimizers_own_to_the_bit(optimizer):
    ours, theirs = network(), network()
    step = ScaledStep(OPTIMIZERS[optimizer](ours.parameters(), 0.1), ())
    set_gradients(ours)
    step.take(np.array(0.07))
    plain_step(theirs, OPTIMIZERS[optimizer](theirs.parameters(), 0.1), 0.07)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("far", FAR)
@each_optimizer
def test_rate_0_undoes_a_step_to_the_bit(optimizer, far):
    net = network(dtype=torch.float32)
    before = copied(net.parameters())
    step = ScaledStep(OPTIMIZERS[optimizer](net.parameters(), 0.1), ())
    scaled_step(net, step, 0.3, 0.1, far)
    assert not torch.equal(before[0], net[0].weight)
    step.retake(np.array(0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_step_that_overflowed_is_undone():
    weight = torch.ones(2, requires_grad=True)
    step = ScaledStep(torch.optim.SGD([weight], lr=1.0), ())
    weight.grad = torch.full((2,), 1e38)
    step.take(np.array(1e3), keep=True)
    assert weight.isinf().all()
    step.retake(np.array(0.0))
    assert weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("rate", [1e-12, 1e-6])
def test_a_short_step_is_not_lost_in_rounding(rate):
    ours, theirs = network(dtype=torch.float32), network(dtype=torch.float32)
    scaled_step(ours, ScaledStep(torch.optim.SGD(ours.parameters(), lr=1.0), ()), rate, 0.5, far=True)
    plain_step(theirs, torch.optim.SGD(theirs.parameters(), lr=1.0), 0.5)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=3e-7)


# Groups


@pytest.mark.parametrize("far", FAR)
def test_groups_keep_the_ratios_of_their_rates_and_a_rate_of_0(far):
    net = network()
    groups = [{"params": net[0].parameters(), "lr": 0.1}, {"params": [net[2].weight], "lr": 0.3}]
    groups.append({"params": [net[2].bias], "lr": 0.0})
    optimizer = torch.optim.SGD(groups, lr=1.0)
    step, before = ScaledStep(optimizer, ()), copied(net.parameters())
    scaled_step(net, step, 0.6, 0.9, far)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(0.3), pytest.approx(0.9), 0.0]
    for parameter, old, rate in zip(net.parameters(), before, [0.3, 0.3, 0.9], strict=False):
        torch.testing.assert_close(parameter, old - rate * parameter.grad)
    assert torch.equal(net[2].bias, before[3])


# Stacks


@each_optimizer
def test_each_network_of_a_stack_takes_its_own_rate(optimizer):
    stack, alone = Stack([network(0), network(1)]), [Stack([network(0)]), Stack([network(1)])]
    step = ScaledStep(OPTIMIZERS[optimizer](stack.parameters(), 0.1), (2,))
    optimizers = [OPTIMIZERS[optimizer](net.parameters(), 0.1) for net in alone]
    for rates, finals in [([0.3, 1e-3], [0.1, 0.02]), ([0.01, 0.5], [0.01, 0.03])]:
        scaled_step(stack, step, rates, finals)
        for net, own, final in zip(alone, optimizers, finals, strict=True):
            plain_step(net, own, final)
    for i in (0, 1):
        assert_same(stack.alone(i), [parameter[0] for parameter in alone[i].parameters()])


def test_networks_of_a_stack_do_not_feel_each_others_rates():
    seen = []
    for rates in ([0.1, 1e-6], [0.1, 0.7], [0.1, 0.0]):
        stack = Stack([network(0, torch.float32), network(1, torch.float32)])
        step = ScaledStep(torch.optim.Adam(stack.parameters(), lr=0.1), (2,))
        set_gradients(stack)
        step.take(np.array(rates))
        seen.append(stack.alone(0))
    assert all(torch.equal(a, b) for other in seen[1:] for a, b in zip(seen[0], other, strict=True))


@pytest.mark.parametrize("shape", [(), (3,), (2,), (3, 2)])
def test_parameters_need_the_axes_of_the_stack(shape):
    optimizer = torch.optim.SGD([torch.zeros(2, 3, requires_grad=True), torch.zeros(shape, requires_grad=True)], lr=1)
    if shape == (2,):
        ScaledStep(optimizer, (2,))
    else:
        with pytest.raises(ValueError, match=r"'optimizer' .* leading axes are those of the loss, \(2,\). Got \("):
            ScaledStep(optimizer, (2,))


# Slope


def test_the_slope_of_plain_descent_is_the_square_of_the_gradient():
    net = network()
    step = ScaledStep(torch.optim.SGD(net.parameters(), lr=0.1), ())
    set_gradients(net)
    squares = sum(parameter.grad.square().sum().item() for parameter in net.parameters())
    for far in (False, True):
        step.take(np.array(1e-3), keep=True, far=far)
        assert step.slope() == pytest.approx(squares)


def test_the_slope_of_adam_is_the_product_of_gradient_and_step_for_each_network():
    stack = Stack([network(0), network(1)])
    step = ScaledStep(torch.optim.Adam(stack.parameters(), lr=0.1), (2,))
    set_gradients(stack)
    step.take(np.array([0.1, 0.3]))
    # Adam's first step is the sign of the gradient
    expected = sum(parameter.grad.abs().reshape(2, -1).sum(-1) for parameter in stack.parameters())
    np.testing.assert_allclose(step.slope(), expected.numpy(), rtol=1e-4)


# Gradients that are not finite


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3), (2, 3, 4)])
def test_gradients_that_are_not_finite_are_seen(shape, bad):
    parameter, other = torch.zeros(shape, requires_grad=True), torch.zeros(2, requires_grad=True)
    parameter.grad, other.grad = torch.ones(shape), torch.ones(2)
    for stack in [(), (2,)] if shape else [()]:
        step = ScaledStep(torch.optim.SGD([other, parameter], lr=1), stack)
        assert step.is_finite(torch.zeros(stack)).tolist() == ([True, True] if stack else True)
    parameter.grad.view(-1)[-1] = bad
    for stack in [(), (2,)] if shape else [()]:
        step = ScaledStep(torch.optim.SGD([other, parameter], lr=1), stack)
        assert step.is_finite(torch.zeros(stack)).tolist() == ([True, False] if stack else False)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("gradient", [None, torch.ones(2)])
def test_a_loss_that_is_not_finite_is_seen(gradient, bad):
    parameter = torch.zeros(2, requires_grad=True)
    parameter.grad = gradient
    optimizer = torch.optim.SGD([parameter], lr=1)
    assert not ScaledStep(optimizer, ()).is_finite(torch.tensor(bad))
    assert ScaledStep(optimizer, (2,)).is_finite(torch.tensor([bad, 1.0])).tolist() == [False, True]


def test_infinities_of_both_signs_do_not_cancel():
    parameter = torch.zeros(2, requires_grad=True)
    parameter.grad = torch.tensor([math.inf, -math.inf])
    assert not ScaledStep(torch.optim.SGD([parameter], lr=1), ()).is_finite(torch.tensor(0.0))


def test_no_gradient_is_finite():
    optimizer = torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=1)
    assert ScaledStep(optimizer, ()).is_finite(torch.tensor(0.0))
    assert ScaledStep(optimizer, (2,)).is_finite(torch.zeros(2)).tolist() == [True, True]


def test_what_is_left_out_has_no_gradient():
    parameter = torch.zeros(2, 3, requires_grad=True)
    parameter.grad = torch.tensor([[1.0, math.nan, math.inf], [1.0, 2.0, 3.0]])
    ScaledStep(torch.optim.SGD([parameter], lr=1), (2,)).leave_out(np.array([True, False]))
    assert parameter.grad.tolist() == [[0, 0, 0], [1, 2, 3]]
