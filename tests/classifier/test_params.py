"""Parameters that are visible, passed on, searched, cloned; networks and penalties of the user's own."""

import functools
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklkl import KLClassifier
from sklkl.modules import MLP, Dropout
from sklkl.penalties import PENALTIES, Confidence, Prior


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes, units=8, depth=1):
        layers = [nn.Linear(n_features, units), nn.Tanh()]
        for _ in range(depth - 1):
            layers += [nn.Linear(units, units), nn.Tanh()]
        super().__init__(*layers, nn.Linear(units, n_classes))


def factory(n_classes, bias=True):
    return nn.Linear(5, n_classes, bias=bias)


class Images(nn.Module):
    """A small convolutional network: n_features is the number of channels."""

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(n_features, 4, 3)
        self.out = nn.Linear(4, n_classes)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).mean((2, 3)))


class Sequences(nn.Module):
    """A small recurrent network over sequences of shape (n_rows, length, channels)."""

    def __init__(self, n_classes, channels=3):
        super().__init__()
        self.rnn = nn.GRU(channels, 6, batch_first=True)
        self.out = nn.Linear(6, n_classes)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


# The constructor


def test_an_unknown_parameter_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'units'"):
        KLClassifier(units=3)
    with pytest.raises(ValueError, match="Invalid parameter 'units'"):
        KLClassifier().set_params(units=3)


# The built-in network


@pytest.mark.parametrize(("sizes", "widths"), [((7, 4), [7, 4, 3]), ([6], [6, 3]), (9, [9, 3]), ((), [3])])
def test_hidden_layer_sizes(quick, table, sizes, widths):
    clf = quick(hidden_layer_sizes=sizes).fit(*table)
    assert [layer.out_features for layer in clf.module_ if isinstance(layer, nn.Linear)] == widths


def test_numpy_numbers_are_numbers(quick, table):
    sizes = np.array([4, 3])
    params = {"hidden_layer_sizes": sizes, "kl_strength": np.float32(0.1), "max_epochs": np.int64(2)}
    params |= {"batch_size": np.int32(16), "dropout": np.float64(0.1)}
    params |= {"lr": np.float32(0.01), "learning_rate": "constant"}
    assert quick(**params).fit(*table).n_iter_ == 2


def test_activation_and_dropout_reach_the_network(quick, table):
    module = quick(activation="gelu", dropout=0.3).fit(*table).module_
    assert any(isinstance(layer, nn.GELU) for layer in module)
    assert [layer.p for layer in module if isinstance(layer, Dropout)] == [0.3]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", torch.float32), ("float64", torch.float64), (torch.float64, torch.float64)],
    ids=str,
)
def test_dtype(quick, table, dtype, expected):
    clf = quick(dtype=dtype).fit(*table)
    assert {p.dtype for p in clf.module_.parameters()} == {expected}
    assert clf.predict_proba(table[0]).dtype == np.float64
    assert clone(clf).get_params()["dtype"] == dtype


@pytest.mark.parametrize("device", ["auto", "cpu", torch.device("cpu")], ids=str)
def test_device(quick, table, device):
    clf = quick(device=device).fit(*table)
    if not torch.cuda.is_available() or device != "auto":
        assert {p.device.type for p in clf.module_.parameters()} == {"cpu"}


def test_compile_compiles_the_module(quick, table, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **kwargs: compiled.append(module) or module)
    quick().fit(*table)
    assert compiled == []
    assert quick(compile=True).fit(*table).predict(table[0]).shape == (120,)
    assert [type(module) for module in compiled if isinstance(module, MLP)] == [MLP]


@pytest.mark.filterwarnings("ignore")  # tracing warns about what torch itself does
def test_a_compiled_network_trains_predicts_and_is_pickled(quick, table, monkeypatch):
    X, y = table
    # everything of torch.compile but the C++ compiler, which a machine may not have
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    clf = quick(compile=True, kl_strength=0.1, dropout=0.2, max_epochs=20).fit(X, y)
    assert clf.score(X, y) > 0.75
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_allclose(copied.predict_proba(X), clf.predict_proba(X), rtol=1e-5)  # it is compiled anew
    assert copied.partial_fit(X[:102], y[:102]).n_iter_ == 21  # as many rows as before: tracing is slow


# Parameters that are passed on


