"""The engine and autograd give the same training, and one function says which is used and why."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from sklkl import KLNet
from sklkl.data import Batches, Rows
from sklkl.distillation import DISTILL_DIVERGENCES
from sklkl.modules import ACTIVATIONS, MLP, DenseScaling
from sklkl.net import _steps
from sklkl.penalties import Confidence, Penalty, VirtualAdversarial


class Gini(Penalty):
    """A penalty of the user's own, which looks at the inputs."""

    def __call__(self, log_proba, batch, net=None):
        assert batch[0].shape[1] == 5
        return log_proba.exp().square().sum(-1) * batch[0][:, 0].abs()


class Each(Callback):
    """Call a function of the net at the end, or the beginning, of some epochs."""

    def __init__(self, act, epochs=(2,), hook="on_epoch_begin"):
        self.act, self.epochs = act, epochs
        setattr(self, hook, self._call)

    def _call(self, net, **kwargs):
        if len(net.history) in self.epochs:
            self.act(net)


class Watches(Callback):
    """Look at every batch."""

    def on_train_begin(self, net, **kwargs):
        self.widths, self.sums = set(), []

    def on_batch_end(self, net, batch, training, y_pred=None, **kwargs):
        self.widths.add(batch[0].shape[1])
        self.sums.append(y_pred.sum().item())


@pytest.fixture
def by_autograd(monkeypatch):
    """Return ``by_autograd(work)``: what work returns if nothing is trained by the engine."""

    def run(work):
        with monkeypatch.context() as patched:
            patched.setattr(_steps, "why_autograd", lambda *args: "asked for")
            return work()

    return run


@pytest.fixture
def few(table):
    """50 rows of ``table``: what differs in a step shows after two or three."""
    return table[0][:50], table[1][:50]


def soft(X, y):
    return np.eye(3)[y] * 0.7 + 0.1


SETTINGS = {
    **{activation: {"activation": activation, "dropout": 0.0} for activation in ACTIVATIONS},
    "linear": {"hidden_layer_sizes": ()},
    "three layers": {"hidden_layer_sizes": (7, 6, 5)},
    "confidence": {"kl_strength": 0.2},
    "threshold": {"kl_strength": 0.2, "kl_penalty": Confidence(0.5)},
    "label_smoothing": {"kl_strength": 0.2, "kl_penalty": "label_smoothing"},
    "prior": {"kl_strength": 0.2, "kl_penalty": "prior"},
    "own penalty": {"kl_strength": 0.2, "kl_penalty": Gini()},
    "rdrop": {"kl_strength": 0.2, "kl_penalty": "rdrop"},
    "vat": {"kl_strength": 0.2, "kl_penalty": VirtualAdversarial(n_iterations=2)},
    "vat, as given": {"kl_strength": 0.2, "kl_penalty": "vat", "scale_inputs": False, "hidden_layer_sizes": ()},
    "balanced": {"class_weight": "balanced"},
    "as given": {"scale_inputs": False},
    "onecycle": {"learning_rate": "onecycle"},
    "constant": {"learning_rate": "constant"},
    "no early stopping": {"early_stopping": False},
    "batches of one row": {"batch_size": 1, "max_epochs": 1},
}


def both(by_autograd, fit):
    ours, theirs = fit(), by_autograd(fit)
    assert ours.net_.why_autograd_ is None
    assert theirs.net_.why_autograd_ == "asked for"
    return ours, theirs


def assert_same_training(ours, theirs, X):
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(ours.history_[:, "train_loss"], theirs.history_[:, "train_loss"], rtol=1e-8)
    np.testing.assert_allclose(ours.history_[:, "lr"], theirs.history_[:, "lr"], rtol=1e-8)
    names = [{name for name in clf.history_[-1] if name != "dur"} for clf in (ours, theirs)]
    assert names[0] == names[1]


@pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)
def test_the_same_training(quick, few, by_autograd, params):
    common = {"dtype": "float64", "dropout": 0.3, "batch_size": 12, "early_stopping": True}
    ours, theirs = both(by_autograd, lambda: quick(**{**common, **params}).fit(*few))
    assert_same_training(ours, theirs, few[0])


@pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_training_with_a_teacher(quick, table, by_autograd, divergence, weighted):
    X, y = table
    weight = np.linspace(0.1, 2, len(y)) if weighted else None
    params = {"distill_divergence": divergence, "temperature": 2.0, "distill_weight": 0.5, "dtype": "float64"}
    ours, theirs = both(
        by_autograd, lambda: quick(kl_strength=0.1, **params).fit(X, y, weight, teacher_proba=soft(X, y))
    )
    assert_same_training(ours, theirs, X)


OTHER_DATA = {
    "sparse": lambda X, y: (sparse.csr_array(np.where(X > 0, X, 0)), y),
    "multilabel": lambda X, y: (X, np.eye(3, dtype=int)[y]),
    "missing classes": lambda X, y: (X, np.where(y == 1, 7, y)),
}


@pytest.mark.parametrize("change", OTHER_DATA.values(), ids=OTHER_DATA)
@pytest.mark.parametrize("penalty", ["confidence", "rdrop", "vat"])
def test_the_same_training_of_other_data(quick, few, by_autograd, change, penalty):
    X, y = change(*few)
    params = {"dtype": "float64", "kl_strength": 0.1, "kl_penalty": penalty, "dropout": 0.3}
    ours, theirs = both(by_autograd, lambda: quick(**params).fit(X, y))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8)


@pytest.mark.parametrize("penalty", ["confidence", "vat"])
def test_the_same_training_of_rows_without_labels(quick, table, by_autograd, penalty):
    X, y = table
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    clf = quick(teacher=teacher, distill_weight=0.5, kl_strength=0.1, kl_penalty=penalty, dtype="float64")
    ours, theirs = both(by_autograd, lambda: clone(clf).fit(X, y, X_unlabeled=X[:50] + 0.1))
    assert_same_training(ours, theirs, X)


def test_in_float32_the_same_at_first(quick, table, by_autograd):
    ours, theirs = both(by_autograd, lambda: quick(max_epochs=1).fit(*table))
    np.testing.assert_allclose(ours.predict_proba(table[0]), theirs.predict_proba(table[0]), rtol=1e-4)


def test_the_same_stream(stream, few, by_autograd):
    X, y = few

    def fit():
        clf = stream(dtype="float64", kl_strength=0.1)
        for part in np.array_split(np.arange(50), 3):
            clf.partial_fit(X[part], y[part], classes=[0, 1, 2])
        return clf

    assert_same_training(*both(by_autograd, fit), X)


def test_a_training_that_goes_from_one_to_the_other(quick, table, by_autograd):
    """Moments, rate and weights are handed over, in both directions."""
    X, y = table

    def fit(*ways):
        clf = quick(dtype="float64", warm_start=True, max_epochs=2, learning_rate="constant", early_stopping=False)
        for by_engine in ways:
            clf = clf.fit(X, y) if by_engine else by_autograd(partial(clf.fit, X, y))
        return clf.predict_proba(X)

    expected = fit(True, True, True)
    for ways in [(False, True, False), (True, False, True)]:
        np.testing.assert_allclose(fit(*ways), expected, rtol=1e-8)


def ones(n_inputs, n_outputs):
    layer = nn.Linear(n_inputs, n_outputs).double()
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias)
    return layer


def double_of(net):
    layer = net.module_.linears()[0]
    return lambda x: 2 * nn.functional.linear(x, layer.weight, layer.bias)


