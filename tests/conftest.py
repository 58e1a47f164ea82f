"""Small data, quick estimators and guards that the tests share."""

import gc
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from joblib.externals.loky import ProcessPoolExecutor
from threadpoolctl import threadpool_limits

from sklkl import KLClassifier, KLNet
from sklkl.data import TrainingSet
from sklkl.modules import MLP

settings.register_profile("sklkl", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("sklkl")


# The networks and tables are small, and several processes may run tests: more threads than are asked for only wait for
# each other. The last line is for what numpy, scipy and scikit-learn use.
N_THREADS = int(os.environ.get("OMP_NUM_THREADS", "1").partition(",")[0])  # a number for each level of nesting
torch.set_num_threads(N_THREADS)
threadpool_limits(N_THREADS)
torch.manual_seed(0)  # for networks that are made while tests are collected
# A job in the background of a shell is started without it, and tests interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection():
    """Do not look for garbage among what is imported and collected: all of it stays."""
    gc.disable()


def pytest_collection_finish():
    """Let the garbage collector look rarely."""
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture(autouse=True)
def _seeded():
    """Give networks that a test makes itself the same starting weights in every run."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed also notes the call stack for each kind of accelerator


def _table(n_rows, n_features, n_classes, seed):
    random = np.random.RandomState(seed)
    X = random.randn(n_rows, n_features)
    scores = X @ random.randn(n_features, n_classes) + 0.3 * random.gumbel(size=(n_rows, n_classes))
    return X, scores.argmax(1)


@pytest.fixture(scope="module")
def once():
    """Return ``once(key, make)``: what ``make()`` returned when a test of this file first asked for the key."""
    made = {}

    def get(key, make):
        if key not in made:
            made[key] = make()
        return made[key]

    return get


@pytest.fixture
def make_table():
    """Return ``make_table(n_rows=120, n_features=5, n_classes=3, seed=0) -> X, y``; X is float64, y is int64."""

    def make(n_rows=120, n_features=5, n_classes=3, seed=0):
        return _table(n_rows, n_features, n_classes, seed)

    return make


@pytest.fixture
def table():
    """120 rows of 5 features in 3 classes."""
    return _table(120, 5, 3, seed=0)


@pytest.fixture
def quick():
    """Return ``quick(**params)``: a classifier of one small layer or a ``module``, three epochs and a fixed seed."""

    def make(**params):
        layers = {} if params.get("module") else {"hidden_layer_sizes": (8,)}
        return KLClassifier(**{**layers, "max_epochs": 3, "random_state": 0, **params})

    return make


@pytest.fixture
def stream():
    """Return ``stream(**params)``: a classifier like ``quick`` for ``partial_fit``, whose calls are one epoch each."""

    def make(**params):
        layers = {} if params.get("module") else {"hidden_layer_sizes": (8,)}
        return KLClassifier(**{**layers, "random_state": 0, **params})

    return make


@pytest.fixture
def exact():
    """Return ``exact(**params)``: a classifier without any chance after its starting weights."""

    def make(**params):
        steady = {"dropout": 0.0, "early_stopping": False, "calibrate": False, "batch_size": 1000, "dtype": "float64"}
        return KLClassifier(**{"hidden_layer_sizes": (8,), "max_epochs": 8, "random_state": 0, **steady, **params})

    return make


@pytest.fixture
def quick_net():
    """Return ``quick_net(**params)``: a net for ``table`` with one small layer, three epochs and no validation."""

    def make(module=MLP, **params):
        own = {"module__n_features": 5, "module__n_classes": 3, "module__hidden_layer_sizes": (8,)}
        common = {"max_epochs": 3, "random_state": 0, "train_split": None, "verbose": 0, "lr": 0.01, "batch_size": 32}
        return KLNet(module, **{**common, **(own if module is MLP else {}), **params})

    return make


@pytest.fixture
def table32(table):
    """``table`` as float32, as a net of float32 weights wants it."""
    return table[0].astype(np.float32), table[1]


@pytest.fixture
def same_but_for_rounding():
    """Return ``check(actual, expected)`` for one computation in other memory, threads or processes.

    There bits are not promised: where an array begins and how many threads share it decides how a matrix product is
    summed. In float64 that is 1e-16 of the terms, and the small networks of these tests, which take at most a few
    hundred steps, multiply it by less than a million. So this is for networks of float64. Any mistake in reading the
    numbers is many times larger.
    """

    def check(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-10)

    return check


def _odd(X):
    """Return a copy of an array at an address that is no multiple of 16, as a slice of another array may be."""
    memory = np.empty(X.nbytes + 64, dtype=np.uint8)
    first = -memory.ctypes.data % 64 + X.itemsize
    copied = memory[first : first + X.nbytes].view(X.dtype).reshape(X.shape)
    copied[...] = X
    return copied


@pytest.fixture
def odd():
    """Return ``odd(X)``: a copy of an array of 4 or 8 byte items that begins 4 or 8 bytes after a multiple of 64."""
    return _odd


@pytest.fixture
def message_of():
    """Return ``message_of(function)``: the message of the ValueError that it raises; None if it raises none."""

    def message(function):
        try:
            function()
        except ValueError as error:
            return str(error)
        return None

    return message


@pytest.fixture(scope="session")
def fresh_process(tmp_path_factory):
    """What a process of its own finds; one for all tests, also those of other workers, as it is slow to start."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "fresh_process"
    found = folder / "found.json"
    with FileLock(f"{folder}.lock"):
        if not found.exists():
            folder.mkdir(exist_ok=True)
            found.write_text(_run_fresh_process(folder))
    return {**json.loads(found.read_text()), "folder": folder}


def _run_fresh_process(folder):
    """Return what it prints."""
    command = [sys.executable, "-m", "tests.fresh_process", str(folder)]
    # threads that wait shall sleep: they are not what is tested
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


@pytest.fixture(scope="session")
def other_process():
    """An executor of one other process, for all tests, as it is slow to start."""
    with ProcessPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def file_size_limit():
    """Return a context in which no file can grow beyond so many bytes, as if the disk were full."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limit(n_bytes):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture
def global_state_untouched():
    """Return a context that fails if numpy's or torch's global random state or the number of threads changed."""

    @contextmanager
    def guard():
        before = np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()
        yield
        after = np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()
        np.testing.assert_equal(after[0], before[0])
        assert torch.equal(after[1], before[1])
        assert after[2] == before[2]

    return guard


@pytest.fixture
def trained_on(monkeypatch):
    """The rows that networks were trained on."""
    seen, train = [], KLNet.train_on

    def watched(net, X, *args, **kwargs):
        seen.append(X.train if isinstance(X, TrainingSet) else X)
        return train(net, X, *args, **kwargs)

    monkeypatch.setattr(KLNet, "train_on", watched)
    return seen
