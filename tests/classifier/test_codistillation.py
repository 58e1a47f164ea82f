"""Members that are drawn to their mean in training: ``codistill_strength``."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import rel_entr, softmax
from sklearn.naive_bayes import GaussianNB

from sklkl.data import Rows, TrainingSet
from sklkl.modules import MLP, input_scaling
from sklkl.net import train_together
from sklkl.net._terms import divergence_from_mean
from sklkl.penalties import Confidence, make_penalty

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


def train_by_hand(nets, rows, penalty, n_steps):
    """Train nets on all rows at once, each drawn to the mean as it is, which is not moved for its sake."""
    for _ in range(n_steps):
        (batch,) = nets[0].get_iterator(rows, training=True)
        log_p = torch.stack([net.log_proba(batch[0], training=True) for net in nets])
        apart = (log_p.exp() * (log_p - log_p.detach().exp().mean(0).log())).sum(-1)
        loss = STRENGTH * apart - log_p[:, range(len(rows)), batch[1]]
        loss = loss + 0.5 * torch.stack([penalty(own, batch, net) for own, net in zip(log_p, nets, strict=True)])
        for net in nets:
            net.optimizer_.zero_grad()
        loss.mean(1).sum().backward()
        for net in nets:
            net.optimizer_.step()


@pytest.mark.parametrize("penalty", ["confidence", "rdrop", "vat"])
def test_is_the_training_by_hand(quick_net, table, penalty):
    X, y = torch.from_numpy(table[0]).double(), torch.from_numpy(table[1])
    scaling, rows = input_scaling(table[0]), Rows(X, y)
    params = {
        "classes": [0, 1, 2], "lr": 1e-2, "learning_rate": "constant", "max_epochs": 4, "batch_size": len(y),
        "optimizer": torch.optim.AdamW, "optimizer__fused": True, "kl_penalty": penalty, "kl_strength": 0.5,
    }  # fmt: skip
    module = lambda: MLP(5, 3, (8,), dropout=0.3, scaling=scaling).double()  # noqa: E731
    nets, by_hand = ([quick_net(module, random_state=n, **params).initialize() for n in range(3)] for _ in range(2))
    train_together(nets, [TrainingSet(rows)] * 3, codistill_strength=STRENGTH)
    train_by_hand(by_hand, rows, make_penalty(penalty), 4)
    for ours, expected in zip(nets, by_hand, strict=True):
        for own, other in zip(ours.module_.parameters(), expected.module_.parameters(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-8, atol=1e-10)


def test_the_stronger_the_less_members_differ(several, table):
    differences = [
        several(codistill_strength=strength, max_epochs=10).fit(*table).predict_uncertainty(table[0]).mean()
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
    clf = several(max_epochs=2, **params)
    proba = clf.fit(X, *rest).predict_proba(X)
    assert all(value > 0 for value in clf.history_[:, "train_codistillation"])
    same_but_for_rounding(clf.fit(X, *rest).predict_proba(X), proba)


class Own(Confidence):
    """A penalty of the user's own."""


REFUSED = {
    "a penalty that may look at the rows": {"kl_penalty": Own(), "kl_strength": 0.1},
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
