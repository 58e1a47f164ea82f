"""What was trained on a CUDA device is stored without one, and what interrupts it leaves things usable."""

import copy
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Callback
from torch import nn

import sklkl

from .common import DEVICE, places
from .networks import normalised, recurrent

ELSEWHERE = """
import pickle, sys
import numpy as np
import torch

assert not torch.cuda.is_available()
with open(sys.argv[1], "rb") as file:
    models, X, y = pickle.load(file)
for clf in models:
    assert {part.device.type for part in [*clf.module_.parameters(), *clf.module_.buffers()]} == {"cpu"}
proba = [clf.predict_proba(X) for clf in models]
for clf in models:
    assert np.isfinite(clf.set_params(device="auto").partial_fit(X, y).predict_proba(X)).all()
np.save(sys.argv[2], proba)
"""

STORED = [
    {"dropout": 0.5},
    {"kl_penalty": "prior", "kl_strength": 0.1},
    {"optimizer": "sgd"},
    {"module": nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))},
]


def test_what_was_trained_here_loads_where_there_is_no_such_device(quick, stream, table, tmp_path):
    X, y = table
    models = [make(device=DEVICE, **params) for make in (quick, stream) for params in STORED]
    for clf in models:
        clf.partial_fit(X, y, [0, 1, 2]) if clf.max_epochs == 100 else clf.fit(X, y)
    stored, proba = tmp_path / "models.pkl", tmp_path / "proba.npy"
    stored.write_bytes(pickle.dumps((models, X, y)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ELSEWHERE, stored, proba],
        cwd=Path(sklkl.__file__).parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # there float64, here float32
    np.testing.assert_allclose(np.load(proba), [clf.predict_proba(X) for clf in models], rtol=1e-4, atol=1e-6)


def through_joblib(clf, folder):
    joblib.dump(clf, folder / "clf.joblib")
    return joblib.load(folder / "clf.joblib")


COPIES = {
    "pickle": lambda clf, folder: pickle.loads(pickle.dumps(clf)),
    "joblib": through_joblib,
    "deepcopy": lambda clf, folder: copy.deepcopy(clf),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("module", [None, normalised, recurrent])
def test_copies_are_on_the_device_and_go_on_the_same(stream, table, tmp_path, how, module):
    X, y = table
    clf = stream(device=DEVICE, module=module, dtype="float64").partial_fit(X, y, classes=[0, 1, 2])
    twin = COPIES[how](clf, tmp_path)
    assert places(twin) == {DEVICE}
    assert np.array_equal(twin.predict_proba(X), clf.predict_proba(X))
    again = twin.partial_fit(X, y).predict_proba(X)
    np.testing.assert_allclose(again, clf.partial_fit(X, y).predict_proba(X), rtol=1e-9)


# Checkpoints

KEPT = {
    "default": {},
    "constant": {"learning_rate": "constant"},
    "sgd, rdrop": {"optimizer": "sgd", "kl_penalty": "rdrop", "kl_strength": 0.1},
    "members": {"n_members": 3},
    "own": {"module": normalised},
}


@pytest.mark.parametrize("params", KEPT.values(), ids=KEPT)
def test_a_fit_goes_on_from_a_checkpoint(quick, table, tmp_path, params):
    def press(self, net, **kwargs):
        if len(net.history) == 3 and not pressed:
            pressed.append(net)
            signal.raise_signal(signal.SIGINT)

    pressed = [None]
    press_once = type("Press", (Callback,), {"on_epoch_end": press})
    made = lambda path: quick(  # noqa: E731
        device=DEVICE, dtype="float64", max_epochs=6, dropout=0.3, checkpoint=path, callbacks=[press_once()], **params
    )
    whole = made(None).fit(*table)
    pressed.clear()
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "fit").fit(*table)
    resumed = made(tmp_path / "fit").fit(*table)
    assert places(resumed) == {DEVICE}
    np.testing.assert_allclose(resumed.predict_proba(table[0]), whole.predict_proba(table[0]), rtol=1e-9)


@pytest.mark.parametrize("params", KEPT.values(), ids=KEPT)
def test_a_stream_goes_on_from_a_checkpoint(stream, table, tmp_path, params):
    def fed(clf, n_calls):
        for first in range(0, 20 * n_calls, 20):
            clf.partial_fit(table[0][first : first + 20], table[1][first : first + 20], classes=[0, 1, 2])
        return clf

    made = lambda path: stream(device=DEVICE, dtype="float64", dropout=0.3, checkpoint=path, **params)  # noqa: E731
    fed(made(tmp_path / "stream"), 3)
    resumed, whole = fed(made(tmp_path / "stream"), 6), fed(made(None), 6)
    assert places(resumed) == {DEVICE}
    np.testing.assert_allclose(resumed.predict_proba(table[0]), whole.predict_proba(table[0]), rtol=1e-9)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_cross_validation(quick, table, n_jobs):
    scores = cross_val_score(quick(device=DEVICE, max_epochs=20), *table, cv=3, n_jobs=n_jobs)
    assert scores.mean() > 0.5


# Interruptions


@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end"])
def test_an_interrupt_leaves_things_usable(quick, table, hook):
    def press(self, net, **kwargs):
        if len(net.history) == 3:
            signal.raise_signal(signal.SIGINT)

    before = torch.cuda.get_rng_state()
    clf = quick(device=DEVICE, dropout=0.3, callbacks=[type("Press", (Callback,), {hook: press})()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert clf.interrupted_
    assert clf.n_iter_ == (2 if hook == "on_batch_end" else 3)
    assert np.isfinite(clf.predict_proba(table[0])).all()
    assert clf.set_params(callbacks=None).fit(*table).n_iter_ == 3