def test_module_parameters_by_constructor_set_params_and_clone(quick, table):
    clf = quick(module=Network, module__units=5)
    assert clf.get_params()["module__units"] == 5
    assert clf.fit(*table).module_[0].out_features == 5
    copied = clone(clf.set_params(module__units=6, module__depth=2))
    assert copied.get_params()["module__depth"] == 2
    assert copied.fit(*table).module_[0].out_features == 6
    assert len(copied.module_) == 5


def test_optimizer_parameters_by_constructor_set_params_and_clone(quick, table):
    clf = quick(optimizer__betas=(0.5, 0.6))
    assert clf.get_params()["optimizer__betas"] == (0.5, 0.6)
    assert clf.fit(*table).net_.optimizer_.param_groups[0]["betas"] == (0.5, 0.6)
    copied = clone(clf.set_params(optimizer="sgd", optimizer__betas=(0.5, 0.6)))
    with pytest.raises(ValueError, match="'optimizer__betas'.*SGD"):
        copied.fit(*table)


def test_parameters_that_are_passed_on_show_in_the_representation():
    assert "module__units=5" in repr(KLClassifier(module=Network, module__units=5))


def test_a_torch_optimizer_class(quick, table):
    clf = quick(optimizer=torch.optim.RMSprop, optimizer__alpha=0.7, weight_decay=0.3).fit(*table)
    assert isinstance(clf.net_.optimizer_, torch.optim.RMSprop)
    assert clf.net_.optimizer_.param_groups[0]["alpha"] == 0.7
    assert clf.net_.optimizer_.param_groups[0]["weight_decay"] == 0.3


def test_grid_search_over_parameters_that_are_passed_on(quick, table):
    grid = {"module__units": [1, 16], "optimizer__betas": [(0.9, 0.99)], "module": [Network]}
    search = GridSearchCV(quick(module=Network, max_epochs=20), grid, cv=2).fit(*table)
    assert search.best_params_["module__units"] == 16
    assert search.best_estimator_.module_[0].out_features == 16


def test_penalty_parameters_can_be_set_and_searched(quick, table):
    clf = quick(kl_penalty=Confidence(entropy_threshold=0.5), kl_strength=1.0)
    assert clf.get_params()["kl_penalty__entropy_threshold"] == 0.5
    assert clone(clf).set_params(kl_penalty__entropy_threshold=0.2).kl_penalty.entropy_threshold == 0.2
    search = GridSearchCV(clf, {"kl_penalty__entropy_threshold": [0.1, 1.0]}, cv=2).fit(*table)
    assert (
        search.best_estimator_.net_.penalty_.entropy_threshold == search.best_params_["kl_penalty__entropy_threshold"]
    )


@pytest.mark.parametrize("penalty", [Confidence(), Prior()], ids=repr)
def test_a_penalty_object_is_copied_and_gives_what_its_name_gives(quick, table, penalty):
    before = dict(vars(penalty))
    name = next(name for name, kind in PENALTIES.items() if isinstance(penalty, kind))
    by_object = quick(kl_penalty=penalty, kl_strength=0.3).fit(*table)
    by_name = quick(kl_penalty=name, kl_strength=0.3).fit(*table)
    assert np.array_equal(by_object.predict_proba(table[0]), by_name.predict_proba(table[0]))
    assert vars(penalty) == before
    assert by_object.net_.penalty_ is not penalty


def test_a_penalty_may_hold_what_cannot_be_pickled(quick, table):
    class Noisy(BaseEstimator):
        def __init__(self, function, generator):
            self.function, self.generator = function, generator

        def fit(self, rows, n_classes):
            self.n_rows_ = len(rows)
            return self

        def partial_fit(self, rows, n_classes):
            self.n_rows_ += len(rows)
            return self

        def __call__(self, log_proba, batch):
            return self.function(log_proba) + torch.rand(len(log_proba), generator=self.generator)

    penalty = Noisy(lambda log_proba: log_proba.exp().square().sum(-1), torch.Generator().manual_seed(3))
    clf = quick(kl_penalty=penalty, kl_strength=0.1, early_stopping=False).fit(*table)
    assert clf.net_.penalty_.n_rows_ == 120
    for _ in range(3):  # the penalty is the same, though it has drawn from a generator of its own
        clf.partial_fit(*table, classes=range(3))
    assert clf.net_.penalty_.n_rows_ == 480


# Networks of the user's own


