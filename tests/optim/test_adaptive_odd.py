"""What a loop of one's own may do: idle steps, half precision, predictions that are weights, noise, other settings."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklkl.optim import KLAdaptiveLR

from .training import Stack, adaptive, losses, network, one_step, table, train

RATES = [1e-6, 10.0]


def weights(net):
    return nn.utils.parameters_to_vector(net.parameters()).detach().clone()


# Idle steps: the first step that says something is that of any training


@pytest.mark.parametrize(
    ("n_idle", "optimizer", "why"),
    [(1, "adam", "loss"), (20, "adam", "loss"), (19, "sgd", "weight"), (40, "sgd", "weight")],
)
def test_after_idle_steps_nothing_is_left_of_the_initial_rate(optimizer, why, n_idle):
    (x, y), found = table(), []
    for lr in RATES:
        net = network()
        rate = adaptive(net, optimizer, lr, total_steps=100)
        for _ in range(n_idle):
            if why == "loss":
                one_step(rate, net, x, y, lambda value: value * math.nan)
            else:
                one_step(rate, net, x, y, sample_weight=torch.zeros(len(x)))
        before = losses(net(x), y).item()
        train(rate, net, 65 - n_idle)
        assert losses(net(x), y).item() < 0.9 * before
        found.append((rate.lr_, weights(net)))
    (first_lr, first_net), (other_lr, other_net) = found
    assert first_lr == other_lr
    assert torch.equal(first_net, other_net)


@pytest.mark.parametrize("n_idle", [3, 18])
def test_a_network_of_a_stack_that_idles_trains_as_if_alone(n_idle):
    nets, (x, y) = [network(0), network(1)], table()
    stack, alone = Stack(nets), network(1)
    # without weight decay and count of steps, so that a gradient of 0 is no step
    together, rate = (adaptive(net, "nesterov", lr, total_steps=60) for net, lr in [(stack, 10.0), (alone, 1e-6)])
    for step in range(60):
        bad = torch.tensor([1.0, math.nan if step < n_idle else 1.0])
        one_step(together, stack, x, y, lambda value, bad=bad: value * bad)
        one_step(rate, alone, x, y, lambda value, bad=bad: value * bad[1])
    assert together.lr_[1] == pytest.approx(rate.lr_)
    for ours, theirs in zip(stack.alone(1), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.reshape(ours.shape))


def test_the_optimiser_has_no_rate_of_a_trial_where_no_step_was_taken():
    net, (x, y) = network(), table()
    rate = KLAdaptiveLR(torch.optim.Adam(net.parameters(), lr=1e-3), lambda x: 0 * net(x), 100)
    one_step(rate, net, x, y)
    assert rate.optimizer.param_groups[0]["lr"] == pytest.approx(rate.lr_)


# Predictions


@pytest.mark.parametrize("noise", [0.002, 0.004, 0.006, 0.01])
def test_noise_in_the_predictions_does_not_keep_a_stack_searching(noise):
    stack, (x, y), n_calls = Stack([network(i) for i in range(8)]), table(), [0]

    def predict(x):
        n_calls[0] += 1
        return stack(x) + noise * torch.randn(8, len(x), 3, generator=generator)

    generator = torch.Generator().manual_seed(0)
    rate = KLAdaptiveLR(torch.optim.Adam(stack.parameters(), lr=0.1), predict, 1000)
    one_step(rate, stack, x, y)
    assert n_calls[0] < 200


@pytest.mark.parametrize("form", ["weights", "a view of weights", "a buffer"])
def test_predictions_that_the_step_changes_are_measured_too(form):
    theta, buffer, y = torch.zeros(3, requires_grad=True), torch.zeros(96, 3), torch.zeros(96, dtype=torch.long)

    def predict(x):
        if form == "weights":
            return rows
        return theta.expand(len(x), 3) if form == "a view of weights" else buffer.copy_(theta.expand(len(x), 3))

    rows = torch.zeros(96, 3, requires_grad=True)
    parameter = rows if form == "weights" else theta
    rate = KLAdaptiveLR(torch.optim.Adam([parameter]), predict, 60)
    for _ in range(60):
        rate.optimizer.zero_grad()
        loss = losses(parameter.expand(96, 3), y)
        loss.backward()
        rate.step(loss, y)
    assert rate.n_measured_ >= 10
    assert loss.item() < 0.9 * math.log(3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_trains(dtype):
    net, (x, y) = network(dtype=dtype), table(dtype=dtype)
    rate = KLAdaptiveLR(torch.optim.AdamW(net.parameters(), lr=10.0, eps=1e-4), net, 60)
    before = losses(net(x).float(), y).item()
    for _ in range(60):
        rate.optimizer.zero_grad()
        loss = losses(net(x).float(), y)
        loss.backward()
        rate.step(loss, x)
    assert losses(net(x).float(), y).item() < 0.9 * before
    assert rate.n_rejected_ <= 1


def test_many_finite_gradients_in_half_precision_have_a_finite_sum():
    layer = nn.Linear(4096, 3).half()
    x = torch.full((8, 4096), 30.0, dtype=torch.half)
    rate = KLAdaptiveLR(torch.optim.SGD(layer.parameters(), lr=1e-4), layer, 100)
    (layer(x).float().sum(-1).mean()).backward()
    assert not torch.isfinite(sum(p.grad.sum() for p in layer.parameters()))
    rate.step(torch.tensor(1.0), x)
    assert rate.rule.n_steps == 1
    assert rate.n_measured_ == 1


def test_a_loss_that_is_not_finite_with_sparse_gradients_takes_no_step():
    table_of_logits = nn.Embedding(10, 3, sparse=True)
    rate = KLAdaptiveLR(torch.optim.SGD(table_of_logits.parameters(), lr=0.1), table_of_logits, 100)
    x = torch.arange(10)
    before = weights(table_of_logits)
    for factor in (math.nan, 1.0):
        rate.optimizer.zero_grad()
        loss = factor * losses(table_of_logits(x), x % 3)
        loss.backward()
        rate.step(loss, x)
        assert torch.equal(before, weights(table_of_logits)) == math.isnan(factor)


# Settings


@pytest.mark.parametrize("shape", [(96, 1), (95,), (2, 96), (1,), ()])
def test_weights_of_another_shape_are_refused_before_the_step(shape):
    net, (x, y) = network(), table()
    rate, before = adaptive(net), weights(net)
    with pytest.raises(ValueError, match=r"'sample_weight' .* must be of shape \(96,\), one for each row. Got"):
        one_step(rate, net, x, y, sample_weight=torch.ones(shape))
    assert torch.equal(before, weights(net))


def test_a_state_brings_what_has_changed_and_leaves_the_settings():
    net, other = network(), network()
    rate, target = adaptive(net, total_steps=1000), adaptive(other, total_steps=50, kl_target=0.1, guard_every=7)
    train(rate, net, 30)
    target.load_state_dict(rate.state_dict())
    assert (target.rule.total_steps, target.rule.kl_target, target.rule.guard_every) == (50, 0.1, 7)
    assert target.rule.peak_target == 0.1
    assert target.rule.n_steps == 30
    assert np.array_equal(target.rule.log_rate, rate.rule.log_rate)


def test_a_state_does_not_grow():
    net = network()
    rate = adaptive(net, rule="band", kl_target=0.01)
    train(rate, net, 1)
    before = str(rate.state_dict())
    train(rate, net, 50)
    assert len(str(rate.state_dict())) < 1.5 * len(before)


@pytest.mark.parametrize("call", [2, 3, 4])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_while_a_step_is_measured_leaves_the_weights_as_they_were(error, call):
    net, (x, y), n_calls = network(), table(), [0]

    def predict(x):
        n_calls[0] += 1
        if n_calls[0] == call:
            raise error
        return net(x)

    rate, before = KLAdaptiveLR(torch.optim.Adam(net.parameters(), lr=10.0), predict, 100), weights(net)
    with pytest.raises(error):
        one_step(rate, net, x, y)
    assert torch.equal(before, weights(net))
    one_step(rate, net, x, y)
    assert 0 < rate.step_kl_ <= rate.rule.peak_target