CHANGES = {
    "a layer is frozen": lambda net: net.module_.linears()[0].requires_grad_(False),
    "a hook is added": lambda net: net.module_.linears()[0].register_forward_hook(lambda layer, args, out: 2 * out),
    "weights are replaced": lambda net: setattr(
        net.module_.linears()[0].weight, "data", torch.ones_like(net.module_.linears()[0].weight)
    ),
    "weights are changed": lambda net: nn.init.constant_(net.module_.linears()[0].weight, 0.1),
    "moments are forgotten": lambda net: net.optimizer_.state.clear(),
    "the rate is changed": lambda net: net.optimizer_.param_groups[0].update(lr=0.1),
    "the decay is changed": lambda net: net.optimizer_.param_groups[0].update(weight_decay=2.0),
    "the strength is changed": lambda net: net.set_params(kl_strength=1.0),
    "a moment is forgotten": lambda net: net.optimizer_.state.pop(net.module_.linears()[0].weight, None),
    "a layer computes otherwise": lambda net: setattr(net.module_.linears()[0], "forward", double_of(net)),
    "the scales are changed": lambda net: net.module_.scaling.center.add_(0.5),
    "dropout is turned off": lambda net: [setattr(layer, "p", 0.0) for layer in net.module_.dropouts()],
    "the activation is replaced": lambda net: setattr(net.module_, "1", nn.Tanh()),
    "a layer is replaced": lambda net: setattr(net.module_, "0", ones(net.module_.linears()[0].in_features, 8)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(("hook", "rule"), [("on_epoch_begin", "constant"), ("on_epoch_end", "kl_adaptive")])
def test_what_a_callback_changes_is_followed(quick, few, by_autograd, change, hook, rule):
    def fit():
        params = {"dtype": "float64", "learning_rate": rule, "early_stopping": False, "batch_size": 25}
        return quick(callbacks=[Each(change, hook=hook)], dropout=0.3, **params).fit(*few)

    ours, theirs = fit(), by_autograd(fit)
    np.testing.assert_allclose(ours.predict_proba(few[0]), theirs.predict_proba(few[0]), rtol=1e-7, atol=1e-12)


def test_a_callback_sees_every_batch(quick, make_table):
    """Scores that are computed from outputs which were kept are those of the network."""
    X, y = make_table(400)
    scoring = EpochScoring("neg_log_loss", lower_is_better=False, name="score")
    net = quick(callbacks=[Watches(), scoring], batch_size=32, early_stopping=True).fit(X, y).net_
    assert net.why_autograd_.startswith("a callback")
    np.testing.assert_allclose(net.history[:, "score"], [-loss for loss in net.history[:, "valid_loss"]], rtol=1e-5)
    (seen,) = [cb for _, cb in net.callbacks_ if isinstance(cb, Watches)]
    assert seen.widths == {5}
    assert len(set(seen.sums)) == len(seen.sums)


class Keeps(Callback):
    """Copy and store the net in the middle of its training."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            self.kept = []
            self.kept = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]


def test_a_net_is_copied_and_stored_in_the_middle_of_its_training(quick, table):
    net = quick(callbacks=[Keeps()]).fit(*table).net_
    assert net.why_autograd_ is None
    for kept in next(cb for _, cb in net.callbacks_ if isinstance(cb, Keeps)).kept:
        assert kept._by_hand is None
        assert kept.partial_fit(Rows(table[0].astype(np.float32), table[1])).has_learned_


class OwnStep(KLNet):
    """A net whose loss is the user's own."""

    def loss_terms(self, logits, batch, training=True):
        """Return the terms, one of them twice."""
        return {name: 2 * values for name, values in super().loss_terms(logits, batch, training).items()}


class Own(VirtualAdversarial):
    """A penalty that needs further passes, of which the engine knows nothing."""


class Gradients(Callback):
    def on_grad_computed(self, net, named_parameters, **kwargs):
        pass


ADAMW = {"optimizer": torch.optim.AdamW, "optimizer__fused": True}


def tied():
    module = MLP(5, 3, (5, 5))
    module.linears()[1].weight = module.linears()[0].weight
    return module


def without_bias():
    module = MLP(5, 3, (8,))
    module.linears()[0].bias = None
    return module


REASONS = {
    "tied weights": ({"module": tied()}, "the module"),
    "no bias": ({"module": without_bias()}, "the module"),
    "module": ({"module": nn.Linear(5, 3)}, "the module"),
    "changed module": ({"module": nn.Sequential(*MLP(5, 3, (8,)))}, "the module"),
    "adam": ({"optimizer": torch.optim.Adam}, "the optimizer"),
    "not fused": ({"optimizer__fused": False}, "the optimizer"),
    "amsgrad": ({"optimizer__amsgrad": True}, "the optimizer"),
    "loader": ({"iterator_train": torch.utils.data.DataLoader}, "the data"),
    "own batches": ({"iterator_train": type("Mine", (Batches,), {})}, "the data"),
    "own passes": ({"kl_penalty": Own(), "kl_strength": 0.1}, "the penalty"),
    "gradients": ({"callbacks": [Gradients()]}, "a callback"),
    "float64 rows": ({"float64": True}, "the network and the rows"),
}


@pytest.mark.parametrize(("params", "reason"), REASONS.values(), ids=REASONS)
def test_why_autograd(quick_net, table32, params, reason):
    X, y = table32
    params = dict(params)
    X = X.astype(np.float64) if params.pop("float64", False) else X
    net = quick_net(**{**ADAMW, **params}).fit(X, y)
    assert net.why_autograd_.startswith(reason)


def test_further_passes_of_wide_sparse_rows_go_through_autograd(quick):
    X, y = sparse.random(60, 3000, density=0.01, format="csr", random_state=0), np.arange(60) % 2
    reasons = [quick(kl_penalty=name, kl_strength=0.1).fit(X, y).net_.why_autograd_ for name in ("confidence", "vat")]
    assert reasons == [None, "the penalty needs another forward pass"]


def test_a_step_of_the_users_own(table32):
    net = OwnStep(MLP(5, 3), train_split=None, verbose=0, max_epochs=1, **ADAMW).fit(*table32)
    assert net.why_autograd_.startswith("the net has a step")


def test_logits_are_those_of_the_network(quick_net, table):
    net, rows = quick_net(lambda: MLP(5, 3, (8,)).double(), **ADAMW).initialize(), Rows(*table)
    (batch,), by_hand = Batches(rows, 120), _steps.ByHand(net)
    by_hand.begin_epoch(net, rows)
    # sums of a few terms of the order of 1, in float64
    torch.testing.assert_close(by_hand.logits(batch), net.module_(batch[0]).detach(), rtol=0, atol=1e-13)


def test_after_training_nothing_is_shared(quick, table):
    net = quick().fit(*table).net_
    parameters = list(net.module_.parameters())
    assert len({p.untyped_storage().data_ptr() for p in parameters}) == len(parameters)
    assert all(p.untyped_storage().nbytes() == p.nbytes and p.grad is None for p in parameters)
    assert net._by_hand is None


def test_labels_that_are_no_classes(quick_net, table32):
    X, y = table32
    with pytest.raises(ValueError, match="codes from 0 to 7"):
        quick_net(classes=[0, 1, 2], **ADAMW).fit(X, np.where(y == 2, 7, y))


def test_steps_that_are_not_finite_are_left_out(quick, table, by_autograd):
    X, y = table
    weight = np.ones(120)
    weight[3] = 1e308

    def fit():
        net = quick(dtype="float64", early_stopping=False, batch_size=30, max_epochs=4).fit(X, y, weight).net_
        return np.array(net.history[:, "rejected_steps"]), net

    (ours, _), (theirs, _) = fit(), by_autograd(fit)
    np.testing.assert_array_equal(ours, theirs)


class Thaws(KLNet):
    """A net whose own hook freezes a layer for an epoch."""

    def on_epoch_begin(self, net, **kwargs):
        """Freeze the first layer in the second epoch only."""
        super().on_epoch_begin(net, **kwargs)
        self.module_[0].requires_grad_(len(self.history) != 2)


def test_hooks_of_the_net_itself_are_followed(table32, by_autograd):
    def fit():
        torch.manual_seed(0)
        return Thaws(MLP(5, 3, (8,)), train_split=None, verbose=0, max_epochs=5, random_state=0, **ADAMW).fit(*table32)

    ours, theirs = fit(), by_autograd(fit)
    np.testing.assert_allclose(ours.predict_proba(table32[0]), theirs.predict_proba(table32[0]), rtol=1e-5)


@pytest.fixture
def scaled(monkeypatch):
    """How many rows were scaled each time."""
    seen, forward = [], DenseScaling.forward
    monkeypatch.setattr(DenseScaling, "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    return seen


def test_rows_are_scaled_once_for_a_training_and_what_follows(scaled, quick, table):
    X, y = table
    quick(validation_fraction=0.2).fit(X, y)
    assert sorted(scaled) == [len(y) // 5, len(y) - len(y) // 5]


def test_what_a_callback_changes_at_the_end_is_scaled_again(scaled, quick, table):
    X, y = table
    quick(validation_fraction=0.2, callbacks=[Each(lambda net: scaled.clear(), (3,), "on_train_end")]).fit(X, y)
    assert sorted(scaled) == [len(y) // 5, len(y) - len(y) // 5]
