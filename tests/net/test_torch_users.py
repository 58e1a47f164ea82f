"""What people who come from PyTorch do: softmax layers, tuples, lazy layers, schedulers, odd sizes."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit
from skorch.exceptions import NotInitializedError
from skorch.helper import predefined_split
from torch import nn
from torch.optim.lr_scheduler import CyclicLR, StepLR

from sklkl import KLNet
from sklkl.callbacks import BestWeights
from sklkl.data import LazyRows, Rows
from sklkl.losses import CrossEntropy
from sklkl.optim import LEARNING_RATES


class Net(nn.Module):
    """A small network whose output may be changed."""

    def __init__(self, change=None):
        super().__init__()
        self.layer, self.change = nn.Linear(5, 3), change or nn.Identity()

    def forward(self, x):
        return self.change(self.layer(x))


# Outputs


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda logits: (logits, None), "tuple"),
        (lambda logits: logits[:, 0], r"torch.float32 of shape \(30,\)"),
        (lambda logits: logits[:, None].expand(-1, 2, -1), r"torch.float32 of shape \(30, 2, 3\)"),
        (lambda logits: logits[::2], r"torch.float32 of shape \(15, 3\)"),
        (lambda logits: logits.long(), "torch.int64 of shape"),
    ],
)
def test_what_are_no_logits_is_said(quick_net, table32, change, found):
    with pytest.raises(
        ValueError,
        match=rf"The .module. parameter of KLNet must be a network .* \(30, n_classes\). Got one that returns {found}",
    ):
        quick_net(Net, module__change=change).fit(*table32)


def test_an_error_of_the_users_own_is_raised_as_it_is(quick_net, table32):
    class Fails(CrossEntropy):
        def forward(self, log_proba, y):
            raise TypeError("my own")

    with pytest.raises(TypeError, match="my own"):
        quick_net(Net, criterion=Fails).fit(*table32)


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
def test_a_softmax_is_told_of_once_a_training(quick_net, table32, learning_rate):
    net = quick_net(Net, module__change=lambda logits: logits.softmax(-1), learning_rate=learning_rate)
    with pytest.warns(
        UserWarning, match="The 'module' parameter must be .* leave the softmax out, .* Got rows"
    ) as told:
        net.fit(*table32)
    assert len(told) == 1


def test_a_classifier_tells_of_a_softmax(quick, table):
    clf = quick(module=Net, module__change=lambda logits: logits.softmax(-1))
    with pytest.warns(UserWarning, match="leave the softmax out") as told:
        clf.fit(*table)
    assert len(told) == 1


@pytest.mark.parametrize("change", [lambda logits: logits.log_softmax(-1), lambda logits: logits.sigmoid()])
def test_other_outputs_are_not(quick_net, table32, change):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick_net(Net, module__change=change).fit(*table32)


# Steps and losses of a subclass


class SkorchStep(KLNet):
    """A step as skorch has it."""

    def train_step_single(self, batch, **fit_params):
        self._set_training(True)
        x, y = batch
        y_pred = self.infer(x, **fit_params)
        loss = self.get_loss(y_pred, y, X=x, training=True)
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}

    def validation_step(self, batch, **fit_params):
        self._set_training(False)
        with torch.no_grad():
            y_pred = self.infer(batch[0], **fit_params)
            return {"loss": self.get_loss(y_pred, batch[1]), "y_pred": y_pred}


def test_a_step_as_skorch_has_it_is_the_same_training(table32):
    common = {"max_epochs": 3, "random_state": 0, "verbose": 0, "kl_strength": 0.3, "train_split": ValidSplit(4)}
    ours, own = (kind(Net, **common).fit(*table32) for kind in (KLNet, SkorchStep))
    for name in ("train_loss", "valid_loss"):
        np.testing.assert_allclose(own.history[:, name], ours.history[:, name], rtol=1e-5)


def test_a_loss_that_would_not_be_called_is_refused(table32):
    class Own(KLNet):
        def get_loss(self, *args, **kwargs):
            return super().get_loss(*args, **kwargs) + 1

    class WithStep(Own, SkorchStep):
        pass

    with pytest.raises(TypeError, match="Own has a 'get_loss', which KLNet does not call: override 'loss_terms'"):
        Own(Net).fit(*table32)
    net = WithStep(Net, max_epochs=1, verbose=0).fit(*table32)
    assert net.history[-1, "valid_loss"] > 1


# Tensors with a history


@pytest.mark.parametrize("kind", [Rows, LazyRows])
def test_nothing_is_passed_back_to_what_made_the_rows(quick_net, table32, kind):
    X, y = table32
    teacher, x = nn.Linear(5, 3), torch.tensor(X, requires_grad=True)
    proba, params = teacher(x).softmax(-1), {"dtype": torch.float32} if kind is LazyRows else {}
    net = quick_net(Net).fit(kind(x * 1, y, teacher_proba=proba, **params), y)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert x.grad is teacher.weight.grad is None


# Devices


@pytest.mark.parametrize("kind", [Rows, LazyRows])
def test_without_a_device_everything_stays_where_it_is(quick_net, table32, kind):
    X, y = table32
    rows = kind(X, y, **({"dtype": torch.float32} if kind is LazyRows else {}))
    found, expected = (quick_net(Net, device=device).fit(rows, y) for device in (None, "cpu"))
    assert found.history[:, "train_loss"] == expected.history[:, "train_loss"]
    assert np.array_equal(pickle.loads(pickle.dumps(found)).predict_proba(X), expected.predict_proba(X))


# Lazy layers


@pytest.mark.parametrize(
    "params",
    [{}, {"callbacks": [BestWeights()]}, {"averaged_epochs": 2}],
    ids=["", "best weights", "averaged"],
)
def test_lazy_layers_train(quick_net, table32, params):
    rows = predefined_split(Rows(*table32))
    net = quick_net(lambda: nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3)), train_split=rows, **params)
    history = net.fit(*table32).history
    assert history[-1, "valid_loss"] < history[0, "valid_loss"]


# Schedulers


@pytest.mark.parametrize("learning_rate", ["onecycle", "kl_adaptive"])
@pytest.mark.parametrize(
    "scheduler",
    [LRScheduler(StepLR, step_size=1), LRScheduler(CyclicLR, base_lr=0.1, max_lr=1.0, step_every="batch")],
    ids=["epoch", "batch"],
)
def test_a_scheduler_of_a_rate_that_is_set_anyway_is_told_of(quick_net, table32, learning_rate, scheduler):
    params = {"learning_rate": learning_rate, "optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
    net = quick_net(Net, callbacks=[("mine", scheduler)], **params)
    told = rf"The callback 'mine' has no effect on the rate, as learning_rate='{learning_rate}' sets it"
    with pytest.warns(UserWarning, match=told) as warned:
        net.fit(*table32)
    assert len(warned) == 1


# Parameters that are set between trainings


@pytest.mark.parametrize("params", [{}, {"optimizer__momentum": 0.9}])
def test_another_optimiser_may_be_set(quick_net, table32, params):
    net = quick_net(Net).fit(*table32)
    net.set_params(optimizer=torch.optim.SGD, **params)
    assert type(net.optimizer_) is torch.optim.SGD
    before = net.module_.layer.weight.detach().clone()
    net.partial_fit(*table32)
    assert not torch.equal(before, net.module_.layer.weight)
    assert len(net.history) == 6


def test_a_callback_may_be_dropped(quick_net, table32):
    net = quick_net(Net, callbacks=[("best", BestWeights())]).fit(*table32)
    net.set_params(callbacks__best=None).partial_fit(*table32)
    assert "best" not in dict(net.callbacks_)
    assert len(net.history) == 6


# Sizes


@pytest.mark.parametrize("batch_size", [0, -2, 2.5, None, "8"])
def test_a_batch_size_that_is_none_is_refused_before_training(quick_net, table32, batch_size):
    net = quick_net(Net, batch_size=batch_size)
    with pytest.raises(ValueError, match="The 'batch_size' parameter of Batches must be an integer >= 1. Got"):
        net.fit(*table32)
    assert not len(net.history)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "predict_proba", "forward"])
def test_no_rows_are_refused(quick_net, table32, method):
    X, y = table32
    net = quick_net(Net, classes=[0, 1, 2]).fit(X, y)
    with pytest.raises(ValueError, match="The 'X' parameter of KLNet must be one row or more. Got no rows instead"):
        getattr(net, method)(Rows(X[:0], y[:0]))


def test_a_net_that_is_not_made_yet_says_so(table32):
    with pytest.raises(NotInitializedError):
        KLNet(Net).predict(table32[0])


def test_one_row_trains(quick_net, table32):
    X, y = table32
    net = quick_net(Net).fit(X[:1], y[:1])
    assert np.isfinite(net.history[:, "train_loss"]).all()
