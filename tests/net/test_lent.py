"""A net and its optimiser while the engine trains them have one rate with it."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sklkl.callbacks import BestWeights
from sklkl.optim import LEARNING_RATES


class At(Callback):
    """Call a function of the net at a hook of the second epoch."""

    def __init__(self, hook, act):
        setattr(self, hook, lambda net, **kwargs: act(net) if len(net.history) == 2 else None)


@pytest.fixture
def trained(quick_net, table32):
    """Return ``trained(*callbacks, learning_rate="constant")``: a net of the engine, of rate 0.01 at first."""

    def train(*callbacks, learning_rate="constant"):
        optimizer = {"optimizer": torch.optim.AdamW, "optimizer__fused": True}
        return quick_net(callbacks=list(callbacks), learning_rate=learning_rate, **optimizer).fit(*table32)

    return train


@pytest.mark.parametrize("rule", LEARNING_RATES)
def test_after_training_the_optimiser_has_the_rate_that_was_found(trained, rule):
    net = trained(learning_rate=rule)
    assert net.why_autograd_ is None
    assert net.optimizer_.param_groups[0]["lr"] == net.lr_


def test_a_rate_that_is_cut_stays_cut(trained):
    net = trained(At("on_epoch_end", lambda net: net.learning_rate_.cut(0.5)))
    assert net.why_autograd_ is None
    np.testing.assert_allclose(net.history[:, "lr"], [0.01, 0.01, 0.005])


def test_an_epoch_that_diverged_cuts_the_rate(trained):
    breaks = At("on_epoch_end", lambda net: net.module_[0].weight.data.fill_(torch.nan))
    with pytest.warns(ConvergenceWarning, match="not finite after 1 epochs"):
        net = trained(breaks, BestWeights())
    np.testing.assert_allclose(net.history[:, "lr"], [0.01, 0.01, 0.001])


def test_a_rate_that_a_callback_sets_as_the_net_leaves_the_engine(trained):
    def leaves(net):
        net.optimizer_.param_groups[0]["lr"] = 0.1
        net.module_[0].requires_grad_(False)

    net = trained(At("on_epoch_begin", leaves))
    assert net.why_autograd_.startswith("the module")
    np.testing.assert_allclose(net.history[:, "lr"], [0.01, 0.1, 0.1])
