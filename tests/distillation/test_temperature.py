"""The temperature at which a teacher is as sure as it has reason to be."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from sklkl.distillation import best_temperature, soften


def sample(n_rows=20_000, n_classes=3, seed=0):
    """Probabilities, and classes drawn from them."""
    random = np.random.RandomState(seed)
    proba = torch.tensor(2 * random.randn(n_rows, n_classes)).softmax(-1)
    y = (proba.numpy().cumsum(1) < random.uniform(size=(n_rows, 1))).sum(1)
    return proba, torch.from_numpy(y)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, 5.0])
def test_a_known_temperature_is_recovered(temperature):
    proba, y = sample()
    assert best_temperature(soften(proba, 1 / temperature), y) == pytest.approx(temperature, rel=0.1)


def test_it_is_where_the_log_loss_is_lowest():
    proba, y = sample(500)
    sure = soften(proba, 0.4)
    found = minimize_scalar(lambda t: log_loss(y, soften(sure, t)), bounds=(0.1, 10), method="bounded").x
    assert best_temperature(sure, y) == pytest.approx(found, rel=0.02)


def test_a_class_without_probability_does_not_decide_alone():
    proba, y = sample(5000)
    before = best_temperature(proba, y)
    zeros = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64).repeat(500, 1)  # of log-loss inf at any temperature
    after = best_temperature(torch.cat([proba, zeros]), torch.cat([y, torch.ones(500, dtype=torch.int64)]))
    assert after == pytest.approx(before, rel=0.01)


def test_labels_are_two_classes_each():
    proba, y = sample(4000, 2)
    labels = soften(proba, 0.5).reshape(2000, 2, 2), y.reshape(2000, 2)
    assert best_temperature(*labels) == pytest.approx(best_temperature(soften(proba, 0.5), y))


def test_a_weight_is_so_many_rows():
    proba, y = sample(300)
    weight = torch.from_numpy(np.random.RandomState(1).randint(4, size=300))
    repeated = best_temperature(proba.repeat_interleave(weight, dim=0), y.repeat_interleave(weight))
    assert best_temperature(proba, y, weight) == pytest.approx(repeated)
    assert best_temperature(proba, y, 1e-9 * weight) == pytest.approx(repeated)
    assert best_temperature(proba, y) != pytest.approx(repeated, rel=1e-3)


def test_weights_of_rows_with_several_labels():
    proba, y = sample(400, 2)
    proba, y = soften(proba, 0.5).reshape(200, 2, 2), y.reshape(200, 2)
    weight = (torch.arange(200) < 50).double()
    assert best_temperature(proba, y, weight) == pytest.approx(best_temperature(proba[:50], y[:50]))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32])
def test_codes_of_any_type(dtype):
    proba, y = sample(100)
    assert best_temperature(proba.requires_grad_(), y.to(dtype)) == best_temperature(proba.detach(), y)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("proba", lambda proba, y, w: (proba[:0], y[:0])),
        ("proba", lambda proba, y, w: (proba.log(), y)),
        ("proba", lambda proba, y, w: (proba * np.nan, y)),
        ("y", lambda proba, y, w: (proba, y + 1)),
        ("y", lambda proba, y, w: (proba, y.where(y > 0, -100))),
        ("y", lambda proba, y, w: (proba, y + 0.5)),
        ("y", lambda proba, y, w: (proba, y[:3])),
        ("y", lambda proba, y, w: (proba, y[:, None])),
        ("sample_weight", lambda proba, y, w: (proba, y, w[:3])),
        ("sample_weight", lambda proba, y, w: (proba, y, 0 * w)),
        ("sample_weight", lambda proba, y, w: (proba, y, -w)),
        ("sample_weight", lambda proba, y, w: (proba, y, w * np.nan)),
    ],
)
def test_other_rows_are_refused(name, change):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of best_temperature must be .* Got"):
        best_temperature(*change(*sample(50), torch.ones(50)))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, "2"])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(ValueError, match="The 'temperature' parameter of soften must be a finite number > 0. Got"):
        soften(torch.ones(2, 3), temperature)


def test_whole_numbers_are_softened():
    assert soften(torch.tensor([[1, 0, 1]]), 2.0).tolist() == [[0.5, 0.0, 0.5]]
