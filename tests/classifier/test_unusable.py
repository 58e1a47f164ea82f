"""Networks, optimisers, containers, rows and teachers that cannot be used: named before training, in clear words."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from skorch.dataset import Dataset
from torch import nn

from sklkl import KLNet
from sklkl.data import Rows


@pytest.fixture
def never_trained(monkeypatch):
    """Fail if training begins."""

    def trained(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(KLNet, "train_step", trained)


# Networks


class Returns(nn.Linear):
    """Return ``function(logits)``."""

    def __init__(self, function):
        super().__init__(5, 3)
        self.function = function

    def forward(self, x):
        return self.function(super().forward(x))


class Bare(nn.Module):
    """A network without parameters, nor an ``__init__``."""

    def forward(self, x):
        return x[:, :3]


class Fails(nn.Linear):
    """A network with a fault."""

    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        return {}["missing"]


OTHER_INPUTS = {
    "narrower": lambda: nn.Linear(2, 3),
    "wider": nn.Linear(7, 3),
    "images": lambda: nn.Conv2d(1, 2, 3),
    "sequences": lambda: nn.Conv1d(3, 3, 1),
    "embedding": lambda: nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(15, 3)),
    "fault": Fails,
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", OTHER_INPUTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_module_for_other_inputs_is_named_with_what_torch_says(quick, table, kind, method):
    clf = quick(module=OTHER_INPUTS[kind])
    match = r"'module' parameter of KLClassifier must be a network that takes inputs of shape \(n_rows, 5\)"
    with pytest.raises(ValueError, match=match + ".*Got (Runtime|Key)Error: ") as error:
        getattr(clf, method)(*table, **({"classes": range(3)} if method == "partial_fit" else {}))
    assert error.value.__cause__ is not None
    assert ("x.long()" in str(error.value)) == (kind == "embedding")
    with pytest.raises(NotFittedError):
        clf.predict(table[0])


NOTHING_TO_TRAIN = {
    "class": Bare,
    "instance": Bare(),
    "identity": nn.Identity,
    "frozen": nn.Linear(5, 3).requires_grad_(False),
    "frozen factory": lambda: nn.Linear(5, 3).requires_grad_(False),
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", NOTHING_TO_TRAIN)
def test_a_module_with_nothing_to_train_is_refused(quick, table, kind):
    message = "'module' parameter of KLClassifier must be .* require a gradient. Got (none|all of them frozen) instead"
    with pytest.raises(ValueError, match=message):
        quick(module=NOTHING_TO_TRAIN[kind]).fit(*table)


def test_a_module_that_is_frozen_in_part_is_trained(quick, table):
    module = nn.Sequential(nn.Linear(5, 4).requires_grad_(False), nn.Linear(4, 3))
    assert quick(module=module).fit(*table).n_iter_ == 3


class NoGradient(nn.Linear):
    """A network whose logits do not depend on its weights, as far as torch can know."""

    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        return super().forward(x).detach()


def test_a_module_without_a_gradient_is_named(quick, table):
    with pytest.raises(ValueError, match="'module' parameter of KLNet must be a network whose logits have a gradient"):
        quick(module=NoGradient()).fit(*table)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(("change", "dtype"), [(lambda z: z.long(), "int64"), (lambda z: z * 1j, "complex64")])
def test_a_module_that_returns_other_numbers_is_refused(quick, table, change, dtype):
    message = (
        f"'module' parameter of KLClassifier must be a network that returns real numbers. Got logits of type {dtype}"
    )
    with pytest.raises(ValueError, match=message):
        quick(module=Returns(change)).fit(*table)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(
    ("module", "found"),
    [
        (nn.Linear, "TypeError: .* missing 2 required positional arguments"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (nn.Sequential(nn.LazyBatchNorm1d(), nn.LazyLinear(3)), "an instance that cannot be"),
    ],
    ids=["arguments", "fault", "copy"],
)
def test_a_module_that_cannot_be_made_or_copied_is_named(quick, table, module, found):
    with pytest.raises(ValueError, match=f"'module' parameter.* must be .* Got {found}"):
        quick(module=module).fit(*table)


@pytest.mark.parametrize("module", [lambda: nn.LazyLinear(3), nn.LazyLinear(3)], ids=["factory", "instance"])
def test_weights_that_wait_for_the_first_rows_follow_the_random_state(quick, table, global_state_untouched, module):
    with global_state_untouched():
        first = quick(module=module).fit(*table).predict_proba(table[0])
    torch.randn(3)
    with global_state_untouched():
        second = quick(module=module).fit(*table).predict_proba(table[0])
    assert np.array_equal(first, second)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("device", ["meta", "mps", "xla", "hpu"])
def test_a_device_that_holds_no_values_here_is_named(quick, table, device):
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is such a device")
    with pytest.raises(
        ValueError, match=f"'device' parameter of KLClassifier must be a device .* Got '{device}' instead"
    ):
        quick(device=device).fit(*table)


# Optimisers


class NoClosure(torch.optim.SGD):
    """An optimiser whose step takes nothing."""

    def step(self):
        super().step()


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("rule", ["kl_adaptive", "onecycle", "constant"])
@pytest.mark.parametrize("name", ["SparseAdam", "Muon", "Optimizer"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_optimizer_that_cannot_train_this_network_is_named(quick, table, name, rule, method):
    if name == "Muon":
        pytest.importorskip("torch", minversion="2.9", reason="older ones have no Muon")
    optimizer = getattr(torch.optim, name)
    args = {"classes": range(3)} if method == "partial_fit" else {}
    message = f"'optimizer' parameter of KLClassifier must be .* Got {name}, which says"
    with pytest.raises(ValueError, match=message):
        getattr(quick(optimizer=optimizer, learning_rate=rule), method)(*table, **args)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_parameter_that_only_fails_in_a_step_is_named(quick, table, optimizer):
    passed_on = {"optimizer__amsgrad": None} if optimizer == "adam" else {"optimizer__dampening": "a"}
    with pytest.raises(ValueError, match="'optimizer' parameter of KLClassifier must be .* the 'optimizer__...' param"):
        quick(optimizer=optimizer, **passed_on).fit(*table)


@pytest.mark.parametrize("rule", ["kl_adaptive", "onecycle", "constant"])
def test_a_step_without_a_closure_is_taken(quick, table, rule):
    params = {"learning_rate": rule, **({} if rule == "kl_adaptive" else {"lr": 0.1})}
    plain, own = (quick(optimizer=kind, **params).fit(*table) for kind in (torch.optim.SGD, NoClosure))
    assert np.array_equal(own.predict_proba(table[0]), plain.predict_proba(table[0]))


@pytest.mark.usefixtures("never_trained")
def test_a_parameter_that_an_optimizer_refuses_is_shown(quick, table):
    with pytest.raises(ValueError, match="'optimizer' parameter of KLClassifier .*momentum"):
        quick(optimizer=torch.optim.SGD, optimizer__momentum=-1.0).fit(*table)


# Inputs that are not in an array


class Source(torch.utils.data.IterableDataset):
    """A data set without a length."""

    def __iter__(self):
        return iter([])


TENSORS = torch.utils.data.TensorDataset(torch.zeros(4, 2))
CONTAINERS = {
    "data set": lambda: TENSORS,
    "iterable data set": Source,
    "rows of skorch": lambda: Dataset(np.zeros((4, 2))),
    "rows": lambda: Rows(np.zeros((4, 2))),
    "loader": lambda: torch.utils.data.DataLoader(TENSORS),
    "dict": lambda: {"a": [0.0] * 4, "b": [1.0] * 4},
    "generator": lambda: (row for row in np.zeros((4, 2))),
    "set": lambda: {1.0, 2.0},
    "file name": lambda: "table.csv",
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("module", [None, lambda: nn.Linear(2, 2)], ids=["own", "user"])
def test_other_containers_of_inputs_are_refused_by_name(quick, kind, module):
    given, X, y = CONTAINERS[kind], np.eye(4, 2), [0, 1, 0, 1]
    for labels in (y, None):
        with pytest.raises(TypeError, match="The 'X' parameter must be an array, a sparse matrix or a frame.* Got "):
            quick(module=module).fit(given(), labels)
    with pytest.raises(TypeError, match="The 'X_unlabeled' parameter must be"):
        quick(module=module, teacher=GaussianNB()).fit(X, y, X_unlabeled=given())
    with pytest.raises(TypeError, match="The 'teacher_proba' parameter must be"):
        quick(module=module).fit(X, y, teacher_proba=given())


@pytest.mark.parametrize("kind", CONTAINERS)
def test_other_containers_are_refused_in_prediction(quick, table, kind):
    with pytest.raises(TypeError, match="The 'X' parameter must be an array"):
        quick(max_epochs=1).fit(*table).predict(CONTAINERS[kind]())


# Rows beside those of X

BAD_ROWS = {
    "NaN": (np.nan, "contains NaN"),
    "infinite": (np.inf, "contains infinity"),
    "too large": (1e40, "contains infinity or a value too large"),
}


def spoiled(X, value):
    X = X[:7].copy()
    X[3, 2] = value
    return X


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", BAD_ROWS)
@pytest.mark.parametrize("use", [{"teacher": GaussianNB()}, {"kl_penalty": "vat", "kl_strength": 0.1}], ids=str)
def test_a_bad_row_without_a_label_is_named_as_such(quick, table, kind, use):
    value, message = BAD_ROWS[kind]
    with pytest.raises(ValueError, match=f"^X_unlabeled {message}"):
        quick(**use).fit(*table, X_unlabeled=spoiled(table[0], value))


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 3)), "^X_unlabeled has 3 features"),
        (np.zeros(5), "^X_unlabeled cannot be used: Expected 2D array"),
        (np.zeros((4, 5, 2)), "^X_unlabeled cannot be used: Found array with dim 3"),
        ([["a"] * 5] * 4, "^X_unlabeled must be an array.* could not convert string to float"),
        ([[1.0], [1.0, 2.0]], "'X_unlabeled' parameter must be an array"),
        (np.full((4, 5), {}, dtype=object), "^X_unlabeled must be an array"),
    ],
    ids=["width", "1-D", "3-D", "text", "ragged", "dicts"],
)
def test_other_shapes_of_rows_without_labels_are_named_too(quick, table, bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        quick(teacher=GaussianNB()).fit(*table, X_unlabeled=bad)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_bad_synthetic_row_is_named_as_such(quick, table, kind):
    value, message = BAD_ROWS[kind]
    clf = quick(teacher=GaussianNB(), augment=lambda X, factor, random_state: spoiled(X, value))
    with pytest.raises(ValueError, match=f"^A synthetic row of 'augment' {message}"):
        clf.fit(*table)


def test_probabilities_of_several_lengths_are_named(quick, table):
    with pytest.raises(ValueError, match="'teacher_proba' parameter must be an array"):
        quick().fit(*table, teacher_proba=[[0.5, 0.5], [1.0]] * 60)


# What a teacher answers


class Answers(GaussianNB):
    """A classifier that answers what it is told to."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer

    def predict_proba(self, X):
        return self.answer(super().predict_proba(X))


