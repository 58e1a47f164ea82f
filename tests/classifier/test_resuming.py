"""Settings that are changed before training is resumed: followed, or refused by name."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sklkl import KLClassifier
from sklkl.modules import MLP


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes, units=6):
        super().__init__(nn.Linear(n_features, units), nn.Tanh(), nn.Linear(units, n_classes))


class Other(Network):
    pass


MODULE = {"module": Network, "module__units": 6}
INSTANCE = {"module": nn.Linear(5, 3)}
BUILT_IN = {"hidden_layer_sizes": (8,)}


@pytest.fixture(params=["warm_start", "partial_fit"])
def resumed(request, table):
    """Return ``begin, resume``: a training is begun with parameters, and resumed, both by one of the two methods."""
    X, y = table
    by_fit = request.param == "warm_start"

    def begin(**params):
        length = {"warm_start": True, "max_epochs": 2} if by_fit else {}
        clf = KLClassifier(**{"random_state": 0, **length, **params})
        return clf.fit(X, y) if by_fit else clf.partial_fit(X, y, classes=range(3))

    return begin, lambda clf: clf.fit(X, y) if by_fit else clf.partial_fit(X, y)


# Refused


@pytest.mark.parametrize(
    ("params", "changed", "message"),
    [
        (BUILT_IN, {"hidden_layer_sizes": (9,)}, r"'hidden_layer_sizes' .* \(8,\), .* Got \(9,\)"),
        (BUILT_IN, {"hidden_layer_sizes": ()}, r"'hidden_layer_sizes' .* \(8,\), .* Got \(\)"),
        (BUILT_IN, {"activation": "tanh"}, "'activation' .* 'relu', .* Got 'tanh'"),
        (BUILT_IN, {"dropout": 0.1}, "'dropout' .* 0.3, .* Got 0.1"),
        (BUILT_IN, {"dropout": 0.0}, "'dropout' .* 0.3, .* Got 0.0"),
        (BUILT_IN, {"dtype": "float64"}, "'dtype' .* torch.float32, .* Got torch.float64"),
        (BUILT_IN, {"module": Network}, "'module' .* None, .* Got <class .*Network"),
        (MODULE, {"module": Other}, "'module' .*Network.* Got <class .*Other"),
        (MODULE, {"module__units": 7}, "'module__units' .* 6, .* Got 7"),
        (MODULE, {"dtype": torch.float64}, "'dtype' .* torch.float32, .* Got torch.float64"),
        ({"module": Network}, {"module__units": 7}, "'module__units' .* left out, .* Got 7"),
        (INSTANCE, {"module": nn.Linear(5, 3)}, "'module' .*Linear.* Got Linear"),
        ({"module": Network}, {"module": None}, "'module' .*Network.* Got None"),
    ],
    ids=str,
)
def test_another_network_is_refused_by_name(resumed, table, params, changed, message):
    begin, resume = resumed
    clf = begin(**params)
    before, fitted = clf.predict_proba(table[0]), {name: vars(clf)[name] for name in vars(clf) if name.endswith("_")}
    n_epochs = len(clf.history_)
    clf.set_params(**changed)
    with pytest.raises(ValueError, match=f"The {message}.* instead") as error:
        resume(clf)
    assert "as in the training that is resumed" in str(error.value)
    assert fitted == {name: vars(clf)[name] for name in vars(clf) if name.endswith("_")}
    assert len(clf.history_) == n_epochs
    assert np.array_equal(clf.predict_proba(table[0]), before)


def test_a_parameter_that_is_taken_away_is_another_network(resumed):
    begin, resume = resumed
    clf = begin(**MODULE)
    del clf.module__units
    with pytest.raises(ValueError, match="'module__units' .* 6, .* Got left out instead"):
        resume(clf)


def test_it_is_refused_before_the_teacher_is_fitted(table):
    class Teacher:
        n_fits = 0

        def predict_proba(self, X):
            Teacher.n_fits += 1
            return np.full((len(X), 3), 1 / 3)

    clf = KLClassifier(teacher=Teacher(), max_epochs=1, warm_start=True, augment=None).fit(*table)
    n_fits = Teacher.n_fits
    with pytest.raises(ValueError, match="'activation'"):
        clf.set_params(activation="elu").fit(*table)
    assert Teacher.n_fits == n_fits


def test_without_warm_start_everything_may_change(quick, table):
    clf = quick(dropout=0.1).fit(*table)
    assert clf.set_params(hidden_layer_sizes=(4, 4), activation="elu", dropout=0.0, dtype="float64").fit(*table)
    assert {parameter.dtype for parameter in clf.module_.parameters()} == {torch.float64}


# The same, said otherwise


@pytest.mark.parametrize(
    ("params", "said_otherwise"),
    [
        (BUILT_IN, {"hidden_layer_sizes": [np.int64(8)], "dropout": np.float64(0.3), "dtype": torch.float32}),
        ({**BUILT_IN, "hidden_layer_sizes": np.array([8])}, {"hidden_layer_sizes": 8}),
        ({"module": MLP, "module__hidden_layer_sizes": (4,)}, {"module__hidden_layer_sizes": (4,)}),
    ],
    ids=str,
)
def test_the_same_network_is_no_change(resumed, params, said_otherwise):
    begin, resume = resumed
    clf = begin(**params)
    n_epochs = clf.n_iter_
    assert resume(clf.set_params(**said_otherwise)).n_iter_ > n_epochs


@pytest.mark.parametrize("params", [MODULE, INSTANCE, BUILT_IN], ids=["class", "instance", "built-in"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda clf: pickle.loads(pickle.dumps(clf))], ids=["copy", "pickle"])
def test_a_copy_has_the_same_network(resumed, params, copied):
    begin, resume = resumed
    assert resume(copied(begin(**params))).n_iter_ in (2, 4)


# Followed


def options(clf):
    return clf.net_.optimizer_.param_groups[0]


@pytest.mark.parametrize(
    ("params", "changed", "seen"),
    [
        ({}, {"optimizer": "sgd"}, lambda clf: type(clf.net_.optimizer_) is torch.optim.SGD),
        ({}, {"optimizer": torch.optim.NAdam}, lambda clf: type(clf.net_.optimizer_) is torch.optim.NAdam),
        ({}, {"optimizer__betas": (0.5, 0.6)}, lambda clf: options(clf)["betas"] == (0.5, 0.6)),
        ({}, {"weight_decay": 0.7}, lambda clf: options(clf)["weight_decay"] == 0.7),
        ({"learning_rate": "constant"}, {"lr": 0.5}, lambda clf: clf.history_[-1, "lr"] == 0.5),
        ({"learning_rate": "constant"}, {"learning_rate": "kl_adaptive"}, lambda clf: "step_kl" in clf.history_[-1]),
        ({}, {"kl_target": 1e-7}, lambda clf: clf.history_[-1, "step_kl"] < 1e-6),
        ({}, {"kl_strength": 0.5}, lambda clf: "train_kl_penalty" in clf.history_[-1]),
        ({}, {"device": "cpu:0"}, lambda clf: clf.net_.device == "cpu:0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_settings_of_training_are_followed(resumed, params, changed, seen):
    begin, resume = resumed
    clf = begin(**BUILT_IN, **params)
    for _ in range(2):  # by then a stream has found its rate
        resume(clf)
    assert not seen(clf)
    assert seen(resume(clf.set_params(**changed)))


def test_compilation_is_followed(resumed, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **kwargs: compiled.append(type(module)) or module)
    begin, resume = resumed
    clf = begin(**BUILT_IN)
    assert MLP not in compiled
    resume(clf.set_params(compile=True))
    assert MLP in compiled


@pytest.mark.parametrize(
    ("changed", "factor"), [({"optimizer": "sgd"}, 3), ({"kl_target": 1e-3}, 3), ({"weight_decay": 0.0}, 1)], ids=str
)
def test_a_stream_finds_its_rate_anew_where_it_is_another(stream, make_table, changed, factor):
    X, y = make_table(300)  # 30 steps, of which 10 find the rate
    clf = stream(batch_size=10, dropout=0.0, kl_target=1e-5).partial_fit(X, y, classes=range(3))
    before = clf.lr_
    after = clf.set_params(**changed).partial_fit(X, y).lr_
    assert after > factor * before if factor > 1 else after == before
