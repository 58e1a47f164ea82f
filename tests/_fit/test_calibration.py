"""The temperature that a validation part sets."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from sklkl import KLClassifier
from sklkl.modules import MLP


def parts(make_table, n=900):
    X, y = make_table(n)
    return X[: n // 2], y[: n // 2], {"X_val": X[n // 2 :], "y_val": y[n // 2 :]}


def pair(quick, X, y, rows, **params):
    """Return classifiers without and with calibration, else the same."""
    params = {"max_epochs": 6} | params
    return [quick(calibrate=calibrate, **params).fit(X, y, **rows) for calibrate in (False, True)]


def divided(plain, temperature, X):
    powers = plain.predict_proba(X) ** (1 / temperature)
    return powers / powers.sum(1, keepdims=True)


def expected(plain, X, y, weight=None):
    """Return the temperature of the highest posterior density, a normal prior of sd 0.2 on its logarithm."""
    weight = np.ones(len(y)) if weight is None else weight
    n_effective = weight.sum() ** 2 / (weight**2).sum()

    def loss(log_t):
        proba = divided(plain, np.exp(log_t), X)
        return n_effective * log_loss(y, proba, sample_weight=weight, labels=plain.classes_) + log_t**2 / (2 * 0.2**2)

    return np.exp(minimize_scalar(loss, bounds=(-1, 1), method="bounded").x)


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_most_probable_one(quick, make_table, weighted):
    X, y, rows = parts(make_table)
    weight = np.random.RandomState(0).rand(len(rows["y_val"])) + 0.1 if weighted else None
    given = rows if weight is None else {**rows, "sample_weight_val": weight}
    plain, calibrated = pair(quick, X, y, given, max_epochs=3)
    temperature = expected(plain, *rows.values(), weight)
    assert abs(np.log(temperature)) > 0.02
    assert calibrated.predict_proba(X) == pytest.approx(divided(plain, temperature, X), abs=1e-4)


def test_labels_of_their_own_have_one_too(quick, make_table):
    X, y, rows = parts(make_table)
    Y, Y_val = ((labels[:, None] == [0, 1]).astype(int) for labels in (y, rows["y_val"]))
    plain, calibrated = pair(quick, X, Y, {"X_val": rows["X_val"], "y_val": Y_val})
    before, after = (np.log(p / (1 - p)) for p in (clf.predict_proba(X) for clf in (plain, calibrated)))
    temperature = np.median(before / after)
    assert abs(np.log(temperature)) > 0.02
    assert after == pytest.approx(before / temperature, abs=1e-3)


def test_few_rows_leave_it_near_one(quick, make_table):
    X, y = make_table(120)
    plain, calibrated = pair(quick, X, y, {"X_val": X[:2], "y_val": y[:2]})
    ratio = plain.module_.linears()[-1].bias / calibrated.module_.linears()[-1].bias
    assert (ratio.log().abs() < 0.1).all()


def test_it_is_in_the_weights(quick, make_table):
    """So it is stored, exported and resumed with them."""
    X, y, rows = parts(make_table)
    plain, calibrated = pair(quick, X, y, rows)
    pairs = zip(plain.module_.parameters(), calibrated.module_.parameters(), strict=True)
    *hidden, weight, bias = [(before / after).detach() for before, after in pairs]
    assert all((ratio[ratio.isfinite()] == 1).all() for ratio in hidden)
    assert torch.allclose(weight, bias[0])
    assert bias[0] != 1


class Own(torch.nn.Sequential):
    def __init__(self, n_features, n_classes):
        super().__init__(torch.nn.Linear(n_features, n_classes))


class Shifted(MLP):
    """Whose logits are not those of its last layer."""

    def forward(self, x):
        return super().forward(x) + torch.arange(3.0)


@pytest.mark.parametrize("params", [{"early_stopping": False}, {"module": Own}, {"module": Shifted}], ids=str)
def test_there_is_none_without_such_rows_or_for_a_network_of_the_users_own(quick, table, params):
    params = {"early_stopping": True, **params}
    plain, calibrated = (quick(calibrate=calibrate, **params).fit(*table) for calibrate in (False, True))
    assert np.array_equal(plain.predict_proba(table[0]), calibrated.predict_proba(table[0]))


def test_each_member_has_its_own(quick, make_table):
    X, y = make_table(300)
    plain, calibrated = pair(quick, X, y, {}, n_members=3, early_stopping=True)
    ratios = [
        (before.linears()[-1].bias[0] / after.linears()[-1].bias[0]).item()
        for before, after in zip(plain.module_.members, calibrated.module_.members, strict=True)
    ]
    assert len(set(ratios)) == 3


def test_no_order_of_classes_changes(quick, make_table):
    X, y, rows = parts(make_table)
    plain, calibrated = pair(quick, X, y, rows)
    assert np.array_equal(plain.predict(X), calibrated.predict(X))


def test_it_helps_a_network_that_was_trained_on_wrong_labels(make_table):
    """The validation part knows better how often it is right."""
    X, y, rows = parts(make_table, 3000)
    y = np.where(np.random.RandomState(0).rand(len(y)) < 0.3, (y + 1) % 3, y)
    losses = [
        log_loss(rows["y_val"], clf.predict_proba(rows["X_val"]))
        for clf in (
            KLClassifier((16,), calibrate=c, max_epochs=20, random_state=0).fit(X, y, **rows) for c in (False, True)
        )
    ]
    assert losses[1] < losses[0]
