"""Fits that are killed: as a script, this kills its children by SIGKILL at random moments in a fit.

``python killed_fits.py case path n_kills share``: each child goes on with the fit that the one before has left, for up
to this share of the time that the whole takes.
"""

import os
import signal
import sys
import time
import warnings

import numpy as np
import torch
from torch import nn

from sklkl import KLClassifier
from sklkl._utils.plain_file import from_bytes

X = np.random.RandomState(0).randn(400, 5)
Y = (X @ np.random.RandomState(1).randn(5, 3)).argmax(1)


class Own(nn.Sequential):
    """Draws from torch's global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, n_classes))


def teacher(rows):
    """Return probabilities."""
    scores = np.exp(np.asarray(rows)[:, :3])
    return scores / scores.sum(1, keepdims=True)


CASES = {
    "one": {"hidden_layer_sizes": (16,), "max_epochs": 30},
    "stack": {"hidden_layer_sizes": (16,), "max_epochs": 60, "n_members": 3, "learning_rate": "onecycle"},
    "own": {"module": Own, "max_epochs": 40, "kl_penalty": "rdrop", "kl_strength": 0.1},
    "taught": {"hidden_layer_sizes": (16,), "max_epochs": 60, "teacher": teacher, "distill_weight": 0.5},
    "stream": {"hidden_layer_sizes": (16,)},
}


def fitted(case, path=None):
    """Return the classifier of a case, fitted or gone on with."""
    clf = KLClassifier(batch_size=32, random_state=0, checkpoint=path, **CASES[case])
    if case != "stream":
        return clf.fit(X, Y)
    for number in range(40):
        clf.partial_fit(X[number::10], Y[number::10], classes=range(3))
    return clf


def is_killed(case, path, seconds):
    """Go on with a fit in a child, and kill it after that time; return whether it was not at the end."""
    child = os.fork()
    if child == 0:
        fitted(case, path)
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def killed(case, path, n_kills, share):
    """Return at which epochs the fits were that were killed before their end."""
    torch.set_num_threads(1)
    fitted(case)  # what is imported at first takes longer than the fit
    start = time.perf_counter()
    fitted(case)
    seconds, random = share * (time.perf_counter() - start), np.random.RandomState(len(path))
    tries = (is_killed(case, path, random.uniform(0, seconds)) for _ in range(n_kills))
    return [epoch_of(path) for at_work in tries if at_work]


def main(case, path, n_kills, share):
    """Print these epochs."""
    warnings.simplefilter("ignore")
    print(*killed(case, path, int(n_kills), float(share)))


def epoch_of(path):
    """Return how many epochs, or calls, a checkpoint has."""
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        content = from_bytes(file.read())
    if "marks" in content:
        return content["marks"][-1][0]
    return content["state"]["epochs"] if content["state"] else -1


if __name__ == "__main__":
    from tests._fit.killed_fits import main  # what is defined here has then the name that it has for the test

    main(*sys.argv[1:])
