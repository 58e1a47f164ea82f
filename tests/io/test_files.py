"""``save`` and ``load``: what was stored predicts the same and goes on; what cannot be stored is named."""

import inspect
import os
import pickle
import stat
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from stored_networks import CHANGES, Noted, Wide, make_wide

import sklkl
from sklkl import Distiller, KLClassifier, KLNet
from sklkl.metrics import get_scorer
from sklkl.model_selection import StackedGridSearchCV, one_standard_error
from sklkl.modules import ACTIVATIONS
from sklkl.penalties import Prior

skops_io = pytest.importorskip("skops.io")


def small(**params):
    layers = {} if params.get("module") else {"hidden_layer_sizes": (8,)}
    return KLClassifier(**{**layers, "max_epochs": 3, "random_state": 0, **params})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.skops"


@pytest.fixture
def again(path):
    """Return ``again(estimator, trusted=(), **options)``: the estimator from a file."""

    def stored(estimator, trusted=(), **options):
        sklkl.save(estimator, path, **options)
        return sklkl.load(path, trusted)

    return stored


def assert_same(loaded, fitted, X):
    for part in (X, X[:3]):  # torch's way and numpy's
        assert np.array_equal(loaded.predict_proba(part), fitted.predict_proba(part))
        assert np.array_equal(loaded.predict(part), fitted.predict(part))
    assert loaded.classes_.dtype == fitted.classes_.dtype


# What predicts

