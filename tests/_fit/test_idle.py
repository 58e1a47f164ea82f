"""Parameters that were set and cannot have an effect: each is named, with what would give it one, and only these."""

import inspect
import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl._fit.idle import NEEDS
from sklkl.model_selection import StackedGridSearchCV
from sklkl.penalties import Confidence


def linear(n_classes):
    return nn.Linear(5, n_classes)


def softmax(X):
    return np.exp(X[:, :3]) / np.exp(X[:, :3]).sum(1, keepdims=True)


MODULE, TAUGHT, SET_ASIDE = {"module": linear}, {"teacher": softmax}, {"early_stopping": True}
TWICE, FOUND = {"n_generations": 2}, {"learning_rate": "kl_adaptive"}
CONSTANT, CYCLE = {"learning_rate": "constant"}, {"learning_rate": "onecycle"}
FITTED = {"teacher": LogisticRegression()}

# name, its value, with which it has no effect, with which it has one, what the warning says
CASES = [
    ("hidden_layer_sizes", (4,), MODULE, {}, "module=None"),
    ("activation", "tanh", MODULE, {}, "module=None"),
    ("activation", "tanh", {"hidden_layer_sizes": ()}, {}, "a layer in 'hidden_layer_sizes'"),
    ("dropout", 0.1, MODULE, {}, "module=None"),
    ("dropout", 0.0, {"hidden_layer_sizes": []}, {}, "a layer in 'hidden_layer_sizes'"),
    ("codistill_strength", 0.1, {}, {"n_members": 2}, "n_members > 1"),
    ("kl_penalty", "prior", {}, {"kl_strength": 0.1}, "kl_strength > 0"),
    ("kl_penalty", Confidence(), {"kl_strength": 0.0}, {"kl_strength": 0.1}, "kl_strength > 0"),
    ("temperature", 2.0, {}, TAUGHT, "a teacher"),
    ("temperature", 2.0, {**TAUGHT, "distill_weight": 0.0, "teacher_classes": "union"}, TWICE, "distill_weight > 0"),
    ("distill_weight", 0.9, {}, TAUGHT, "a teacher"),
    ("distill_weight", 0.0, {}, TWICE, "a teacher"),
    ("distill_rows", "unlabeled", {}, TAUGHT, "a teacher"),
    ("distill_divergence", "js", {}, TAUGHT, "a teacher"),
    ("teacher", softmax, {"distill_weight": 0.0}, {"distill_weight": 0.1}, "distill_weight > 0"),
    ("teacher_cv", 3, {**FITTED, "distill_weight": 0.0, "teacher_classes": "union"}, FITTED, "distill_weight > 0"),
    ("calibrate_teacher", True, {}, FITTED, "a teacher"),
    ("teacher_classes", "union", {}, TAUGHT, "a teacher"),
    ("teacher_classes", "union", TWICE, TAUGHT, "a teacher"),
    ("augment_factor", 2, {}, TAUGHT, "a 'teacher'"),
    ("augment_factor", 2, {**TAUGHT, "augment": None}, {**TAUGHT, "augment": "noise"}, "augment='munge'"),
    ("lr", 0.1, {}, CONSTANT, "learning_rate='constant' or 'onecycle'"),
    ("lr", 0.1, FOUND, CYCLE, "learning_rate='constant' or 'onecycle'"),
    ("lr", 0.1, {}, {"optimizer__param_groups": [("0.*", {"lr": 0.05})]}, "learning_rate='constant' or 'onecycle'"),
    ("lr", 0.1, {**CONSTANT, "optimizer__lr": 0.01}, CONSTANT, "leaving out 'optimizer__lr'"),
    ("optimizer__lr", 0.1, {}, CONSTANT, "learning_rate='constant' or 'onecycle'"),
    ("kl_target", 1e-3, CONSTANT, {}, "learning_rate='kl_adaptive'"),
    ("kl_target", 1e-3, CYCLE, FOUND, "learning_rate='kl_adaptive'"),
    ("weight_decay", 0.1, {"optimizer": torch.optim.LBFGS, **CONSTANT}, {"optimizer": torch.optim.Adam}, "'optimizer'"),
    ("weight_decay", 0.1, {"optimizer__weight_decay": 0.2}, {"optimizer": "sgd"}, "leaving out 'optimizer__weight"),
    ("scale_inputs", False, MODULE, {}, "module=None"),
    ("validation_fraction", 0.3, {"early_stopping": False}, SET_ASIDE, "early_stopping=True"),
    ("validation_fraction", 0.3, {"early_stopping": False}, {**FITTED, "calibrate_teacher": True}, "early_stopping"),
    ("n_iter_no_change", 5, {"early_stopping": False}, SET_ASIDE, "early_stopping=True"),
    ("averaged_epochs", 5, {"early_stopping": False}, SET_ASIDE, "early_stopping=True"),
    ("n_iter_no_change", 5, {**TAUGHT, "distill_weight": 0.5}, TAUGHT, "early_stopping=True"),
]  # fmt: skip
case = pytest.mark.parametrize(
    ("name", "value", "without", "given", "words"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)


def idle(fit):
    """Names of the parameters of which a fit says that they have no effect, and what it says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    texts = [str(warning.message) for warning in caught if "has no effect" in str(warning.message)]
    assert all("parameter of KLClassifier has no effect; " in text and "would give it one." in text for text in texts)
    return {text.split("'")[1]: text for text in texts}


def classifier(**params):
    """A small classifier; its size is a parameter that is set, but one that has an effect without a module."""
    small = {} if "module" in params else {"hidden_layer_sizes": (8,)}
    return KLClassifier(**{**small, "max_epochs": 2, "random_state": 0, **params})


def fitted(table, **params):
    return idle(lambda: classifier(**params).fit(*table))


@case
def test_it_is_named_with_what_would_give_it_an_effect_and_has_none(table, once, name, value, without, given, words):
    X, y = table
    clf, plain = classifier(**without, **{name: value}), classifier(**without)
    found = idle(lambda: clf.fit(X, y))
    assert list(found) == [name]
    assert words in found[name]
    once(str(without), lambda: idle(lambda: plain.fit(X, y)))
    expected = once(f"{without} predicts", lambda: plain.predict_proba(X))
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=1e-9)


@case
def test_with_that_it_is_not(table, name, value, without, given, words):
    assert fitted(table, **given, **{name: value}) == {}


def test_every_parameter_of_the_table_is_tried():
    of_streams = {"max_epochs", "early_stopping", "n_generations"}
    of_errors = {"augment"}  # without a teacher it is refused, unless it asks for none
    of_files = {"checkpoint_every"}
    tried = {case[0] for case in CASES} | of_streams | of_errors | of_files
    assert {name for need in NEEDS for name in need.names} == tried


def test_how_often_a_checkpoint_is_written_needs_one(table, tmp_path):
    assert "a 'checkpoint'" in fitted(table, checkpoint_every=2)["checkpoint_every"]
    assert fitted(table, checkpoint_every=2, checkpoint=tmp_path / "fit") == {}


def test_they_are_parameters():
    names = {name for need in NEEDS for name in need.names if "__" not in name}
    assert names <= inspect.signature(KLClassifier).parameters.keys()


# What is not set, or asks for nothing


def test_defaults_are_not_set(table):
    defaults = KLClassifier().get_params()
    assert fitted(table, **defaults | {"max_epochs": 2, "random_state": 0, "kl_strength": np.float64(0.0)}) == {}
    assert fitted(table, temperature=np.float32(1.0), lr=np.float64(2e-3)) == {}


@pytest.mark.parametrize(
    "off",
    [
        {"augment": None},
        {"calibrate_teacher": False},
        {"early_stopping": False},
        {"n_iter_no_change": None},
        {"averaged_epochs": 1},
    ],
    ids=str,
)
def test_what_is_switched_off_is_off(table, off):
    assert fitted(table, **off) == {}


# By the data


def test_probabilities_of_a_teacher_are_one(table):
    X, y = table
    clf = KLClassifier(temperature=2.0, distill_weight=0.9, max_epochs=1, random_state=0)
    assert idle(lambda: clf.fit(X, y, teacher_proba=softmax(X))) == {}
    assert idle(lambda: clf.fit(X, y)).keys() == {"temperature", "distill_weight"}


@pytest.mark.parametrize(("n_rows", "names"), [(39, {"n_iter_no_change"}), (40, set())])
def test_from_40_rows_on_some_are_set_aside(make_table, n_rows, names):
    assert fitted(make_table(n_rows), n_iter_no_change=5).keys() == names


def test_rows_without_weight_do_not_count(make_table):
    X, y = make_table(240)
    clf = KLClassifier(n_iter_no_change=5, max_epochs=1, random_state=0)
    assert idle(lambda: clf.fit(X, y, sample_weight=np.arange(240) >= 201)).keys() == {"n_iter_no_change"}


def test_several_labels_have_no_classes_to_bring_together(table):
    Y = np.eye(3, dtype=int)[table[1]]
    teacher = FrozenEstimator(KLClassifier(max_epochs=1, random_state=0).fit(table[0], Y))
    assert fitted((table[0], Y), teacher=teacher, teacher_classes="common").keys() == {"teacher_classes"}


# Searches

ONE_SPLIT = [(np.arange(60), np.arange(60, 120))]


def search(table, n_jobs=None, **grid):
    pipeline = make_pipeline(StandardScaler(), classifier(max_epochs=1))
    grid = {f"klclassifier__{name}": values for name, values in grid.items()}
    return lambda: GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(*table)


@pytest.mark.parametrize(
    ("grid", "action"),
    [
        ({"lr": [1e-4, 1e-3, 1e-2]}, "always"),
        ({"lr": [1e-4, 1e-3]}, "default"),
        ({"kl_penalty": ["prior", "label_smoothing"], "kl_strength": [0.0, 0.1]}, "always"),
    ],
    ids=str,
)
def test_a_search_says_it_once(table, grid, action):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        search(table, **grid)()
    assert len(caught) == 1
    assert next(iter(grid)) in str(caught[0].message)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedGridSearchCV])
@pytest.mark.parametrize(
    ("given", "grid", "names"),
    [
        ({"kl_penalty": "prior"}, {"kl_strength": [0.0, 0.1]}, set()),
        ({"kl_penalty": "prior"}, {"kl_strength": [0.0, 0.1], "activation": ["relu", "tanh"]}, set()),
        ({}, {"kl_strength": [0.0, 0.1], "kl_penalty": ["prior", "label_smoothing"]}, {"kl_penalty"}),
        ({"kl_penalty": "prior"}, {"activation": ["relu", "tanh"]}, {"kl_penalty"}),
        ({"lr": 0.1}, {"learning_rate": ["kl_adaptive", "onecycle"]}, set()),
    ],
    ids=str,
)
def test_what_a_search_varies_may_switch_others_off(table, kind, given, grid, names):
    clf = classifier(max_epochs=1).set_params(**given)  # before, which varies nothing
    assert idle(lambda: kind(clf, grid, cv=ONE_SPLIT).fit(*table)).keys() == names


def test_what_was_varied_is_in_no_pickle():
    assert pickle.dumps(KLClassifier().set_params(lr=0.1)) == pickle.dumps(KLClassifier(lr=0.1))


def test_what_sets_seeds_in_between_does_not_hide_what_is_varied(table):
    bagging = BaggingClassifier(classifier(kl_penalty="prior", max_epochs=1), n_estimators=2, random_state=0)
    search = GridSearchCV(bagging, {"estimator__kl_strength": [0.0, 0.1]}, cv=ONE_SPLIT)
    assert idle(lambda: search.fit(*table)) == {}


def test_another_search_says_it_again(table):
    for _ in range(2):
        assert idle(search(table, lr=[1e-3, 1e-2])).keys() == {"lr"}


def test_threads_say_it_once(table):
    with warnings.catch_warnings(record=True) as caught, joblib.parallel_backend("threading"):
        warnings.simplefilter("always")
        search(table, lr=[1e-4, 1e-3, 1e-2], n_jobs=2)()
    assert len(caught) == 1


def test_a_search_for_something_else_says_nothing(table):
    assert idle(search(table, learning_rate=["constant", "onecycle"], lr=[1e-3, 1e-2])) == {}


@pytest.mark.parametrize(
    "fit",
    [
        lambda clf, *table: cross_val_score(clf, *table, cv=3),
        lambda clf, *table: BaggingClassifier(clf, 3, random_state=0).fit(*table),
    ],
    ids=["scores", "bagging"],
)
def test_other_clones_say_it_once(table, fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(classifier(lr=0.1, max_epochs=1), *table)
    assert len(caught) == 1


def test_an_error_is_raised_in_every_fit(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="All the 6 fits failed"):
            GridSearchCV(KLClassifier(max_epochs=1), {"lr": [0.1, 0.2]}, cv=3).fit(*table)


# When


def test_it_is_said_before_training_of_what_is_valid(table):
    class Stop(Exception):
        pass

    clf = KLClassifier(lr=0.1, module=lambda: nn.Linear(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="'module' parameter"):
            clf.fit(*table)
        with pytest.raises(UserWarning, match="'lr'"):
            clf.set_params(module=None).fit(*table)
    assert not hasattr(clf, "net_")


def test_it_names_the_line_of_the_fit(table):
    with pytest.warns(UserWarning, match="'lr'") as caught:
        KLClassifier(lr=0.1, max_epochs=1).fit(*table)
    assert caught[0].filename == __file__


OF_FIT = {
    "max_epochs": 5, "early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 5, "n_generations": 2,
}  # fmt: skip


def test_a_stream_says_it_in_its_first_part(table):
    X, y = table
    clf = KLClassifier(random_state=0, lr=0.1, **OF_FIT)
    found = idle(lambda: clf.partial_fit(X, y, classes=range(3)))
    assert found.keys() == {"lr", *OF_FIT}
    assert all("; fit, as partial_fit goes over its rows once" in found[name] for name in OF_FIT)
    assert idle(lambda: clf.partial_fit(X, y)) == {}


def test_a_stream_does_not_calibrate(table):
    clf = KLClassifier(random_state=0, teacher=softmax, calibrate_teacher=True, distill_weight=0.9)
    found = idle(lambda: clf.partial_fit(*table, classes=range(3)))
    assert found.keys() == {"calibrate_teacher"}


def test_a_stream_after_a_fit_says_nothing(table):
    clf = KLClassifier(max_epochs=2, random_state=0).fit(*table)
    assert idle(lambda: clf.partial_fit(*table)) == {}


# Distiller


def test_the_student_of_a_distiller_has_a_teacher(table):
    params = {"temperature": 2.0, "distill_weight": 0.9, "augment_factor": 2, "teacher_cv": 3, "distill_rows": "all"}
    student = classifier(**params)
    assert idle(lambda: Distiller(student, LogisticRegression(), random_state=0).fit(*table)) == {}


def test_a_distiller_says_it_once(table):
    student = make_pipeline(StandardScaler(), classifier(lr=0.1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Distiller(student, LogisticRegression(), random_state=0).fit(*table)
    assert ["'lr'" in str(warning.message) for warning in caught] == [True]
