"""Starting from the weights of an older network, layer-wise rates, frozen layers, and learning without forgetting."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Freezer
from torch import nn

from sklkl.modules import MLP

STILL = {
    "learning_rate": "constant",
    "lr": 1e-300,
    "weight_decay": 0.0,
    "early_stopping": False,
}  # what is trained stays where it starts


def weights(clf):
    return [layer.weight.detach().clone() for layer in clf.module_ if isinstance(layer, nn.Linear)]


@pytest.fixture
def old(quick, table):
    return quick(hidden_layer_sizes=(8, 6), max_epochs=4).fit(*table)


@pytest.fixture
def start(quick):
    """Return ``start(old, **params)``: a classifier that begins at the weights of ``old`` and does not move."""
    return lambda old, **params: quick(**{"hidden_layer_sizes": (8, 6), **STILL, "init_from": old, **params})


# Weights


def test_the_same_network_is_taken_over_whole(start, old, table):
    X, y = table
    before = weights(old)
    new = start(FrozenEstimator(old)).fit(X, y)
    np.testing.assert_allclose(new.predict_proba(X), old.predict_proba(X), rtol=1e-6)
    start(FrozenEstimator(old), lr=0.1).fit(X, y)
    assert all(torch.equal(a, b) for a, b in zip(weights(old), before, strict=True))  # a copy is trained


def test_training_goes_on_from_there(start, old, quick, table):
    X, y = table
    params = {"lr": 0.002, "max_epochs": 1}
    fresh = quick(hidden_layer_sizes=(8, 6), **params).fit(X, y)
    assert start(FrozenEstimator(old), **params).fit(X, y).history_[0]["train_loss"] < fresh.history_[0]["train_loss"]


def test_a_network_is_taken_over_whole(start, table):
    X, y = table
    module = MLP(5, 3, (8, 6))
    new = start(module).fit(X, y)
    expected = module(torch.tensor(X).float()).softmax(-1).detach()
    np.testing.assert_allclose(new.predict_proba(X), expected, rtol=1e-4)


def test_output_rows_are_aligned_by_label(quick, start, make_table):
    X, y = make_table(200, n_classes=4)
    letters = np.array(list("adcb"))[y]
    known = np.isin(letters, ["a", "c", "d"])
    old = quick(hidden_layer_sizes=(8, 6), max_epochs=10).fit(X[known], letters[known])  # a c d
    new = start(FrozenEstimator(old)).fit(X, letters)  # a b c d
    for was, now in zip(weights(old)[:2], weights(new)[:2], strict=True):
        torch.testing.assert_close(was, now)
    torch.testing.assert_close(weights(new)[2][[0, 2, 3]], weights(old)[2])
    assert not torch.isclose(weights(new)[2][1], weights(old)[2]).all(1).any()
    proba = new.predict_proba(X)[:, [0, 2, 3]]
    np.testing.assert_allclose(proba / proba.sum(1, keepdims=True), old.predict_proba(X), rtol=1e-4)


def test_fewer_and_other_classes(quick, start, make_table):
    X, y = make_table(200, n_classes=4)
    old = quick(hidden_layer_sizes=(8, 6)).fit(X, y)
    new = start(FrozenEstimator(old)).fit(X[y > 1], y[y > 1] * 3 - 4)  # 2 and 5: the first is known
    torch.testing.assert_close(weights(new)[2][0], weights(old)[2][2])
    assert not torch.isclose(weights(new)[2][1], weights(old)[2]).all(1).any()


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_does_not_shift_the_layers(start, quick, table, dropout):
    X, y = table
    old = quick(hidden_layer_sizes=(8, 6), dropout=0.5 - dropout).fit(X, y)
    new = start(FrozenEstimator(old), dropout=dropout).fit(X, y)
    np.testing.assert_allclose(new.predict_proba(X), old.predict_proba(X), rtol=1e-5)


def test_layers_of_another_shape_start_afresh(start, old, table):
    X, y = table
    new = start(FrozenEstimator(old), hidden_layer_sizes=(8, 7)).fit(X, y)
    torch.testing.assert_close(weights(new)[0], weights(old)[0])
    assert weights(new)[1].shape == (7, 8)


def test_other_columns(start, old, table):
    X, y = table
    new = start(FrozenEstimator(old)).fit(X[:, :4], y)  # the first layer is another
    torch.testing.assert_close(weights(new)[1], weights(old)[1])


def test_another_floating_type(start, old, table):
    new = start(FrozenEstimator(old), dtype="float64").fit(*table)
    assert weights(new)[0].dtype == torch.float64
    torch.testing.assert_close(weights(new)[0].float(), weights(old)[0])


def test_buffers_come_along(quick, table):
    def module():
        return nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3))

    X, y = table
    old = quick(module=module, max_epochs=5, early_stopping=False).fit(10 + X, y)
    new = quick(module=module, init_from=FrozenEstimator(old), max_epochs=1, **STILL)
    new.fit(10 + X, y)
    assert (new.module_[0].running_mean > 3).all()  # 1 if it had begun at 0


def test_a_compiled_network(start, old, table, monkeypatch):
    class Compiled(nn.Module):
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

        def forward(self, x):
            return self._orig_mod(x)

    monkeypatch.setattr(
        torch, "compile", lambda module, **kwargs: Compiled(module) if isinstance(module, MLP) else module
    )
    new = start(FrozenEstimator(old), compile=True).fit(*table)
    np.testing.assert_allclose(new.predict_proba(table[0]), old.predict_proba(table[0]), rtol=1e-4)
    again = start(FrozenEstimator(new)).fit(*table)
    np.testing.assert_allclose(again.predict_proba(table[0]), old.predict_proba(table[0]), rtol=1e-4)


def test_in_cross_validation(start, old, table):
    assert cross_val_score(start(FrozenEstimator(old)), *table, cv=3).mean() == pytest.approx(
        old.score(*table), abs=1e-12
    )


# Errors


def refused(clf, table, match, error=ValueError):
    before = dict(vars(clf))
    with pytest.raises(error, match=match):
        clf.fit(*table)
    assert vars(clf) == before


@pytest.mark.parametrize("freeze", [False, True])
def test_an_unfitted_classifier_is_refused(quick, start, table, freeze):
    unfitted = FrozenEstimator(quick()) if freeze else quick()
    refused(start(unfitted), table, "'init_from' parameter is not fitted; put a fitted", NotFittedError)


@pytest.mark.parametrize(
    "wrong", [FrozenEstimator(LogisticRegression()), LogisticRegression(), lambda: None], ids=lambda w: type(w).__name__
)
def test_what_has_no_network_is_refused(start, table, wrong):
    refused(start(wrong), table, "'init_from' parameter must be a FrozenEstimator around a fitted KLClassifier, or a")


def test_several_networks_are_refused_and_one_of_them_is_taken(start, quick, table):
    old = quick(n_members=2).fit(*table)
    with pytest.raises(ValueError, match=r"must be one network, such as one of its 2 'module_.members'"):
        start(FrozenEstimator(old)).fit(*table)
    start(old.module_.members[0]).fit(*table)


def test_nothing_in_common_is_refused(start, quick, table):
    X, y = table
    other = quick(hidden_layer_sizes=(3,)).fit(X[:, :2], y)
    refused(start(FrozenEstimator(other)), table, "must be a network that has a layer of the same name and shape")
    refused(start(nn.Linear(5, 3)), table, "must be a network that has a layer of the same name and shape")


# Layer-wise rates, frozen layers


@pytest.mark.parametrize(
    ("optimizer", "learning_rate"), [("adam", "onecycle"), ("sgd", "constant"), (torch.optim.Adam, "constant")], ids=str
)
def test_a_layer_of_rate_zero_stays_as_it_is(start, old, table, optimizer, learning_rate):
    groups = [("0.*", {"lr": 0.0}), ("*.bias", {"weight_decay": 0.0})]
    clf = start(
        FrozenEstimator(old), optimizer=optimizer, learning_rate=learning_rate, lr=0.02, optimizer__param_groups=groups
    )
    new = weights(clf.fit(*table))
    assert torch.equal(new[0], weights(old)[0])
    assert not torch.equal(new[1], weights(old)[1])
    assert len(clf.net_.optimizer_.param_groups) == 3


def test_layers_have_rates_of_their_own_over_the_cycle(quick, table):
    groups = [("0.*", {"lr": 0.001})]
    clf = quick(lr=0.1, learning_rate="onecycle", optimizer__param_groups=groups).fit(*table)
    assert [group["lr"] for group in clf.net_.optimizer_.param_groups] == [0.001, 0.1]


def test_a_frozen_layer_stays_as_it_is(start, old, table):
    clf = start(FrozenEstimator(old), lr=0.02, callbacks=[Freezer("0.*")], weight_decay="auto").fit(*table)
    assert torch.equal(weights(clf)[0], weights(old)[0])
    assert not torch.equal(weights(clf)[1], weights(old)[1])


# Forgetting


def test_the_old_network_as_teacher_keeps_what_it_knew(quick, make_table):
    """New classes come without rows of the old ones: the KL over the common classes keeps their order."""
    X, y = make_table(600, n_classes=4)
    old = quick(hidden_layer_sizes=(32,), max_epochs=40, dropout=0.0).fit(X[y < 3], y[y < 3])
    later = X[y >= 2], y[y >= 2]
    common = {"hidden_layer_sizes": (32,), "max_epochs": 20, "dropout": 0.0, "early_stopping": False}

    def old_accuracy(**params):
        teacher = FrozenEstimator(old)
        new = quick(init_from=teacher, teacher=teacher, teacher_classes="union", augment=None, **common, **params)
        proba = new.fit(*later).predict_proba(X[y < 2])[:, :2]
        return (proba.argmax(1) == y[y < 2]).mean()

    assert old_accuracy(distill_weight=0.9) > old_accuracy(distill_weight=0.0)
    assert old_accuracy(distill_weight=0.9) > 0.8
