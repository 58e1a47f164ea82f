"""Graphs of ONNX: what onnxruntime computes is what the classifier predicts; what does not convert is named."""

import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from stored_networks import CHANGES, Wide, make_wide

from sklkl import Distiller, KLClassifier
from sklkl.io import register_onnx_converters
from sklkl.model_selection import StackedGridSearchCV
from sklkl.modules import ACTIVATIONS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what these packages say of others when they are imported
    onnxruntime = pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")

# Threads would wait for each other, and burn time while they do.
ONE_THREAD = onnxruntime.SessionOptions()
ONE_THREAD.intra_op_num_threads = 1

# What float32 leaves of a probability after some layers, and of float64.
FLOAT32, FLOAT64 = 1e-5, 1e-12


@pytest.fixture(autouse=True)
def _registered():
    register_onnx_converters()


def small(**params):
    layers = {} if params.get("module") else {"hidden_layer_sizes": (16, 8)}
    return KLClassifier(**{**layers, "max_epochs": 2, "random_state": 0, **params})


@pytest.fixture(scope="module")
def rows():
    """Columns of many kinds: of any unit, with heavy tails, whole numbers, of two values and of one."""
    X = np.random.RandomState(0).randn(300, 6)
    # its scores rise by 1,400 a unit near 0: in float32 they are rounded by 2e-5, and a probability by a quarter of it
    X[:, 1] = np.exp(2 * X[:, 1])
    X[:, 2] = 1e3 * X[:, 2].round()
    X[:, 3] = X[:, 3] > 0
    X[:, 4] = 7
    y = (X[:, 0] + X[:, 2] > 0).astype(int) + (X[:, 5] > 1)
    return X.astype(np.float32), y


def converted(model, inputs, **options):
    """Return what runs the graph of a model."""
    graph = skl2onnx.to_onnx(model, inputs, options={"zipmap": False, **options})
    return onnxruntime.InferenceSession(graph.SerializeToString(), ONE_THREAD, providers=["CPUExecutionProvider"])


def run(session, X):
    return session.run(None, {session.get_inputs()[0].name: X})


def check(model, X, tolerance=FLOAT32, fewest=0):
    session = converted(model, X[:1])
    expected, expected_proba = model.predict(X), model.predict_proba(X)
    for part in (slice(None), slice(0, 1), slice(0, fewest)):
        label, proba = run(session, X[part])
        assert proba.dtype == X.dtype
        np.testing.assert_allclose(proba, expected_proba[part], rtol=0, atol=tolerance)
        assert label.tolist() == expected[part].tolist()
    assert all(output.shape[0] is None for output in session.get_outputs())


# Networks

SETTINGS = {
    **{name: {"activation": name} for name in ACTIVATIONS},
    "linear": {"hidden_layer_sizes": ()},
    "no dropout": {"dropout": 0.0},
    "members": {"n_members": 3},
    "unscaled": {"scale_inputs": False},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_in_a_graph(rows, name, dtype):
    X, y = rows
    model = small(**SETTINGS[name], dtype=dtype)
    model = model if name != "unscaled" else make_pipeline(StandardScaler(), model)
    check(model.fit(X, y), X, fewest=name == "unscaled")


def test_an_input_of_float64_is_computed_in_it(rows):
    X, y = rows
    check(small(activation="relu", n_members=2).fit(X, y), X.astype(np.float64), FLOAT64)


def test_an_input_of_whole_numbers(rows):
    X, y = rows
    X = (100 * X).astype(np.int64)
    session = converted(small().fit(X, y), X[:1])
    assert run(session, X)[1].dtype == np.float32


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_an_input_of_short_numbers(rows, dtype):
    X, y = rows
    X = X.clip(0, 9).astype(dtype)
    model = small().fit(X, y)
    np.testing.assert_allclose(run(converted(model, X[:1]), X)[1], model.predict_proba(X), rtol=0, atol=FLOAT32)


def test_wide_rows_of_few_entries():
    X = np.random.RandomState(0).rand(60, 3000).astype(np.float32)
    X = sparse.csr_array(X * (X > 0.99))
    model = small(n_members=2).fit(X, np.arange(60) % 3)
    proba = run(converted(model, X[:1].toarray()), X.toarray())[1]
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=0, atol=FLOAT32)


