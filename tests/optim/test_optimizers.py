"""Optimisers by name."""

import pytest
import torch

from sklkl.optim import OPTIMIZERS


def quadratic_steps(optimizer_class, n_steps=50, **params):
    x = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = optimizer_class([x], **params)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (x * torch.tensor([1.0, 2.0])).square().sum().backward()
        optimizer.step()
    return x.detach()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_comes_down_a_quadratic(name):
    optimizer_class, params = OPTIMIZERS[name]
    assert quadratic_steps(optimizer_class, lr=0.01, **params).square().sum() < 13 * 0.9


def test_adam_decouples_the_weight_decay():
    adam, params = OPTIMIZERS["adam"]
    ours = quadratic_steps(adam, lr=0.01, **{**params, "weight_decay": 0.1})
    torch.testing.assert_close(ours, quadratic_steps(torch.optim.AdamW, lr=0.01, weight_decay=0.1))
