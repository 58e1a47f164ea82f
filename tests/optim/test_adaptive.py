"""``KLAdaptiveLR`` whatever the rule: stacks, safety, states that can be resumed, and measuring without a trace."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from sklkl.optim import RULES, KLAdaptiveLR

from .training import (
    OPTIMIZERS,
    Stack,
    adaptive,
    batches,
    copied,
    losses,
    network,
    one_step,
    table,
    train,
)

# Some go on after the steps that they announced.
pytestmark = pytest.mark.filterwarnings("ignore:More steps are taken than")

each_rule = pytest.mark.parametrize("rule", RULES)


def equal(ours, theirs):
    return all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def moments(optimizer):
    return [value for state in optimizer.state.values() for value in state.values() if value is not None]


# a rule knows nothing of its optimiser, but "lock" searches a first rate with it
each_pair = pytest.mark.parametrize(
    ("rule", "optimizer"), [*(("lock", optimizer) for optimizer in OPTIMIZERS), *((rule, "adamw") for rule in RULES)]
)


@each_pair
def test_rates_are_finite_and_positive_and_losses_fall(rule, optimizer):
    net = network()
    rate = adaptive(net, optimizer, 1e-3, rule=rule)
    before = losses(net(table()[0]), table()[1]).item()
    seen = train(rate, net, 25, lambda rate: rate.lr_)
    assert all(isinstance(lr, float) and 0 < lr < math.inf for lr in seen)
    assert losses(net(table()[0]), table()[1]).item() < before


@each_rule
def test_the_measured_kl_is_that_of_the_step(rule):
    net, (x, y) = network(), table()
    rate = adaptive(net, "adam", 1e-3, rule=rule)
    weight = torch.rand(len(x), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = net(x).softmax(-1)
    one_step(rate, net, x, y, sample_weight=weight)
    rows = (p * (p / net(x).softmax(-1)).log()).sum(-1)
    assert rate.step_kl_ == pytest.approx((weight @ rows / weight.sum()).item(), rel=1e-6)
    assert rate.n_measured_ == 1


# Stacks


@each_pair
def test_networks_of_a_stack_train_as_if_alone(rule, optimizer):
    stack = Stack([network(0), network(1)])
    together = adaptive(stack, optimizer, rule=rule, total_steps=16)
    train(together, stack, 16)
    for i in range(2):
        net = network(i)
        alone = adaptive(net, optimizer, rule=rule, total_steps=16)
        train(alone, net, 16)
        assert together.lr_[i] == pytest.approx(alone.lr_, rel=1e-6)
        assert together.step_kl_[i] == pytest.approx(alone.step_kl_, rel=1e-5)
        for ours, theirs in zip(stack.alone(i), net.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def assert_same_but_for_rounding(ours, theirs):
    """Networks of a stack share vector registers, and a NaN beside a number may send it another way there."""
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)  # 1e-16 a step, which training amplifies


# named: how a set is written depends on whether this file was compiled anew or read from a cache
@pytest.mark.parametrize("when", [{0}, set(range(16)), {3, 11, 12}], ids=["first", "all", "some"])
@pytest.mark.parametrize(("rule", "optimizer"), [("lock", "adamw"), ("band", "sgd"), ("polyak", "adamw")])
def test_a_network_without_a_loss_leaves_the_others_as_they_are(once, rule, optimizer, when):
    bad = torch.tensor([1.0, math.nan, 1.0], dtype=torch.float64)

    def trained(when):
        stack = Stack([network(0), network(1), network(2)])
        rate = adaptive(stack, optimizer, rule=rule, total_steps=16)
        for step, (x, y) in enumerate(batches(*table(), 16)):
            before = copied(stack.alone(1))
            one_step(rate, stack, x, y, (lambda value: value * bad) if step in when else None)
            assert equal(before, stack.alone(1)) or step not in when
        assert np.isfinite(rate.lr_).all()
        assert (rate.lr_ > 0).all()
        assert all(parameter.isfinite().all() for parameter in stack.parameters())
        return [*stack.alone(0), *stack.alone(2), *torch.as_tensor(rate.lr_)[[0, 2]]]

    assert_same_but_for_rounding(trained(when), once((rule, optimizer), lambda: trained(())))


def test_a_network_that_diverges_leaves_the_others_as_they_are():
    seen = []
    for size in (1.0, 1e200):
        stack = Stack([network(0), network(1)])
        with torch.no_grad():
            stack.weights[2][1] *= size
        rate = adaptive(stack, "sgd", rule="lock", total_steps=30)
        train(rate, stack, 30)
        seen.append([*stack.alone(0), torch.as_tensor(rate.lr_[0])])
    assert_same_but_for_rounding(*seen)


def test_each_network_of_a_stack_may_begin_at_a_rate_of_its_own():
    stack = Stack([network(0), network(1)])
    optimizer = torch.optim.SGD(stack.parameters(), lr=0.1)
    ours = KLAdaptiveLR(optimizer, stack, rule="band", bounds=(1e-9, 1.0), kl_target=100.0, lr=[1e-4, 1e-5])
    assert ours.lr_.tolist() == [1e-4, 1e-5]
    train(ours, stack, 1)
    assert ours.lr_ == pytest.approx([1.5e-4, 1.5e-5])


def test_shapes_that_do_not_fit_are_refused():
    net, stack, (x, y) = network(), Stack([network(0), network(1)]), table()
    of = "parameter of KLAdaptiveLR must be"
    with pytest.raises(ValueError, match=rf"'optimizer' {of} .* leading axes .* \(2,\)\. Got \(8, 4\) instead"):
        adaptive_of(net, lambda x: stack(x)).step(torch.zeros(2), x)
    with pytest.raises(ValueError, match=rf"'predict' {of} .* \(2, n_rows, n_classes\).* Got \(96, 3\) instead"):
        adaptive_of(stack, net).step(torch.zeros(2), x)
    with pytest.raises(ValueError, match=rf"'predict' {of} .* \(n_rows, n_classes\).* Got \(3,\) instead"):
        adaptive_of(net, lambda x: net(x)[0]).step(torch.zeros(()), x)
    rate = adaptive(stack)
    one_step(rate, stack, x, y)
    with pytest.raises(
        ValueError, match=r"'loss' parameter of KLAdaptiveLR.step must be of shape \(2,\).* Got \(\) inst"
    ):
        rate.step(torch.zeros(()), x)
    with pytest.raises(ValueError, match=rf"'lr' {of} of shape \(2,\), that of the loss. Got \(3,\) instead"):
        adaptive_of(stack, stack, lr=[1, 2, 3]).step(torch.zeros(2), x)


def adaptive_of(net, predict, **params):
    return KLAdaptiveLR(torch.optim.SGD(net.parameters(), lr=0.1), predict, **params)


# Losses and gradients that are not finite


def idle_for_a_step(rule, lr):
    """The rate after a first step of 100 that said nothing."""
    # "lock" takes it as that of the first of 20 steps of a rise from 1 / 3, whose peak is the rate found
    return lr / (1 / 3 + 2 / 3 / 20) if rule == "lock" else lr


@pytest.mark.parametrize(("what", "bad"), [("loss", math.nan), ("gradient", math.inf)])
@pytest.mark.parametrize("step", [0, 3, 13])
@each_rule
def test_what_is_not_finite_takes_no_step_leaves_no_trace_and_halves_the_rate(rule, step, what, bad):
    net = network()
    rate = adaptive(net, "adamw", 1e-3, rule=rule, kl_target=0.1)
    train(rate, net, step)
    before, moments_before, lr = copied(net.parameters()), copied(moments(rate.optimizer)), rate.lr_
    x, y = table()
    if what == "gradient":
        net[0].bias.register_hook(lambda gradient: gradient * bad)
        one_step(rate, net, x, y)
    else:
        one_step(rate, net, x, y, lambda value: value * bad)
    assert equal(before, net.parameters())
    assert equal(moments_before, moments(rate.optimizer))
    assert rate.n_rejected_ >= 1
    # before the first step "lock" knows no peak yet
    expected = idle_for_a_step(rule, lr / 2) if rule == "lock" and step == 0 else lr / 2
    assert rate.lr_ == pytest.approx(expected)


@each_rule
def test_training_recovers_after_losses_that_are_not_finite(rule):
    net, (x, y) = network(), table()
    rate = adaptive(net, "adam", 1e-3, rule=rule, total_steps=60)
    before = losses(net(x), y).item()
    for step in range(60):
        one_step(rate, net, x, y, (lambda value: value * math.nan) if step in {0, 7, 30} else None)
    assert losses(net(x), y).item() < before
    assert rate.n_rejected_ >= 3


class Odd(nn.Module):
    """A network whose predictions are odd in evaluation mode, in which steps are measured."""

    def __init__(self, odd):
        super().__init__()
        self.inner, self.odd = network(), odd

    def forward(self, x):
        logits = self.inner(x)
        return logits if self.training else self.odd(logits)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda logits: logits * math.nan, id="nan"),
        pytest.param(lambda logits: logits + math.inf, id="inf"),
        pytest.param(lambda logits: logits * 0, id="still"),
        pytest.param(lambda logits: logits * 1e300, id="huge"),
    ],
)
@each_rule
def test_the_rate_is_finite_and_positive_whatever_is_measured(rule, odd):
    net = Odd(odd)
    rate = adaptive(net, "adamw", 0.1, rule=rule, total_steps=15)
    seen = train(rate, net, 20, lambda rate: rate.lr_)
    assert all(0 < lr < math.inf for lr in seen)
    assert all(parameter.isfinite().all() for parameter in net.parameters())


@each_rule
def test_a_hopeless_step_is_undone_to_the_bit_and_halves_the_rate(rule):
    net = Odd(lambda logits: logits * math.nan)
    rate = adaptive(net, "adamw", 1e-3, rule=rule, kl_target=0.1)
    before = copied(net.parameters())
    train(rate, net, 1)
    assert equal(before, net.parameters())
    assert rate.n_rejected_ == 1
    assert rate.step_kl_ == 0
    if rule != "polyak":  # which chooses its rate before
        assert rate.lr_ == pytest.approx(idle_for_a_step(rule, 5e-4))


@each_rule
def test_one_hopeless_step_does_not_spoil_the_rate(rule):
    net = Odd(lambda logits: logits)
    rate = adaptive(net, "adam", 1e-3, rule=rule, total_steps=400)
    train(rate, net, 40)
    lr = rate.lr_
    net.odd = lambda logits: logits * math.nan
    train(rate, net, 1)
    assert rate.lr_ == pytest.approx(lr / 2, rel=0.2)


@pytest.mark.parametrize("rule", ["lock", "band"])
def test_a_step_beyond_the_guard_is_shortened_for_its_weighted_rows(rule):
    net, (x, y) = network(), table()
    rate = adaptive(net, "adam", 1e-4, rule=rule, kl_target=1e-3, total_steps=30)
    train(rate, net, 20)
    while not rate.rule.measures:
        train(rate, net, 1)
    rate.rule.cut(1e4)
    high, rejected = rate.rule.largest_kl, rate.n_rejected_
    weight, p = (torch.arange(len(x)) < 5).double(), net(x).softmax(-1)
    one_step(rate, net, x, y, sample_weight=weight)
    rows = (p * (p / net(x).softmax(-1)).log()).sum(-1)
    assert 0 < (weight @ rows / 5).item() <= high * (1 + 1e-6)
    assert rate.n_rejected_ == rejected + 1


MEASURED = {"lock": {"guard_every": 1}, "band": {"bounds": (1e-9, 1e3)}, "polyak": {"guard_every": 1}}


def one_more_step(rate, kl_target):
    """The KL of a copy's next step under another target, how often it was measured, and whether it was too far."""
    twin, n_calls = copy.deepcopy(rate), [0]
    twin.rule.kl_target, net = kl_target, twin.predict

    def counted(x):
        n_calls[0] += 1
        return net(x)

    twin.predict = counted
    train(twin, net, 1)
    return twin.step_kl_, n_calls[0] - 1, twin.n_rejected_ - rate.n_rejected_


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("rule", MEASURED)
def test_a_step_further_than_8_times_its_target_is_shortened_once_and_lands_near_the_target(rule, optimizer):
    net = network()
    rate = adaptive(net, optimizer, 1e-3, rule=rule, total_steps=50, kl_target=1e-4, **MEASURED[rule])
    train(rate, net, 20)
    kl, *_ = one_more_step(rate, 1e9)
    assert one_more_step(rate, kl / 7.99) == (kl, 1, 0)
    for times in (8.01, 1000):
        shortened, n_measured, n_rejected = one_more_step(rate, kl / times)
        # the KL grows with the square of the rate, so that one measurement tells how long the step should be
        assert shortened == pytest.approx(kl / times, rel=0.05)
        assert (n_measured, n_rejected) == (2, 1)


