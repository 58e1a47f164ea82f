"""What every learning rate does, whichever it is; properties run over the registry."""

import io
import math
from typing import get_args

import pytest
import torch

from sklkl.optim import (
    LEARNING_RATES,
    OPTIMIZERS,
    RULES,
    LearningRateName,
    OptimizerName,
    RuleName,
    make_learning_rate,
)

from .training import batches, copied, loss_of, losses, network, one_step, table

each_name = pytest.mark.parametrize("name", LEARNING_RATES)


def two_groups(net):
    first, *rest = net.parameters()
    return torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": rest, "lr": 0.3}], lr=1.0, momentum=0.9)


def made(name, total_steps=20, seed=0):
    net = network(seed)
    return net, make_learning_rate(name, two_groups(net), total_steps, net)


def train(rate, net, n_steps, first=0):
    for x, y in list(batches(*table(), first + n_steps))[first:]:
        one_step(rate, net, x, y)


def rates(rate):
    return [group["lr"] for group in rate.optimizer.param_groups]


@pytest.mark.parametrize("total_steps", [20, None])
@each_name
def test_it_trains(name, total_steps):
    net, rate = made(name, total_steps)
    before = loss_of(net)
    train(rate, net, 20)
    assert loss_of(net) < 0.9 * before
    assert 0 < rate.lr_ < math.inf


@each_name
def test_groups_keep_their_proportions(name):
    net, rate = made(name)
    for step in range(20):
        train(rate, net, 1, step)
        low, high = rates(rate)
        assert high == pytest.approx(3 * low)


@each_name
def test_close_gives_the_optimizer_the_rate_and_takes_all_else_away(name):
    net = network()
    optimizer = two_groups(net)
    before = [set(group) for group in optimizer.param_groups], set(vars(optimizer))
    rate = make_learning_rate(name, optimizer, 20, net)
    train(rate, net, 7)
    rate.close()
    assert ([set(group) for group in optimizer.param_groups], set(vars(optimizer))) == before
    # the largest group's is the one that is found, the first group's the one that is given
    assert rate.lr_ == pytest.approx(rates(rate)[1 if name == "kl_adaptive" else 0])


@each_name
def test_a_cut_lasts(name):
    for n_steps in (0, 7):
        net, rate = made(name)
        train(rate, net, n_steps)
        lr = rate.lr_
        rate.cut(0.5)
        assert rate.lr_ == pytest.approx(lr / 2)


@each_name
def test_a_report_is_numbers(name):
    net, rate = made(name)
    train(rate, net, 2)
    assert all(isinstance(value, int | float) for value in rate.report().values())


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("loaded_first", [True, False], ids=["optimizer made from its state", "state loaded later"])
@pytest.mark.parametrize(("n_before", "total_steps"), [(0, 20), (9, 20), (9, None)])
@each_name
def test_training_resumes_to_the_bit(name, n_before, total_steps, loaded_first):
    whole_net, whole = made(name, total_steps)
    whole.cut(0.5)
    train(whole, whole_net, n_before)
    parts = saved([part.state_dict() for part in (whole_net, whole.optimizer, whole)])
    train(whole, whole_net, 20 - n_before, n_before)
    net = network(seed=1)
    optimizer = two_groups(net)
    net.load_state_dict(parts[0])
    if loaded_first:
        optimizer.load_state_dict(parts[1])
    rate = make_learning_rate(name, optimizer, total_steps, net)
    if not loaded_first:
        optimizer.load_state_dict(parts[1])
    rate.load_state_dict(parts[2])
    train(rate, net, 20 - n_before, n_before)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), whole_net.parameters(), strict=True))
    assert rates(rate) == rates(whole)
    assert rate.lr_ == whole.lr_


@each_name
def test_before_a_step_the_optimizer_has_the_rate_that_the_step_is_taken_at(name):
    net, rate = made(name, 100)
    train(rate, net, 7)  # the next one is not measured
    rate.before_step()
    before = rates(rate)
    if name != "kl_adaptive":  # with which an optimiser's step cannot be called by hand
        x, y = table()
        weights = copied(net.parameters())
        rate.optimizer.step(lambda: losses(net(x), y))
        assert not torch.equal(weights[0], next(net.parameters()))
    else:
        train(rate, net, 1)
    assert rates(rate) == before


# Names


@pytest.mark.parametrize(
    ("names", "registry"), [(LearningRateName, LEARNING_RATES), (RuleName, RULES), (OptimizerName, OPTIMIZERS)]
)
def test_the_names_that_type_checkers_know_are_those_of_the_registry(names, registry):
    assert set(get_args(names)) == set(registry)


def test_an_unknown_name_is_refused(message_of):
    optimizer = two_groups(network())
    names = "'constant', 'onecycle', 'kl_adaptive'"
    expected = f"The 'learning_rate' parameter must be one of {names}. Got 'linear' instead."
    assert message_of(lambda: make_learning_rate("linear", optimizer, 10)) == expected


def test_an_adaptive_rate_needs_predictions():
    with pytest.raises(ValueError, match="'predict' parameter of KLAdaptiveLR must be a function .* Got None"):
        make_learning_rate("kl_adaptive", two_groups(network()), 10)


def test_parameters_reach_the_rate_that_needs_them():
    net = network()
    rate = make_learning_rate("kl_adaptive", two_groups(net), 10, net, kl_target=0.03)
    assert (rate.rule.kl_target, rate.rule.total_steps) == (0.03, 10)
