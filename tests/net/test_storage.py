"""Copies and pickles: of networks of any kind, without a device, and no larger than need be."""

import copy
import io
import pickle
import threading

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import cloudpickle_wrapper as cloudpickle
from sklearn.exceptions import InconsistentVersionWarning
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.nn.utils import parametrizations

from sklkl.net import _loop, _skorch
from sklkl.net._storage import copied, parts_in


def local(n_features, n_classes):
    class Local(nn.Linear):
        pass

    return Local(n_features, n_classes)


def with_lambda(n_features, n_classes):
    network = local(n_features, n_classes)
    network.scale = lambda x: 2 * x
    network.register_forward_hook(lambda module, args, output: module.scale(output))
    return network


def weight_normed(n_features, n_classes):
    return parametrizations.weight_norm(nn.Linear(n_features, n_classes))


def spectral_normed(n_features, n_classes):
    hidden = parametrizations.spectral_norm(nn.Linear(n_features, 8))
    return nn.Sequential(hidden, nn.ReLU(), parametrizations.orthogonal(nn.Linear(8, n_classes)))


def remembers(n_features, n_classes):
    """Make a network that keeps the result of a computation, as the older weight_norm does."""
    network = local(n_features, n_classes)
    network.register_forward_hook(lambda module, args, output: setattr(module, "last", output))
    return network


def recurrent(n_features, n_classes):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.GRU(1, 4, batch_first=True), nn.Linear(4, n_classes)
            self.tied = self.out.weight

        def forward(self, x):
            return self.out(self.cell(x[..., None])[0][:, -1])

    return Recurrent()


NETWORKS = [local, with_lambda, weight_normed, spectral_normed, remembers, recurrent]
each_network = pytest.mark.parametrize("network", NETWORKS)


@each_network
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda x: cloudpickle.loads(cloudpickle.dumps(x))], ids=["copy", "cloudpickle"]
)
def test_a_copy_predicts_and_learns_the_same(stream, table, network, duplicate):
    X, y = table
    clf = stream(module=network).partial_fit(X, y, classes=[0, 1, 2])
    twin = duplicate(clf)
    np.testing.assert_allclose(twin.predict_proba(X), clf.predict_proba(X), rtol=1e-5)
    further = clf.partial_fit(X, y).predict_proba(X)
    np.testing.assert_allclose(twin.partial_fit(X, y).predict_proba(X), further, rtol=1e-5)


@each_network
def test_any_network_can_be_trained_further(quick, table, network):
    clf = quick(module=network, warm_start=True).fit(*table).fit(*table)
    assert clf.n_iter_ == 6


def test_a_parametrised_layer_is_one_again(quick, table):
    clf = quick(module=weight_normed).fit(*table)
    module = cloudpickle.loads(cloudpickle.dumps(clf)).module_
    assert nn.utils.parametrize.is_parametrized(module, "weight")
    assert type(clf.module_) is not nn.Linear
    nn.utils.parametrize.remove_parametrizations(module, "weight")
    torch.testing.assert_close(module.weight, clf.module_.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.int8, torch.bool])
def test_tensors_of_any_type_are_stored(quick, table, dtype):
    clf = quick(module=local).fit(*table)
    clf.module_.register_buffer("extra", torch.tensor([[1, 0], [1, 1]], dtype=dtype))
    clf.module_.register_buffer("empty", torch.zeros(0, 3, dtype=dtype).mT)
    loaded = cloudpickle.loads(cloudpickle.dumps(clf)).module_
    for name in ("extra", "empty"):
        assert torch.equal(getattr(loaded, name), getattr(clf.module_, name))
        assert getattr(loaded, name).dtype is dtype


def test_tied_weights_stay_tied(quick, table):
    loaded = cloudpickle.loads(cloudpickle.dumps(quick(module=recurrent).fit(*table)))
    assert loaded.module_.tied is loaded.module_.out.weight
    held = {id(p) for group in loaded.net_.optimizer_.param_groups for p in group["params"]}
    assert held == {id(p) for p in loaded.module_.parameters()}


# Devices


def cloud_dump(model, file):
    file.write(cloudpickle.dumps(model))


class Keeps(Callback):
    """A callback that holds tensors and a generator."""

    def on_train_begin(self, net, **kwargs):
        self.held_ = {"weights": [next(net.module_.parameters()).detach().clone()], "generator": torch.Generator()}