@each_rule
def test_rows_of_no_weight_are_not_measured(rule):
    net, (x, y) = network(), table()
    rate, none = adaptive(net, "adamw", 1e-3, rule=rule), torch.zeros(len(x))
    train(rate, net, 3)
    n_measured, before = rate.n_measured_, copied(net.parameters())
    one_step(rate, net, x, y, sample_weight=none)
    assert rate.n_measured_ == n_measured
    assert not equal(before, net.parameters())
    assert all(parameter.isfinite().all() for parameter in net.parameters())


def test_an_initial_rate_takes_no_step_that_is_not_measured():
    net, (x, y) = network(), table()
    rate = adaptive(net, "adamw", 10.0)
    before = copied(net.parameters())
    one_step(rate, net, x, y, sample_weight=torch.zeros(len(x)))
    assert equal(before, net.parameters())
    one_step(rate, net, x, y)
    assert rate.n_measured_ == 1
    assert not equal(before, net.parameters())
    assert losses(net(x), y) < 2


@each_rule
def test_a_row_without_weight_may_be_nan(rule):
    net, (x, y) = network(), table()
    rate = adaptive(net, "adamw", 1e-3, rule=rule)
    weight = (torch.arange(len(x)) > 0).double()
    loss = losses(net(x[1:]), y[1:])
    loss.backward()
    rate.step(loss, x.index_fill(0, torch.tensor([0]), math.nan), weight)
    assert 0 < rate.step_kl_ < math.inf
    assert rate.n_rejected_ == 0


