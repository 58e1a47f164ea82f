"""The parameters of the classifier: what each may be, who needs which, and those that are passed on to a part."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import nn

from sklkl._fit.callback_params import PREFIX as CALLBACKS
from sklkl._fit.callback_params import callback_params, with_callback_params
from sklkl._utils.checks import invalid
from sklkl._utils.equality import same_value
from sklkl._utils.sklearn_private import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklkl._utils.warn_once import WarnsOnce
from sklkl.distillation import (
    AUGMENTATIONS,
    DISTILL_DIVERGENCES,
    DISTILL_ROWS,
    POLICIES,
    TEACHERS,
    DistillDivergence,
    DistillRows,
    Policy,
)
from sklkl.modules import ACTIVATIONS, ActivationName, accepted
from sklkl.optim import LEARNING_RATES, OPTIMIZERS, LearningRateName
from sklkl.penalties import PENALTIES

FLOATS = {"float32": torch.float32, "float64": torch.float64}

# A step of a larger rate would leave float32's range, whatever the network.
HIGHEST_RATE = 1e20

# In scikit-learn's terms, which make the error messages; T**2 of a temperature must not leave float32's range either.
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "scale_inputs": ["boolean"],
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "codistill_strength": [Interval(Real, 0, None, closed="left")],
    "module": [callable, None],
    "kl_penalty": [StrOptions(set(PENALTIES)), HasMethods(["fit", "__call__"])],
    "kl_strength": [Interval(Real, 0, None, closed="left")],
    "teacher": [None, *TEACHERS],
    "distill_weight": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
    "distill_rows": [StrOptions(set(DISTILL_ROWS))],
    "temperature": [Interval(Real, 0, 1e9, closed="right")],
    "distill_divergence": [StrOptions(set(DISTILL_DIVERGENCES))],
    "teacher_cv": ["cv_object", None],
    "calibrate_teacher": [StrOptions({"auto"}), "boolean"],
    "teacher_classes": [StrOptions(set(POLICIES))],
    "augment": [StrOptions({"auto", *AUGMENTATIONS}), callable, None],
    "augment_factor": [Interval(Integral, 1, None, closed="left")],
    "n_generations": [Interval(Integral, 1, None, closed="left")],
    "init_from": [HasMethods(["fit", "predict_proba"]), callable, None],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "learning_rate": [StrOptions(set(LEARNING_RATES))],
    "kl_target": [Interval(Real, 0, None, closed="neither"), None],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "calibrate": ["boolean"],
    "averaged_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "dtype": [StrOptions(set(FLOATS)), Options(torch.dtype, set(FLOATS.values()))],
    "compile": ["boolean"],
    "verbose": ["verbose"],
    "callbacks": [list, None],
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}


@dataclass(frozen=True)
class FitData:
    """What is given to ``fit``.

    Parameters
    ----------
    X, y, sample_weight, teacher_proba, X_unlabeled, X_val, y_val, sample_weight_val
        As in :meth:`sklkl.KLClassifier.fit`.
    teacher_X : array-like or None
        X as the teacher sees it, where that is not as the network does; ``X_unlabeled`` and ``X_val`` are then of this
        kind too.
    transform : callable or None
        From what the teacher sees to what the network sees, where these are not the same.
    """

    X: Any
    y: Any
    sample_weight: Any = None
    teacher_proba: Any = None
    X_unlabeled: Any = None
    X_val: Any = None
    y_val: Any = None
    sample_weight_val: Any = None
    teacher_X: Any = None
    transform: Callable[[Any], Any] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what was given as the arguments of ``fit`` of a classifier, by name."""
        names = [field.name for field in fields(self) if field.name not in ("teacher_X", "transform")]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class InputParams:
    """What becomes of X, y and weights."""

    class_weight: Any
    numpy_dtype: np.dtype  # of the network, which is that of its inputs too
    module_dtype: np.dtype | None  # the same of a network of the user's own
    device: torch.device


@dataclass(frozen=True)
class TeacherParams:
    """What the rows are to learn from other than their labels."""

    teacher: Any
    distill_weight: Any
    distill_rows: DistillRows
    teacher_cv: Any
    calibrate_teacher: Any
    teacher_classes: Policy
    augment: Any
    augment_factor: int
    n_generations: int


