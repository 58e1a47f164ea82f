"""A network that writes to its input: the caller's data stay as they are, and it learns what it would otherwise."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from sklkl import KLClassifier, KLNet


class OutOfPlace(nn.Module):
    """A network with dropout, in which ``"rdrop"`` has something to compare."""

    def __init__(self, n_features=5, n_classes=3):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, n_classes))

    def forward(self, x):
        return self.layers(x - 1.0)


class InPlace(OutOfPlace):
    def forward(self, x):
        return self.layers(x.sub_(1.0))


class InPlaceActivation(nn.Sequential):
    """The usual case: an activation that saves memory."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.ReLU(inplace=True), nn.Linear(n_features, n_classes))


def both(fit):
    """Return what two networks predict that differ only in where they write."""
    return fit(OutOfPlace), fit(InPlace)


TRAININGS = {
    "plain": {},
    "validation": {"early_stopping": True},
    "onecycle": {"learning_rate": "onecycle"},
    "lbfgs": {"optimizer": torch.optim.LBFGS, "learning_rate": "constant", "lr": 0.1},
    "prior": {"kl_penalty": "prior", "kl_strength": 0.1},
    "rdrop": {"kl_penalty": "rdrop", "kl_strength": 0.1},
    "vat": {"kl_penalty": "vat", "kl_strength": 0.1},
    "teacher": {"teacher": LogisticRegression(), "distill_weight": 0.5},
    "generations": {"n_generations": 2},
    "float64": {"dtype": "float64"},
}


@pytest.mark.parametrize("params", TRAININGS.values(), ids=TRAININGS)
def test_training_is_that_of_the_same_network_out_of_place(table, params):
    X, y = table[0].astype(params.get("dtype", "float32")), table[1]
    before = X.copy()

    def fit(module):
        clf = KLClassifier(module=module, max_epochs=2, random_state=0, **params).fit(X, y)
        return clf.predict_proba(X)

    expected, proba = both(fit)
    assert np.array_equal(X, before)
    np.testing.assert_allclose(proba, expected, rtol=1e-6)


CONTAINERS = {
    "array": lambda X: X,
    "column order": np.asfortranarray,
    "a view": lambda X: np.repeat(X, 2, axis=0)[::2],
    "tensor": torch.tensor,
    "float64": lambda X: X.astype("f8"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("change", CONTAINERS.values(), ids=CONTAINERS)
def test_what_a_classifier_is_given_stays_as_it_is(table, change, method):
    X, y = change(table[0].astype("f4")), table[1]
    before = np.asarray(X).copy()
    if method == "fit":
        clf = KLClassifier(module=InPlaceActivation, max_epochs=2).fit(X, y, X_val=X, y_val=y)
    else:
        clf = KLClassifier(module=InPlaceActivation).partial_fit(X, y, classes=[0, 1, 2])
    clf.predict_proba(X)
    clf.net_.predict_proba(np.asarray(X, dtype="f4"))
    assert np.array_equal(np.asarray(X), before)


def test_a_file_that_is_mapped_for_writing_stays_as_it_is(tmp_path, table):
    path = tmp_path / "X.npy"
    np.save(path, table[0].astype("f4"))
    before = path.read_bytes()
    X = np.load(path, mmap_mode="r+")
    KLClassifier(module=InPlaceActivation, max_epochs=1).fit(X, table[1]).predict_proba(X)
    X.flush()
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor], ids=["array", "tensor"])
def test_a_net(table, kind):
    X, y = kind(table[0].astype("f4")), table[1]
    before = np.asarray(X).copy()

    def fit(module):
        torch.manual_seed(0)
        params = {"iterator_train__shuffle": False, "verbose": 0, "max_epochs": 3, "random_state": 0}
        net = KLNet(module, **params, learning_rate="kl_adaptive", train_split=None).fit(X, y)
        outputs = net.predict_proba(X), net.forward(X).numpy(), net.evaluation_step((X, None)).numpy(force=True)
        return np.concatenate(outputs)

    expected, proba = both(fit)
    assert np.array_equal(np.asarray(X), before)
    np.testing.assert_allclose(proba, expected, rtol=1e-6)


class Parts(InPlaceActivation):
    def forward(self, left, right):
        return super().forward(left.add_(right.mul_(2.0)))


def test_a_net_with_a_dict_of_inputs(table):
    X = table[0].astype("f4")
    data = {"left": X.copy(), "right": X.copy()}
    loaders = dict.fromkeys(["iterator_train", "iterator_valid"], torch.utils.data.DataLoader)
    from skorch.dataset import Dataset

    net = KLNet(Parts, module__n_features=5, module__n_classes=3, max_epochs=2, verbose=0, dataset=Dataset, **loaders)
    net.fit(data, table[1])
    net.predict_proba(data)
    net.infer(data)
    net.infer({"left": torch.from_numpy(data["left"]), "right": torch.from_numpy(data["right"])})
    assert all(np.array_equal(part, X) for part in data.values())
