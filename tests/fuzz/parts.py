"""Parts of a random classifier: networks, teachers, functions that make rows, and its other parameters."""

import numpy as np
import pandas as pd
import polars as pl
import torch
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklkl import KLClassifier
from sklkl.distillation import DISTILL_DIVERGENCES, DISTILL_ROWS, POLICIES
from sklkl.modules import ACTIVATIONS
from sklkl.optim import LEARNING_RATES
from sklkl.penalties import PENALTIES, Confidence, Prior, VirtualAdversarial

from .draws import INF, N_CLASSES, N_FEATURES, NAN, read_only

# Parts of the user's own


class Returns(nn.Module):
    """A network that changes its input or its logits."""

    def __init__(self, change=lambda z: z, before=lambda x: x):
        super().__init__()
        self.layer, self.change, self.before = nn.LazyLinear(N_CLASSES), change, before

    def forward(self, x):
        return self.change(self.layer(self.before(x.flatten(1))))


MODULES = {
    "linear": lambda: nn.Linear(N_FEATURES, N_CLASSES),
    "with n_classes": lambda: lambda n_classes: nn.Sequential(nn.Flatten(), nn.LazyLinear(n_classes)),
    "lazy": Returns,
    "batch norm": lambda: lambda: nn.Sequential(nn.Flatten(), nn.LazyBatchNorm1d(), nn.LazyLinear(N_CLASSES)),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(N_CLASSES), nn.Dropout()),
    "writes": lambda: Returns(before=lambda x: x.mul_(2)),
    "float64": lambda: nn.Linear(N_FEATURES, N_CLASSES).double(),
    "half": lambda: nn.Linear(N_FEATURES, N_CLASSES).half(),
    "float32 only": lambda: Returns(before=lambda x: x.float()),
    "embedding": lambda: nn.Sequential(nn.Embedding(9, 2), nn.Flatten(), nn.LazyLinear(N_CLASSES)),
    "frozen": lambda: nn.Linear(N_FEATURES, N_CLASSES).requires_grad_(False),
    "empty": nn.Sequential,
    "convolution": lambda: nn.Conv1d(3, N_CLASSES, 2),
    **{f"returns {value}": lambda v=value: Returns(lambda z: z * v) for value in (NAN, INF, 1e30, 0)},
    "-inf": lambda: Returns(lambda z: z - torch.tensor([0, 0, INF])),
    "one column": lambda: Returns(lambda z: z[:, :1]),
    "transposed": lambda: Returns(lambda z: z.T),
    "a tuple": lambda: Returns(lambda z: (z, z)),
    "numpy": lambda: Returns(lambda z: z.detach().numpy()),
    "detached": lambda: Returns(lambda z: z.detach()),
    "integers": lambda: Returns(lambda z: z.long()),
    "complex": lambda: Returns(lambda z: z * 1j),
    "a factory of nothing": lambda: lambda: None,
    "a function that fails": lambda: lambda: 1 / 0,
    "the class": lambda: nn.Linear,
    "nn.Module": lambda: nn.Module,
}


def fitted(model, classes=(0, 1, 2)):
    X = np.random.RandomState(0).standard_normal((30, N_FEATURES))
    return model.fit(X, np.resize(np.array(classes), 30))


def answers(give):
    """A function as a teacher; it gives what it makes of even probabilities."""
    return lambda: lambda X: give(np.full((X.shape[0], N_CLASSES), 1 / N_CLASSES))


