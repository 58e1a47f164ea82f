"""Members that are drawn to their mean in training: ``codistill_strength``."""

import copy

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import rel_entr, softmax
from sklearn.naive_bayes import GaussianNB
from torch.nn.functional import cross_entropy

from sklkl.data import Rows, TrainingSet
from sklkl.modules import MLP
from sklkl.net import train_together
from sklkl.net._terms import divergence_from_mean

STRENGTH = 0.7


@pytest.fixture
def several(quick):
    """Return ``several(**params)``: a quick classifier of three networks that learn from each other."""

    def make(**params):
        return quick(**{"n_members": 3, "codistill_strength": STRENGTH, "early_stopping": True, **params})

    return make


def indicator(y):
    return np.eye(3, dtype=int)[y]


# The term


def test_the_divergence_from_the_mean():
    logits = np.random.RandomState(0).randn(3, 7, 4)
    p = softmax(logits, axis=-1)
    ours = divergence_from_mean(torch.from_numpy(logits), multilabel=False)
    np.testing.assert_allclose(ours, rel_entr(p, p.mean(0)).sum(-1))


def test_that_of_labels_is_their_sum():
    logits = torch.from_numpy(np.random.RandomState(0).randn(3, 7, 2))
    of_each = [torch.stack([torch.zeros_like(values), values], -1) for values in logits.unbind(-1)]
    expected = sum(divergence_from_mean(pair, multilabel=False) for pair in of_each)
    torch.testing.assert_close(divergence_from_mean(logits, multilabel=True), expected)


def test_it_is_finite_where_members_are_sure_of_other_classes():
    logits = torch.tensor([[[1e4, -1e4]], [[-1e4, 1e4]]], requires_grad=True)
    divergence = divergence_from_mean(logits, multilabel=False)
    divergence.sum().backward()
    torch.testing.assert_close(divergence.detach(), torch.full((2, 1), 2.0).log())
    assert logits.grad.isfinite().all()


# The training


def trained_by_hand(modules, X, y, n_steps, lr):
    """Train networks on all rows at once, each drawn to the mean as it is, which is not moved for its sake."""
    optimizer = torch.optim.AdamW([p for module in modules for p in module.parameters()], lr=lr)
    for _ in range(n_steps):
        logits = torch.stack([module(X) for module in modules])
        p, mean = logits.softmax(-1), logits.detach().softmax(-1).mean(0)
        apart = (p * (p / mean).log()).sum(-1).mean(1)
        fit = torch.stack([cross_entropy(own, y) for own in logits])
        optimizer.zero_grad()
        (fit + STRENGTH * apart).sum().backward()
        optimizer.step()
    return [torch.cat([p.detach().flatten() for p in module.parameters()]) for module in modules]


def test_is_the_training_by_hand(quick_net, table):
    X, y = torch.from_numpy(table[0]).double(), torch.from_numpy(table[1])
    params = {
        "classes": [0, 1, 2], "lr": 1e-2, "learning_rate": "constant", "max_epochs": 4, "batch_size": len(y),
        "optimizer": torch.optim.AdamW, "optimizer__fused": True,
    }  # fmt: skip
    nets = [
        quick_net(lambda: MLP(X.shape[1], 3, (8,)).double(), random_state=seed, **params).initialize()
        for seed in range(3)
    ]
    expected = trained_by_hand([copy.deepcopy(net.module_).train() for net in nets], X, y, 4, 1e-2)
    train_together(nets, [TrainingSet(Rows(X, y))] * 3, codistill_strength=STRENGTH)
    for net, weights in zip(nets, expected, strict=True):
        ours = torch.cat([p.detach().flatten() for p in net.module_.parameters()])
        torch.testing.assert_close(ours, weights, rtol=1e-8, atol=1e-10)


def test_the_stronger_the_less_members_differ(several, table):
    differences = [
        several(codistill_strength=strength, max_epochs=20).fit(*table).predict_uncertainty(table[0]).mean()
        for strength in (0.0, 1.0, 30.0)
    ]
    assert differences[0] > differences[1] > 2 * differences[2] > 0


def test_the_history_says_how_much_it_is(several, table):
    history = several().fit(*table).history_
    assert all(value > 0 for value in history[:, "train_codistillation"])
    total = np.array(history[:, "train_data_fit"]) + history[:, "train_codistillation"]
    np.testing.assert_allclose(history[:, "train_loss"], total)
    assert "train_codistillation" not in several(codistill_strength=0.0).fit(*table).history_[0]


def test_members_share_a_validation_part(several, table, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "sklkl.net._ensemble.train_together", lambda nets, sets, **kwargs: seen.extend(sets) or [None] * len(nets)
    )
    several(max_epochs=1).fit(*table)
    assert len(set(map(id, seen))) == 1


KINDS = {
    "penalty": ({"kl_strength": 0.1}, lambda X, y: (X, y)),
    "labels": ({}, lambda X, y: (X, indicator(y))),
    "sparse": ({}, lambda X, y: (sparse.csr_array(np.where(X > 0, X, 0)), y)),
    "weights": ({}, lambda X, y: (X, y, np.linspace(0.1, 2, len(y)))),
    "teacher": ({"teacher": GaussianNB(), "distill_weight": 0.5}, lambda X, y: (X, y)),
    "no validation part": ({"early_stopping": False}, lambda X, y: (X, y)),
    "constant rate": ({"learning_rate": "constant"}, lambda X, y: (X, y)),
}


@pytest.mark.parametrize(("params", "data"), KINDS.values(), ids=KINDS)
def test_rows_and_settings_of_every_kind(several, table, params, data, same_but_for_rounding):
    X, *rest = data(*table)
    clf = several(**params).fit(X, *rest)
    assert all(value > 0 for value in clf.history_[:, "train_codistillation"])
    same_but_for_rounding(clf.predict_proba(X), several(**params).fit(X, *rest).predict_proba(X))


REFUSED = {
    "a penalty that looks at the rows": {"kl_penalty": "vat", "kl_strength": 0.1},
    "another optimiser": {"optimizer": "sgd"},
    "a module": {"module": lambda n_features, n_classes: torch.nn.Linear(n_features, n_classes)},
}


@pytest.mark.parametrize("params", REFUSED.values(), ids=REFUSED)
def test_networks_that_are_no_stack_are_refused(several, table, params):
    with pytest.raises(ValueError, match="The 'codistill_strength' parameter of KLClassifier must be 0 where"):
        several(**params).fit(*table)


def test_a_stream_is_refused(several, table):
    clf = several(early_stopping="auto", max_epochs=100)
    with pytest.raises(ValueError, match="The 'codistill_strength' parameter .* the training is a stream"):
        clf.partial_fit(*table, classes=[0, 1, 2])
    assert not hasattr(clf, "net_")


def test_one_network_has_no_others_to_learn_from(quick, table):
    with pytest.warns(UserWarning, match="'codistill_strength' .* has no effect; n_members > 1"):
        quick(codistill_strength=0.1).fit(*table)