@pytest.mark.parametrize(
    "module",
    [Network, factory, lambda: nn.Linear(5, 3), functools.partial(factory, bias=False), nn.Linear(5, 3)],
    ids=["class", "function", "lambda", "partial", "instance"],
)
def test_kinds_of_module(quick, table, module):
    X, y = table
    clf = quick(module=module, max_epochs=30).fit(X, y)
    assert clf.score(X, y) > 0.75


def test_a_module_instance_is_copied_with_its_weights_and_never_changed(quick, table):
    instance = nn.Linear(5, 3)
    before = instance.weight.detach().clone()
    clf = quick(module=instance, lr=1e-12, learning_rate="constant", weight_decay=0.0).fit(*table)
    assert clf.module_ is not instance
    torch.testing.assert_close(clf.module_.weight.detach(), before)
    quick(module=instance).fit(*table)
    assert torch.equal(instance.weight, before)
    assert instance.training
    assert clf.get_params()["module"] is instance
    assert torch.equal(clone(clf).module.weight, before)


def test_parameters_for_a_module_instance_are_refused(quick, table):
    with pytest.raises(ValueError, match="module__units|'units'"):
        quick(module=nn.Linear(5, 3), module__units=3).fit(*table)


@pytest.mark.parametrize(
    ("module", "shape"), [(Images, (80, 2, 6, 6)), (Sequences, (80, 7, 3))], ids=["images", "sequences"]
)
def test_images_and_sequences(quick, module, shape):
    random = np.random.RandomState(0)
    X, y = random.randn(*shape), random.randint(2, size=80)
    X[y == 1] += 1
    clf = quick(module=module, max_epochs=10, kl_strength=0.05, early_stopping=True).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert cross_val_score(clf, X, y, cv=2).mean() > 0.8
    clf.partial_fit(X[:9], y[:9])
    np.testing.assert_allclose(clf.predict_proba(X[:1]), clf.predict_proba(X)[:1], rtol=1e-12)


def test_a_network_with_batch_normalisation(quick, make_table):
    X, y = make_table(257)  # batches of nearly equal size: none of a single row
    module = functools.partial(nn.Sequential, nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    clf = quick(module=module, batch_size=128, early_stopping=False, max_epochs=20).fit(X, y)
    assert clf.score(X, y) > 0.7
    assert np.array_equal(clf.predict(X[:3]), clf.predict(X)[:3])


@pytest.mark.parametrize(("n_rows", "batch_size", "method"), [(3, 2, "fit"), (5, 2, "fit"), (1, "auto", "partial_fit")])
def test_a_batch_that_cannot_be_normalised_is_told(quick, make_table, n_rows, batch_size, method):
    module = functools.partial(nn.Sequential, nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    X, y = make_table(n_rows)[0], np.arange(n_rows) % 3
    epochs = {} if method == "partial_fit" else {"max_epochs": 3}
    clf = KLClassifier(module=module, batch_size=batch_size, random_state=0, **epochs)
    with pytest.raises(ValueError, match="'batch_size' parameter .* two rows or more.* Got a batch of one row instead"):
        getattr(clf, method)(X, y, **({"classes": range(3)} if method == "partial_fit" else {}))


# With scikit-learn's own


def test_in_a_pipeline_searched_over_the_strength(quick, table):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), quick(max_epochs=10))
    grid = {"klclassifier__kl_strength": [0.0, 50.0]}
    search = GridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=2).fit(X * 100, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["klclassifier__kl_strength"] < 50
    assert search.score(X * 100, y) > -1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=3),
        lambda clf: CalibratedClassifierCV(clf, cv=3, ensemble=False, method="isotonic"),
        lambda clf: VotingClassifier([("a", clf), ("b", clone(clf).set_params(kl_strength=0.1))], voting="soft"),
        OneVsRestClassifier,
        lambda clf: make_pipeline(StandardScaler(), clf),
    ],
    ids=["calibrated", "isotonic", "voting", "one vs rest", "pipeline"],
)
def test_in_scikit_learns_meta_estimators(quick, table, wrap):
    X, y = table[0], np.array(["cat", "dog", "emu"])[table[1]]
    model = wrap(quick(max_epochs=10)).fit(X, y)
    assert model.classes_.tolist() == ["cat", "dog", "emu"]
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert model.score(X, y) > 0.75
