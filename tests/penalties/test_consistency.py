"""R-Drop and virtual adversarial training against versions written out by hand."""

import functools

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn import functional as F

from sklkl import KLNet
from sklkl.data import Batch, Rows
from sklkl.modules import MLP, label_log_proba
from sklkl.penalties import RDrop, VirtualAdversarial


def make_net(module, **params):
    net = KLNet(module, classes=[0, 1, 2], verbose=0, random_state=0, train_split=None, **params)
    return net.initialize()


def inputs(n_rows=6, n_features=5, seed=0):
    return torch.randn(n_rows, n_features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kl(log_p, log_q):
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


def with_dropout():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).double()


def with_batch_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).double()


# R-Drop


def test_rdrop_is_the_mean_of_both_directions():
    net, x = make_net(with_dropout()), inputs()
    first = net.log_proba(x, training=True)
    torch.manual_seed(7)
    value = RDrop()(first, Batch(x, None), net)
    torch.manual_seed(7)
    second = net.module_.train()(x).log_softmax(-1)
    torch.testing.assert_close(value, (kl(first, second) + kl(second, first)) / 2)
    assert (value > 0).any()
    assert not torch.equal(first, second)


def test_rdrop_teaches_both_passes():
    net, x = make_net(with_dropout()), inputs()
    first = net.log_proba(x, training=True)
    first.retain_grad()
    RDrop()(first, Batch(x, None), net).sum().backward()
    assert first.grad.abs().sum() > 0
    assert net.module_[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "params",
    [{"dropout": 0.0}, {"hidden_layer_sizes": ()}, {"module": lambda: nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.0))}],
    ids=["no rate", "no layer", "module"],
)
def test_rdrop_needs_dropout(quick, table, params):
    clf = quick(**{"kl_penalty": "rdrop", "kl_strength": 0.1, **params})
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="'rdrop' compares two dropout masks, but the network has no dropout"):
        clf.fit(*table)
    assert vars(clf) == before


def test_rdrop_makes_predictions_hang_less_on_the_mask(quick, table):
    X, y = table

    def spread(strength):
        clf = quick(
            hidden_layer_sizes=(32,), dropout=0.5, kl_penalty="rdrop", kl_strength=strength, max_epochs=15,
            early_stopping=False,
        ).fit(X, y)  # fmt: skip
        x = torch.tensor(X, dtype=torch.float32)
        return torch.stack([clf.net_.log_proba(x, training=True).exp().detach() for _ in range(20)]).var(0).mean()

    assert spread(2.0) < 0.7 * spread(1e-9)


# Virtual adversarial training


def by_hand(module, x, seed, epsilon, xi):
    """Section 3.3 of the paper with one power iteration, for a network in evaluation mode."""
    module.eval()
    p = module(x).softmax(-1).detach()
    d = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    d = (d / d.norm(dim=1, keepdim=True)).requires_grad_()
    (p * (p.log() - module(x + xi * d).log_softmax(-1))).sum().backward()
    r = epsilon * d.grad / d.grad.norm(dim=1, keepdim=True)
    return (p * (p.log() - module(x + r).log_softmax(-1))).sum(-1)


@pytest.mark.parametrize("make", [with_dropout, with_batch_norm])
def test_vat_is_the_papers(make):
    net, x = make_net(make()), inputs()
    net.generator_.manual_seed(5)
    value = VirtualAdversarial(epsilon=0.7, xi=0.05)(net.log_proba(x, training=True), Batch(x, None), net)
    torch.testing.assert_close(value, by_hand(net.module_, x, 5, 0.7, 0.05))


