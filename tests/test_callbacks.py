"""Which weights training keeps, when it stops, what it shows."""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from sklkl.callbacks import BestWeights, Progress, StopTraining
from sklkl.modules import MLP


class Poison(Callback):
    """Make a weight NaN or infinite at the end of the epochs given, counted from 1."""

    def __init__(self, *epochs, value=np.nan):
        self.epochs = epochs
        self.value = value

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) in self.epochs:
            next(net.module_.parameters()).data.view(-1)[0] = self.value


class Snapshots(Callback):
    """Keep the weights after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.weights_ = []

    def on_epoch_end(self, net, **kwargs):
        self.weights_.append(copy.deepcopy(net.module_.state_dict()))


class Losses(Callback):
    """Pretend that the validation losses were these."""

    def __init__(self, *losses):
        self.losses = losses

    def on_epoch_end(self, net, **kwargs):
        net.history.record("valid_loss", self.losses[len(net.history) - 1])


def same_weights(module, weights):
    return all(torch.equal(values, weights[name]) for name, values in module.state_dict().items())


@pytest.fixture
def train(quick_net, table32):
    """Return ``train(*callbacks, **params) -> net`` trained on the table."""

    def make(*callbacks, **params):
        return quick_net(callbacks=list(callbacks), **params).fit(*table32)

    return make


# The best epoch


@pytest.mark.parametrize("losses", [(3, 2, 1), (1, 2, 3), (2, 1, 3), (2, 1, 1)])
def test_the_first_lowest_of_any_losses_is_kept(train, losses):
    snapshots = Snapshots()
    net = train(snapshots, Losses(*map(float, losses)), BestWeights())
    assert same_weights(net.module_, snapshots.weights_[losses.index(1)])


def test_without_validation_the_last_epoch_is_kept(train):
    snapshots = Snapshots()
    net = train(snapshots, BestWeights())
    assert same_weights(net.module_, snapshots.weights_[-1])


def test_keeping_weights_changes_nothing_in_training(train):
    plain, kept = train(), train(BestWeights())
    assert same_weights(plain.module_, kept.module_.state_dict())


def test_every_training_starts_anew(train, table32):
    net = train(Losses(1.0, 2.0, 3.0, 9.0, 7.0, 8.0), BestWeights())
    snapshots = Snapshots()
    net.callbacks_.insert(0, ("snapshots", snapshots))
    net.partial_fit(*table32)
    assert same_weights(net.module_, snapshots.weights_[1])


# Patience


def test_training_stops_when_nothing_improves(train):
    losses = (5.0, 4.0, 4.5, 4.1, 3.0, 3.1, 3.2, 3.0, 1.0, 1.0)
    assert len(train(Losses(*losses), BestWeights(patience=3), max_epochs=10).history) == 8


def test_without_patience_training_goes_on(train):
    assert len(train(Losses(*range(10)), BestWeights(), max_epochs=10).history) == 10


def test_patience_means_nothing_without_validation(train):
    assert len(train(BestWeights(patience=1), max_epochs=5).history) == 5


# Epochs that blow up


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_epoch_that_blows_up_is_undone_with_a_warning(train, value):
    snapshots = Snapshots()
    with pytest.warns(ConvergenceWarning, match="not finite after 1 epochs"):
        net = train(snapshots, Poison(3, value=value), BestWeights())
    assert same_weights(net.module_, snapshots.weights_[1])
    assert [bool(row.get("event_not_finite")) for row in net.history] == [False, False, True]


def test_training_goes_on_after_an_epoch_that_blew_up(train):
    with pytest.warns(ConvergenceWarning):
        net = train(Poison(2), BestWeights(), max_epochs=6)
    assert len(net.history) == 6
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_the_rate_is_cut_after_an_epoch_that_blew_up(train, optimizer):
    with pytest.warns(ConvergenceWarning):
        net = train(Poison(2), BestWeights(cut=0.1), max_epochs=4, optimizer=optimizer)
    np.testing.assert_allclose(net.history[:, "lr"], [0.01, 0.01, 0.001, 0.001])


def test_the_optimizer_starts_with_fresh_moments(train):
    steps = []

    class Watch(Callback):
        def on_epoch_begin(self, net, **kwargs):
            steps.append([float(state["step"]) for state in net.optimizer_.state.values()])

    with pytest.warns(ConvergenceWarning):
        train(Watch(), Poison(2), BestWeights())
    assert steps[1]
    assert steps[2] == []


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_an_epoch_of_no_finite_validation_loss_is_undone(train, loss):
    snapshots = Snapshots()
    with pytest.warns(ConvergenceWarning):
        net = train(snapshots, Losses(1.0, loss, 2.0), BestWeights())
    assert same_weights(net.module_, snapshots.weights_[0])


def test_the_number_of_restarts_is_bounded(train):
    with pytest.warns(ConvergenceWarning, match="after 3 epochs"):
        net = train(Poison(*range(2, 30)), BestWeights(max_restarts=2), max_epochs=30)
    assert len(net.history) == 1 + 3


def test_training_without_one_finite_epoch_is_an_error(quick_net, table32):
    net = quick_net(callbacks=[Poison(*range(1, 30)), BestWeights(max_restarts=2)], max_epochs=30)
    with pytest.raises(ValueError, match="not finite in 3 epochs out of 3"):
        net.fit(*table32)
    assert all(torch.isfinite(p).all() for p in net.module_.parameters())


class NoGradient(nn.Linear):
    """A network whose gradient is NaN in every batch, or in those after the first ones."""

    def __init__(self, n_features, n_classes, finite=0):
        super().__init__(n_features, n_classes)
        self.finite = finite

    def forward(self, x):
        logits = super().forward(x)
        if logits.requires_grad:
            self.finite -= 1
            factor = 1.0 if self.finite >= 0 else torch.nan
            logits.register_hook(lambda gradient: gradient * factor)
        return logits


class NoPrediction(nn.Linear):
    """A network that returns NaN in evaluation mode."""

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)

    def forward(self, x):
        return super().forward(x) * (1 if self.training else torch.nan)


each_rate = pytest.mark.parametrize("learning_rate", ["kl_adaptive", "onecycle", "constant"])


@each_rate
@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("network", [NoGradient, NoPrediction])
def test_a_network_that_cannot_learn_or_predict_is_an_error(quick, table, learning_rate, early_stopping, network):
    clf = quick(module=network, max_epochs=8, early_stopping=early_stopping, learning_rate=learning_rate)
    with pytest.raises(ValueError, match="Training failed: .* not finite"):
        clf.fit(*table)
    assert not hasattr(clf, "net_")


def test_a_step_that_was_taken_is_learned_from(quick, table):
    clf = quick(module=NoGradient, module__finite=1).fit(*table)
    assert clf.history_[:, "rejected_steps"] == [0, 1, 1]


@pytest.mark.parametrize("lr", [1e3, 1e5])
@pytest.mark.parametrize("learning_rate", ["constant", "onecycle"])
def test_a_training_that_diverges_is_told(quick, table, lr, learning_rate):
    clf = quick(learning_rate=learning_rate, lr=lr, optimizer="sgd", max_epochs=4, batch_size=30, optimizer__momentum=0)
    clf.set_params(optimizer__nesterov=False, weight_decay=0.0, dropout=0.0, scale_inputs=False)
    with pytest.warns(ConvergenceWarning, match="not converged|not finite"):
        clf.fit(*table)


def test_a_large_loss_of_large_inputs_that_falls_is_no_divergence(quick, table):
    X, y = table
    quick(dtype="float64").fit(X * 1e8, y)  # warnings are errors here


def test_weights_of_an_epoch_that_was_interrupted_at_its_end_are_kept(quick_net, table32):
    """The callback sees an epoch at the end of training that an interruption has kept from it."""
    keep, snapshots = BestWeights(), Snapshots()
    net = quick_net(callbacks=[snapshots, keep]).initialize()
    copied, keep.on_epoch_end = keep.on_epoch_end, lambda net, **kwargs: None
    net.notify("on_train_begin", X=None, y=None)
    net.fit_loop(*table32)
    keep.on_epoch_end = copied
    keep.on_train_end(net)
    assert same_weights(net.module_, snapshots.weights_[-1])
    assert keep.weights_ is None


# Stopping and showing


def test_stop_training_ends_training_without_an_error(train):
    class StopAt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise StopTraining

    assert len(train(StopAt(), max_epochs=9).history) == 2


def test_progress_closes_its_bar_when_training_stops_early(train, capsys):
    net = train(Progress(), Losses(1.0, 2.0, 3.0), BestWeights(patience=1))
    assert not hasattr(dict(net.callbacks_)["Progress"], "bar_")
    assert "2/3" in capsys.readouterr().err


# What is passed by mistake


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("patience", value) for value in (0, -1, 1.5, "a")),
        *(("max_restarts", value) for value in (-1, None)),
        *(("cut", value) for value in (0, 1.0, 2, math.nan, "a")),
    ],
)
def test_bad_parameters_are_refused_before_training(quick_net, table32, name, value):
    net = quick_net(callbacks=[BestWeights(**{name: value})])
    with pytest.raises(ValueError, match=f"The '{name}' parameter of BestWeights must be .* Got"):
        net.fit(*table32)
    assert not len(net.history)


def test_another_net_is_refused_before_training(table32):
    net = NeuralNetClassifier(MLP, module__n_features=5, module__n_classes=3, callbacks=[BestWeights()], verbose=0)
    with pytest.raises(TypeError, match="BestWeights is a callback of KLNet. Got NeuralNetClassifier instead"):
        net.fit(*table32)
    assert not len(net.history)
