"""A fitted model outside its notebook: sizes of files, what a graph of ONNX predicts, and how long a prediction takes.

Processor time on one thread, the median of many predictions, taken in turns.

    python examples/benchmarks/serving.py
    python examples/benchmarks/serving.py --quick
"""

import argparse
import importlib.util
import io
import pickle
import tempfile
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import torch
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sklkl
from sklkl import Distiller, KLClassifier
from sklkl.io import register_onnx_converters


def table(n_rows):
    """Return rows of 30 columns in 5 classes."""
    X, y = make_classification(n_rows, 30, n_informative=15, n_classes=5, random_state=0)
    return X.astype(np.float32), y


def session(model, X):
    """Return what runs the graph of a model on one thread."""
    graph = to_onnx(model, X[:1], options={"zipmap": False}).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return graph, onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def run(running, X):
    """Return labels and probabilities."""
    return running.run(None, {running.get_inputs()[0].name: X})


# Sizes


def saved_size(estimator, **options):
    """Return the bytes of the file that ``sklkl.save`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.skops")
        sklkl.save(estimator, path, **options)
        return path.stat().st_size


def sizes(clf, X):
    """Print the bytes of each kind of file; weights alone are what safetensors and torch's state dicts hold."""
    compressed, weights = io.BytesIO(), io.BytesIO()
    joblib.dump(clf, compressed, compress=3)
    torch.save(clf.module_.state_dict(), weights)
    found = {
        "pickle": len(pickle.dumps(clf)),
        "joblib, compress=3": len(compressed.getvalue()),
        "sklkl.save (skops)": saved_size(clf),
        "sklkl.save, with_optimizer=True": saved_size(clf, with_optimizer=True),
        "torch.save of the state dict": len(weights.getvalue()),
        "ONNX": len(session(clf, X)[0]),
    }
    if importlib.util.find_spec("safetensors"):
        from safetensors.torch import save

        found["safetensors of the state dict"] = len(save(clf.module_.state_dict()))
    for name, size in found.items():
        print(f"{name:34} {size / 1000:8,.0f} kB")


# Parity


def parity(max_epochs):
    """Print how far the probabilities of graphs are from those of the models, of inputs in float32 but for one."""
    X, y = table(2000)
    words = [" ".join(f"w{int(10 * value)}" for value in row[:8]) for row in X]
    heavy = np.exp(X)
    settings = {"max_epochs": max_epochs, "random_state": 0}
    cases = {
        "five classes": (KLClassifier(**settings), X, y),
        "two classes": (KLClassifier(**settings), X, y > 2),
        "labels of text": (KLClassifier(**settings), X, np.array(list("abcde"))[y]),
        "multilabel": (KLClassifier(**settings), X, np.eye(5, dtype=int)[y]),
        "inputs not scaled": (make_pipeline(StandardScaler(), KLClassifier(scale_inputs=False, **settings)), X, y),
        "inputs standardised": (make_pipeline(StandardScaler(), KLClassifier(**settings)), X, y),
        "four members": (KLClassifier(n_members=4, **settings), X, y),
        "trained in float64": (KLClassifier(dtype="float64", **settings), X, y),
        "linear": (KLClassifier(hidden_layer_sizes=(), **settings), X, y),
        "gelu": (KLClassifier(activation="gelu", **settings), X, y),
        "distiller": (Distiller(KLClassifier(**settings), RandomForestClassifier(10), report_fraction=None), X, y),
        "heavy tails, standardised": (make_pipeline(StandardScaler(), KLClassifier(**settings)), heavy, y),
        "the same in float64": (make_pipeline(StandardScaler(), KLClassifier(**settings)), heavy.astype(float), y),
        "sparse texts": (make_pipeline(TfidfVectorizer(lowercase=False), KLClassifier(**settings)), words, y),
    }
    print("\nsetting                      largest difference   labels that differ")
    for name, (model, inputs, labels) in cases.items():
        model.fit(inputs, labels)
        column = np.array(inputs)[:, None] if isinstance(inputs, list) else inputs
        label, proba = run(session(model, column)[1], column)
        difference = np.abs(proba - model.predict_proba(inputs)).max()
        print(f"{name:27} {difference:19.1e} {np.mean(label != model.predict(inputs)):20.4f}")


# Latency


def seconds(predict, n_times):
    """Return the processor time of a prediction: the median of some, each of as many calls as can be measured."""
    calls = max(1, int(0.01 / timed(predict, 1)))
    return np.median([timed(predict, calls) for _ in range(n_times)])


def timed(predict, calls):
    """Return the processor time of a call."""
    start = time.process_time()
    for _ in range(calls):
        predict()
    return max((time.process_time() - start) / calls, 1e-7)


def latency(n_rows, n_times, max_epochs):
    """Print the time of one row's prediction and of 10,000 rows'."""
    X, y = table(n_rows)
    models = {
        "KLClassifier": make_pipeline(StandardScaler(), KLClassifier(max_epochs=max_epochs, random_state=0)),
        "RandomForestClassifier": RandomForestClassifier(random_state=0),
        "MLPClassifier (384, 256)": make_pipeline(
            StandardScaler(), MLPClassifier((384, 256), max_iter=max_epochs, random_state=0)
        ),
    }
    predict = {}
    for name, model in models.items():
        predict[name] = model.fit(X, y).predict_proba
    graphs = {f"{name}, onnxruntime": session(models[name], X)[1] for name in models}
    predict |= {name: lambda X, running=running: run(running, X)[1] for name, running in graphs.items()}
    many = np.tile(X, (10_000 // len(X) + 1, 1))[:10_000]
    print("\nmodel                                  one row, us   10,000 rows, ms")
    for name, function in predict.items():
        one, all_rows = (seconds(lambda part=part, f=function: f(part), n_times) for part in (X[:1], many))
        print(f"{name:36} {1e6 * one:13,.0f} {1e3 * all_rows:17,.1f}")


def main():
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer epochs and repetitions")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of MLPClassifier, after as many epochs as the others
    register_onnx_converters()
    max_epochs = 2 if quick else 30
    with threadpool_limits(1):
        X, y = table(500 if quick else 5000)
        sizes(KLClassifier(max_epochs=max_epochs, random_state=0).fit(X, y), X)
        parity(max_epochs)
        latency(len(X), 1 if quick else 7, max_epochs)


if __name__ == "__main__":
    main()