@pytest.mark.parametrize("make", [with_dropout, with_batch_norm])
def test_the_gradient_of_vat_is_the_papers(make):
    """The prediction before and the direction are constants: no gradient goes through them."""
    net, x = make_net(make()), inputs()
    net.generator_.manual_seed(5)
    VirtualAdversarial(epsilon=0.7, xi=0.05)(net.log_proba(x, training=True), Batch(x, None), net).sum().backward()
    found = [parameter.grad.clone() for parameter in net.module_.parameters()]
    net.module_.zero_grad()
    value = by_hand(net.module_, x, 5, 0.7, 0.05).sum()
    expected = torch.autograd.grad(value, list(net.module_.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
        assert ours.abs().sum() > 0


def test_the_direction_is_the_gradient_of_the_kl_times_epsilon():
    """For two classes and a linear model r must be parallel to the difference of the two weight vectors."""
    module, x = nn.Linear(5, 2).double(), inputs(20)
    seen = []
    module.register_forward_hook(lambda module, given, output: seen.append(given[0].detach().clone()))
    net = KLNet(module, classes=[0, 1], verbose=0).initialize()
    seen.clear()
    net.module_.register_forward_hook(lambda module, given, output: seen.append(given[0].detach().clone()))
    VirtualAdversarial(epsilon=0.3)(None, Batch(x, None), net)
    r = seen[-1] - x
    w = (net.module_.weight[0] - net.module_.weight[1]).detach()
    torch.testing.assert_close(r.norm(dim=1), torch.full((20,), 0.3, dtype=torch.float64))
    cosine = (r @ w).abs() / (r.norm(dim=1) * w.norm())
    torch.testing.assert_close(cosine, torch.ones(20, dtype=torch.float64), rtol=1e-6, atol=0)


def test_more_iterations_find_a_worse_direction():
    net, x = make_net(with_dropout()), inputs(200)
    found = [
        VirtualAdversarial(n_iterations=n)(net.log_proba(x, training=False), Batch(x, None), net).mean().item()
        for n in (1, 5)
    ]
    assert found[1] > found[0]


class Bump(nn.Module):
    """Near 0 a network of ReLUs has a gradient, a step from there none."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(1, 3).double()

    def forward(self, x):
        return self.output(F.relu(0.005 - x.abs()) * 100)


def test_rounding_is_no_direction():
    """The first step finds no direction; at x itself the KL is 0, and so is its gradient but for rounding."""
    x = torch.linspace(-0.004, 0.004, 100, dtype=torch.float64).unsqueeze(1)
    value = VirtualAdversarial(n_iterations=2)(None, Batch(x, None), make_net(Bump()))
    assert not value.any()


def test_the_prediction_before_is_no_path_for_the_gradient():
    net, x = make_net(with_dropout()), inputs()
    first = net.log_proba(x, training=True)
    first.retain_grad()
    VirtualAdversarial()(first, Batch(x, None), net).sum().backward()
    assert first.grad is None
    assert net.module_[0].weight.grad.abs().sum() > 0


STILL = {"learning_rate": "constant", "lr": 1e-300}


def test_vat_leaves_batch_norm_statistics_alone(quick, table):
    def fitted(**params):
        clf = quick(module=functools.partial(with_batch_norm), dtype="float64", max_epochs=1, **STILL, **params)
        return clf.fit(*table).module_[1]

    with_vat, without = fitted(kl_penalty="vat", kl_strength=1.0), fitted()
    torch.testing.assert_close(with_vat.running_mean, without.running_mean)
    torch.testing.assert_close(with_vat.running_var, without.running_var)
    assert with_vat.num_batches_tracked == without.num_batches_tracked > 0


def test_the_network_is_in_training_mode_after_the_penalty():
    net, x = make_net(with_batch_norm(), kl_penalty="vat", kl_strength=1.0), inputs()
    net.penalty_ = VirtualAdversarial()
    net.train_step_single(Batch(x, torch.tensor([0, 1, 2, 0, 1, 2])))
    assert all(layer.training for layer in net.module_.modules())


def test_vat_uses_rows_without_a_label(quick, table):
    X, y = table
    far = X + 3.0
    clf = quick(kl_penalty="vat", kl_strength=1.0, early_stopping=False)
    assert not np.array_equal(clf.fit(X, y).predict_proba(X), clf.fit(X, y, X_unlabeled=far).predict_proba(X))
    rows = Rows(torch.tensor(np.vstack([X, far])).float(), torch.tensor([*y, *[-100] * 120]))
    net = clf.fit(X, y, X_unlabeled=far).net_
    terms = net.loss_terms(net.module_(rows.X), next(rows.split([0, 240])))
    assert (terms["kl_penalty"] > 0).sum() > 200
    assert (terms["data_fit"][120:] == 0).all()


def test_vat_keeps_rows_without_a_label_where_the_teacher_has_no_weight(quick, table):
    X, y = table
    teacher = lambda X: pytest.fail("the teacher was asked")  # noqa: E731
    clf = quick(kl_penalty="vat", kl_strength=1.0, teacher=teacher, distill_weight=0.0, early_stopping=False)
    alone = quick(kl_penalty="vat", kl_strength=1.0, early_stopping=False).fit(X, y, X_unlabeled=X + 3)
    with pytest.warns(UserWarning, match="'teacher' parameter of KLClassifier has no effect"):
        clf.fit(X, y, X_unlabeled=X + 3)
    assert np.array_equal(clf.predict_proba(X), alone.predict_proba(X))


@pytest.mark.filterwarnings("ignore:The 'kl_penalty' parameter of KLClassifier has no effect")
def test_a_strength_of_0_is_compared_with_others_on_the_same_rows(quick, table):
    """It is the network that a search compares others with."""
    X, y = table
    clf = quick(kl_penalty="vat")
    expected = clf.fit(X, y).predict_proba(X)
    assert np.array_equal(clf.fit(X, y, X_unlabeled=X + 3).predict_proba(X), expected)
    search = GridSearchCV(clf, {"kl_strength": [0.0, 0.1]}, cv=2, refit=False)
    assert np.isfinite(search.fit(X, y, X_unlabeled=X[:30] + 3).cv_results_["mean_test_score"]).all()
    with pytest.raises(ValueError, match="X_unlabeled has 4 features"):
        clf.fit(X, y, X_unlabeled=X[:, 1:])


@pytest.mark.parametrize("penalty", ["confidence", "rdrop"])
def test_other_penalties_do_not_take_rows_without_a_label(quick, table, penalty):
    with pytest.raises(ValueError, match="'X_unlabeled' needs a 'teacher' that can label it, or a penalty"):
        quick(kl_penalty=penalty, kl_strength=0.1, dropout=0.2).fit(*table, X_unlabeled=table[0])


@pytest.mark.parametrize(
    ("params", "name"),
    [
        *(({"epsilon": value}, "epsilon") for value in (0, -1.0, np.nan, np.inf, "far")),
        *(({"xi": value}, "xi") for value in (0, np.nan, None)),
        *(({"n_iterations": value}, "n_iterations") for value in (0, 1.5, None)),
    ],
    ids=str,
)
def test_bad_parameters_of_vat_are_named(quick, table, params, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of VirtualAdversarial must be"):
        quick(kl_penalty=VirtualAdversarial(**params), kl_strength=0.1).fit(*table)


def test_vat_cannot_move_whole_numbers():
    with pytest.raises(ValueError, match="'vat' moves x, which must be floating. Got torch.int64"):
        VirtualAdversarial()(None, Batch(torch.zeros(2, 5, dtype=torch.int64), None), object())


# Both


@pytest.mark.parametrize("name", ["rdrop", "vat"])
def test_a_seed_decides(quick, table, name, global_state_untouched):
    X, y = table

    def proba(seed):
        clf = quick(kl_penalty=name, kl_strength=0.5, dropout=0.3, random_state=seed)
        return clf.fit(X, y).predict_proba(X)

    with global_state_untouched():
        assert np.array_equal(proba(0), proba(0))
        assert not np.array_equal(proba(0), proba(1))


@pytest.mark.parametrize("name", ["rdrop", "vat"])
def test_multilabel(quick, table, name):
    X, Y = table[0], np.eye(3, dtype=int)[table[1]]
    clf = quick(kl_penalty=name, kl_strength=0.5, dropout=0.3).fit(X, Y)
    assert clf.history_[-1]["train_kl_penalty"] > 0
    assert clf.predict_proba(X).shape == (120, 3)


def test_the_penalty_of_labels_is_summed():
    module, x = with_dropout().eval(), inputs()
    net = make_net(module, multilabel=True)
    net.generator_.manual_seed(5)
    value = VirtualAdversarial(epsilon=0.1)(None, Batch(x, None), net)
    assert value.shape == (6, 3)
    p = label_log_proba(net.module_(x)).exp()
    assert p.shape == (6, 3, 2)
    assert (value > 0).all()


@pytest.mark.parametrize("penalty", [RDrop(), VirtualAdversarial()], ids=["rdrop", "vat"])
def test_a_class_that_is_masked_costs_nothing(penalty):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = with_dropout()

        def forward(self, x):
            return self.net(x).masked_fill(torch.tensor([False, True, False]), -torch.inf)

    net, x = make_net(Masked()), inputs()
    value = 100 * penalty(net.log_proba(x, training=True), Batch(x, None), net)
    value.sum().backward()
    assert value.isfinite().all()
    assert all(p.grad.isfinite().all() for p in net.module_.parameters())


class Words(nn.Module):
    """A network whose inputs are numbers of words."""

    def __init__(self, n_classes):
        super().__init__()
        self.words, self.output = nn.Embedding(9, 4), nn.Linear(4, n_classes)

    def forward(self, x):
        return self.output(self.words(x.long()).mean(1))


def test_vat_needs_a_gradient_in_x(quick):
    X, y = np.arange(8).reshape(4, 2), [0, 1, 0, 1]
    clf = quick(module=Words, kl_penalty="vat", kl_strength=0.1)
    with pytest.raises(ValueError, match="'vat' moves x, but the network's output has no gradient in x"):
        clf.fit(X, y)
    assert clf.set_params(kl_penalty="confidence", kl_strength=0.0).fit(X, y).predict(X).shape == (4,)


def test_vat_needs_one_tensor():
    net, x = make_net(with_dropout()), inputs()
    with pytest.raises(ValueError, match="'vat' moves x, which must be floating. Got dict"):
        VirtualAdversarial()(None, Batch({"x": x}, None), net)


def test_the_built_in_network_and_sparse_rows(quick, table):
    from scipy import sparse

    for name in ("rdrop", "vat"):
        clf = quick(kl_penalty=name, kl_strength=0.1, dropout=0.2).fit(sparse.csr_array(table[0]), table[1])
        assert isinstance(clf.module_, MLP)
        assert clf.history_[-1]["train_kl_penalty"] > 0
