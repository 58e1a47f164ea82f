"""``KLClassifier``: the scikit-learn face of the package."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skorch.helper import predefined_split
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sklkl._params import PassedOnParams
from sklkl._prediction import per_row
from sklkl._seeding import local_random_state
from sklkl._training_data import check_label_types, encoded, row_weights, validation_split
from sklkl.callbacks import BestWeights, Progress
from sklkl.data import Rows
from sklkl.modules import ACTIVATIONS, MLP, accepted, build_module, log_softmax
from sklkl.net import KLNet
from sklkl.optim import LEARNING_RATES, OPTIMIZERS
from sklkl.penalties import PENALTIES

__all__ = ["KLClassifier"]

_FLOATS = {"float32": torch.float32, "float64": torch.float64}
# early_stopping="auto" keeps smaller data whole: a validation part of a few rows says little.
_MIN_ROWS_TO_SPLIT = 200

class KLClassifier(PassedOnParams, ClassifierMixin, BaseEstimator):
    """A neural network classifier whose KL regularisation is a hyperparameter.

    TODO

    """

    _passed_on_prefixes = ("module", "optimizer")

    _parameter_constraints: dict[str, list[Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "module": [callable, None],
        "kl_penalty": [StrOptions(set(PENALTIES)), HasMethods(["fit", "__call__"])],
        "kl_strength": [Interval(Real, 0, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "dtype": [StrOptions(set(_FLOATS)), Options(torch.dtype, set(_FLOATS.values()))],
        "compile": ["boolean"],
        "verbose": ["verbose"],
        "callbacks": [list, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (256, 256),
        activation: str = "relu",
        dropout: float = 0.2,
        module: Any = None,
        *,
        kl_penalty: Any = "confidence",
        kl_strength: float = 0.0,
        lr: float = 2e-3,
        learning_rate: str = "onecycle",
        optimizer: Any = "adam",
        weight_decay: float = 0.01,
        batch_size: Any = "auto",
        max_epochs: int = 100,
        early_stopping: Any = "auto",
        validation_fraction: float = 0.1,
        n_iter_no_change: int | None = None,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        device: Any = "auto",
        dtype: Any = "float32",
        compile: bool = False,
        verbose: int = 0,
        callbacks: Any = None,
        **module__params: Any,  # and optimizer__; the name itself must be one that is passed on
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.module = module
        self.kl_penalty = kl_penalty
        self.kl_strength = kl_strength
        self.lr = lr
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.dtype = dtype
        self.compile = compile
        self.verbose = verbose
        self.callbacks = callbacks
        self._store_passed_on(module__params)

    # Training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> KLClassifier:
        """Fit."""
        with self._restored_on_failure():
            self._validate_params()
            previous = getattr(self, "net_", None) if self.warm_start else None
            known = getattr(self, "classes_", None)
            rows = self._training_rows(X, y, sample_weight)
            if previous is not None and not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"warm_start goes on training on the same classes: {known.tolist()} were learned, y has "
                    f"{self.classes_.tolist()}."
                )
            random_state = local_random_state(self.random_state)
            train, valid = self._split(rows, random_state)
            net = self._new_net(train, random_state) if previous is None else previous
            self._train(net, train, valid, self.max_epochs, self.learning_rate)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> KLClassifier:
        """Partial fit."""
        with self._restored_on_failure():
            self._validate_params()
            if self.class_weight == "balanced":
                raise ValueError("The 'class_weight' parameter cannot be 'balanced' for partial_fit; pass a dict.")
            first = _check_partial_fit_first_call(self, classes)
            rows = self._training_rows(X, y, sample_weight, classes=self.classes_, reset=first)
            net = self._new_net(rows, local_random_state(self.random_state)) if first else self.net_
            self._train(net, rows, None, epochs=1, learning_rate="constant")
        return self

    @contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Put every attribute back if training ends in an error, or is interrupted before an epoch is finished."""
        before = self.__dict__.copy()
        self.interrupted_ = False
        try:
            yield
        except BaseException:
            if not self.interrupted_:
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _train(self, net: KLNet, train: Rows, valid: Rows | None, epochs: int, learning_rate: str) -> None:
        net.max_epochs, net.learning_rate = epochs, learning_rate
        net.train_split = None if valid is None else predefined_split(valid)
        n_before = len(net.history)
        try:
            net.partial_fit(train)
        except KeyboardInterrupt:
            self.interrupted_ = len(net.history) > n_before
            raise
        finally:
            net.train_split = None  # the model keeps no rows
            self.net_ = net

    def _new_net(self, rows: Rows, random_state: np.random.RandomState) -> KLNet:
        optimizer, optimizer_params = self._resolved_optimizer()
        net = KLNet(
            self._module_factory(),
            classes=np.arange(len(self.classes_)),
            multilabel=rows.y.ndim == 2,
            kl_penalty=self.kl_penalty,
            kl_strength=self.kl_strength,
            lr=self.lr,
            optimizer=optimizer,
            batch_size=self._resolved_batch_size(len(rows)),
            callbacks=self._all_callbacks(),
            random_state=random_state.randint(2**31 - 1),
            device=str(self._resolved_device()),
            compile=self.compile,
            verbose=0,
            **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
        ).initialize()
        self._check_logits(net, rows)
        return net

    def _module_factory(self) -> Any:
        common = {"n_features": self.n_features_in_, "n_classes": len(self.classes_), "dtype": self._resolved_dtype()}
        if self.module is not None:
            receiver = type(self.module) if isinstance(self.module, nn.Module) else self.module
            return partial(build_module, self.module, **common, **self._passed_on("module", receiver))
        sizes = self.hidden_layer_sizes
        sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
        return partial(
            build_module, MLP, **common, hidden_layer_sizes=sizes, activation=self.activation, dropout=self.dropout
        )

    def _resolved_optimizer(self) -> tuple[Any, dict[str, Any]]:
        known = isinstance(self.optimizer, str)
        optimizer, params = OPTIMIZERS[self.optimizer] if known else (self.optimizer, {})
        decay = accepted(optimizer, weight_decay=self.weight_decay)
        return optimizer, {**params, **decay, **self._passed_on("optimizer", optimizer)}

    def _resolved_dtype(self) -> torch.dtype:
        return _FLOATS.get(self.dtype, self.dtype)

    def _numpy_dtype(self) -> np.dtype:
        return np.dtype(str(self._resolved_dtype()).removeprefix("torch."))

    def _resolved_device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except RuntimeError as error:
            raise ValueError(f"The 'device' parameter must be 'auto' or a device of torch. {error}") from error
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"The 'device' parameter is {self.device!r}, but torch finds no CUDA device.")
        return device

    def _resolved_batch_size(self, n_rows: int) -> int:
        return min(256, n_rows) if self.batch_size == "auto" else int(self.batch_size)

    def _all_callbacks(self) -> list[Any]:
        # skorch changes the callbacks it is given, so the user's are copied
        own = [Progress()] if self.verbose else []
        return [*copy.deepcopy(self.callbacks or []), *own, ("best_weights", BestWeights(self.n_iter_no_change))]

    @staticmethod
    def _check_logits(net: KLNet, rows: Rows) -> None:
        """Let the network see two rows before it is trained on all of them."""
        batch, n_classes = next(rows.split([0, min(2, len(rows))])), len(net.classes_)
        net._set_training(False)
        with torch.no_grad():
            logits = net.infer(batch[0])
        expected = (len(batch[0]), n_classes)
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if shape != expected:
            raise ValueError(
                f"The 'module' parameter must return logits of shape (n_rows, n_classes), here {expected} for "
                f"{expected[0]} rows and {n_classes} classes. Got {shape} instead."
            )

    # Data

    def _validated(self, X: Any, y: Any = "no_validation", **kwargs: Any) -> Any:
        # casting 1e40 to float32 gives inf, which is refused: numpy need not warn as well
        with np.errstate(over="ignore"):
            return validate_data(self, X, y, accept_sparse="csr", allow_nd=self.module is not None, **kwargs)

    def _training_rows(self, X: Any, y: Any, sample_weight: Any, *, classes: Any = None, reset: bool = True) -> Rows:
        """Return validated rows with codes and weights, and learn ``classes_`` from y unless they are given."""
        check_label_types(y)
        X, y = self._validated(X, y, dtype=self._numpy_dtype(), order="C", multi_output=True, reset=reset)
        y = y.toarray() if sparse.issparse(y) else y
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        codes, self.classes_ = encoded(y, classes)
        weight = row_weights(sample_weight, self.class_weight, X, codes, self.classes_)
        rows = Rows(X, codes, weight=weight)
        if weight is not None and not weight.all():
            rows = rows.take(torch.from_numpy(np.flatnonzero(weight)))
        return rows.to(self._resolved_device())

    def _split(self, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
        wanted = len(rows) >= _MIN_ROWS_TO_SPLIT if self.early_stopping == "auto" else self.early_stopping
        if not wanted:
            return rows, None
        train, valid = validation_split(rows.y.cpu().numpy(), self.validation_fraction, random_state)
        if len(valid) == 0:
            return rows, None
        return rows.take(torch.from_numpy(train)), rows.take(torch.from_numpy(valid))

    # Prediction

    def _per_row(self, X: Any, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        return per_row(self.net_, self._validated(X, dtype="numeric", reset=False), function)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Proba."""
        check_is_fitted(self)
        return self._per_row(X, self.net_.proba)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Log proba."""
        check_is_fitted(self)
        if self.net_.multilabel:
            return self._per_row(X, lambda logits: logsigmoid(logits.double()))
        return self._per_row(X, lambda logits: log_softmax(logits.double()))

    def predict(self, X: Any) -> np.ndarray:
        """Labels."""
        check_is_fitted(self)
        if self.net_.multilabel:
            return self._per_row(X, lambda logits: (logits > 0).long())
        return self.classes_[self._per_row(X, lambda logits: logits.argmax(-1))]

    @property
    def module_(self) -> nn.Module:
        return self.net_.module_

    @property
    def history_(self) -> Any:
        return self.net_.history

    @property
    def n_iter_(self) -> int:
        return len(self.net_.history)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = self.module is not None
        return tags