def test_without_a_guard_a_kl_that_is_nan_is_too_far():
    net = Odd(lambda logits: logits * math.nan)
    rate = adaptive(net, "adam", 1e-3, rule="band", guard=math.inf)
    train(rate, net, 1)
    assert rate.lr_ == pytest.approx(1e-3 / 1.5)


# States


def saved(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def resumed(make, n_steps, n_before):
    """Train with a break: new objects after ``n_before`` steps, from what was saved of the old ones."""
    net, rate = make()
    steps = list(batches(*table(), n_steps))
    for x, y in steps[:n_before]:
        one_step(rate, net, x, y)
    rate.report()
    state = saved([net.state_dict(), rate.optimizer.state_dict(), rate.state_dict()])
    for x, y in steps[n_before : n_before + 3]:
        one_step(rate, net, x, y)  # the state is a copy
    net, rate = make()
    for target, part in zip((net, rate.optimizer, rate), state, strict=True):
        target.load_state_dict(part)
    for x, y in steps[n_before:]:
        one_step(rate, net, x, y)
    return net, rate


def two_groups(net):
    first, *rest = net.parameters()
    return torch.optim.AdamW([{"params": [first], "lr": 0.03}, {"params": rest, "lr": 0.07}], lr=1.0)


@pytest.mark.parametrize(("n_before", "stacked"), [(0, False), (1, True), (7, False), (13, True)])
@each_rule
def test_training_resumes_to_the_bit(rule, stacked, n_before):
    def make():
        net = Stack([network(0, torch.float32), network(1, torch.float32)]) if stacked else network()
        net = net.double()
        return net, KLAdaptiveLR(two_groups(net), net, 16, rule=rule)

    net, rate = resumed(make, 16, n_before)
    whole_net, whole = make()
    for step, (x, y) in enumerate(batches(*table(), 16)):
        if step == n_before:
            whole.report()
        one_step(whole, whole_net, x, y)
    assert equal(net.parameters(), whole_net.parameters())
    assert np.array_equal(rate.lr_, whole.lr_)
    assert np.array_equal(rate.step_kl_, whole.step_kl_)
    assert (rate.n_measured_, rate.n_rejected_) == (whole.n_measured_, whole.n_rejected_)
    # as text: nan, where no step was measured, is nan
    assert str(rate.report()) == str(whole.report())


def test_a_state_has_the_initial_rate_and_what_is_not_reported_yet():
    net, twin = network(), adaptive(network())
    rate = adaptive(net)
    rate.cut(0.5)
    twin.load_state_dict(saved(rate.state_dict()))
    assert twin.lr_ == rate.lr_ == 0.05
    train(rate, net, 3)
    twin.load_state_dict(saved(rate.state_dict()))
    report = twin.report()
    assert report == rate.report()
    assert report["step_kl"] > 0


def test_the_states_of_other_rules_and_networks_are_refused():
    net = network()
    rate = adaptive(net)
    train(rate, net, 1)
    with pytest.raises(ValueError, match="'state' .* must be one of the rule Band. Got 'Lock' instead"):
        adaptive(net, rule="band").load_state_dict(rate.state_dict())
    stack = Stack([network(0), network(1), network(2)])
    together = adaptive(stack)
    train(together, stack, 1)
    other = adaptive(net)
    with pytest.raises(ValueError, match="parameters whose leading axes are those of the loss"):
        other.load_state_dict(together.state_dict())
    assert not other.started_


# Measuring leaves no trace


class Noisy(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(p), nn.ReLU(), nn.Linear(8, 3))
        self.modes = []

    def forward(self, x):
        self.modes.append(tuple(m.training for m in self.modules()))
        if len(x) == 0:
            raise RuntimeError("no rows")
        return self.layers(x)


@each_rule
def test_predictions_are_measured_in_evaluation_mode_and_every_part_gets_its_own_mode_back(rule):
    net, (x, y) = Noisy().double(), table()
    net.layers[1].eval()
    own = [m.training for m in net.modules()]
    assert len(set(own)) == 2
    rate = adaptive(net, rule=rule)
    one_step(rate, net, x, y)
    assert [m.training for m in net.modules()] == own
    assert net.modes[0] == tuple(own)
    assert len(net.modes) >= 3
    assert not any(map(any, net.modes[1:]))


def test_modes_are_put_back_when_predict_raises():
    net = Noisy().double()
    net.layers[1].eval()
    own = [m.training for m in net.modules()]
    with pytest.raises(RuntimeError, match="no rows"):
        adaptive(net).step(torch.tensor(1.0), torch.zeros(0, 4, dtype=torch.float64))
    assert [m.training for m in net.modules()] == own


@each_rule
def test_measuring_uses_no_chance_and_changes_no_statistics(rule, global_state_untouched):
    net, (x, y) = Noisy(p=0.0).double(), table()
    rate = adaptive(net, rule=rule)
    net.zero_grad()
    loss = losses(net(x), y)
    loss.backward()
    before = copied(net.buffers())
    with global_state_untouched():
        rate.step(loss, x)
    assert rate.n_measured_ == 1
    assert equal(before, net.buffers())


def test_dropout_does_not_enter_what_is_measured():
    net, (x, y) = Noisy().double(), table()
    rate = adaptive(net, "sgd", 1e-9, rule="band")
    one_step(rate, net, x, y)
    assert rate.step_kl_ < 1e-12


# What others see


@each_rule
def test_a_report_has_the_mean_since_the_last(rule):
    net = network()
    rate = adaptive(net, rule=rule)
    seen = train(rate, net, 4, lambda rate: (rate.n_measured_, rate.step_kl_))
    measured = [kl for (n, kl), last in zip(seen, [0, *[n for n, _ in seen]], strict=False) if n > last]
    report = rate.report()
    assert report["step_kl"] == pytest.approx(np.mean(measured))
    assert report["rejected_steps"] == rate.n_rejected_
    assert rate.report()["rejected_steps"] == 0
    assert math.isnan(rate.report()["step_kl"])


def test_a_report_leaves_out_networks_without_a_step():
    stack, (x, y) = Stack([network(0), network(1)]), table()
    rate = adaptive(stack)
    one_step(rate, stack, x, y, lambda value: value * torch.tensor([1.0, math.nan], dtype=torch.float64))
    assert rate.report() == {"step_kl": rate.step_kl_[0], "rejected_steps": 1 + int(rate.step_kl_[0] > 0)}


@each_rule
def test_the_optimizer_has_the_rate_of_the_last_step_and_at_the_end_the_rate_found(rule):
    stack, (x, y) = Stack([network(0), network(1)]), table()
    rate = adaptive(stack, "sgd", 0.02, rule=rule)
    one_step(rate, stack, x, y)
    assert 0 < rate.optimizer.param_groups[0]["lr"] < 1
    rate.close()
    assert rate.optimizer.param_groups[0]["lr"] == pytest.approx(math.sqrt(math.prod(rate.lr_)))


@each_rule
def test_close_and_cut_before_the_first_step(rule):
    net = network()
    rate = adaptive(net, lr=0.1, rule=rule)
    rate.close()
    assert rate.optimizer.param_groups[0]["lr"] == 0.1
    rate.cut(0.5)
    assert rate.lr_ == pytest.approx(0.05)


@each_rule
def test_it_can_be_copied_in_training(rule):
    net = network()
    rate = adaptive(net, rule=rule)
    train(rate, net, 7)
    twin = copy.deepcopy(rate)
    assert twin.lr_ == rate.lr_
    train(twin, twin.predict, 5)
    train(rate, net, 5)
    assert equal(net.parameters(), twin.predict.parameters())


@each_rule
def test_no_copy_of_the_weights_is_kept_between_steps(rule):
    net = network()
    rate = adaptive(net, rule=rule)
    train(rate, net, 3)
    assert rate.step_.before == rate.step_.after == []


# Bad parameters


class NeedsClosure(torch.optim.SGD):
    def step(self, closure):
        return super().step(closure)


class NoClosure(torch.optim.SGD):
    def step(self):
        return super().step()


@pytest.mark.parametrize(
    ("optimizer", "allowed"),
    [
        (torch.optim.LBFGS, "one that takes a step without a closure"),
        (NeedsClosure, "one that takes a step without a closure"),
        (torch.optim.Rprop, "one whose step is proportional to its rate"),
        (torch.optim.ASGD, "one whose step is proportional to its rate"),
    ],
)
def test_optimizers_that_cannot_be_scaled_are_refused(optimizer, allowed, message_of):
    net = network()
    message = message_of(lambda: KLAdaptiveLR(optimizer(net.parameters(), lr=0.1), net))
    otherwise = "unless the learning rate is 'constant' or 'onecycle'"
    got = f"Got {optimizer.__name__!r} instead."
    assert message == f"The 'optimizer' parameter of KLAdaptiveLR must be {allowed}, {otherwise}. {got}"


def test_an_optimizer_whose_step_takes_no_closure_at_all_will_do():
    net = network()
    rate = KLAdaptiveLR(NoClosure(net.parameters(), lr=0.1), net)
    train(rate, net, 3)
    assert rate.n_measured_ == 3


NAMES = "one of 'lock', 'band', 'polyak'"


@pytest.mark.parametrize(
    ("params", "of", "allowed"),
    [
        ({"rule": "locked"}, "KLAdaptiveLR", NAMES),
        ({"rule": None}, "KLAdaptiveLR", NAMES),
        ({"kl_target": "much", "rule": "band"}, "Band", "a finite number > 0, or None"),
        ({"total_steps": 2.5, "rule": "polyak"}, "Polyak", "an integer >= 1, or None"),
        ({"lr": 0.0}, "KLAdaptiveLR", "finite numbers > 0, one for each network of a stack"),
        ({"lr": [0.1, math.nan]}, "KLAdaptiveLR", "finite numbers > 0, one for each network of a stack"),
        ({"predict": None}, "KLAdaptiveLR", "a function of the inputs that returns logits"),
    ],
)
def test_bad_parameters_are_refused(params, of, allowed, message_of):
    (name, value), net = next(iter(params.items())), network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    message = message_of(lambda: KLAdaptiveLR(optimizer, **{"predict": net, **params}))
    assert message == f"The {name!r} parameter of {of} must be {allowed}. Got {value!r} instead."


@pytest.mark.parametrize("lr", [0.0, math.nan, math.inf])
def test_bad_rates_of_the_optimizer_are_refused(lr):
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(ValueError, match=rf"'optimizer' .* must be one of finite rates >= 0.* Got \[{lr}\] instead"):
        KLAdaptiveLR(optimizer, net)


def test_parameters_of_other_rules_are_refused():
    net = network()
    with pytest.raises(TypeError, match="rise"):
        adaptive(net, rule="band", rise=0.1)