def test_a_stream(rows):
    X, y = rows
    model = KLClassifier(hidden_layer_sizes=(8,), random_state=0)
    for start in range(0, 300, 100):
        model.partial_fit(X[start : start + 100], y[start : start + 100], classes=[0, 1, 2])
    check(model, X)


# Networks of the user's own, which torch exports


class Choosy(Wide):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


needs_exporter = pytest.mark.skipif(torch.__version__ < (2, 9), reason="torch's older exporters are others")
OWN = {"own": {}, "members of a function in float64": {"module": make_wide, "n_members": 2, "dtype": "float64"}}


@needs_exporter
@pytest.mark.parametrize("name", OWN)
def test_a_network_of_the_users_own(rows, name):
    X, y = rows
    X = np.sign(X) * np.log1p(abs(X))
    model = make_pipeline(StandardScaler(), small(**{"module": Wide, **OWN[name]}))
    check(model.fit(X, y), X, fewest=1)


# Labels

LABELS = {
    "binary": [0, 1, 0],
    "one class": [4, 4, 4],
    "texts": ["a", "bb", "ccc"],
    "objects": np.array(["a", "bb", "ccc"], dtype=object),
    "negative": [-5, 3, 2**40],
    "booleans": [False, True, True],
    "whole floats": [-1.0, 0.0, 2.0],
    "short": np.array([1, 2, 250], dtype=np.uint8),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_keep_their_type(rows, name):
    X, y = rows
    check(small().fit(X, np.asarray(LABELS[name])[y]), X)


@pytest.mark.parametrize("n_members", [1, 2])
def test_multilabel_targets(rows, n_members):
    X, y = rows
    check(small(n_members=n_members).fit(X, np.stack([y > 0, y > 1, X[:, 3] > 0], axis=1).astype(int)), X)


# In pipelines, searches and others


def test_texts():
    texts = [f"word{i % 3} word{i % 7} end" for i in range(60)]
    y = np.array(["a", "b", "c"])[np.arange(60) % 3]
    pipeline = make_pipeline(TfidfVectorizer(lowercase=False), small()).fit(texts, y)
    column = np.array(texts)[:, None]
    session = converted(pipeline, column[:1])
    label, proba = run(session, column)
    np.testing.assert_allclose(proba, pipeline.predict_proba(texts), rtol=0, atol=FLOAT32)
    assert label.tolist() == pipeline.predict(texts).tolist()


def test_columns_of_a_frame(rows):
    X, y = rows
    frame = pd.DataFrame({"number": X[:, 0], "kind": np.array(["x", "y", "z"])[y], "other": X[:, 5]})
    columns = make_column_transformer((StandardScaler(), ["number", "other"]), (OneHotEncoder(), ["kind"]))
    pipeline = make_pipeline(columns, small()).fit(frame, y)
    session = converted(pipeline, frame[:1])
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    np.testing.assert_allclose(session.run(None, inputs)[1], pipeline.predict_proba(frame), rtol=0, atol=FLOAT32)


def pipeline():
    return make_pipeline(SimpleImputer(), StandardScaler(), small())


GRID, FOREST = {"klclassifier__kl_strength": [0.0, 0.1]}, RandomForestClassifier(3, random_state=0)
TWO = [("a", small()), ("b", small(random_state=1))]
COMPOSED = {
    "pipeline": pipeline,
    "distiller": lambda: Distiller(pipeline(), FOREST, report_fraction=None, random_state=0),
    "distiller alone": lambda: Distiller(small(distill_weight=0.0), FOREST, report_fraction=None, random_state=0),
    "in pipeline": lambda: make_pipeline(StandardScaler(), Distiller(small(), FOREST, report_fraction=None)),
    "stacked": lambda: StackedGridSearchCV(pipeline(), GRID, cv=2),
    "search": lambda: GridSearchCV(pipeline(), GRID, cv=2),
    "search alone": lambda: GridSearchCV(small(), {"kl_strength": [0.0, 0.1]}, cv=2),
    "calibrated": lambda: CalibratedClassifierCV(small(), cv=2),
    "vote": lambda: VotingClassifier(TWO, voting="soft", flatten_transform=False),
    "distiller in calibration": lambda: CalibratedClassifierCV(COMPOSED["distiller"](), cv=2),
    "search in stack": lambda: StackingClassifier([("a", COMPOSED["stacked"]())], LogisticRegression(), cv=2),
}


@pytest.fixture
def composed(rows, once):
    """Return ``composed(name) -> model, X``: a fitted one of these."""
    X, y = rows
    X = np.sign(X) * np.log1p(abs(X))  # no heavy tails, where a scaler's rounding in float32 would be seen
    return lambda name: (once(name, lambda: COMPOSED[name]().fit(X, np.array(["a", "b", "c"])[y])), X)


@pytest.mark.parametrize("name", COMPOSED)
def test_what_contains_a_classifier(composed, name):
    check(*composed(name), fewest=1)


def test_heavy_tails_behind_a_scaler_in_float64(rows):
    X, y = rows
    check(make_pipeline(StandardScaler(), small()).fit(X, y), X.astype(np.float64), FLOAT64, fewest=1)


_SERVER = """
import sys
for name in ("sklkl", "torch", "sklearn", "skl2onnx", "scipy"):
    sys.modules[name] = None  # not installed
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
label, proba = session.run(None, {session.get_inputs()[0].name: numpy.load(sys.argv[2])})
numpy.savez(sys.argv[3], label=label, proba=proba)
"""


def test_a_server_needs_onnxruntime_alone(rows, tmp_path):
    X, y = rows
    model = pipeline().fit(X, y)
    graph, inputs, outputs = (str(tmp_path / name) for name in ("model.onnx", "X.npy", "served.npz"))
    with open(graph, "wb") as file:
        file.write(skl2onnx.to_onnx(model, X[:1], options={"zipmap": False}).SerializeToString())
    np.save(inputs, X)
    subprocess.run([sys.executable, "-c", _SERVER, graph, inputs, outputs], check=True)
    served = np.load(outputs)
    assert np.array_equal(served["label"], model.predict(X))
    np.testing.assert_allclose(served["proba"].sum(axis=1), 1, rtol=1e-5)


# Options


def test_probabilities_by_label(rows):
    X, y = rows
    model = small().fit(X, np.array(["a", "b", "c"])[y])
    session = converted(model, X[:1], zipmap=True)
    proba = pd.DataFrame(run(session, X)[1])
    assert list(proba) == ["a", "b", "c"]
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=0, atol=FLOAT32)
    session = converted(model, X[:1], zipmap="columns")
    assert [output.name for output in session.get_outputs()][1:] == ["sa", "sb", "sc"]


