"""The KL-adaptive learning rate in the classifier and in the net."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from skorch.callbacks import Callback, GradientNormClipping

from sklkl import KLClassifier

INITIAL = [1e-6, 10.0]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:900] / 16, y[:900], X[900:] / 16, y[900:]


def measured(clf):
    return [epoch["step_kl"] for epoch in clf.history_ if math.isfinite(epoch["step_kl"])]


@pytest.mark.filterwarnings("ignore:The 'lr' parameter of KLClassifier has no effect")  # which is to be shown
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_any_initial_rate_ends_well_and_in_the_same_network(digits, optimizer):
    X, y, X_test, y_test = digits
    params = {"hidden_layer_sizes": (64,), "max_epochs": 8, "random_state": 0, "optimizer": optimizer}
    first, other = (KLClassifier(lr=lr, **params).fit(X, y) for lr in INITIAL)
    assert log_loss(y_test, first.predict_proba(X_test)) < 0.45
    assert other.lr_ == first.lr_
    np.testing.assert_array_equal(other.predict_proba(X_test), first.predict_proba(X_test))


def test_the_rate_is_the_default_and_is_recorded(quick, table):
    clf = quick(max_epochs=20).fit(*table)
    assert clf.learning_rate == "kl_adaptive"
    assert all(epoch["rejected_steps"] >= 0 for epoch in clf.history_)
    assert measured(clf)
    rates = clf.history_[:, "lr"]
    assert rates[-1] < 0.05 * clf.lr_ < max(rates) <= 1.5 * clf.lr_


def test_the_target_sets_how_far_a_step_goes(quick, table):
    bold, careful = (quick(max_epochs=40, dropout=0.0, kl_target=target).fit(*table) for target in (1e-2, 1e-5))
    assert max(measured(bold)) > 30 * max(measured(careful))
    assert 1e-6 < max(measured(careful)) < 1e-4
    assert bold.lr_ > 10 * careful.lr_


@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"kl_penalty": "rdrop", "kl_strength": 0.1}])
@pytest.mark.parametrize(("early_stopping", "expected"), [(True, (True, 13)), (False, (False, 128))])
def test_the_rule_knows_whether_the_best_epoch_is_kept_and_the_rows_of_a_step(
    quick, table, params, early_stopping, expected
):
    known = []

    class Ask(Callback):
        def on_epoch_end(self, net, **kwargs):
            rate = net.learning_rate_
            rule = getattr(rate, "rate", rate).rule  # of a stack each net has a part
            known.append((rule.keeps_best, rule.batch_size))

    quick(max_epochs=1, batch_size=13, early_stopping=early_stopping, callbacks=[Ask()], **params).fit(*table)
    assert known == [expected] * params.get("n_members", 1)


def test_several_labels(quick, table):
    X, y = table
    clf = quick(max_epochs=20).fit(X, np.stack([y > 0, y > 1], axis=1).astype(int))
    assert 0 < clf.lr_ < math.inf
    assert measured(clf)


def streamed(clf, X, y, start, stop):
    for i in range(start, stop):
        clf.partial_fit(X[i * 40 : (i + 1) * 40], y[i * 40 : (i + 1) * 40], classes=np.unique(y))
    return clf


def test_a_stream_goes_on_with_the_rate_it_has_found(digits):
    X, y, X_test, y_test = digits
    clf = KLClassifier(hidden_layer_sizes=(64,), random_state=0)
    losses = [log_loss(y_test, streamed(clf, X, y, *part).predict_proba(X_test)) for part in [(0, 5), (5, 11)]]
    assert losses[1] < losses[0] - 0.3
    assert losses[1] < 0.6
    assert clf.net_.rate_state_["rule"]["n_steps"] == 11


def test_gradients_can_be_clipped(quick, table):
    plain, clipped = (quick(callbacks=c, optimizer="sgd", dropout=0.0) for c in (None, [GradientNormClipping(1e-3)]))
    steps = [clf.fit(*table).lr_ for clf in (plain, clipped)]
    assert steps[1] > 10 * steps[0]  # the same divergence wants a greater rate


@pytest.mark.parametrize("optimizer", [torch.optim.LBFGS, torch.optim.Rprop])
def test_an_optimizer_whose_step_cannot_be_scaled(quick, table, optimizer):
    with pytest.raises(ValueError, match=f"'optimizer' .* unless .* 'constant'.*Got '{optimizer.__name__}'"):
        quick(optimizer=optimizer).fit(*table)


def test_a_net_of_ones_own(quick_net, table32):
    net = quick_net(learning_rate="kl_adaptive", kl_target=1e-4, lr=10.0, max_epochs=10).fit(*table32)
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert net.lr_ < 1
