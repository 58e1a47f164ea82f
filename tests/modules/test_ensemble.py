"""Networks that predict as one: the mean of their probabilities, as scipy computes it."""

import pickle

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from sklkl.modules import MLP, Ensemble, is_built_in


@pytest.fixture
def members():
    return [MLP(4, 3, (5,), "tanh", dropout=0.5).eval() for _ in range(3)]


class Logits(nn.Module):
    """Returns logits that it was given, for every row."""

    def __init__(self, logits):
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits, dtype=torch.float64))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


@pytest.mark.parametrize(
    ("multilabel", "proba"),
    [(False, lambda z: special.softmax(z, -1)), (True, special.expit)],
    ids=["classes", "labels"],
)
def test_the_probabilities_are_the_mean_of_the_members(members, multilabel, proba):
    x = torch.randn(7, 4, dtype=torch.float64)
    ensemble = Ensemble(members, multilabel).eval()
    expected = np.mean([proba(member(x).detach().numpy()) for member in members], axis=0)
    np.testing.assert_allclose(proba(ensemble(x).detach().numpy()), expected, rtol=1e-12)
    np.testing.assert_allclose(proba(ensemble.forward_numpy(x.numpy())), expected, rtol=1e-12)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_computes_in_the_type_of_its_input(members, multilabel, dtype):
    logits = Ensemble(members, multilabel).forward_numpy(np.ones((2, 4), dtype))
    assert logits.dtype == dtype
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("multilabel", [False, True])
def test_sure_members_that_differ_are_half_sure(multilabel):
    # of softmax in float32 the smaller probability would be zero, and its logarithm infinite
    ensemble = Ensemble([Logits([900.0, -900.0]), Logits([-900.0, 900.0])], multilabel)
    logits = ensemble(torch.zeros(1, 1))[0]
    torch.testing.assert_close(logits[0], logits[1])
    assert torch.isfinite(logits).all()


def test_a_class_that_no_member_thinks_possible():
    logits = Ensemble([Logits([0.0, -np.inf]), Logits([1.0, -np.inf])])(torch.zeros(1, 1))
    assert logits.tolist() == [[0.0, -np.inf]]


def test_is_trained_as_any_network(members):
    ensemble = Ensemble(members)
    ensemble(torch.randn(5, 4)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in ensemble.parameters())


def test_is_pickled(members):
    ensemble = Ensemble(members).eval()
    x = torch.randn(2, 4)
    assert torch.equal(pickle.loads(pickle.dumps(ensemble))(x), ensemble(x))


def test_what_is_built_in(members):
    assert is_built_in(members[0])
    assert is_built_in(Ensemble(members))
    assert not is_built_in(nn.Linear(4, 3))
    assert not is_built_in(Ensemble([*members, nn.Linear(4, 3)]))


def of_its_own(layer):
    layer.forward = lambda x: x * 0


CHANGES = {
    "hook": lambda module: module[1].register_forward_hook(lambda layer, inputs, output: output * 0),
    "hook of the scales": lambda module: module.scaling.register_forward_hook(lambda layer, inputs, output: output * 0),
    "hook of the network": lambda module: module.register_forward_hook(lambda layer, inputs, output: output * 0),
    "pre-hook": lambda module: module[1].register_forward_pre_hook(lambda layer, inputs: (inputs[0] * 0,)),
    "forward": lambda module: of_its_own(module[2]),
    "layer": lambda module: module.append(nn.LayerNorm(3)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("n_members", [1, 2])
def test_what_was_changed_is_not_built_in_and_predicts_one_row_as_many(quick, table, change, n_members):
    X, y = table
    clf = quick(n_members=n_members).fit(X, y)
    before, network = clf.predict_proba(X), clf.module_ if n_members == 1 else clf.module_.members[1]
    CHANGES[change](network)
    assert not is_built_in(clf.module_)
    found = clf.predict_proba(X)
    assert not np.allclose(found, before, rtol=0, atol=1e-3)
    np.testing.assert_allclose(clf.predict_proba(X[:1]), found[:1], rtol=0, atol=1e-7)


def test_a_hook_of_an_ensemble_is_called(quick, table):
    X, y = table
    clf = quick(n_members=2).fit(X, y)
    clf.module_.register_forward_hook(lambda module, inputs, output: output * 0)
    np.testing.assert_allclose(clf.predict_proba(X[:1]), 1 / 3)
