"""What one process trains alone and two train together."""

import multiprocessing
import os
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from skorch.callbacks import Callback
from torch import nn

from sklkl import KLClassifier, KLNet
from sklkl.data import Rows, TrainingSet
from sklkl.parallel import data_parallel


class Noisy(nn.Sequential):
    """A user's network."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 8), nn.Tanh(), nn.Linear(8, n_classes))


class Noisy64(Noisy):
    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.double()


class Astray(Callback):
    """Change weights and random state of the second process between epochs, as other rounding might."""

    def on_epoch_begin(self, net, **kwargs):
        if os.environ.get("RANK") == "1":
            torch.rand(1, generator=net.generator_)
            for weights in net.module_.parameters():
                weights.data += 0.1


def table(n_rows=151, seed=0):
    random = np.random.RandomState(seed)
    X = random.randn(n_rows, 5)
    return X, (X @ random.randn(5, 3) + 0.5 * random.gumbel(size=(n_rows, 3))).argmax(1)


def made(**params):
    own = {} if "module" in params else {"hidden_layer_sizes": (8,)}
    common = {"max_epochs": 3, "batch_size": 37, "dtype": "float64", "random_state": 0}
    return KLClassifier(**{**own, **common, **params})


def weighted():
    X, y = table()
    # one process has rows of weight 0 only in some batches
    return X, y, np.random.RandomState(1).exponential(size=len(y)) * (np.arange(len(y)) % 3 == 0)


def classifier(fit=lambda clf: clf.fit(*table()), **params):
    clf = fit(made(**params))
    return {
        "proba": clf.predict_proba(table(50, seed=2)[0]),
        "lr": np.float64(clf.net_.lr_),
        "train": np.array(clf.history_[:, "train_loss"]),
        "valid": np.array([record.get("valid_loss", 0.0) for record in clf.history_]),
        "kl": np.array([record.get("step_kl", 0.0) for record in clf.history_]),
    }


def sparse_rows(clf):
    X, y = table()
    return clf.fit(sparse.csr_array(np.where(X > 0, X, 0)), y)


def few_rows(clf):
    return clf.fit(*table(61))


def labels(clf):
    X, y = table()
    return clf.fit(X, np.stack([y > 0, y > 1], 1).astype(int))


def stream(clf):
    X, y = table()
    clf.set_params(max_epochs=100)  # its default, as it has no effect
    for part in range(3):
        clf.partial_fit(X[part::3], y[part::3], classes=[0, 1, 2])
    return clf


def skorch_net():
    X, y = table()
    shape = {"module__n_features": 5, "module__n_classes": 3}
    net = KLNet(Noisy64, max_epochs=3, random_state=0, verbose=0, train_split=None, classes=[0, 1, 2], lr=0.01, **shape)
    net.fit(TrainingSet(Rows(X, y), Rows(X[:40], y[:40])), None)
    return {"proba": net.predict_proba(X[:50]), "train": np.array(net.history[:, "train_loss"])}


TRAININGS = {
    "as it comes": classifier,
    "weights": lambda: classifier(lambda clf: clf.fit(*weighted()), kl_strength=0.1, class_weight="balanced"),
    "one cycle, no validation": lambda: classifier(learning_rate="onecycle", lr=0.01, early_stopping=False),
    "label smoothing": lambda: classifier(kl_strength=0.1, kl_penalty="label_smoothing", n_iter_no_change=1),
    "two dropout masks": lambda: classifier(kl_strength=0.3, kl_penalty="rdrop"),
    "virtual adversarial": lambda: classifier(kl_strength=0.3, kl_penalty="vat", dropout=0.0),
    "astray": lambda: classifier(callbacks=[Astray()]),
    "a module": lambda: classifier(module=Noisy, kl_strength=0.1, optimizer="sgd"),
    "a teacher": lambda: classifier(teacher=RandomForestClassifier(10), kl_strength=0.1),
    "members": lambda: classifier(n_members=2),
    "sparse rows": lambda: classifier(sparse_rows),
    "several labels": lambda: classifier(labels),
    "a stream": lambda: classifier(stream),
    "small batches": lambda: classifier(few_rows, batch_size=1, max_epochs=1, early_stopping=False),
    "KLNet": skorch_net,
}


def refused(function):
    try:
        function()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return ""


def refusals(rank):
    X, y = table()
    yield "rows", refused(lambda: made().fit(X[rank:], y[rank:]))
    yield "settings", refused(lambda: made(batch_size=30 + rank).fit(X, y))
    yield "strength", refused(lambda: made(kl_strength=0.1 * rank).fit(X, y))
    yield "rate", refused(lambda: made(learning_rate="constant", lr=0.01 + 0.1 * rank).fit(X, y))
    yield "dropout", refused(lambda: made(dropout=0.1 + 0.1 * rank).fit(X, y))
    yield "patience", refused(lambda: made(n_iter_no_change=10 + rank, early_stopping=True).fit(X, y))
    norm = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    yield "batch norm", refused(lambda: made(module=norm).fit(X, y))
    yield "closure", refused(lambda: made(optimizer=torch.optim.LBFGS).fit(X, y))
    yield "nested", refused(lambda: data_parallel().__enter__())


def unseeded():
    """A training without a seed, as this process has it."""
    return made(random_state=None, max_epochs=2).fit(*table()).predict_proba(table(50, seed=2)[0])


def train(rank, folder):
    """Be one of the two processes."""
    warnings.simplefilter("error")
    os.environ |= {"RANK": str(rank), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    # a file instead of a port: several runs may be under way
    dist.init_process_group("gloo", init_method=f"file://{folder}/ranks", rank=rank, world_size=2)
    with data_parallel():
        results = {f"{name}/{key}": value for name, train in TRAININGS.items() for key, value in train().items()}
        results |= {f"refused/{name}": np.array(message) for name, message in refusals(rank)}
        results["unseeded"] = unseeded()
    np.savez(Path(folder) / f"{rank}.npz", **results)
    dist.destroy_process_group()


def train_together(folder):
    """Start two processes, wait for them and return their exit codes."""
    made(max_epochs=1).fit(*table())  # what torch imports at first, both have from here
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    processes = [context.Process(target=train, args=(rank, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
