"""Weights that are averaged over epochs."""

import copy
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklkl import KLClassifier, KLNet
from sklkl.callbacks import BestWeights, StopTraining
from sklkl.data import Rows, TrainingSet
from sklkl.modules import MLP
from sklkl.net import train_together
from sklkl.net._weight_average import WeightAverage

N_EPOCHS = 6


class Watch(Callback):
    """The weights at the beginning and the end of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.begun_, self.seen_ = [], []

    def on_epoch_begin(self, net, **kwargs):
        self.begun_.append(weights(net.module_))

    def on_epoch_end(self, net, **kwargs):
        self.seen_.append(weights(net.module_))


class Change(Watch):
    """Sets the last bias to 0 at the end of the third epoch."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net)
        if len(self.seen_) == 3:
            with torch.no_grad():
                net.module_.linears()[-1].bias.zero_()


class Replace(Callback):
    """Puts another network in place at the beginning of the third epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            net.module_ = MLP(n_features=3, n_classes=2, hidden_layer_sizes=(4, 4)).double()
            net.optimizer_ = torch.optim.AdamW(net.module_.parameters(), fused=True)


class Copy(Callback):
    """Copies the net at the end of the third epoch."""

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            self.weights_ = weights(net.module_)
            self.copies_ = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]


class End(Callback):
    """Ends training within the fourth epoch."""

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 4:
            raise StopTraining


def weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()]).clone()


@pytest.fixture
def data():
    torch.manual_seed(0)
    X = torch.randn(200, 3, dtype=torch.float64)
    y = (X[:, 0] + 0.5 * torch.randn(200) > 0).long()
    return TrainingSet(Rows(X[:150], y[:150]), Rows(X[150:], y[150:]))


def new_net(callbacks=(), **params):
    shape = {"n_features": 3, "n_classes": 2, "hidden_layer_sizes": (6,), "dtype": torch.float64}
    module = {f"module__{name}": value for name, value in shape.items() if name != "dtype"}
    adamw = {"optimizer": torch.optim.AdamW, "optimizer__fused": True, "lr": 0.02, "max_epochs": N_EPOCHS}
    params = {**module, **adamw, "random_state": 0, "verbose": 0, "train_split": None, "batch_size": 32, **params}
    net = KLNet(MLP, classes=[0, 1], callbacks=list(callbacks), **params).initialize()
    net.module_.double()
    return net.initialize_optimizer() or net


def trained(data, *callbacks, **params):
    return new_net([("watch", Watch()), *callbacks], **params).partial_fit(data)


def seen(net):
    return torch.stack(dict(net.callbacks_)["watch"].seen_)


def means(raw, n_epochs):
    """Return the exponential means of weights of shape (n_epochs, n_weights)."""
    age = torch.arange(len(raw))[:, None] - torch.arange(len(raw))
    share = torch.where(age >= 0, (1 - 1 / n_epochs) ** age.double(), 0)
    return share / share.sum(1, keepdim=True) @ raw


@pytest.mark.parametrize("params", [{}, {"optimizer": torch.optim.SGD}], ids=["engine", "autograd"])
def test_between_epochs_there_is_the_mean_and_training_is_as_without(data, params):
    params = params and {**params, "optimizer__fused": False}
    plain, averaged = trained(data, **params), trained(data, **params, averaged_epochs=4)
    assert (plain.why_autograd_ is None) == (not params)
    assert averaged.history[:, "train_loss"] == pytest.approx(plain.history[:, "train_loss"], rel=1e-12)
    assert torch.allclose(seen(averaged), means(seen(plain), 4), rtol=1e-10, atol=1e-12)


def test_the_mean_is_what_is_validated(data):
    net = trained(data, averaged_epochs=4)
    X, y = data.valid.X, data.valid.y
    losses = []
    for values in seen(net):
        torch.nn.utils.vector_to_parameters(values, net.module_.parameters())
        with torch.no_grad():
            losses.append(torch.nn.functional.cross_entropy(net.module_(X), y).item())
    assert net.history[:, "valid_loss"] == pytest.approx(losses, rel=1e-9)


def test_the_best_mean_is_kept(data):
    net = trained(data, ("best", BestWeights()), averaged_epochs=4)
    best = int(np.argmin(net.history[:, "valid_loss"]))
    assert torch.equal(weights(net.module_), seen(net)[best])


def test_a_stack_has_the_means_of_each(data):
    settings = [{"lr": 0.02, "averaged_epochs": 4}, {"lr": 0.01, "averaged_epochs": 4}, {"lr": 0.02}]
    alone = [new_net(**params).partial_fit(data) for params in settings]
    together = [new_net(**params) for params in settings]
    assert train_together(together, [data] * 3) == [None] * 3
    for one, other in zip(alone, together, strict=True):
        assert other.history[:, "valid_loss"] == pytest.approx(one.history[:, "valid_loss"], rel=1e-9)
        assert torch.allclose(weights(other.module_), weights(one.module_), rtol=1e-9, atol=1e-12)


def test_without_a_validation_part_there_is_none(data):
    alone = TrainingSet(data.train)
    assert torch.equal(seen(trained(alone, averaged_epochs=4)), seen(trained(alone)))


def test_what_a_callback_changes_is_trained_further(data):
    net = trained(data, ("change", Change()), averaged_epochs=4)
    begun = dict(net.callbacks_)["watch"].begun_
    changed = seen(net)[2].clone()
    changed[-2:] = 0
    assert torch.equal(begun[3], changed)
    # the mean is begun anew, with the fourth epoch alone
    assert torch.equal(begun[4], seen(net)[3])
    assert not torch.equal(begun[5], seen(net)[4])


def test_an_end_within_an_epoch_leaves_the_best_mean(data):
    net = trained(data, ("end", End()), ("best", BestWeights()), averaged_epochs=4)
    best = int(np.argmin(net.history[:, "valid_loss"]))
    assert len(net.history) == 3
    assert torch.equal(weights(net.module_), seen(net)[best])


def test_another_network_has_a_mean_of_its_own(data):
    net = new_net([Replace()], averaged_epochs=4).partial_fit(data)
    assert len(net.history) == N_EPOCHS
    assert len(net.module_.linears()) == 3


def test_whole_numbers_have_no_mean():
    module, average = torch.nn.Linear(2, 2), WeightAverage(3)
    module.codes = torch.nn.Parameter(torch.arange(3), requires_grad=False)
    for _ in range(2):
        average.take_out(module)
        average.put_in(module)
    assert module.codes.tolist() == [0, 1, 2]


def test_a_copy_goes_on_from_the_mean_as_after_a_training(data):
    source = trained(data, ("copy", Copy()), averaged_epochs=4)
    callback = dict(source.callbacks_)["copy"]
    for net in callback.copies_:
        assert torch.equal(weights(net.module_), callback.weights_)
        resumed = new_net().resume(net)
        one, other = (each.partial_fit(TrainingSet(data.train)) for each in (net, resumed))
        assert torch.equal(weights(one.module_), weights(other.module_))


@pytest.mark.parametrize("value", [0, 1.5, "auto", None])
def test_errors(value):
    with pytest.raises(ValueError, match="The 'averaged_epochs' parameter of KLNet must be an integer >= 1"):
        new_net(averaged_epochs=value)


@pytest.mark.parametrize(
    ("params", "expected"),
    [({}, 20), ({"max_epochs": 12}, 2), ({"max_epochs": 3}, 1), ({"averaged_epochs": 7}, 7), ({"module": MLP}, 1)],
    ids=str,
)
def test_auto_is_a_fifth_of_the_epochs_of_the_built_in_network(params, expected, table):
    params = {"max_epochs": 100, "n_iter_no_change": 1, "early_stopping": True, **params}
    layers = {} if "module" in params else {"hidden_layer_sizes": (4,)}
    clf = KLClassifier(**layers, **params, random_state=0).fit(*table)
    assert clf.net_.averaged_epochs == expected