TEACHERS = {
    "logistic": lambda: LogisticRegression(max_iter=20),
    "tree": lambda: DecisionTreeClassifier(max_depth=2),
    "bayes": GaussianNB,
    "dummy": DummyClassifier,
    "pipeline": lambda: make_pipeline(StandardScaler(), GaussianNB()),
    "sklkl": lambda: KLClassifier((3,), max_epochs=1),
    "frozen": lambda: FrozenEstimator(fitted(GaussianNB())),
    "frozen sklkl": lambda: FrozenEstimator(fitted(KLClassifier((3,), max_epochs=1, random_state=0))),
    "frozen, unfitted": lambda: FrozenEstimator(GaussianNB()),
    "of texts": lambda: FrozenEstimator(fitted(GaussianNB(), ["a", "b"])),
    "of other classes": lambda: FrozenEstimator(fitted(GaussianNB(), [7, 8])),
    "of fewer": lambda: FrozenEstimator(fitted(GaussianNB(), [0, 1])),
    "of more": lambda: FrozenEstimator(fitted(GaussianNB(), [0, 1, 2, 3])),
    "module": lambda: nn.Linear(N_FEATURES, N_CLASSES),
    "module of two": lambda: nn.Linear(N_FEATURES, 2),
    "module of NaN": lambda: nn.Sequential(nn.Linear(N_FEATURES, N_CLASSES), nn.Threshold(INF, NAN)),
    "module of a tuple": lambda: nn.LSTM(N_FEATURES, N_CLASSES),
    "even": answers(lambda p: p),
    "sure": answers(lambda p: np.eye(N_CLASSES)[np.arange(len(p)) % N_CLASSES]),
    "lists": answers(np.ndarray.tolist),
    "frame": answers(pd.DataFrame),
    "tensor": answers(torch.tensor),
    "float16": answers(lambda p: p.astype("f2")),
    "sparse": answers(sparse.csr_matrix),
    **{f"times {factor}": answers(lambda p, f=factor: p * f) for factor in (0, 2, -1, 1e300, NAN, INF, 1j)},
    "one row": answers(lambda p: p[:1]),
    "one column": answers(lambda p: p[:, :1]),
    "flat": answers(np.ravel),
    "cube": answers(lambda p: np.stack([p, 1 - p], axis=2)),
    "texts": answers(lambda p: p.astype(str)),
    "ragged": answers(lambda p: [[0.5, 0.5], [1.0]]),
    "nothing": answers(lambda p: None),
    "a regressor": LinearRegression,
    "a class": lambda: GaussianNB,
    "a text": lambda: "forest",
}


def synthetic(change):
    def make(X, factor, random_state):
        with np.errstate(all="ignore"):
            return change(np.tile(X, (factor, 1)))

    return make


AUGMENT = {
    "munge": "munge",
    "noise": "noise",
    "tiled": synthetic(lambda X: X),
    "integers": synthetic(lambda X: X.astype(int)),
    "list": synthetic(np.ndarray.tolist),
    "frame": synthetic(pd.DataFrame),
    "tensor": synthetic(torch.tensor),
    "in place": lambda X, factor, random_state: np.multiply(X, 2, out=X),
    "no rows": synthetic(lambda X: X[:0]),
    "texts": synthetic(lambda X: X.astype(str).astype(object) + "a"),
    "one column": synthetic(lambda X: X[:, :1]),
    "flat": synthetic(np.ravel),
    "NaN": synthetic(lambda X: X * NAN),
    "huge": synthetic(lambda X: X * 1e300),
    "complex": synthetic(lambda X: X * 1j),
    "ragged": synthetic(lambda X: [[1.0], [1.0, 2.0]]),
    "sparse": synthetic(sparse.csr_matrix),
    "nothing": synthetic(lambda X: None),
    "objects": synthetic(lambda X: [object()]),
    "no arguments": lambda: None,
    "unknown": "mixup",
}


