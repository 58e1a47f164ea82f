"""Children that are forked while torch uses threads: run in a process of its own, they must not hang."""

import os
import signal
import threading

import numpy as np
import torch
from torch import nn

from sklkl import KLClassifier
from sklkl._utils.seeding import borrowed_global_state, make_generator

X = np.random.RandomState(0).randn(300, 50)
Y = (X[:, 0] > 0).astype(int)
OWN = {"hidden_layer_sizes": (64,)}
USER = {"module": lambda: nn.Sequential(nn.Linear(50, 64), nn.Dropout(0.5), nn.Linear(64, 2))}


def fitted(params):
    """Return a classifier after an epoch."""
    return KLClassifier(max_epochs=1, random_state=0, dtype="float64", **params).fit(X, Y)


def do_nothing():
    """Use nothing of this package: a child then keeps its threads."""
    assert torch.get_num_threads() == 2


def use(classifiers, expected):
    """Predict and train."""
    for clf, params, proba in zip(classifiers, (OWN, USER), expected, strict=True):
        # the child may use another number of threads: float64, so that only rounding of 1e-16 may differ
        assert np.allclose(clf.predict_proba(X), proba, atol=1e-6)
        assert np.allclose(fitted(params).predict_proba(X), proba, atol=1e-6)
    assert torch.get_num_threads() == 1


def status_of(work, *args):
    """Return the exit status of a forked child that does some work.

    What it does takes about a second; a child that hangs is ended by its alarm, which is as many times as long as a
    busy machine may be slow.
    """
    pid = os.fork()
    if pid == 0:
        signal.alarm(3600)
        try:
            work(*args)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def check():
    """Fork before and after training, and while another thread trains, and so holds torch's global state."""
    torch.set_num_threads(2)
    classifiers = [fitted(OWN), fitted(USER)]
    expected = [clf.predict_proba(X) for clf in classifiers]
    (torch.randn(500, 500) @ torch.randn(500, 500)).sum()  # large enough for torch to use its threads
    assert status_of(do_nothing) == 0
    assert status_of(use, classifiers, expected) == 0
    assert torch.get_num_threads() == 2
    inside, done = threading.Event(), threading.Event()

    def train():
        with borrowed_global_state(make_generator(0), torch.device("cpu")):
            inside.set()
            done.wait()

    thread = threading.Thread(target=train)
    thread.start()
    inside.wait()
    status = status_of(use, classifiers, expected)
    done.set()
    thread.join()
    assert status == 0