ANSWERS = {
    "None": lambda proba: None,
    "sparse matrix": sparse.csr_matrix,
    "sparse array": sparse.coo_array,
    "pair": lambda proba: (proba, 1),
    "text": lambda proba: "a",
    "texts": lambda proba: np.full(proba.shape, "a"),
    "dict": lambda proba: {0: proba},
    "generator": lambda proba: (row for row in proba),
    "complex": lambda proba: proba + 0j,
    "ragged": lambda proba: [row[: 1 + number % 2] for number, row in enumerate(proba.tolist())],
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_teacher_that_gives_no_array_is_refused_by_what_it_gives(quick, table, kind):
    X, y = table
    answer = ANSWERS[kind]
    message = "The teacher must give probabilities as an array, a row for each of X. Got .* instead"
    for teacher in (Answers(answer), lambda X: answer(np.full((len(X), 3), 1 / 3))):
        with pytest.raises(ValueError, match=message):
            quick(teacher=teacher, augment=None).fit(X, y)
    with pytest.raises(ValueError, match="The 'predict_proba' of Answers must give probabilities as an array"):
        quick(teacher=Answers(answer), teacher_cv=2, augment=None, distill_weight=0.5).fit(X, y)


@pytest.mark.usefixtures("never_trained")
def test_probabilities_in_a_sparse_matrix_are_refused(quick, table):
    proba = sparse.csr_array(np.eye(3)[table[1]])
    with pytest.raises(ValueError, match="The array 'teacher_proba' must give .* Got csr_array instead"):
        quick().fit(*table, teacher_proba=proba)


@pytest.mark.parametrize("kind", ["gradient", "half", "bfloat16"])
def test_a_teacher_may_give_any_tensor(quick, table, kind):
    make = {"gradient": lambda p: p.requires_grad_(), "half": lambda p: p.half(), "bfloat16": lambda p: p.bfloat16()}
    teacher = lambda X: make[kind](torch.tensor([[0.25, 0.25, 0.5]] * len(X)))  # noqa: E731
    assert quick(teacher=teacher, augment=None).fit(*table).n_iter_ == 3


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(7, 3), r"a network that takes X, here of shape \(120, 5\). Got RuntimeError"),
        (Returns(lambda logits: None), "a network that returns a tensor of logits. Got NoneType"),
        (Returns(lambda logits: (logits, 1)), "a network that returns a tensor of logits. Got tuple"),
    ],
    ids=["width", "nothing", "tuple"],
)
def test_a_network_that_cannot_be_a_teacher_is_named(quick, table, network, message):
    with pytest.raises(ValueError, match=f"The 'teacher' parameter must be {message}"):
        quick(teacher=network, augment=None, distill_weight=0.5).fit(*table)


def test_a_class_for_a_teacher_is_named_whatever_else_is_wrong(quick, table):
    with pytest.raises(ValueError, match="NaN"):
        quick(teacher=GaussianNB).fit(np.full((120, 5), np.nan), table[1])
    with pytest.raises(ValueError, match="'teacher' parameter must be an estimator"):
        quick(teacher=GaussianNB).fit(*table)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("cv", [[([0], [999])], [(0, "a")], [3]], ids=str)
def test_splits_of_no_rows_are_named(quick, table, cv):
    with pytest.raises(ValueError, match="^teacher_cv=.* cannot split these rows: "):
        quick(teacher=GaussianNB(), teacher_cv=cv).fit(*table)
