"""Nets trained as one stack have the trainings that each would have alone."""

import copy
import signal

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import Callback, EarlyStopping

from sklkl import KLNet
from sklkl.callbacks import BestWeights, StopTraining
from sklkl.data import Rows, TrainingSet
from sklkl.modules import MLP, input_scaling
from sklkl.net import train_together, why_apart
from sklkl.net._member import Member
from sklkl.penalties import Confidence, Penalty, RDrop

ADAMW = {"optimizer": torch.optim.AdamW, "optimizer__fused": True, "optimizer__weight_decay": 0.1}


@pytest.fixture
def net(quick_net):
    """Return ``net(**params)``: an initialised net in float64, with dropout and a rule that measures."""

    def make(module=None, **params):
        def network():
            return MLP(5, 3, (8, 6), "tanh", 0.3).double()

        own = {"classes": [0, 1, 2], "learning_rate": "kl_adaptive", "max_epochs": 3, "callbacks": [BestWeights(2)]}
        return quick_net(module or network, **{**ADAMW, **own, **params}).initialize()

    return make


@pytest.fixture
def data(table):
    X, y = table
    return TrainingSet(Rows(X[:90], y[:90]), Rows(X[90:], y[90:]))


def assert_same(ours, alone, X):
    np.testing.assert_allclose(ours.predict_proba(X), alone.predict_proba(X), rtol=1e-9)
    assert len(ours.history) == len(alone.history)
    assert ours.history[-1].keys() == alone.history[-1].keys()
    for name in ("train_loss", "valid_loss", "lr", "step_kl", "rejected_steps"):
        if name in alone.history[0]:
            np.testing.assert_allclose(ours.history[:, name], alone.history[:, name], rtol=1e-7)
    np.testing.assert_allclose(ours.lr_, alone.lr_, rtol=1e-9)
    np.testing.assert_allclose(*(n.optimizer_.param_groups[0]["lr"] for n in (ours, alone)), rtol=1e-9)
    assert torch.equal(ours.generator_.get_state(), alone.generator_.get_state())
    assert (ours.interrupted_, ours.has_learned_) == (alone.interrupted_, alone.has_learned_) == (False, True)
    states = [
        [values.double() for state in n.optimizer_.state.values() for values in state.values()] for n in (ours, alone)
    ]
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one, other)


DIFFERENCES = {
    "strengths": [{"kl_strength": strength} for strength in (0.0, 0.1, 1.0)],
    "seeds": [{"random_state": seed} for seed in range(3)],
    "rates": [{"lr": lr, "learning_rate": "constant"} for lr in (1e-4, 1e-2)],
    "cycles": [{"lr": lr, "learning_rate": "onecycle"} for lr in (1e-3, 1e-2)],
    "first rates": [{"lr": lr} for lr in (1e-4, 1.0)],
    "a step an epoch": [{"lr": lr, "batch_size": 90} for lr in (1e-4, 1.0)],
    "decays": [{"optimizer__weight_decay": decay} for decay in (0.0, 1.0)],
    "betas": [{"optimizer__betas": betas} for betas in ((0.9, 0.999), (0.5, 0.9))],
    "patience": [{"callbacks": [BestWeights(n)], "max_epochs": 12} for n in (1, 2, 12)],
    "alone": [{"kl_strength": 0.1}],
    "other penalties": [{"kl_strength": strength, "kl_penalty": "prior"} for strength in (0.1, 1.0)],
    "two masks": [{"kl_strength": strength, "kl_penalty": "rdrop"} for strength in (0.1, 1.0)],
    "adversarial": [{"kl_strength": strength, "kl_penalty": "vat"} for strength in (0.1, 1.0)],
    "adversarial, seeds": [{"kl_strength": 0.3, "kl_penalty": "vat", "random_state": seed} for seed in (0, 1)],
    "two masks, seeds": [{"kl_strength": 0.3, "kl_penalty": "rdrop", "random_state": seed} for seed in (0, 1)],
    "adversarial, alone": [{"kl_strength": 0.3, "kl_penalty": "vat"}],
    "thresholds": [{"kl_strength": strength, "kl_penalty": Confidence(0.3)} for strength in (0.1, 1.0)],
}