@pytest.mark.parametrize("name", ["pipeline", "distiller", "stacked"])
def test_numbers_of_labels(composed, name):
    model, X = composed(name)
    label, proba = run(converted(model, X[:1], nocl=True), X)
    assert label.dtype == np.int64
    assert np.array_equal(model.classes_[label], model.predict(X))


SCORES = {"pipeline": "klclassifier__raw_scores", "distiller alone": "raw_scores"}


@pytest.mark.parametrize("name", SCORES)
def test_raw_scores_are_refused_by_name(composed, name):
    model, X = composed(name)
    with pytest.raises(NameError, match="Option 'raw_scores' not in .*'nocl'.* for class 'KLClassifier'"):
        converted(model, X[:1], **{SCORES[name]: True})


# What does not convert


def refused(model, X, message):
    with pytest.raises(RuntimeError, match=message):
        converted(model, X)


@needs_exporter
def test_networks_that_torch_does_not_export_are_refused(rows):
    X, y = rows
    model = small(module=Choosy).fit(X, y)
    refused(model, X[:1], "The 'module' of KLClassifier, Choosy, does not convert. torch.onnx.export says ")


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_networks_that_were_changed_are_refused(rows, change):
    X, y = rows
    model = small().fit(X, y)
    change(model.module_)
    refused(model, X[:1], "was changed since it was made")


def test_labels_that_a_graph_does_not_have_are_refused(rows):
    X, y = rows
    days = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="M8[D]")
    refused(small().fit(X, days[y]), X[:1], "labels that are texts, whole numbers or booleans")


def test_texts_without_a_vectoriser_are_refused(rows):
    X, y = rows
    refused(small().fit(X, y), np.array([["a"] * 6]), "converts with one input, a table of numbers")


def test_what_is_not_fitted_is_refused(rows):
    with pytest.raises(NotFittedError):
        converted(small(), rows[0][:1])


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'needs skl2onnx, which is not installed: pip install "sklkl\[onnx\]"'):
        register_onnx_converters()
