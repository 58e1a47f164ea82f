"""Processes and threads: the same answers, and never a hang."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from torch import nn

import sklkl

SECONDS = 40

# Runs in a fresh interpreter. The alarm ends parent and child for certain if one of them hangs.
FORK = f"""
import os, signal, threading, warnings
signal.alarm({SECONDS})
warnings.simplefilter("ignore")
import numpy as np, torch
from torch import nn
from sklkl import KLClassifier
from sklkl._utils.seeding import borrowed_global_state, make_generator

torch.set_num_threads(2)
X = np.random.RandomState(0).randn(2000, 50)
y = (X[:, 0] > 0).astype(int)
own = {{"hidden_layer_sizes": (256,)}}
user = {{"module": lambda: nn.Sequential(nn.Linear(50, 256), nn.Dropout(0.5), nn.Linear(256, 2))}}
def fit(params):
    return KLClassifier(max_epochs=2, random_state=0, **params).fit(X, y)

fitted = [fit(own), fit(user)]
expected = [clf.predict_proba(X) for clf in fitted]
(torch.randn(2000, 2000) @ torch.randn(2000, 2000)).sum()

def in_child():
    signal.alarm({SECONDS})
    for clf, params, proba in zip(fitted, (own, user), expected):
        assert np.allclose(clf.predict_proba(X), proba)
        assert np.allclose(fit(params).predict_proba(X), proba, atol=1e-3)

def fork_and_wait():
    pid = os.fork()
    if pid == 0:
        try:
            in_child()
        except BaseException as error:
            print(repr(error))
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

"""
FORK_AFTER_TRAINING = FORK + "assert fork_and_wait() == 0"
# another thread is training, and so holds torch's global state, at the moment of the fork
FORK_WHILE_TRAINING = (
    FORK
    + """
inside, done = threading.Event(), threading.Event()
def train():
    with borrowed_global_state(make_generator(0), torch.device("cpu")):
        inside.set()
        done.wait()
thread = threading.Thread(target=train)
thread.start()
inside.wait()
status = fork_and_wait()
done.set()
thread.join()
assert status == 0
"""
)


class Noisy(nn.Sequential):
    """A user's network with torch's own dropout, which draws from the global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, n_classes))


KINDS = {"own": {"dropout": 0.3}, "user": {"module": Noisy}}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def search(quick, make_table):
    """Return ``search(kind, n_jobs) -> scores`` of a grid search."""
    X, y = make_table(240)

    def run(kind, n_jobs):
        grid = GridSearchCV(
            quick(**KINDS[kind]), {"kl_strength": [0.0, 0.1]}, cv=3, n_jobs=n_jobs, scoring="neg_log_loss"
        )
        return [grid.fit(X, y).cv_results_[f"split{fold}_test_score"].tolist() for fold in range(3)]

    return run


@each_kind
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_jobs_give_the_same_scores_as_one(search, kind, backend, global_state_untouched):
    with global_state_untouched(), parallel_config(backend=backend):
        assert search(kind, 2) == search(kind, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("script", [FORK_AFTER_TRAINING, FORK_WHILE_TRAINING], ids=["after", "while"])
def test_a_fork_after_torch_used_threads_never_hangs(script):
    environment = {**os.environ, "PYTHONPATH": str(Path(sklkl.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_kind
def test_predictions_from_eight_threads_are_the_same(quick, table, kind):
    X, y = table
    clf = quick(**KINDS[kind]).fit(X, y)
    expected = clf.predict_proba(X)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: clf.predict_proba(X), range(64)))
    assert all(np.array_equal(answer, expected) for answer in answers)


@each_kind
def test_fits_from_four_threads_are_the_same(quick, table, kind, global_state_untouched):
    X, y = table

    def fit(seed):
        return quick(random_state=seed, max_epochs=20, **KINDS[kind]).fit(X, y).predict_proba(X)

    alone = [fit(seed) for seed in range(4)]
    with global_state_untouched(), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    assert np.array_equal(alone, together)


def test_predictions_while_another_model_trains_are_the_same(quick, table):
    X, y = table
    clf = quick(**KINDS["user"]).fit(X, y)
    expected = clf.predict_proba(X)
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(lambda: quick(max_epochs=100, **KINDS["user"]).fit(X, y))
        answers = [clf.predict_proba(X) for _ in range(20)]
        training.result()
    assert all(np.array_equal(answer, expected) for answer in answers)
