"""A net on a CUDA device: the data it takes, its rate alone, and that a step does not wait for the device."""

import copy
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.utils.data import DataLoader

from sklkl._engine import MLPStack, StackAdamW, cross_entropy_gradient
from sklkl.data import Rows
from sklkl.modules import MLP
from sklkl.optim import LEARNING_RATES, RULES, KLAdaptiveLR
from sklkl.penalties import PENALTIES

from .common import DEVICE, SOFT, WEIGHT, waiting


@pytest.mark.parametrize("kind", ["arrays", "tensors", "rows", "sparse", "loader"])
@pytest.mark.parametrize("penalty", ["confidence", "rdrop", "vat"])
def test_a_net_of_any_data(quick_net, table32, kind, penalty):
    X, y = table32
    data = {
        "tensors": (torch.from_numpy(X).to(DEVICE), torch.from_numpy(y).to(DEVICE)),
        "rows": (Rows(X, y, weight=WEIGHT.astype(np.float32)), None),
        "sparse": (sparse.csr_array(X), y),
    }.get(kind, (X, y))
    loaders = {"iterator_train": DataLoader, "iterator_valid": DataLoader} if kind == "loader" else {}
    params = {"kl_penalty": penalty, "kl_strength": 0.1, "classes": [0, 1, 2], "max_epochs": 20, **loaders}
    net = quick_net(device=DEVICE, module__dropout=0.2, **params).fit(*data)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert (net.predict(X) == y).mean() > 0.5
    assert net.predict_proba(torch.from_numpy(X).to(DEVICE)).dtype == np.float64


def batches_and_net(quick_net, rows, **params):
    """Return batches, and a net that has taken its first steps."""
    net = quick_net(MLP, device=DEVICE, module__dropout=0.5, classes=[0, 1, 2], **params).fit(rows, None)
    net.learning_rate_ = net.make_learning_rate(100)
    batches = list(net.get_iterator(net.get_split_datasets(rows)[0], training=True))
    net.train_step(batches[0])
    return batches, net


@pytest.mark.parametrize("penalty", [None, *sorted(set(PENALTIES) - {"vat"})])
@pytest.mark.parametrize("rule", sorted(set(LEARNING_RATES) - {"kl_adaptive"}))  # which reads what it measures
@pytest.mark.parametrize("columns", [{}, {"weight": WEIGHT.astype("f4"), "teacher_proba": SOFT.astype("f4")}], ids=len)
def test_a_step_waits_for_nothing(quick_net, table32, penalty, rule, columns):
    params = {"kl_penalty": penalty, "kl_strength": 0.1} if penalty else {}
    batches, net = batches_and_net(quick_net, Rows(*table32, **columns), learning_rate=rule, **params)
    with waiting("error"):
        steps = [net.train_step(batch) for batch in batches]
        net.validation_step(batches[0])
    assert all(torch.isfinite(step["loss"]) for step in steps)


def test_the_guard_notices_what_waits(quick_net, table32):
    batches, net = batches_and_net(quick_net, Rows(*table32))
    with waiting("error"), pytest.raises(RuntimeError, match="synchronizing"):
        net.train_step(batches[0])["loss"].item()


@pytest.mark.parametrize("n_networks", [1, 3])
def test_a_step_of_the_engine_waits_for_nothing(table32, n_networks):
    stack = MLPStack((5, 8, 3), nn.ReLU, n_networks, device=DEVICE)
    stack.flat.normal_(generator=torch.Generator(DEVICE).manual_seed(0))
    optimizer = StackAdamW(stack, [{"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}] * n_networks)
    x, y, shares = (torch.as_tensor(v, device=DEVICE) for v in (*table32, np.full(120, 1 / 120, np.float32)))
    losses = []
    for number in range(20):
        with waiting("error" if number else "default"):  # the first step may prepare the device
            terms, gradient = cross_entropy_gradient(stack.forward(x), y, shares, 0.1)
            stack.backward(gradient)
            optimizer.step()
        losses.append(sum(terms.values()))
    assert bool((losses[-1] < losses[0]).all())


@pytest.mark.parametrize("n_members", [1, 3])
def test_an_epoch_waits_no_more_often_for_more_batches(quick, table, n_members):
    def n_waits(batch_size):
        params = {"learning_rate": "onecycle", "dropout": 0.3, "kl_strength": 0.1, "n_members": n_members}
        clf = quick(device=DEVICE, batch_size=batch_size, **params)
        clf.fit(*table)  # the first fit of a kind may prepare the device
        with waiting("warn"), warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            clf.fit(*table)
        return sum("synchronizing" in str(warning.message) for warning in seen)

    # of 20 batches an epoch and of 2; what waits once a training may or may not be seen
    assert n_waits(batch_size=6) <= n_waits(batch_size=60) + 3


# The rate alone


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_the_adaptive_rate_alone(table, same_but_for_rounding, rule, optimizer):
    def rates(device):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double().to(device)
        x, y, weight = (torch.as_tensor(values, device=device) for values in (*table, WEIGHT))
        rate, seen = KLAdaptiveLR(optimizer(net.parameters(), lr=0.1), net, 30, rule=rule), []
        for _ in range(30):
            rate.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            rate.step(loss, x, weight)
            rate.load_state_dict(copy.deepcopy(rate.state_dict()))
            seen.append([rate.lr_, loss.item()])
        return seen

    same_but_for_rounding(rates(DEVICE), rates("cpu"))