@dataclass(frozen=True)
class SplitParams:
    """Which rows are set aside, and whether the network's confidence is set by them."""

    early_stopping: Any
    validation_fraction: float
    calibrate: bool


@dataclass(frozen=True)
class NetParams:
    """What the net is and how it is trained."""

    hidden_layer_sizes: Any
    activation: ActivationName
    dropout: float
    scale_inputs: bool
    n_members: int
    codistill_strength: float
    module: Any
    init_from: Any
    kl_penalty: Any
    kl_strength: float
    distill_divergence: DistillDivergence
    distill_rows: DistillRows
    temperature: float
    lr: float
    learning_rate: LearningRateName
    kl_target: float | None
    optimizer: Any
    weight_decay: Any
    batch_size: Any
    max_epochs: int
    n_iter_no_change: int | None
    averaged_epochs: Any
    device: torch.device
    dtype: torch.dtype
    compile: bool
    verbose: int
    callbacks: Any
    passed_on: Mapping[str, Any]  # to the module and the optimiser, by their full names


@dataclass(frozen=True)
class CheckpointParams:
    """Where the state of a fit is kept, and every how many epochs."""

    checkpoint: str | os.PathLike[str] | None
    checkpoint_every: int


@dataclass(frozen=True)
class FitParams:
    """All parameters of a classifier, by who needs them."""

    inputs: InputParams
    teacher: TeacherParams
    split: SplitParams
    net: NetParams
    checkpoint: CheckpointParams
    random_state: Any
    given: Mapping[str, Any]  # all of them by name, as they were set


# Groups of parameters by their names, and which are in each.
_GROUPS: list[tuple[str, Any, list[str]]] = [
    (group, kind, [field.name for field in fields(kind)])
    for group, kind in (
        ("inputs", InputParams),
        ("teacher", TeacherParams),
        ("split", SplitParams),
        ("net", NetParams),
        ("checkpoint", CheckpointParams),
    )
]


def torch_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter names.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise invalid("device", device, "'auto' or a device of torch", of="KLClassifier") from error
    if found.type not in ("cpu", "cuda"):
        _check_device(found)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"The 'device' parameter is {device!r}, but torch finds no CUDA device.")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        last = f"cuda:{torch.cuda.device_count() - 1}"
        raise ValueError(f"The 'device' parameter is {device!r}, but the last CUDA device torch finds is {last!r}.")
    return found


def refused(prefix: str, part: Any, names: Iterable[str]) -> set[str]:
    """Return those names that a part, a module or an optimiser, does not accept as keyword arguments."""
    receiver = OPTIMIZERS[part][0] if isinstance(part, str) and part in OPTIMIZERS else part
    if isinstance(receiver, nn.Module) or not callable(receiver):  # a network that is made already, or nothing
        return set(names)
    # skorch's name for layer-wise parameters: [("pattern of names", {"lr": 0.0}), ...]
    also = {"param_groups"} if prefix == "optimizer" else set()
    return set(names) - accepted(receiver, **dict.fromkeys(names)).keys() - also


def _check_device(device: torch.device) -> None:
    """Raise a ValueError if torch has no such device here, or one that holds no values."""
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # each kind of device has its own
        raise invalid("device", str(device), "a device that torch finds here", of="KLClassifier") from error


