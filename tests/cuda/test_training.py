"""Training and prediction on a CUDA device give what they give on the CPU."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl.data import RowBlocks
from sklkl.distillation import DISTILL_DIVERGENCES
from sklkl.model_selection import StackedGridSearchCV
from sklkl.optim import LEARNING_RATES
from sklkl.penalties import PENALTIES

from .common import DEVICE, SOFT, WEIGHT, on_device, places
from .networks import noisy, normalised, recurrent

PLAIN = [name for name, kind in PENALTIES.items() if not kind.needs_net]  # without chance of their own


def indicator(y):
    return np.stack([y == 0, y > 0, y != 1], axis=1).astype(int)


@pytest.fixture
def check_both(exact, same_but_for_rounding):
    """Return ``check(X, train, **params)``: see that CPU and device predict the same of X after ``train(clf)``."""

    def check(X, train, **params):
        cpu, clf = (train(exact(device=device, **params)) for device in ("cpu", DEVICE))
        assert places(clf) == {DEVICE}
        same_but_for_rounding(clf.predict_proba(X), cpu.predict_proba(X))
        same_but_for_rounding(clf.predict_log_proba(X), cpu.predict_log_proba(X))
        assert np.array_equal(clf.predict(X), cpu.predict(X))
        same_but_for_rounding(clf.history_[:, "train_loss"], cpu.history_[:, "train_loss"])

    return check


@pytest.mark.parametrize("device", ["auto", DEVICE, f"{DEVICE}:0", torch.device(DEVICE)], ids=str)
def test_the_default_network_learns(make_table, device):
    X, y = make_table(400)
    clf = KLClassifier(device=device, max_epochs=20, random_state=0).fit(X, y)
    assert places(clf) == {DEVICE}
    assert clf.score(X, y) > 0.8
    np.testing.assert_allclose(clf.predict_proba(X).sum(1), 1, rtol=0, atol=1e-15)


def test_a_device_that_is_not_there_is_named(quick, table):
    with pytest.raises(ValueError, match="'device' parameter is 'cuda:99', but the last CUDA device"):
        quick(device="cuda:99").fit(*table)


FOREST = {"teacher": RandomForestClassifier(10, random_state=0), "augment": None, "calibrate_teacher": False}
FITS = {
    "dense": lambda clf, X, y: clf.fit(X, y),
    "float32": lambda clf, X, y: clf.fit(X.astype(np.float32), y),
    "blocks": lambda clf, X, y: clf.fit(RowBlocks.from_callable(lambda i: (X[i::2], y[i::2]), 2)),
    "tensors": lambda clf, X, y: clf.fit(*on_device(X, y, WEIGHT, SOFT)),
    "tensors of labels": lambda clf, X, y: clf.fit(*on_device(X, indicator(y), WEIGHT)),
    "tensors of a stream": lambda clf, X, y: as_stream(clf).partial_fit(*on_device(X, y, np.arange(3), WEIGHT)),
    "sparse": lambda clf, X, y: clf.fit(sparse.csr_array(X), y),
    "weights": lambda clf, X, y: clf.fit(X, y, sample_weight=WEIGHT),
    "labels": lambda clf, X, y: clf.fit(X, indicator(y), sample_weight=WEIGHT),
    "sparse labels": lambda clf, X, y: clf.fit(sparse.csr_array(X), indicator(y)),
    "soft targets": lambda clf, X, y: clf.fit(X, y, teacher_proba=SOFT, sample_weight=WEIGHT),
    "unlabeled": lambda clf, X, y: clf.set_params(**FOREST).fit(X[:80], y[:80], X_unlabeled=X[80:]),
    "validation": lambda clf, X, y: clf.set_params(early_stopping=True).fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:]),
    "averaged": lambda clf, X, y: averaged(clf).fit(X[:90], y[:90], X_val=X[90:], y_val=y[90:]),
    "members": lambda clf, X, y: clf.set_params(n_members=3, kl_strength=0.1).fit(X, y),
    "members that learn from each other": lambda clf, X, y: clf.set_params(n_members=3, codistill_strength=0.5).fit(
        X, y
    ),
    "averaged members": lambda clf, X, y: averaged(clf).set_params(n_members=3).fit(X, y),
    "again": lambda clf, X, y: clf.set_params(warm_start=True).fit(X, y).fit(X[::-1], y[::-1], sample_weight=WEIGHT),
    "stream": lambda clf, X, y: as_stream(clf).partial_fit(X[:60], y[:60], [0, 1, 2]).partial_fit(X[60:], y[60:]),
    "sparse stream": lambda clf, X, y: as_stream(clf).partial_fit(sparse.csr_array(X), y, [0, 1, 2]).partial_fit(X, y),
}


def averaged(clf):
    return clf.set_params(early_stopping=True, averaged_epochs=4, calibrate=True)


def as_stream(clf):
    return clf.set_params(max_epochs=100)


@pytest.mark.parametrize("fit", FITS)
def test_all_kinds_of_data(check_both, table, fit):
    check_both(table[0], lambda clf: FITS[fit](clf, *table))


@pytest.mark.parametrize("penalty", PLAIN)
@pytest.mark.parametrize("fit", ["weights", "labels", "soft targets"])
def test_penalties(check_both, table, penalty, fit):
    check_both(table[0], lambda clf: FITS[fit](clf, *table), kl_penalty=penalty, kl_strength=0.3)


@pytest.mark.parametrize("rule", LEARNING_RATES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", torch.optim.RMSprop, torch.optim.Adagrad])
@pytest.mark.parametrize("stops", [False, True], ids=["to the end", "stops early"])
def test_rates_and_optimizers(check_both, table, rule, optimizer, stops):
    params = {"early_stopping": True, "n_iter_no_change": 3} if stops else {}
    check_both(table[0], lambda clf: clf.fit(*table), learning_rate=rule, optimizer=optimizer, **params)


def test_lbfgs(check_both, table):
    # whose line of differences multiplies rounding the more the nearer it comes to its end
    check_both(
        table[0], lambda clf: clf.fit(*table), optimizer=torch.optim.LBFGS, learning_rate="constant", max_epochs=1
    )


# What a network of the user's own makes no use of, as it is by default.
UNUSED = {"hidden_layer_sizes": (384, 256), "dropout": 0.3}


@pytest.mark.parametrize("module", [normalised, recurrent, nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))])
def test_networks_of_the_users_own(check_both, table, module):
    check_both(table[0], lambda clf: clf.fit(*table), module=module, max_epochs=3, **UNUSED)


CHANCE = {
    "dropout": {"dropout": 0.5},
    "the user's dropout": {"module": noisy},
    "rdrop": {"dropout": 0.5, "kl_penalty": "rdrop", "kl_strength": 0.5},
    "vat": {"kl_penalty": "vat", "kl_strength": 0.5},
    "sgd": {"optimizer": "sgd", "learning_rate": "onecycle"},
}


@pytest.mark.parametrize("params", CHANCE.values(), ids=CHANCE)
def test_chance_is_a_function_of_the_random_state(quick, table, params):
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    first, second, other = (quick(device=DEVICE, **params, random_state=seed).fit(*table) for seed in (0, 0, 1))
    after = torch.cuda.get_rng_state(), torch.get_rng_state()
    assert all(map(torch.equal, before, after))
    assert np.array_equal(first.predict_proba(table[0]), second.predict_proba(table[0]))
    assert not np.allclose(first.predict_proba(table[0]), other.predict_proba(table[0]))


@pytest.mark.parametrize("params", CHANCE.values(), ids=CHANCE)
def test_chance_does_not_keep_it_from_learning(quick, table, params):
    clf = quick(device=DEVICE, **{"max_epochs": 60, "learning_rate": "onecycle", "lr": 0.02, **params}).fit(*table)
    assert clf.score(*table) > 0.7


@pytest.mark.parametrize("devices", [("cpu", DEVICE), (DEVICE, "cpu")], ids=" to ".join)
@pytest.mark.parametrize("way", ["fit", "partial_fit", "init_from"])
def test_training_goes_on_elsewhere(exact, table, same_but_for_rounding, devices, way):
    def trained(devices):
        clf = exact(warm_start=way == "fit", device=devices[0])
        if way == "partial_fit":
            as_stream(clf).partial_fit(*table, classes=[0, 1, 2])
            return clf.set_params(device=devices[1]).partial_fit(*table)
        clf.fit(*table)
        if way == "init_from":
            return exact(init_from=FrozenEstimator(clf), device=devices[1]).fit(*table)
        return clf.set_params(device=devices[1]).fit(*table)

    moved, stayed = trained(devices), trained(("cpu", "cpu"))
    assert places(moved) == {devices[1]}
    same_but_for_rounding(moved.predict_proba(table[0]), stayed.predict_proba(table[0]))


# Searches


@pytest.mark.parametrize("options", [{}, {"halve_after": 2}], ids=["all", "halved"])
def test_a_stacked_search(exact, table, same_but_for_rounding, options):
    def scores(device):
        clf = exact(device=device, early_stopping=True)
        grid = {"kl_strength": [0.0, 0.1, 0.3], "weight_decay": [0.0, 0.1]}
        search = StackedGridSearchCV(clf, grid, cv=2, scoring="neg_log_loss", **options).fit(*table)
        assert places(search.best_estimator_) == {device}
        return search.cv_results_["mean_test_score"]

    same_but_for_rounding(scores(DEVICE), scores("cpu"))


# Teachers

TEACHERS = {
    "forest": lambda table: RandomForestClassifier(10, random_state=0),
    "network": lambda table: nn.Linear(5, 3).double().to(DEVICE),
    "net": lambda table: FrozenEstimator(KLClassifier((8,), max_epochs=3, random_state=0, device=DEVICE).fit(*table)),
    "function": lambda table: lambda X: SOFT[: len(X)],
}


@pytest.mark.parametrize("kind", TEACHERS)
@pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
def test_teachers(check_both, table, kind, divergence):
    params = {"distill_weight": 0.7, "temperature": 2.0, "distill_divergence": divergence}
    check_both(table[0], lambda clf: clf.fit(*table), **{**FOREST, "teacher": TEACHERS[kind](table)}, **params)


@pytest.mark.parametrize(
    "params", [{}, {"n_generations": 2}, {"distill_rows": "unlabeled"}, {"teacher_cv": 3}], ids=str
)
def test_a_forest_with_all_that_is_automatic(make_table, params):
    X, y = make_table(240)
    clf = KLClassifier(
        (32,), teacher=RandomForestClassifier(20), max_epochs=20, random_state=0, device=DEVICE, **params
    )
    assert clf.fit(X, y).score(X, y) > 0.8
    assert places(clf) == {DEVICE}


def test_a_distiller(quick, table):
    student = make_pipeline(StandardScaler(), quick(device=DEVICE, max_epochs=30))
    distiller = Distiller(student, RandomForestClassifier(20), random_state=0).fit(*table)
    assert places(distiller.student_[-1]) == {DEVICE}
    assert distiller.report_["student"]["agreement"] > 0.5
