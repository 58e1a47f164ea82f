"""``KLNet`` is skorch's net with named loss terms: the same training, to the digit where it can be compared."""

import copy
import pickle

import numpy as np
import pytest
import skorch
import torch
import torch.nn.functional as F
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklkl import KLNet
from sklkl.data import Batch, Rows
from sklkl.modules import MLP, Dropout
from sklkl.optim import LEARNING_RATES
from sklkl.penalties import PENALTIES, Confidence, Prior, make_penalty

PLAIN = [name for name, kind in PENALTIES.items() if not kind.needs_net]  # without chance of their own
each_penalty = pytest.mark.parametrize("penalty", PLAIN)


class Noisy(nn.Sequential):
    """A user's network with torch's own dropout, which draws from the global state."""

    def __init__(self):
        super().__init__(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def weights_of(net):
    return [values.detach().clone() for values in net.module_.parameters()]


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(second), strict=True))


# It is a skorch net


def test_is_a_skorch_net(quick_net):
    assert isinstance(quick_net(), skorch.NeuralNet)


def test_trains_as_plain_skorch_does(table32, tmp_path):
    """The same module, rows in the same order, torch's cross-entropy: the same losses and weights."""
    X, y = table32
    module = MLP(5, 3, hidden_layer_sizes=(8,), activation="tanh")
    common = {"max_epochs": 5, "batch_size": 30, "lr": 0.01, "train_split": None, "verbose": 0}
    plain = skorch.NeuralNetClassifier(
        copy.deepcopy(module), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, **common
    )
    plain.fit(X, y)
    ours = KLNet(copy.deepcopy(module), iterator_train__shuffle=False, **common).fit(X, y)
    np.testing.assert_allclose(ours.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5)
    for a, b in zip(weights_of(ours), weights_of(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_skorchs_own_validation_split_works(quick_net, table32):
    net = quick_net(train_split=skorch.dataset.ValidSplit(4, stratified=True)).fit(*table32)
    X, y = table32
    valid = net.get_split_datasets(X, y)[1]
    assert len(valid) == 30
    log_proba = np.log(net.predict_proba(valid.X.numpy()))
    assert net.history[-1, "valid_loss"] == pytest.approx(-log_proba[np.arange(30), valid.y].mean(), rel=1e-5)


def test_predictions(quick_net, table32):
    X, y = table32
    net = quick_net(max_epochs=30).fit(X, y)
    proba = net.predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1, rtol=0, atol=1e-15)
    assert np.array_equal(net.predict(X), proba.argmax(1))
    assert net.score(X, y) > 0.7
    np.testing.assert_allclose(proba, F.softmax(net.module_(torch.from_numpy(X)), -1).detach(), rtol=1e-5)


def test_get_params_clone_and_set_params(quick_net):
    net = quick_net(kl_penalty=Confidence(0.3), kl_strength=0.2, learning_rate="onecycle")
    copied = clone(net)
    assert copied.get_params()["kl_strength"] == 0.2
    assert copied.get_params()["learning_rate"] == "onecycle"
    assert copied.kl_penalty is not net.kl_penalty
    assert copied.kl_penalty.entropy_threshold == 0.3
    assert copied.set_params(kl_strength=0.4, module__dropout=0.1).get_params()["module__dropout"] == 0.1
    assert net.kl_strength == 0.2


def test_grid_search_over_the_strength(quick_net, table32):
    search = GridSearchCV(quick_net(), {"kl_strength": [0.0, 10.0]}, cv=3, scoring="neg_log_loss").fit(*table32)
    free, held = search.cv_results_["mean_test_score"]
    assert free > held
    assert search.best_params_ == {"kl_strength": 0.0}


def test_cross_val_score(quick_net, table32):
    assert cross_val_score(quick_net(max_epochs=20), *table32, cv=3).mean() > 0.5


# The data it takes


def loader_net(quick_net, **params):
    return quick_net(iterator_train=DataLoader, iterator_valid=DataLoader, iterator_train__shuffle=False, **params)


CONTAINERS = {
    "array": lambda X, y: (X, y),
    "tensors": lambda X, y: (torch.from_numpy(X), torch.from_numpy(y)),
    "sparse": lambda X, y: (sparse.csr_matrix(X), y),
    "rows with y": lambda X, y: (Rows(X, y), y),
    "rows": lambda X, y: (Rows(X, y), None),
}


@pytest.mark.parametrize(("kind", "shifted"), [*((kind, True) for kind in CONTAINERS), ("sparse", False)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_any_container_gives_the_same_net(quick_net, table, odd, same_but_for_rounding, kind, shifted, shuffle):
    X, y = table
    params = {"kl_strength": 0.1, "classes": [0, 1, 2], "iterator_train__shuffle": shuffle}
    expected, net = (quick_net(MLP(5, 3, (8,)).double(), **params) for _ in range(2))
    net.module.load_state_dict(expected.module.state_dict())
    expected.fit(X, y)
    net.fit(*CONTAINERS[kind](odd(X) if shifted else X, y))
    for weights, theirs in zip(weights_of(net), weights_of(expected), strict=True):
        same_but_for_rounding(weights, theirs)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_any_container_of_float32_gives_the_same_losses(quick_net, table32, odd, kind):
    X, y = table32
    expected = quick_net().fit(X, y).history[:, "train_loss"]
    net = quick_net().fit(*CONTAINERS[kind](odd(X), y))
    # logits near 1, each a sum of at most 8 products that are rounded to 6e-8
    np.testing.assert_allclose(net.history[:, "train_loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("kl_strength", [0.0, 0.1])
def test_a_data_loader_gives_the_same_losses_as_whole_tensors(quick_net, table32, kl_strength):
    params = {"batch_size": 30, "kl_strength": kl_strength}
    ours = quick_net(iterator_train__shuffle=False, **params).fit(*table32)
    loaded = loader_net(quick_net, **params).fit(*table32)
    np.testing.assert_allclose(loaded.history[:, "train_loss"], ours.history[:, "train_loss"], rtol=1e-5)


def test_a_net_with_data_loaders_predicts(quick_net, table32):
    X, y = table32
    net = loader_net(quick_net).fit(X, y)
    np.testing.assert_allclose(
        net.predict_proba(X), F.softmax(net.module_(torch.from_numpy(X)), -1).detach(), rtol=1e-5
    )


def test_row_weights_count_in_a_data_loader_or_are_refused(quick_net, table32, message_of):
    X, y = table32
    rows = Rows(X, y, weight=np.where(y == 1, 50, 1).astype(np.float32))
    net = loader_net(quick_net, batch_size=30)
    message = message_of(lambda: net.fit(rows, y))
    if message is None:
        ours = quick_net(iterator_train__shuffle=False, batch_size=30).fit(rows, y)
        np.testing.assert_allclose(net.history[:, "train_loss"], ours.history[:, "train_loss"], rtol=1e-5)
    else:
        assert "weight" in message


@pytest.mark.parametrize("kl_strength", [0.0, 0.1])
def test_a_data_set_of_the_users_own(quick_net, table32, kl_strength):
    X, y = table32
    dataset = TensorDataset(torch.tensor(X), torch.tensor(y))
    net = loader_net(quick_net, kl_strength=kl_strength, classes=[0, 1, 2]).fit(dataset, None)
    ours = quick_net(iterator_train__shuffle=False, kl_strength=kl_strength).fit(X, y)
    assert net.history[0, "train_loss"] == pytest.approx(ours.history[0, "train_loss"], rel=0.05)
    assert net.predict_proba(dataset).shape == (120, 3)


def test_a_prior_cannot_be_counted_in_a_data_set_of_the_users_own(quick_net, table32):
    dataset = TensorDataset(*map(torch.tensor, table32))
    with pytest.raises(ValueError, match="class codes"):
        loader_net(quick_net, kl_penalty="prior", kl_strength=0.1, classes=[0, 1, 2]).fit(dataset, None)


def test_a_given_prior_works_with_a_data_set_of_the_users_own(quick_net, table32):
    dataset = TensorDataset(*map(torch.tensor, table32))
    penalty = Prior([0.5, 0.25, 0.25])
    net = loader_net(quick_net, kl_penalty=penalty, kl_strength=0.1, classes=[0, 1, 2]).fit(dataset, None)
    assert net.history[-1, "train_kl_penalty"] > 0


def test_another_data_set_with_batches_is_refused(quick_net, table32):
    dataset = TensorDataset(*map(torch.tensor, table32))
    with pytest.raises(TypeError, match="DataLoader"):
        quick_net(classes=[0, 1, 2]).fit(dataset, None)


def test_a_batch_size_of_minus_one_is_the_whole_data(quick_net, table32):
    assert quick_net(batch_size=-1).fit(*table32).history[:, "train_batch_count"] == [1, 1, 1]


# Named loss terms


def test_terms_are_in_the_history_and_sum_to_the_loss(quick_net, table32):
    history = quick_net(kl_strength=0.3).fit(*table32).history
    fit, penalty = np.array(history[:, "train_data_fit"]), np.array(history[:, "train_kl_penalty"])
    np.testing.assert_allclose(fit + penalty, history[:, "train_loss"], rtol=1e-12)
    assert (penalty > 0).all()


def test_without_a_strength_there_is_no_penalty(quick_net, table32):
    net = quick_net().fit(*table32)
    assert "train_kl_penalty" not in net.history[-1]
    assert net.history[:, "train_loss"] == net.history[:, "train_data_fit"]


@each_penalty
def test_the_loss_of_an_epoch_is_the_mean_over_its_rows(quick_net, table32, penalty):
    """With a rate of nothing the weights stay, so an epoch's loss is that of the net: uneven batches, weights."""
    X, y = table32
    weight = np.random.RandomState(0).rand(120).astype(np.float32) + 0.1
    net = quick_net(lr=0.0, batch_size=50, kl_penalty=penalty, kl_strength=0.3).fit(Rows(X, y, weight=weight), y)
    log_proba = F.log_softmax(net.module_(torch.from_numpy(X)), -1).detach()
    row_losses = F.nll_loss(log_proba, torch.from_numpy(y), reduction="none") + 0.3 * net.penalty_(log_proba, None)
    assert net.history[-1, "train_loss"] == pytest.approx(np.average(row_losses, weights=weight), rel=1e-5)


def test_the_validation_loss_has_no_penalty_and_honours_weights(quick_net, table32):
    X, y = table32
    weight = np.linspace(0.1, 2, 120, dtype=np.float32)
    split = predefined_split(Rows(X, y, weight=weight))
    net = quick_net(kl_strength=0.3, train_split=split).fit(X, y)
    log_loss = -np.log(net.predict_proba(X))[np.arange(120), y]
    assert net.history[-1, "valid_loss"] == pytest.approx(np.average(log_loss, weights=weight), rel=1e-5)


def test_a_batch_without_any_weight_is_skipped(quick_net, table32):
    X, y = table32
    weight = np.repeat([0.0, 1.0], 60).astype(np.float32)
    params = {"batch_size": 60, "iterator_train__shuffle": False, "optimizer": torch.optim.SGD}
    half = quick_net(**params).fit(X[60:], y[60:])
    net = quick_net(**params).fit(Rows(X, y, weight=weight), y)
    np.testing.assert_allclose(net.history[:, "train_loss"], half.history[:, "train_loss"], rtol=1e-5)


@each_penalty
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_a_step_is_that_of_the_loss_written_out(quick_net, table, penalty, weighted):
    X, y = map(torch.tensor, table)
    weight = torch.rand(120, generator=torch.Generator().manual_seed(0), dtype=torch.float64) if weighted else None
    net = quick_net(MLP(5, 3, hidden_layer_sizes=(8,)).double(), kl_penalty=penalty, kl_strength=0.7, classes=[0, 1, 2])
    net.initialize()
    net.penalty_ = make_penalty(penalty).fit(Rows(X, y, weight=weight), 3)
    net.train_step_single(Batch(X, y, **({"weight": weight} if weighted else {})))

    logits = net.module_(X)
    row_losses = F.cross_entropy(logits, y, reduction="none") + 0.7 * net.penalty_(F.log_softmax(logits, -1), None)
    loss = (row_losses * weight).sum() / weight.sum() if weighted else row_losses.mean()
    for parameter, expected in zip(
        net.module_.parameters(), torch.autograd.grad(loss, list(net.module_.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-10, atol=1e-14)


def test_prior_learns_from_the_training_part_only(quick_net, table32):
    X, y = table32
    net = quick_net(kl_penalty="prior", kl_strength=0.1, train_split=predefined_split(Rows(X[:9], y[:9]))).fit(X, y)
    np.testing.assert_allclose(net.penalty_.prior_, np.bincount(y) / 120, rtol=1e-6)


def test_the_users_penalty_object_is_never_changed(quick_net, table32):
    mine = Prior()
    net = quick_net(kl_penalty=mine, kl_strength=0.1).fit(*table32)
    assert not hasattr(mine, "prior_")
    assert hasattr(net.penalty_, "prior_")


def test_a_penalty_set_between_two_trainings_is_used(quick_net, table32):
    net = quick_net(kl_strength=0.1).fit(*table32)
    net.set_params(kl_penalty="prior", kl_strength=0.2).partial_fit(*table32)
    assert isinstance(net.penalty_, Prior)


@pytest.mark.parametrize("strength", [-0.1, np.nan, np.inf])
def test_a_bad_strength_is_refused(quick_net, table32, strength):
    with pytest.raises(ValueError, match="kl_strength"):
        quick_net(kl_strength=strength).fit(*table32)


def test_labels_of_their_own(quick_net, table32):
    X, y = table32
    Y = np.stack([y == 0, y > 0], 1).astype(np.int64)
    net = quick_net(module__n_classes=2, multilabel=True, classes=[0, 1], kl_strength=0.1, max_epochs=1, lr=0.0)
    net.fit(Rows(X, Y), None)
    logits = net.module_(torch.from_numpy(X)).detach()
    expected = F.binary_cross_entropy_with_logits(logits, torch.tensor(Y).float(), reduction="none").sum(1).mean()
    assert net.history[-1, "train_data_fit"] == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(net.predict_proba(X), torch.sigmoid(logits.double()), rtol=1e-5)


# Rates and optimisers


@pytest.mark.parametrize("learning_rate", LEARNING_RATES)
def test_every_rule_trains_and_gives_the_rate_back(quick_net, table32, learning_rate):
    net = quick_net(learning_rate=learning_rate, max_epochs=10).fit(*table32)
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(net.lr_)
    assert (net.lr_ == 0.01) == (learning_rate != "kl_adaptive")  # which finds one


def test_a_stream_may_change_its_learning_rate(quick_net, table32):
    net = quick_net(max_epochs=1)
    net.stream = True
    for part, name in enumerate(["constant", "kl_adaptive", "onecycle", "kl_adaptive", "constant"]):
        lr = 0.01 * (1 + part)
        for _ in range(2):
            net.set_params(lr=lr)
            net.learning_rate = name
            net.partial_fit(*table32)
            assert (net.history[-1, "lr"] == lr) == (name != "kl_adaptive")


def test_one_cycle_spans_all_epochs(quick_net, table32):
    rates = quick_net(learning_rate="onecycle", max_epochs=10).fit(*table32).history[:, "lr"]
    assert max(rates) == pytest.approx(0.01, rel=0.05)
    assert np.argmax(rates) in {2, 3}
    assert rates[-1] < 0.01 * 0.01


def test_lbfgs_finds_what_logistic_regression_finds(quick_net, make_table):
    X, y = make_table(400)
    params = {"lr": 1.0, "optimizer__line_search_fn": "strong_wolfe", "batch_size": -1, "max_epochs": 10}
    net = quick_net(MLP(5, 3, hidden_layer_sizes=()).double(), optimizer=torch.optim.LBFGS, **params).fit(X, y)
    peer = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(net.predict_proba(X), peer.predict_proba(X), atol=1e-3)


# Seeds and pickles


@pytest.mark.parametrize("module", [MLP, Noisy])
@pytest.mark.parametrize("iterator", [None, DataLoader])
def test_the_same_seed_gives_the_same_net(quick_net, table32, module, iterator, global_state_untouched):
    params = {"iterator_train": iterator} if iterator else {}
    params |= {"module__dropout": 0.5} if module is MLP else {}
    with global_state_untouched():
        nets = [quick_net(module, random_state=seed, **params).fit(*table32) for seed in [1, 1, 2]]
    assert same(nets[0], nets[1])
    assert not same(nets[0], nets[2])


def test_the_nets_dropout_draws_from_its_own_generator(quick_net):
    net = quick_net(module__dropout=0.5).initialize()
    layers = [layer for layer in net.module_.modules() if isinstance(layer, Dropout)]
    assert layers
    assert all(layer.generator is net.generator_ for layer in layers)


@pytest.mark.parametrize("module", [MLP, Noisy])
@pytest.mark.parametrize(
    "make_copy", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"]
)
def test_a_copy_predicts_the_same_and_goes_on_the_same(quick_net, table32, module, make_copy):
    net = quick_net(module, kl_penalty="prior", kl_strength=0.1, **({"module__dropout": 0.5} if module is MLP else {}))
    net.fit(*table32)
    copied = make_copy(net)
    assert np.array_equal(copied.predict_proba(table32[0]), net.predict_proba(table32[0]))
    for either in (copied, net):
        either.partial_fit(*table32)
    assert same(copied, net)
    assert copied.history[:, "train_loss"] == net.history[:, "train_loss"]


def test_an_untrained_net_survives_pickling(quick_net, table32):
    net = pickle.loads(pickle.dumps(quick_net()))
    assert same(net.fit(*table32), quick_net().fit(*table32))


# Parameters


@pytest.mark.parametrize(("name", "value"), [("kl_strength", -1.0), ("distill_weight", 2.0), ("distill_rows", "some")])
def test_a_parameter_is_checked_before_and_after_training(quick_net, table32, name, value):
    with pytest.raises(ValueError, match=f"The {name!r} parameter of KLNet must be .* Got {value!r} instead."):
        quick_net(**{name: value}).fit(*table32)
    net = quick_net().fit(*table32)
    before = getattr(net, name)
    with pytest.raises(ValueError, match=f"The {name!r} parameter of KLNet"):
        net.set_params(**{name: value})
    assert getattr(net, name) == before


def test_a_net_resumes_another_one(quick_net, table32):
    """As if training had not stopped, with the parameters of the new net; the old one stays as it is."""
    whole = quick_net(max_epochs=4).fit(*table32).partial_fit(*table32)
    first = quick_net(max_epochs=4).fit(*table32)
    weights = copy.deepcopy(first.module_.state_dict())
    resumed = quick_net(max_epochs=4, random_state=7).resume(first).partial_fit(*table32)
    assert same(resumed, whole)
    assert len(resumed.history) == 8
    assert len(first.history) == 4
    assert all(torch.equal(value, weights[name]) for name, value in first.module_.state_dict().items())


def test_moments_of_another_optimiser_are_left(quick_net, table32):
    first = quick_net(optimizer=torch.optim.Adam).fit(*table32)
    resumed = quick_net(optimizer=torch.optim.SGD, optimizer__momentum=0.9).resume(first)
    assert not resumed.optimizer_.state
    follows = quick_net(optimizer=torch.optim.Adam, optimizer__betas=(0.5, 0.9)).resume(first)
    assert follows.optimizer_.param_groups[0]["betas"] == (0.5, 0.9)
    assert len(follows.optimizer_.state) == 4
