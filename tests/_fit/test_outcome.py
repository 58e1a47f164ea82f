"""What is said of a training that ends worse than no network at all."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_classification
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklkl import KLClassifier

NOT = pytest.mark.filterwarnings("error:Training has not converged")


def layers(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_classes))


def blown_up(n_features, n_classes):
    """A network whose logits are huge from the beginning, and hardly learn in an epoch."""
    network = layers(n_features, n_classes)
    nn.init.normal_(network[2].weight, std=1e3)
    return network


def of_shares(y, weight=None):
    share = np.bincount(y, weight) / (len(y) if weight is None else weight.sum())
    return -(share * np.log(share)).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_above_the_entropy_of_the_class_shares_is_told(table, weighted):
    X, y = table
    weight = np.random.RandomState(0).rand(len(y)) if weighted else None
    clf = KLClassifier(module=blown_up, max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Training has not converged: .* nats a row") as caught:
        clf.fit(X, y, weight)
    text = str(caught[0].message)
    assert f"without any input has {of_shares(y, weight):.3g}" in text
    assert f"The learning rate, {clf.lr_:.3g}" in text
    assert "scaling" not in text  # these inputs are of order one


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_inputs_of_another_scale_are_named(table, factor):
    X, y = table
    clf = KLClassifier(module=blown_up, max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="may need scaling"):
        clf.fit(X * factor, y)


def test_of_labels_too(table):
    X, y = table
    clf = KLClassifier(module=blown_up, max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="not converged"):
        clf.fit(X, np.eye(3, dtype=int)[y])


def uniform(X):
    return np.full((len(X), 3), 1 / 3)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_it_is_the_loss_of_rows_with_a_label(table, weight):
    """The history has terms of the loss, whose means are over all rows: here 120 with a label and 240 without."""
    X, y = table
    weights = None if weight is None else np.where(y == 0, weight, 1.0)
    still = {"learning_rate": "constant", "lr": 1e-20, "max_epochs": 2, "dtype": "float64", "random_state": 0}
    clf = KLClassifier(module=blown_up, teacher=uniform, distill_rows="unlabeled", augment_factor=2, **still)
    with pytest.warns(ConvergenceWarning, match="not converged") as caught:
        clf.fit(X, y, sample_weight=weights)
    loss = np.average(-clf.predict_log_proba(X)[np.arange(120), y], weights=weights)
    assert f"the loss on its rows is {loss:.3g} nats a row" in str(caught[0].message)
    assert clf.history_[-1, "train_data_fit"] == pytest.approx(loss / 3, rel=1e-5)


@NOT
@pytest.mark.parametrize("change", [{}, {"kl_strength": 5.0}, {"scale_inputs": True, "early_stopping": True}], ids=str)
def test_a_training_that_converges_says_nothing(table, change):
    KLClassifier((16,), max_epochs=30, random_state=0, **change).fit(*table)


@NOT
def test_a_teacher_of_another_opinion_is_no_failure(table):
    X, y = table
    wrong = 0.9 * np.eye(3)[(y + 1) % 3] + 0.1 / 3
    KLClassifier((16,), max_epochs=30, distill_weight=1.0, random_state=0).fit(X, y, teacher_proba=wrong)


@NOT
def test_a_stream_is_not_judged_by_one_part(table):
    X, y = table
    KLClassifier(module=blown_up, random_state=0).partial_fit(X[:10], y[:10], classes=[0, 1, 2])


# Numbers as they come


def moved(X, how):
    random = np.random.RandomState(0)
    return {
        "scaled": X * 10 ** random.uniform(-4, 4, X.shape[1]),
        "shifted": X + 1000 * X.std(axis=0),
        "one huge": X * np.where(np.arange(X.shape[1]) == 0, 1e10, 1.0),
    }[how]


def loss_on_its_rows(X, y, **params):
    clf = KLClassifier((64,), max_epochs=30, random_state=0, **params).fit(X, y)
    return -np.log(clf.predict_proba(X)[np.arange(len(y)), y]).mean()


@NOT
@pytest.mark.parametrize("how", ["scaled", "shifted", "one huge"])
def test_units_do_not_matter(once, how):
    X, y = load_wine(return_X_y=True)
    given = loss_on_its_rows(moved(X, how), y)
    assert given < 0.1
    expected = once("standard", lambda: loss_on_its_rows((X - X.mean(axis=0)) / X.std(axis=0), y))
    assert given == pytest.approx(expected, rel=0.05)


@pytest.mark.filterwarnings("ignore")
def test_without_it_they_do():
    assert loss_on_its_rows(*load_wine(return_X_y=True), scale_inputs=False) > 0.3


def test_saturated_predictions_are_left():
    X, y = make_classification(400, 10, n_informative=6, random_state=0)
    X = np.column_stack([X, 1e5 * np.random.RandomState(0).randn(400)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = KLClassifier(module=layers, random_state=0).fit(X, y)
    losses = clf.history_[:, "train_loss"]
    assert losses[0] > 100
    assert losses[-1] < 2 * np.log(2)