@pytest.mark.parametrize(
    ("store", "stream", "kl_penalty"),
    [
        ("pickle", False, "prior"),
        ("joblib", False, "confidence"),
        ("joblib", True, "prior"),
        ("cloudpickle", True, "prior"),
    ],
)
def test_what_was_trained_on_a_gpu_loads_without_one(quick, table, monkeypatch, kl_penalty, stream, store):
    """Storages get the tag that those of a GPU have."""
    X, y = table
    clf = quick(
        kl_penalty=kl_penalty,
        kl_strength=0.1,
        dropout=0.2,
        callbacks=[Keeps()],
        **({"max_epochs": 100} if stream else {}),
    )
    clf = clf.partial_fit(X, y, classes=[0, 1, 2]) if stream else clf.fit(X, y)
    dump = {"pickle": pickle.dump, "joblib": joblib.dump, "cloudpickle": cloud_dump}[store]
    file = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
        patch.setattr(clf.net_, "device", "cuda")
        dump(clf, file)
    file.seek(0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    loaded = joblib.load(file) if store == "joblib" else pickle.load(file)
    assert loaded.net_.device == "cpu"
    assert np.array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert np.isfinite(loaded.partial_fit(X, y).predict_proba(X)).all()


def test_the_weights_of_a_recurrent_layer_are_one_piece_of_memory_again(quick, table, monkeypatch):
    clf, flattened = quick(module=recurrent).fit(*table), []
    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", lambda layer: flattened.append(layer))  # which is for a GPU
    loaded = cloudpickle.loads(cloudpickle.dumps(clf))
    assert flattened == [loaded.module_.cell]


# What is stored


def test_nothing_that_only_training_needed_is_stored(quick, table):
    X, y = table
    stop = EarlyStopping("train_loss", load_best=True, patience=10**6, sink=print)
    clf = quick(hidden_layer_sizes=(100,), callbacks=[stop], early_stopping=True).fit(X, y)
    weights, scales = (
        sum(p.numel() * p.element_size() for p in parts) for parts in (clf.module_.parameters(), clf.module_.buffers())
    )
    assert len(pickle.dumps(clf)) < 3 * weights + scales + 16_000  # weights and the moments of Adam
    kept = [part for part in parts_in(clf) if isinstance(part, torch.Tensor)]
    assert not any(part.ndim and len(part) in (len(X), 102) for part in kept)


def test_a_stream_does_not_grow(stream, table, monkeypatch):
    monkeypatch.setattr(_loop, "N_EPOCHS_OF_STREAM", 10)
    X, y = table[0][:10], table[1][:10]
    clf, sizes = stream().partial_fit(X, y, classes=[0, 1, 2]), []
    for n_parts in (14, 15):
        for _ in range(n_parts):
            clf.partial_fit(X, y)
        sizes.append(len(pickle.dumps(clf)))
    assert clf.n_iter_ == 30
    assert [record["epoch"] for record in clf.history_ if "epoch" in record] == list(range(21, 31))
    assert sizes[1] < sizes[0] + 15 * 6  # five bytes count an epoch


def test_the_best_loss_is_known_from_epoch_to_epoch(quick_net, table32):
    history = quick_net(max_epochs=20, lr=0.3).fit(*table32).history
    losses = history[:, "train_loss"]
    assert history[:, "train_loss_best"] == [loss < min(losses[:i], default=np.inf) for i, loss in enumerate(losses)]


@pytest.mark.parametrize("name", ["sklkl", "skorch", "torch"])
def test_another_version_is_told(quick, table, monkeypatch, name):
    clf = quick().fit(*table)
    then = _skorch.versions()
    with monkeypatch.context() as patch:
        patch.setattr(_skorch, "versions", lambda: {**then, name: "0.0.1"})
        text = pickle.dumps(clf)
    with pytest.warns(InconsistentVersionWarning, match=rf"KLNet \({name}\) from version 0.0.1"):
        pickle.loads(text)
    pickle.loads(pickle.dumps(clf))  # without a warning


def test_a_copy_of_a_result_of_a_computation_is_its_value():
    x = torch.ones(2, requires_grad=True)
    result = copied({"value": 2 * x, "leaf": x}, {})
    assert result["value"].tolist() == [2.0, 2.0]
    assert result["leaf"].requires_grad
    assert result["leaf"] is not x


# What callbacks hold


def test_a_callback_fills_the_users_list(quick, table):
    losses = []

    class Log(Callback):
        def __init__(self, out):
            self.out = out

        def on_epoch_end(self, net, **kwargs):
            self.out.append(net.history[-1, "train_loss"])

    clf = quick(callbacks=[("log", Log(losses))]).fit(*table)
    assert losses == clf.history_[:, "train_loss"]


def test_a_callback_that_holds_a_lock_or_a_file_trains(quick, table, tmp_path):
    class Live(Callback):
        def __init__(self):
            self.lock = threading.Lock()
            self.file = open(tmp_path / "log", "w")  # noqa: SIM115
            self.n_epochs = 0

        def __getstate__(self):
            return {"n_epochs": self.n_epochs}  # what can be pickled

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs += 1
            with self.lock:
                self.file.write("epoch ")

    live = Live()
    clf = quick(callbacks=[live], warm_start=True).fit(*table).fit(*table)
    live.file.close()
    assert (tmp_path / "log").read_text() == "epoch " * 6
    assert live.n_epochs == 0  # the user's own is not changed
    assert dict(clf.net_.callbacks_)["Live"].n_epochs == 3


def test_a_callback_may_prune_a_trial(quick, table):
    class Pruned(Exception):
        pass

    class Trial:
        values = []

        def report(self, value, step):
            self.values.append(value)

    class Prune(Callback):
        def __init__(self, trial):
            self.trial = trial

        def on_epoch_end(self, net, **kwargs):
            self.trial.report(net.history[-1, "train_loss"], len(net.history))
            if len(self.trial.values) == 2:
                raise Pruned

    with pytest.raises(Pruned):
        quick(callbacks=[Prune(trial := Trial())]).fit(*table)
    assert len(trial.values) == 2
