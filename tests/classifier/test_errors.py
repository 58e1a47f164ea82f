"""A bad hyperparameter gives an error that says which, what was given and what is allowed, before any training."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import EpochTimer
from torch import nn

from sklkl import KLClassifier, KLNet
from sklkl.penalties import Confidence, Prior

NAN, INF = float("nan"), float("inf")

BAD_VALUES = {
    "hidden_layer_sizes": [0, -1, "wide", None, (0,), (-1,), (1.5,), ("a",), ((3,),), (8, 0)],
    "activation": ["swish", None, nn.ReLU],
    "dropout": [-0.1, 1.0, NAN, "half", None],
    "scale_inputs": [None, 1, "yes"],
    "n_members": [0, -1, 1.5, None, "many"],
    "codistill_strength": [-1, None, "auto"],
    "module": ["mlp", 3, dict],
    "kl_penalty": ["entropy", None, 3, object()],
    "kl_strength": [-0.1, NAN, INF, "strong", None],
    "teacher": ["forest", 3, nn.Linear, object()],
    "distill_weight": [-0.1, 1.1, NAN, "some", None],
    "distill_rows": ["labelled", None, 3],
    "temperature": [0, -1.0, 1e30, NAN, INF, "hot", None],
    "distill_divergence": ["kl", None, 3],
    "teacher_cv": [1.5, "five"],
    "calibrate_teacher": ["yes", None, 2],
    "teacher_classes": ["all", None],
    "augment": ["mixup", 3],
    "augment_factor": [0, -1, 1.5, None],
    "n_generations": [0, -1, 1.5, None],
    "init_from": ["old", 3, object()],
    "lr": [0, -1.0, 1e38, 1e300, NAN, INF, "fast", None],
    "kl_target": [0, -1.0, NAN, INF, "far"],
    "learning_rate": ["linear", 0.1, None],
    "optimizer": ["adagrad", None, 3, dict, nn.Linear, lambda params: None],
    "weight_decay": [-0.1, NAN, INF, "some", None],
    "batch_size": [0, -1, 1.5, "all", None],
    "max_epochs": [0, -1, 2.5, "many", None, INF],
    "early_stopping": ["yes", None, 2],
    "validation_fraction": [0.0, 1.0, -0.1, NAN, 5, None],
    "calibrate": ["auto", 1.5, None],
    "averaged_epochs": [0, -1, 1.5, "all", None],
    "n_iter_no_change": [0, -1, 1.5, "few"],
    "class_weight": ["even", 3, [1.0, 2.0, 3.0]],
    "warm_start": ["yes", None, 2],
    "random_state": [-1, "seed", 1.5],
    "device": ["tpu9", 3, None],
    "dtype": ["float16", "int64", np.float32, torch.int64, None],
    "compile": ["yes", None, 2],
    "verbose": [-1, "loud", None],
    "callbacks": ["early", 3, [3], ["early"], [nn.Linear], [("name", 3)], [(3, EpochTimer)]],
    "checkpoint": [3, True, ["model"]],
    "checkpoint_every": [0, -1, 1.5, "auto", None],
}
CASES = [
    pytest.param(name, value, id=f"{name}-{number}")
    for name, values in BAD_VALUES.items()
    for number, value in enumerate(values)
]


@pytest.fixture
def never_trained(monkeypatch):
    """Fail if training begins."""

    def trained(*args, **kwargs):
        raise AssertionError("training began")

    monkeypatch.setattr(KLNet, "train_step", trained)


def test_there_is_a_bad_value_for_every_parameter():
    assert set(BAD_VALUES) == set(KLClassifier().get_params())


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(("name", "value"), CASES)
def test_a_bad_hyperparameter_is_named_with_its_value_and_what_is_allowed(quick, table, name, value):
    clf = quick(**{name: value})
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=rf"(?s)'{name}' parameter.*must") as error:
        clf.fit(*table)
    assert repr(value) in str(error.value)
    assert vars(clf) == before
    with pytest.raises(NotFittedError):
        clf.predict(table[0])


def test_a_cuda_device_of_too_high_a_number_is_named(quick, table, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ValueError, match="'device' parameter is 'cuda:2', but the last CUDA device .* is 'cuda:1'"):
        quick(device="cuda:2").fit(*table)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_named(quick, table):
    with pytest.raises(ValueError, match="'device' parameter is 'cuda', but torch finds no CUDA device"):
        quick(device="cuda").fit(*table)


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(("name", "value"), [("kl_strength", -1.0), ("lr", "fast"), ("module", 3)])
def test_partial_fit_refuses_them_too(quick, table, name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter.*must"):
        quick(**{name: value}).partial_fit(*table, classes=range(3))


# Penalties


@pytest.mark.usefixtures("never_trained")
@pytest.mark.filterwarnings("ignore:The 'kl_penalty' parameter of KLClassifier has no effect")
@pytest.mark.parametrize("strength", [0.0, 0.1])
@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (Confidence(-1.0), r"'entropy_threshold' parameter of Confidence must be .* Got -1.0"),
        (Prior([0.5, 0.5]), r"'class_prior' parameter of Prior must be 3 .* Got \[0.5, 0.5\]"),
        (Prior([0.5, 0.6, 0.1]), r"'class_prior' parameter of Prior must be .* sum to 1"),
    ],
    ids=["threshold", "length", "sum"],
)
def test_a_bad_penalty_is_named(quick, table, penalty, message, strength):
    with pytest.raises(ValueError, match=message):
        quick(kl_penalty=penalty, kl_strength=strength).fit(*table)


# What is passed on


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"module": lambda n_classes: nn.Linear(5, n_classes), "module__width": 3}, "module__width"),
        ({"module__units": 3}, "module__units"),
        ({"optimizer__speed": 3}, "optimizer__speed"),
        ({"optimizer": torch.optim.SGD, "optimizer__betas": (0.9, 0.9)}, "optimizer__betas"),
    ],
    ids=["module", "no module", "optimizer", "torch optimizer"],
)
def test_a_parameter_that_is_not_accepted_is_named(quick, table, params, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of KLClassifier"):
        quick(**params).fit(*table)


@pytest.mark.parametrize("name", ["n_features", "n_classes"])
def test_what_the_classifier_passes_itself_cannot_be_given(quick, table, name):
    def linear(n_features, n_classes):
        return nn.Linear(n_features, n_classes)

    with pytest.raises(ValueError, match=f"module__{name}"):
        quick(module=linear, **{f"module__{name}": 7}).fit(*table)


# What a module returns


class Returns(nn.Module):
    """Return ``function(logits)``."""

    def __init__(self, n_features, n_classes, function):
        super().__init__()
        self.linear = nn.Linear(n_features, n_classes)
        self.function = function

    def forward(self, x):
        return self.function(self.linear(x))


WRONG_OUTPUTS = {
    "one column too many": lambda logits: torch.cat([logits, logits[:, :1]], 1),
    "one column": lambda logits: logits[:, :1],
    "no columns": lambda logits: logits[:, 0],
    "one axis more": lambda logits: logits[..., None],
    "transposed": lambda logits: logits.T,
    "a number": lambda logits: logits.sum(),
    "one row": lambda logits: logits[:1],
    "a tuple": lambda logits: (logits, logits),
    "a list": lambda logits: logits.tolist(),
    "nothing": lambda logits: None,
}


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("kind", WRONG_OUTPUTS)
def test_a_module_that_returns_something_else_is_refused(quick, table, kind):
    clf = quick(module=Returns, module__function=WRONG_OUTPUTS[kind])
    before = dict(vars(clf))
    with pytest.raises(ValueError, match=r"'module' parameter must return logits of shape \(n_rows, n_classes\).*Got"):
        clf.fit(*table)
    assert vars(clf) == before


@pytest.mark.usefixtures("never_trained")
@pytest.mark.parametrize("made", [3, None, nn.Linear, "net"], ids=str)
def test_a_factory_that_makes_no_module_is_refused(quick, table, made):
    with pytest.raises(ValueError, match=r"'module' parameter must make a torch.nn.Module. Got"):
        quick(module=lambda: made).fit(*table)


def test_the_network_sees_no_more_than_two_rows_before_it_is_trained(quick, table):
    seen = []

    def watched(logits):
        seen.append(len(logits))
        return logits

    params = {"batch_size": 30, "max_epochs": 1, "learning_rate": "onecycle", "early_stopping": False}
    quick(module=Returns, module__function=watched, **params).fit(*table)
    assert seen == [2] + [30] * 8  # at the end it is looked at once more


# A validation part that cannot be


@pytest.mark.parametrize("fraction", [1e-9, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 8])
def test_few_rows_of_several_labels_are_split_or_all_trained_on(quick, fraction, n_rows):
    X = np.random.RandomState(0).randn(n_rows, 5)
    clf = quick(early_stopping=True, validation_fraction=fraction).fit(X, np.eye(8, 2, dtype=int)[:n_rows])
    assert ("valid_loss" in clf.history_[-1]) == (n_rows > 1)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("fraction", [0.9, 0.999])
def test_a_validation_part_that_takes_all_rows_is_refused_or_smaller(quick, make_table, message_of, fraction):
    X, y = make_table(8)[0], np.arange(8) % 2
    clf = quick(early_stopping=True, validation_fraction=fraction)
    message = message_of(lambda: clf.fit(X, y))
    if message is None:
        assert np.isfinite(clf.predict_proba(X)).all()
    else:
        assert "validation_fraction" in message