@pytest.mark.parametrize("params", DIFFERENCES.values(), ids=DIFFERENCES)
def test_each_is_trained_as_alone(net, data, table, params):
    stack, alone = ([net(**own) for own in copy.deepcopy(params)] for _ in range(2))
    assert why_apart(stack, [data] * len(stack)) is None
    assert train_together(stack, [data] * len(stack)) == [None] * len(stack)
    for ours, other in zip(stack, alone, strict=True):
        assert_same(ours, other.partial_fit(data), table[0])


def weighted(X, y):
    return Rows(X, y, weight=np.linspace(0.1, 1.9, len(y)))


def taught(X, y):
    proba = np.eye(3)[y] * 0.7 + 0.1
    proba[::7] = 0.0
    return Rows(X, np.where(np.arange(len(y)) % 5, y, -100), teacher_proba=proba, weight=np.linspace(0.1, 1.9, len(y)))


def sparse_rows(X, y):
    return Rows(sparse.csr_array(np.where(X > 0, X, 0)), y)


ROWS = {"plain": Rows, "weighted": weighted, "taught": taught, "sparse": sparse_rows}


@pytest.mark.parametrize("make_rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(("scaled", "each"), [(False, False), (True, True)], ids=["one set", "sets, scaled"])
@pytest.mark.parametrize("penalty", ["confidence", "rdrop", "vat"])
def test_rows_of_every_kind(net, table, make_rows, scaled, each, penalty):
    X, y = table
    starts = (0, 10) if each else (0, 0)
    rows = [make_rows(X[start : start + 60], y[start : start + 60]) for start in starts]
    sets = [TrainingSet(part, Rows(X[90:], y[90:])) for part in rows]
    sets = sets if each else [sets[0]] * 2

    def nets():
        def network(part):
            scaling = input_scaling(part.X if sparse.issparse(part.X) else part.X.numpy()).double() if scaled else None
            return lambda: MLP(5, 3, (8,), "relu", 0.3, scaling=scaling).double()

        weights = {"distill_weight": 0.3}, {"distill_weight": 0.8}
        return [
            net(network(part), kl_strength=0.2, kl_penalty=penalty, max_epochs=2, **own)
            for part, own in zip(rows, weights, strict=True)
        ]

    stack, alone = nets(), nets()
    train_together(stack, sets)
    for ours, other, own in zip(stack, alone, sets, strict=True):
        assert_same(ours, other.partial_fit(own), X)


@pytest.mark.parametrize(("penalty", "strengths"), [("confidence", (0.0, 0.3)), ("rdrop", (0.1, 1)), ("vat", (0.1, 1))])
def test_labels_of_several_classes(net, table, penalty, strengths):
    X, y = table
    rows = TrainingSet(Rows(X, np.eye(3, dtype=np.int64)[y]))
    stack, alone = ([net(multilabel=True, kl_strength=s, kl_penalty=penalty) for s in strengths] for _ in range(2))
    train_together(stack, [rows] * 2)
    for ours, other in zip(stack, alone, strict=True):
        assert_same(ours, other.partial_fit(rows), X)


class Press(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            signal.raise_signal(signal.SIGINT)


def test_an_interruption_ends_all_in_good_order(net, data, table):
    stack, alone = (
        [net(callbacks=cbs, random_state=7) for cbs in ([BestWeights()], [BestWeights(), Press()])] for _ in "ab"
    )
    with pytest.raises(KeyboardInterrupt):
        train_together(stack, [data] * 2)
    with pytest.raises(KeyboardInterrupt):
        alone[1].partial_fit(data)
    for ours in stack:
        assert ours.interrupted_
        assert len(ours.history) == 2
        assert ours.module_[0].weight.untyped_storage().nbytes() == ours.module_[0].weight.nbytes
        np.testing.assert_allclose(ours.predict_proba(table[0]), alone[1].predict_proba(table[0]), rtol=1e-9)


class Breaks(Callback):
    def __init__(self, epochs=(1, 2, 3)):
        self.epochs = epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) in self.epochs:
            with torch.no_grad():
                net.module_[0].weight.fill_(torch.nan)


def test_a_net_that_fails_leaves_the_others_alone(net, data, table):
    stack = [net(), net(callbacks=[Breaks(), BestWeights()]), net(kl_strength=0.1)]
    errors = train_together(stack, [data] * 3)
    assert [type(error) for error in errors] == [type(None), ValueError, type(None)]
    assert_same(stack[0], net().partial_fit(data), table[0])


@pytest.mark.filterwarnings("ignore:The loss or the weights:sklearn.exceptions.ConvergenceWarning")
def test_a_net_goes_on_without_moments_after_an_epoch_that_diverged(net, data, table):
    stack, alone = ([net(callbacks=[Breaks((2,)), BestWeights()]), net()] for _ in range(2))
    train_together(stack, [data] * 2)
    for ours, other in zip(stack, alone, strict=True):
        assert_same(ours, other.partial_fit(data), table[0])


def test_a_loss_that_is_not_finite(net, table):
    """Of weights that overflow a step is left out, in the stack as alone."""
    X, y = table
    weight = np.ones(len(y))
    weight[3] = 1e308
    rows = TrainingSet(Rows(X, y, weight=weight))
    stack, alone = ([net(kl_strength=s) for s in (0.0, 0.3)] for _ in range(2))
    train_together(stack, [rows] * 2)
    for ours, other in zip(stack, alone, strict=True):
        assert_same(ours, other.partial_fit(rows), X)


class Stops(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise StopTraining


class Gini(Penalty):
    def __call__(self, log_proba, batch, net=None):
        return log_proba.exp().square().sum(-1)


class TwoMasks(RDrop):
    pass


class Watches(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


APART = {
    "shapes": ({"module": lambda: MLP(5, 3, (9, 6), "tanh", 0.3).double()}, "different shapes"),
    "activations": ({"module": lambda: MLP(5, 3, (8, 6), "relu", 0.3).double()}, "different shapes"),
    "dropout": ({"module": lambda: MLP(5, 3, (8, 6), "tanh", 0.4).double()}, "different shapes"),
    "optimizer": ({"optimizer": torch.optim.Adam}, "the optimizer"),
    "batches": ({"batch_size": 7}, "batch_size"),
    "epochs": ({"max_epochs": 7}, "max_epochs"),
    "rule": ({"learning_rate": "constant"}, "learning_rate"),
    "penalty": ({"kl_penalty": "prior"}, "kl_penalty"),
    "own penalty": ({"kl_penalty": Gini(), "kl_strength": 0.1}, "the penalty"),
    "own passes": ({"kl_penalty": TwoMasks(), "kl_strength": 0.1}, "the penalty"),
    "stream": ({"stream": True}, "a stream"),
    "batch": ({"callbacks": [Watches()]}, "may change the net"),
    "best epoch": ({"callbacks": []}, "keeps its best epoch"),
    "criterion": ({"criterion": torch.nn.CrossEntropyLoss}, "a step of its own"),
}


@pytest.mark.parametrize(("params", "reason"), APART.values(), ids=APART)
def test_why_apart(net, data, params, reason):
    assert reason in why_apart([net(), net(**params)], [data] * 2)


def test_nets_that_draw_other_random_numbers_are_kept_apart(net, data):
    """Without a strength there is no further pass, and no mask for it."""
    nets = [net(kl_penalty="rdrop", kl_strength=strength) for strength in (0.0, 0.1, 0.2)]
    assert "further forward passes" in why_apart(nets, [data] * 3)
    assert why_apart(nets[1:], [data] * 2) is None


def test_wide_sparse_rows_that_are_scaled_as_dense_ones(net):
    """As where dense ones came before: their further passes would have to have all features."""
    X, y = sparse.random(40, 3000, density=0.01, format="csr", random_state=0), np.arange(40) % 3
    scaling, rows = input_scaling(X.toarray()), TrainingSet(Rows(X, y))
    module = lambda: MLP(3000, 3, (8,), scaling=scaling).double()  # noqa: E731
    apart = {}
    for penalty in ("confidence", "vat"):
        nets = [net(module, kl_penalty=penalty, kl_strength=strength) for strength in (0.1, 0.2)]
        apart[penalty] = why_apart(nets, [rows] * 2)
    assert apart == {"confidence": None, "vat": "the penalty needs another forward pass"}


def test_other_numbers_of_rows(net, data, table):
    assert "different rows" in why_apart([net(), net()], [data, TrainingSet(Rows(*table))])


def test_callbacks_from_elsewhere(net, data):
    nets = [net(callbacks=[Stops()]), net(callbacks=[EarlyStopping(patience=1)], max_epochs=4)]
    train_together(nets, [data] * 2)
    assert len(nets[0].history) == 1
    assert all(isinstance(trained, KLNet) for trained in nets)


def test_a_prior_of_other_rows_keeps_nets_apart(net, data, table):
    X, y = table
    other = TrainingSet(Rows(X[30:], y[30:]), Rows(X[:30], y[:30]))
    nets = [net(kl_penalty="prior", kl_strength=0.1) for _ in range(2)]
    assert "learns from the rows" in why_apart(nets, [data, other])
    assert why_apart(nets, [data, data]) is None


def test_scales_of_other_rows_keep_nets_apart(net, data, table):
    def network(X):
        return lambda: MLP(5, 3, (8,), "relu", scaling=input_scaling(X).double()).double()

    X = table[0]
    nets = [net(network(X)), net(network(X)), net(network(3 * X))]
    assert why_apart(nets[:2], [data] * 2) is None
    assert "scale their inputs" in why_apart(nets, [data] * 3)


def test_a_net_is_not_trained_twice_at_once(net, data):
    assert "twice" in why_apart([(same := net()), same], [data] * 2)


def test_rows_without_labels_in_one_of_the_sets(net, table):
    X, y = table
    proba = np.eye(3)[y] * 0.7 + 0.1
    some = np.where(np.arange(len(y)) % 3, y, -100)
    sets = [TrainingSet(Rows(X, codes, teacher_proba=proba)) for codes in (y, some)]
    stack, alone = ([net(kl_strength=0.5) for _ in sets] for _ in range(2))
    train_together(stack, sets)
    for ours, other, own in zip(stack, alone, sets, strict=True):
        assert_same(ours, other.partial_fit(own), X)


def test_labels_that_are_no_classes(net, table):
    X, y = table
    rows = TrainingSet(Rows(X, np.where(y == 2, 7, y)))
    with pytest.raises(ValueError, match="codes from 0 to 7"):
        train_together([net(), net(kl_strength=0.1)], [rows] * 2)


@pytest.mark.parametrize("moment", ["begin", "leave", "end"])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_interruption_at_the_edges_of_a_training(net, data, monkeypatch, moment, which):
    """It is raised as such, and no net keeps memory of the stack."""
    calls, act = [], getattr(Member, moment)

    def interrupted(member, *args):
        calls.append(member)
        if len(calls) == which + 1:
            signal.raise_signal(signal.SIGINT)
        return act(member, *args)

    monkeypatch.setattr(Member, moment, interrupted)
    nets = [net(random_state=seed) for seed in range(3)]
    with pytest.raises(KeyboardInterrupt):
        train_together(nets, [data] * 3)
    for one in nets:
        assert all(p.untyped_storage().nbytes() == p.nbytes and p.grad is None for p in one.module_.parameters())
        assert not one._rate_runs
    assert not any(one.module_.training for one in (nets[:which] if moment == "begin" else nets))