SETTINGS = {
    "default": {},
    "linear": {"hidden_layer_sizes": ()},
    "unscaled": {"scale_inputs": False, "dropout": 0.0},
    "float64": {"dtype": "float64"},
    "torch types": {"dtype": torch.float32, "device": torch.device("cpu")},
    "members": {"n_members": 3},
    "penalty object": {"kl_penalty": Prior(), "kl_strength": np.float64(0.1)},
    "sgd": {"optimizer": "sgd", "learning_rate": "onecycle", "optimizer__momentum": 0.5},
    "early": {"early_stopping": True, "class_weight": {0: 1.0, 1: 2.0}},
    "compiled off": {"random_state": np.random.RandomState(0), "verbose": 0},
    **{name: {"activation": name} for name in ACTIVATIONS if name != "relu"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_loaded_predicts_the_same(again, table, name):
    X, y = table
    clf = small(**SETTINGS[name]).fit(X, y)
    loaded = again(clf)
    assert_same(loaded, clf, X)
    assert loaded.get_params().keys() == clf.get_params().keys()
    assert clone(loaded).fit(X, y).n_iter_ == clf.n_iter_
    assert [dict(record) for record in loaded.history_] == [dict(record) for record in clf.history_]


LABELS = {
    "texts": np.array(["a", "bb", "c"]),
    "objects": np.array(["a", "bb", "c"], dtype=object),
    "floats": np.array([-1.0, 0.0, 2.0]),
    "booleans": np.array([False, True, True]),
    "days": np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="M8[D]"),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_keep_their_type(again, table, name):
    X, codes = table
    weight = None if name == "days" else dict.fromkeys(LABELS[name].tolist(), 2.0)
    clf = small(class_weight=weight).fit(X, LABELS[name][codes])
    loaded = again(clf)
    assert_same(loaded, clf, X)
    assert loaded.get_params()["class_weight"] == clf.get_params()["class_weight"]


def test_multilabel_targets(again, table):
    X, y = table
    clf = small().fit(X, np.eye(3, dtype=int)[y])
    assert_same(again(clf), clf, X)


def test_sparse_rows_and_texts(again):
    texts = [f"word{i % 3} word{i % 7} end" for i in range(60)]
    pipeline = make_pipeline(TfidfVectorizer(), small()).fit(texts, np.arange(60) % 3)
    loaded = again(pipeline)
    assert np.array_equal(loaded.predict_proba(texts), pipeline.predict_proba(texts))
    X = sparse.csr_array(np.eye(60))
    clf = small().fit(X, np.arange(60) % 3)
    assert np.array_equal(again(clf).predict_proba(X), clf.predict_proba(X))


def test_names_of_columns(again, table):
    X, y = table
    frame = pd.DataFrame(X, columns=list("abcde"))
    loaded = again(small().fit(frame, y))
    assert loaded.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[list("edcba")])


def test_members_differ_as_before(again, table):
    X, y = table
    clf = small(n_members=3).fit(X, y)
    assert np.array_equal(again(clf).predict_uncertainty(X), clf.predict_uncertainty(X))


def old():
    return FrozenEstimator(small().fit(np.eye(5)[[0, 1, 2, 3, 4] * 2], [0, 1, 2, 0, 1] * 2))


def in_pipeline():
    return make_pipeline(StandardScaler(), small())


GRID, FOREST = {"klclassifier__kl_strength": [0.0, 0.1]}, RandomForestClassifier(3, random_state=0)
SCORES = ["accuracy", "neg_log_loss"]
COMPOSED = {
    "pipeline": in_pipeline,
    "distiller": lambda: Distiller(in_pipeline(), FOREST, random_state=0),
    "taught": lambda: small(teacher=FOREST),
    "search": lambda: GridSearchCV(in_pipeline(), GRID, scoring="neg_log_loss", cv=2),
    "own score": lambda: GridSearchCV(small(), {"kl_strength": [0.0, 0.1]}, scoring=get_scorer("neg_mean_kl"), cv=2),
    "stacked": lambda: StackedGridSearchCV(in_pipeline(), GRID, scoring=SCORES, refit="accuracy", cv=2),
    "one error": lambda: StackedGridSearchCV(in_pipeline(), GRID, refit=one_standard_error("kl_strength"), cv=2),
    "voting": lambda: VotingClassifier([("one", small()), ("other", in_pipeline())], voting="soft"),
    "calibrated": lambda: CalibratedClassifierCV(small(), method="temperature", cv=2),
    "started": lambda: small(init_from=old()),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_what_contains_a_classifier_asks_for_no_trust(again, table, name):
    X, y = table
    estimator = COMPOSED[name]().fit(X, y)
    assert_same(again(estimator), estimator, X)


def test_the_teacher_of_a_distiller_stays_behind(again, table):
    loaded = again(Distiller(small(), RandomForestClassifier(3), report_fraction=None).fit(*table))
    assert not hasattr(loaded, "teacher_")
    assert isinstance(loaded.teacher, RandomForestClassifier)


def test_skops_alone_stores_and_loads(table):
    clf = small().fit(*table)
    data = skops_io.dumps(clf)
    types = skops_io.get_untrusted_types(data=data)
    assert types == ["sklkl.classifier.KLClassifier"]
    assert_same(skops_io.loads(data, trusted=types), clf, table[0])


def test_an_unfitted_classifier(again):
    loaded = again(small(kl_strength=0.1))
    assert loaded.get_params() == small(kl_strength=0.1).get_params()
    assert not hasattr(loaded, "net_")


def test_what_was_loaded_can_be_pickled_and_stored_again(again, table):
    clf = small().fit(*table)
    loaded = again(again(clf))
    assert_same(pickle.loads(pickle.dumps(loaded)), clf, table[0])


def test_importing_sklkl_imports_nothing_optional(fresh_process):
    assert {"sklkl", "torch"} <= set(fresh_process["packages"])
    assert not {"skops", "onnx", "skl2onnx"} & set(fresh_process["packages"])


def test_what_is_missing_is_named(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r'needs skops, which is not installed: pip install "sklkl\[skops\]"'):
        sklkl.save(small(), path)


# What goes on


STREAMS = {"own": {}, "members": {"n_members": 2}, "prior": {"kl_penalty": "prior", "kl_strength": 0.1}}


@pytest.mark.parametrize("params", STREAMS.values(), ids=STREAMS)
def test_a_stream_goes_on_as_if_it_had_not_been_stored(again, stream, table, params):
    X, y = table
    clf = stream(**params)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    loaded, bare = again(clf, with_optimizer=True), again(clf)
    for each in (clf, loaded, bare):
        each.partial_fit(X, y)
    assert_same(loaded, clf, X)
    assert bare.n_iter_ == 4
    assert not np.array_equal(bare.predict_proba(X), clf.predict_proba(X))


def test_warm_start_goes_on_as_if_it_had_not_been_stored(again, table):
    X, y = table
    clf = small(warm_start=True).fit(X, y)
    loaded = again(clf, with_optimizer=True)
    assert_same(loaded.fit(X, y), clf.fit(X, y), X)
    assert loaded.n_iter_ == 6


def test_wide_rows_of_few_entries_go_on(again):
    X, y = sparse.csr_array(np.eye(60, 3000)), np.arange(60) % 3
    clf = small(warm_start=True).fit(X, y)
    loaded = again(clf, with_optimizer=True)
    assert_same(loaded, clf, X)
    assert_same(loaded.fit(X, y), clf.fit(X, y), X)


def test_another_optimizer_goes_on(again, table):
    X, y = table
    clf = small(optimizer=torch.optim.NAdam, warm_start=True).fit(X, y)
    loaded = again(clf, [torch.optim.NAdam], with_optimizer=True)
    assert_same(loaded.fit(X, y), clf.fit(X, y), X)


def test_the_optimizer_is_made_again_as_it_was(again, table):
    clf = small(optimizer__betas=(0.8, 0.9), weight_decay=0.2).fit(*table)
    options = [each.net_.optimizer_.state_dict()["param_groups"] for each in (again(clf), clf)]
    assert [group.pop("lr") > 0 for groups in options for group in groups]
    assert options[0] == options[1]
    assert again(clf).net_.optimizer is clf.net_.optimizer


def test_a_net_has_the_parameters_it_had(again, table):
    """A new parameter of ``KLNet`` must be stored, or added here with the reason why not."""
    # the penalty is the classifier's, the loss of a teacher and the data are of the training
    apart = {"self", "module", "args", "kwargs", "kl_penalty", "distillation"}
    changed = {"kl_strength": 0.1, "lr": 0.5, "learning_rate": "constant", "early_stopping": True, "batch_size": 16}
    clf = small(**changed).fit(*table)
    loaded = again(clf).net_
    for name in inspect.signature(KLNet.__init__).parameters.keys() - apart:
        assert getattr(loaded, name) == getattr(clf.net_, name), name


# What is in a file


def test_a_file_is_little_more_than_its_weights(path, table):
    clf = small(hidden_layer_sizes=(64, 64)).fit(*table)
    n_bytes = 4 * sum(values.numel() for values in clf.module_.parameters())
    sklkl.save(clf, path)
    assert path.stat().st_size < n_bytes + 70_000
    sklkl.save(clf, path, with_optimizer=True)
    assert path.stat().st_size > 3 * n_bytes


@pytest.mark.parametrize("params", [{}, {"teacher": FOREST}, {"early_stopping": True, "n_members": 2}])
def test_a_file_has_no_rows(path, table, params):
    X, y = table
    clf = small(**params).fit(X, y)
    if not params:
        clf.partial_fit(X, y)
    sklkl.save(clf, path, with_optimizer=True)
    data = path.read_bytes()
    pairs = [row[start : start + 2] for row in X for start in range(4)]
    assert not any(pair.astype(dtype).tobytes() in data for pair in pairs for dtype in (np.float32, np.float64))


def test_a_file_has_the_rights_of_any_other(path):
    path.with_suffix(".txt").write_text("")
    sklkl.save(small(), path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(path.with_suffix(".txt").stat().st_mode)
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.skops", "model.txt"]


def test_the_rights_of_the_old_file_are_kept(path):
    path.write_text("")
    path.chmod(0o600)
    sklkl.save(small(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without them")
def test_what_is_no_file_is_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(OSError, match="no file that can be replaced"):
        sklkl.save(small(), path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(path):
    link = path.with_name("link")
    link.symlink_to(path)
    sklkl.save(small(), link)
    assert link.is_symlink()
    assert path.is_file()


# Networks of the user's own


@pytest.mark.parametrize("module", [Wide, make_wide])
def test_the_class_of_a_network_must_be_trusted(again, table, module):
    X, y = table
    clf = small(module=module).fit(X, y)
    name = f"stored_networks.{module.__name__}"
    with pytest.raises(TypeError, match=rf"Untrusted types found in the file: \['{name}'\]"):
        again(clf)
    assert_same(again(clf, [name]), clf, X)
    assert_same(again(clf, [module]), clf, X)


def test_parameters_of_a_network_are_kept(again, table):
    X, y = table
    clf = small(module=Wide, module__units=5, warm_start=True, batch_size=60).fit(X, y)
    loaded = again(clf, [Wide], with_optimizer=True)
    assert_same(loaded, clf, X)
    assert_same(loaded.fit(X, y), clf.fit(X, y), X)


NOT_STORED = {
    "instance": ({"module": Wide(5, 3)}, "The 'module' parameter of KLClassifier .* an instance of Wide instead"),
    "lambda": ({"module": lambda n_features, n_classes: Wide(5, 3)}, "The 'module' parameter .* Got <function"),
    "teacher": ({"teacher": Wide(5, 3), "augment": None}, "The 'teacher' parameter .* an instance of Wide"),
    "callback": ({"callbacks": [("a", lambda: None)]}, "The 'callbacks' parameter of KLClassifier .* Got <function"),
}


@pytest.mark.parametrize("name", NOT_STORED)
def test_what_cannot_be_stored_is_named(path, table, name):
    params, message = NOT_STORED[name]
    clf = small(**params)
    clf = clf if name == "callback" else clf.fit(*table)
    path.write_text("old")
    with pytest.raises(TypeError, match=message):
        sklkl.save(clf, path)
    assert path.read_text() == "old"


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_network_that_was_changed_is_not_stored(path, table, change):
    clf = small().fit(*table)
    change(clf.module_)
    with pytest.raises(TypeError, match="was changed since it was made"):
        sklkl.save(clf, path)


def test_keys_that_a_file_does_not_keep_are_refused(path):
    search = GridSearchCV(small(), {"class_weight": [{False: 1.0, True: 2.0}]})
    with pytest.raises(TypeError, match=r"A dict with the keys \['false', 'true'\], booleans or None, cannot"):
        sklkl.save(search, path)


def test_a_network_with_more_than_tensors_is_not_stored(path, table):
    with pytest.raises(TypeError, match="'_extra_state' of Noted is no tensor; it cannot be stored"):
        sklkl.save(small(module=Noted).fit(*table), path)


def test_a_part_of_torch_is_named(path, quick_net, table32):
    with pytest.raises(TypeError, match="KLNet cannot be stored without pickle, as a part of it is torch's own"):
        sklkl.save(quick_net().fit(*table32), path)


def test_pickles_still_take_anything(table):
    clf = small(module=Wide(5, 3)).fit(*table)
    assert_same(pickle.loads(pickle.dumps(clf)), clf, table[0])