class PassedOnParams(WarnsOnce):
    """Let an estimator take, show, set and clone keyword arguments named ``prefix__name``.

    To be mixed in before :class:`sklearn.base.BaseEstimator`. scikit-learn resolves ``prefix__name`` only if the
    parameter ``prefix`` is an estimator; here it may be a class or a factory that has not been called yet.
    """

    callbacks: Any
    _passed_on_prefixes: tuple[str, ...] = ()
    # names of the last call of `set_params`, which in a search are those that it varies
    _varied: tuple[str, ...] = ()

    def _is_passed_on(self, name: str) -> bool:
        return "__" in name and name.startswith(tuple(f"{prefix}__" for prefix in self._passed_on_prefixes))

    def _store_passed_on(self, params: dict[str, Any]) -> None:
        for name, value in params.items():
            if not self._is_passed_on(name):
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}")
            setattr(self, name, value)

    @classmethod
    @lru_cache(maxsize=32)  # to look at a class takes a noticeable part of a short fit
    def _get_param_names(cls) -> list[str]:
        names: list[str] = super()._get_param_names()  # type: ignore[misc]
        return names

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all parameters by name, those that are passed on included and, if ``deep``, those of callbacks."""
        params = super().get_params(deep=deep)  # type: ignore[misc]
        params |= callback_params(params.get("callbacks")) if deep else {}
        return params | {name: value for name, value in vars(self).items() if self._is_passed_on(name)}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, those that are passed on included, and those of callbacks.

        ``callbacks__name__parameter`` is one of the callback of this name, which is that of its class if the list gives
        it none; ``callbacks__name`` is the callback itself, which None drops.

        Where the part to which parameters are passed on becomes another one, those that it does not accept are dropped,
        unless they are set in the same call; ``del estimator.prefix__name`` drops one that is accepted.

        Warns
        -----
        UserWarning
            If a parameter is dropped.

        Raises
        ------
        ValueError
            If there is no parameter or callback of a name.
        """
        # seeds are set by what clones an estimator, a bagging in a search for one
        self._varied = tuple(name for name in params if name != "random_state") or self._varied
        passed_on = {name: params.pop(name) for name in list(params) if self._is_passed_on(name)}
        of_callbacks = {name: params.pop(name) for name in list(params) if name.startswith(CALLBACKS)}
        before = {prefix: getattr(self, prefix) for prefix in self._passed_on_prefixes if prefix in params}
        super().set_params(**params)  # type: ignore[misc]
        for prefix, part in before.items():
            if not same_value(part, params[prefix]):
                self._drop_refused(prefix, kept=passed_on)
        self._store_passed_on(passed_on)
        if of_callbacks:
            self.callbacks = with_callback_params(self.callbacks, of_callbacks, type(self).__name__)
        return self

    def __sklearn_clone__(self) -> Any:
        copy = super().__sklearn_clone__()
        copy._varied = self._varied
        return copy

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_varied"}

    def _drop_refused(self, prefix: str, kept: Mapping[str, Any]) -> None:
        """Drop what was to be passed on to the part before and cannot be to the new one."""
        start, part = prefix + "__", getattr(self, prefix)
        new = repr(part) if part is None or isinstance(part, str) else getattr(part, "__name__", type(part).__name__)
        old = [name.removeprefix(start) for name in vars(self) if name.startswith(start) and name not in kept]
        for name in sorted(refused(prefix, part, old)):
            delattr(self, start + name)
            self._warn_once(
                f"The {start + name!r} parameter of {type(self).__name__} is dropped, as the new {prefix!r} does not "
                f"accept it, which is {new}.",
                stacklevel=3,
            )


@lru_cache(maxsize=32)
def valid_defaults(kind: type) -> dict[str, Any]:
    """Return the default of each parameter of a class of estimators, where that is valid."""
    found = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        with suppress(ValueError):
            validate_parameter_constraints(CONSTRAINTS, {name: parameter.default}, caller_name=kind.__name__)
            found[name] = parameter.default
    return found


def checked_params(estimator: PassedOnParams) -> FitParams:
    """Return the parameters of an estimator in groups; an error names the one that is invalid."""
    kind: type = type(estimator)
    params, known = estimator.get_params(deep=False), valid_defaults(kind)
    changed = {name: value for name, value in params.items() if name not in known or value is not known[name]}
    validate_parameter_constraints(CONSTRAINTS, changed, caller_name=kind.__name__)
    if params["lr"] > HIGHEST_RATE:
        raise invalid("lr", params["lr"], f"a learning rate of at most {HIGHEST_RATE:.0e}", of="KLClassifier")
    dtype = FLOATS.get(params["dtype"], params["dtype"])
    numpy_dtype = np.dtype(str(dtype).removeprefix("torch."))
    by_name = {
        **params,
        "dtype": dtype,
        "numpy_dtype": numpy_dtype,
        "module_dtype": None if params["module"] is None else numpy_dtype,
        "device": torch_device(params["device"]),
        "passed_on": {name: value for name, value in params.items() if "__" in name},
    }

    groups: dict[str, Any] = {group: kind(**{name: by_name[name] for name in names}) for group, kind, names in _GROUPS}
    return FitParams(**groups, random_state=params["random_state"], given=params)


def check_stream(params: FitParams) -> None:
    """Raise a ValueError for a parameter of which ``partial_fit`` can make nothing."""
    if params.given["class_weight"] == "balanced":
        raise ValueError("The 'class_weight' parameter cannot be 'balanced' for partial_fit; pass a dict.")