def predictions(d):
    """Return what may be given as ``teacher_proba``."""
    change = d.one(
        {
            "even": lambda p: p,
            "frame": pd.DataFrame,
            "named frame": lambda p: pd.DataFrame(p, columns=["c", "a", "b"]),
            "polars": lambda p: pl.DataFrame(p, schema=["0", "1", "2"]),
            "list": np.ndarray.tolist,
            "float16": lambda p: p.astype("f2"),
            "objects": lambda p: p.astype(object),
            "tensor": torch.tensor,
            "sparse": sparse.csr_matrix,
            "read-only": read_only,
            **{f"times {factor}": lambda p, f=factor: p * f for factor in (0, 2, -1, NAN, INF, 1e300, 1j)},
            "too few rows": lambda p: p[1:],
            "too few columns": lambda p: p[:, 1:],
            "flat": np.ravel,
            "binary": lambda p: np.stack([p, 1 - p], axis=2),
            "texts": lambda p: p.astype(str),
            "ragged": lambda p: [[0.5, 0.5], [1.0]] * (len(p) // 2),
            "iterator": iter,
            "a number": lambda p: 1.0,
            "None inside": lambda p: [[None] * N_CLASSES] * len(p),
        },
        "teacher_proba: ",
    )
    return d.keep(change(np.full((36, N_CLASSES), 1 / N_CLASSES)))


# Parameters of the classifier: what is right, and what is or may be wrong

NUMBERS = [0, 0.0, 0.5, 1.0, 3, -1, 1e-300, 1e-30, 1e6, 1e30, 1e300, NAN, INF, -INF, True, "a", None, np.float32(0.1)]
COUNTS = [1, 2, 5, np.int64(2), 0, -1, 1.5, 2.0, "a", None, True]
TORCHS = ["SGD", "RMSprop", "LBFGS", "Rprop", "ASGD", "NAdam", "Adagrad"]
PRIORS = [[1, 0, 0], [1, 1, 1], [0.5, 0.5], [NAN] * 3, "a", 3, {0: 1}, [[0.5]]]
WEIGHTS_OF_CLASSES = [{9: 1}, {0: -1}, {0: 0, 1: 0, 2: 0}, {0: NAN}, {0: INF}, {"a": 2}, {0: "a"}, {0: None}, {None: 1}]

RIGHT = {
    "hidden_layer_sizes": [(), 4, (3, 2), [2], np.array([2]), np.int64(2)],
    "activation": list(ACTIVATIONS),
    "dropout": [0, 0.5, 0.999, np.float32(0.1)],
    "kl_penalty": [*PENALTIES, Prior([0.2, 0.3, 0.5]), Confidence(0.5), *map(VirtualAdversarial, (1e-30, 1e3))]
    + [VirtualAdversarial(xi=1e-30), VirtualAdversarial(n_iterations=3)],
    "kl_strength": [0.1, 1, 1e3, 1e30, 1e300],
    "distill_weight": [0, 1, 0.9, "auto"],
    "distill_rows": list(DISTILL_ROWS),
    "temperature": [2, 1e9, 1e-6, 1e-30],
    "distill_divergence": list(DISTILL_DIVERGENCES),
    "teacher_cv": [2, 5, ShuffleSplit(2)],
    "calibrate_teacher": ["auto", True, False],
    "teacher_classes": list(POLICIES),
    "augment_factor": [1, 2, np.int64(2)],
    "n_generations": [1, 2, np.int64(2)],
    "n_members": [1, 2, np.int64(2)],
    "lr": [1e-300, 1e-30, 1e-3, 1, 1e6, 1e19],
    "learning_rate": list(LEARNING_RATES),
    "kl_target": [1e-300, 1e-30, 1e-3, 1, 1e30, 1e300, None],
    "optimizer": ["sgd", *(getattr(torch.optim, name) for name in TORCHS)],
    "optimizer__betas": [(0.5, 0.9), (0, 0)],
    "optimizer__eps": [1e-30, 1e-3, 1e30],
    "optimizer__lr": [1e-3],
    "optimizer__amsgrad": [True, False],
    "optimizer__maximize": [True],
    "optimizer__foreach": [True, False],
    "optimizer__fused": [True, False, None],
    "optimizer__capturable": [True],
    "optimizer__differentiable": [True],
    "weight_decay": [0, 0.1, 1e6, 1e30, 1e300],
    "batch_size": [1, 2, 1000, 10**20],
    "early_stopping": ["auto", True, False],
    "validation_fraction": [1e-9, 0.5, 0.999],
    "n_iter_no_change": [1, None],
    "class_weight": ["balanced", {0: 1, 1: 2, 2: 3}, {0: 2}, {0: 0}, {}, {0: 1e300}, {0: 1e-300}],
    "warm_start": [True, False],
    "random_state": [1, 2**32 - 1, None],
    "device": ["cpu", "cpu:0", torch.device("cpu")],
    "dtype": ["float64", torch.float64, torch.float32],
    "verbose": [0, 1],
    "callbacks": [[], [EarlyStopping("train_loss")], [("a", Callback())], None],
    "init_from": [nn.Linear(N_FEATURES, N_CLASSES)],
}
WRONG = {
    **dict.fromkeys(["dropout", "kl_strength", "distill_weight", "temperature", "lr", "kl_target"], NUMBERS),
    **dict.fromkeys(["weight_decay", "validation_fraction", "optimizer__eps", "optimizer__lr"], NUMBERS),
    **dict.fromkeys(["augment_factor", "n_generations", "n_members", "batch_size", "n_iter_no_change"], COUNTS),
    **dict.fromkeys(["activation", "distill_rows", "distill_divergence", "teacher_classes"], ["a", None, 0.1]),
    **dict.fromkeys(["learning_rate", "early_stopping", "calibrate_teacher", "warm_start", "compile"], ["a", 0.1, 1]),
    "hidden_layer_sizes": [(0,), -1, (2.5,), "a", None, ((2,),), True],
    "kl_penalty": [Confidence, object(), None, *map(Confidence, NUMBERS), *map(VirtualAdversarial, NUMBERS)]
    + [VirtualAdversarial(xi=xi) for xi in NUMBERS]
    + [VirtualAdversarial(n_iterations=n) for n in COUNTS]
    + [*map(Prior, PRIORS)],
    "teacher_cv": [[([0, 1, 2], [3, 4])], [([0], [99])], [(0, 1)], [], [3], 10**6, *COUNTS],
    "optimizer": [torch.optim.SparseAdam, torch.optim.Optimizer, "adagrad", dict, nn.Linear, None],
    "optimizer__betas": [(1, 1), (0.9,), (NAN, 0.9), "ab", 0.9, None],
    "optimizer__amsgrad": ["a", None],
    "optimizer__foreach": ["a"],
    "optimizer__fused": ["a"],
    "optimizer__momentum": NUMBERS,
    "optimizer__params": [[]],
    "optimizer__speed": [3],
    "module__width": [3],
    "module__n_features": [3],
    "module__bias": [False, "a"],
    "class_weight": [*WEIGHTS_OF_CLASSES, {0: 10**400}, "even", [1, 2], 3],
    "random_state": [2**32, np.random.default_rng(0), np.random.RandomState, *COUNTS],
    "device": ["tpu", "meta", "cuda:99", 3, None, "mps", ""],
    "dtype": [torch.float16, "float16", np.float64, float, None],
    "verbose": [True, -1, "loud"],
    "callbacks": [[3], [Callback], "a", [("a", Callback()), ("a", 3)], [("", Callback())], [None], (Callback(),)],
    "init_from": [FrozenEstimator(GaussianNB()), FrozenEstimator(KLClassifier()), nn.Linear, "a", 3],
}


def value_of(d, name):
    """Return a value of a parameter, mostly a right one."""
    right, wrong = RIGHT.get(name, []), WRONG.get(name, [])
    return d.one((right if d.chance(0.85) else wrong) or right or wrong, f"{name}=")


def parameters(d, n):
    """Return a few parameters with odd values, mostly right ones."""
    names = list(RIGHT if d.chance(0.85) else WRONG)
    chosen = [names[d.random.randint(len(names))] for _ in range(max(0, d.random.randint(-2, n + 1)))]
    return {name: value_of(d, name) for name in chosen}


def classifier(d, *, teacher=0.35, n_params=4):
    """Return a classifier of a few odd parameters, and whether a model of the user's own is a part of it."""
    params = {"hidden_layer_sizes": (4,), "max_epochs": d.random.randint(1, 3), "random_state": 0, "augment_factor": 1}
    params |= parameters(d, n_params)
    if d.chance(0.12):
        params["module"] = d.keep(d.one(MODULES, "module: ")())
    if d.chance(teacher):
        params["teacher"] = d.keep(d.odd(TEACHERS, "teacher: ", 0.8)())
        params["augment"] = d.odd(AUGMENT, "augment: ")
    return KLClassifier(**params), "teacher" in params
