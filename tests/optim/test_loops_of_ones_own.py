"""Loops written by hand: what is passed by mistake is named before any step; autocast, scaled losses, added groups."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sklkl.optim import LEARNING_RATES, RULES, ConstantRate, KLAdaptiveLR, OneCycle, make_learning_rate

from .training import copied, network, one_step, table

each_rule = pytest.mark.parametrize("rule", RULES)


def rate_of(net, predict=None, **params):
    return KLAdaptiveLR(torch.optim.Adam(net.parameters()), net if predict is None else predict, 60, **params)


# Half precision


def trained(net, cast):
    """Return the loss after some steps, each within a context, where ``cast`` says how much of it."""
    (x, y), rate = table(dtype=torch.float32), rate_of(net)
    for _ in range(60):
        rate.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=cast != "nothing"):
            loss = cross_entropy(net(x), y)
            if cast == "all":
                loss.backward()
                rate.step(loss, x)
        if cast != "all":
            loss.backward()
            rate.step(loss, x)
    return cross_entropy(net(x), y).item(), rate


@pytest.mark.parametrize("cast", ["loss", "all"])
def test_under_autocast_the_step_is_measured_that_was_taken(cast):
    expected, plain = trained(network(dtype=torch.float32), "nothing")
    found, rate = trained(network(dtype=torch.float32), cast)
    assert rate.lr_ == pytest.approx(plain.lr_, rel=0.2)
    assert found == pytest.approx(expected, rel=0.2)


def test_what_is_measured_under_autocast_keeps_its_gradient():
    net, (x, y) = network(dtype=torch.float32), table(dtype=torch.float32)
    rate = rate_of(net)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(2):
            rate.optimizer.zero_grad()
            loss = cross_entropy(net(x), y)
            loss.backward()
            assert all(parameter.grad.any() for parameter in net.parameters())
            rate.step(loss, x)


def test_a_scaled_loss_is_unscaled_before_the_step():
    nets, (x, y) = [network(dtype=torch.float32), network(dtype=torch.float32)], table(dtype=torch.float32)
    scaler, (rate, plain) = torch.amp.GradScaler("cpu"), map(rate_of, nets)
    for _ in range(20):
        rate.optimizer.zero_grad()
        loss = cross_entropy(nets[0](x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(rate.optimizer)
        rate.step(loss, x)
        scaler.update()
        one_step(plain, nets[1], x, y)
    for ours, theirs in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


# Predictions


def binary(z, y):
    return binary_cross_entropy_with_logits(z.squeeze(-1), (y > 0).to(z.dtype))


@each_rule
def test_the_logit_of_a_sigmoid_is_refused_and_two_of_it_train(rule):
    (x, y), net = table(), nn.Linear(4, 1, dtype=torch.float64)
    before, loss = copied(net.parameters()), binary(net(x), y)
    loss.backward()
    with pytest.raises(ValueError, match=r"'predict' .* two logits or more: for the z of a sigmoid .* Got \(96, 1\)"):
        rate_of(net, rule=rule).step(loss, x)
    assert all(map(torch.equal, before, net.parameters()))
    rate = rate_of(net, lambda x: torch.cat([torch.zeros_like(z := net(x)), z], -1), rule=rule)
    rate.step(loss, x)
    assert binary(net(x), y) < loss


def test_a_single_class_has_nothing_to_learn():
    (x, _), net = table(), nn.Linear(4, 1, dtype=torch.float64)
    rate, loss = rate_of(net), cross_entropy(net(x), torch.zeros(96, dtype=torch.long))
    loss.backward()
    rate.step(loss, x)
    assert 0 < rate.lr_ < math.inf


@pytest.mark.parametrize(
    ("odd", "found"),
    [
        (lambda logits: (logits, None), "one that returns tuple"),
        (lambda logits: logits.numpy(), "one that returns nda"),
    ],
)
def test_what_is_no_tensor_is_refused(odd, found):
    net, (x, y) = network(), table()
    with pytest.raises(ValueError, match=rf"'predict' .* logits of shape \(n_rows, n_classes\).* Got {found}"):
        one_step(rate_of(net, lambda x: odd(net(x))), net, x, y)


def test_probabilities_in_place_of_logits_are_told_of_once():
    net, (x, y) = network(), table()
    rate = rate_of(net, lambda x: net(x).softmax(-1))
    with pytest.warns(UserWarning, match="'predict' .* leave the softmax out, or return the logarithm. Got") as told:
        rate.step(*_with_gradient(net, x, y))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rate.step(*_with_gradient(net, x, y))
        one_step(rate_of(net, lambda x: net(x).log_softmax(-1)), net, x, y)


def _with_gradient(net, x, y):
    net.zero_grad()
    loss = cross_entropy(net(x), y)
    loss.backward()
    return loss, x


# Losses, weights, optimisers, states


def test_a_loss_that_is_a_number_is_refused():
    net, (x, _) = network(), table()
    with pytest.raises(ValueError, match=r"'loss' parameter of KLAdaptiveLR.step must be a tensor, .* Got float"):
        rate_of(net).step(0.5, x)


@pytest.mark.parametrize(
    ("weight", "found"),
    [
        (np.ones(96), "ndarray"),
        ([1.0] * 96, "list"),
        (-torch.ones(96), "some that are not"),
        (torch.full((96,), math.nan), "some that are not"),
        (torch.full((96,), math.inf), "some that are not"),
    ],
)
def test_weights_that_are_none_are_refused_before_the_step(weight, found):
    net, (x, y) = network(), table()
    before = copied(net.parameters())
    with pytest.raises(ValueError, match=rf"'sample_weight' .* a tensor of finite numbers >= 0. Got {found} instead"):
        one_step(rate_of(net), net, x, y, sample_weight=weight)
    assert all(map(torch.equal, before, net.parameters()))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float16])
def test_weights_of_any_type(dtype):
    nets, (x, y) = [network(), network()], table()
    weight = torch.arange(96) % 2
    for net, own in zip(nets, (weight.double(), weight.to(dtype)), strict=True):
        one_step(rate_of(net), net, x, y, sample_weight=own)
    assert all(map(torch.equal, *(net.parameters() for net in nets)))


@pytest.mark.parametrize("make", [KLAdaptiveLR, ConstantRate, OneCycle])
def test_what_is_no_optimiser_is_refused(make):
    with pytest.raises(ValueError, match=f"The 'optimizer' parameter of {make.__name__} must be a torch.optim.Optimiz"):
        make(network(), torch.optim.SGD(network().parameters(), lr=0.1))


@pytest.mark.parametrize("total_steps", [0, -3, 10.0, "5", True])
@pytest.mark.parametrize("name", LEARNING_RATES)
def test_a_number_of_steps_that_is_none_is_refused(name, total_steps):
    net = network()
    with pytest.raises(ValueError, match=r"The 'total_steps' parameter of \w+ must be an integer >= 1, or None. Got"):
        make_learning_rate(name, torch.optim.SGD(net.parameters(), lr=0.1), total_steps, net)


@pytest.mark.parametrize("state", [{}, None, {"other": 1}])
@pytest.mark.parametrize("name", ["onecycle", "kl_adaptive"])
def test_what_is_no_state_is_refused(name, state):
    net = network()
    rate = make_learning_rate(name, torch.optim.SGD(net.parameters(), lr=0.1), 10, net)
    with pytest.raises(ValueError, match=r"The 'state' parameter of \w+.load_state_dict must be what 'state_dict' has"):
        rate.load_state_dict(state)


@pytest.mark.parametrize("lr", ["fast", [0.1, None]])
def test_a_rate_that_is_no_number_is_refused(lr):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="The 'lr' parameter of KLAdaptiveLR must be finite numbers > 0"):
        KLAdaptiveLR(optimizer, net, lr=lr)


@pytest.mark.parametrize("name", ["onecycle", "kl_adaptive"])
def test_more_steps_than_were_said_are_told_of_once(name):
    net, (x, y) = network(), table()
    rate = make_learning_rate(name, torch.optim.SGD(net.parameters(), lr=0.1), 20, net)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            one_step(rate, net, x, y)

    def go_on():
        for _ in range(5):
            rate.step(*_with_gradient(net, x, y))

    with pytest.warns(UserWarning, match="More steps are taken than total_steps=20, after which the rate") as told:
        go_on()
    assert [warned.filename for warned in told] == [__file__]


# Groups


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("name", LEARNING_RATES)
def test_a_group_that_is_added_takes_part(name, resumed):
    net, (x, y) = network(), table()
    optimizer = torch.optim.SGD(net[2].parameters(), lr=0.1)
    rate = make_learning_rate(name, optimizer, 60, net)
    for _ in range(5):
        one_step(rate, net, x, y)
    if resumed:
        state, rate = rate.state_dict(), make_learning_rate(name, optimizer, 60, net)
        rate.load_state_dict(state)
    optimizer.add_param_group({"params": list(net[0].parameters()), "lr": 0.02})
    before = copied(net[0].parameters())
    for _ in range(5):
        one_step(rate, net, x, y)
    first, second = (group["lr"] for group in optimizer.param_groups)
    assert second == pytest.approx(0.2 * first)
    assert not any(map(torch.equal, before, net[0].parameters()))
    rate.close()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([rate.lr_, 0.2 * rate.lr_])


# Complex weights


class Amplitudes(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 3, dtype=torch.complex128) * (1 + 1j))

    def forward(self, x):
        return (x.to(self.weight.dtype) @ self.weight).abs()


@each_rule
def test_complex_weights_train(rule):
    net, (x, y) = Amplitudes(), table()
    rate = KLAdaptiveLR(torch.optim.SGD(net.parameters(), lr=0.01), net, 41, rule=rule)
    losses = [one_step(rate, net, x, y).item() for _ in range(40)]
    assert losses[-1] < losses[0]
    bad = copied(net.parameters())
    one_step(rate, net, x, y, lambda value: value * math.nan)
    assert all(map(torch.equal, bad, net.parameters()))


def test_the_rate_of_polyak_is_the_loss_over_the_square_of_a_complex_gradient():
    net, (x, y) = Amplitudes(), table()
    rate = KLAdaptiveLR(torch.optim.SGD(net.parameters(), lr=1.0), net, rule="polyak", kl_target=1e6, growth=1e6)
    loss = one_step(rate, net, x, y)
    square = net.weight.grad.abs().square().sum()
    assert rate.lr_ == pytest.approx((loss / square).item())
