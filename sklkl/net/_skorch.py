"""skorch's net as this package needs it: the one place that knows skorch's private methods."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, overload

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn

from sklkl._utils.torch_state import insist, usable, use_one_thread_after_fork
from sklkl.modules import build_module
from sklkl.net._storage import (
    copied,
    parametrized_again,
    stored,
    versions,
    warn_of_other_versions,
    without_parametrizations,
)


class TrainingHistory(Protocol):
    """What skorch's history is to a reader: a record for each epoch, read by number, by name or by both.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> clf = KLClassifier(max_epochs=2, early_stopping=False)
    >>> history = clf.fit(*load_iris(return_X_y=True)).history_
    >>> len(history), "train_loss" in history[-1], len(history[:, "train_loss"])
    (2, True, 2)
    """

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[dict[str, Any]]: ...

    @overload
    def __getitem__(self, key: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, key: slice | str | tuple[Any, ...]) -> Any: ...


# The argument by which later versions of skorch tell their loop which method routes metadata.
ROUTING = {"_routing_method"} & inspect.signature(NeuralNetClassifier.fit_loop).parameters.keys()

# What a net has for the time of a training only.
_OF_TRAINING = ("_average", "_borrowed", "_checkpoint", "_goes_on_from", "_kept_rate", "_scaled_rows")
# Best weights that callbacks keep for the time of a training.
_LEFT_OVER = {"weights_": None, "best_model_weights_": None}


class SkorchNet(NeuralNetClassifier):
    """A skorch net with a cheaper switch of modes, that can be copied and pickled whatever its network is made of."""

    module_: nn.Module
    optimizer_: torch.optim.Optimizer
    history: Any
    history_: Any

    if TYPE_CHECKING:  # skorch says no types

        def predict(self, X: Any) -> np.ndarray: ...

        def predict_proba(self, X: Any) -> np.ndarray: ...

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Train from the beginning, see :meth:`skorch.NeuralNet.fit`; y is None where X has the labels."""
        trained: Self = super().fit(X, y, **fit_params)
        return trained

    def set_mode(self, training: bool) -> None:
        """Put the network in training or evaluation mode."""
        use_one_thread_after_fork()
        # walking through all submodules is a noticeable part of a small step; once begun it must end, as the first of
        # them has its mode then, by which the next call goes
        if self.module_.training != training and insist(partial(super()._set_training, training)):
            raise KeyboardInterrupt

    def proba(self, logits: Tensor) -> Tensor:
        """Return probabilities from logits."""
        raise NotImplementedError

    def _set_training(self, training: bool = True) -> None:
        self.set_mode(training)

    def _zero_grad_optimizer(self, set_to_none: bool | None = None) -> None:
        # what Optimizer.zero_grad does by default, without its profiling
        for group in self.optimizer_.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _get_predict_nonlinearity(self) -> Any:
        return self.proba if self.predict_nonlinearity == "auto" else super()._get_predict_nonlinearity()

    # Copies and pickles

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = object.__new__(type(self))
        memo[id(self)] = copy
        copy.__dict__.update(copied(self._at_rest(), memo))
        copy._join_weights()
        return copy

    def _at_rest(self) -> dict[str, Any]:
        """Return the attributes without those of a training under way: a copy goes on from the weights it has."""
        state = {name: value for name, value in vars(self).items() if name not in _OF_TRAINING}
        if state.pop("_by_hand", None) is not None:
            state.update(learning_rate_=None, _rate_runs=False)
        return state

    def _join_weights(self) -> None:
        """Put the weights of a recurrent layer in one piece of memory again: cuDNN warns of any other."""
        for layer in self.module_.modules() if "module_" in vars(self) else ():
            if isinstance(layer, nn.RNNBase):
                layer.flatten_parameters()

    def __getstate__(self) -> dict[str, Any]:
        given = getattr(self, "module", None)
        # what builds this package's network may hold a layer of it
        as_given = {} if getattr(given, "func", None) is build_module else {id(given): given}
        state: dict[str, Any] = copied(self._at_rest(), {**as_given, id(self): self}, change=stored)
        for _, callback in state.get("callbacks_", ()):
            vars(callback).update({name: value for name, value in _LEFT_OVER.items() if name in vars(callback)})
        networks = [value for name, value in state.items() if isinstance(value, nn.Module) and name != "module"]
        return {**state, "_parametrized": without_parametrizations(networks), "_versions": versions()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "__cuda_dependent_attributes__" in state:  # stored by an earlier version
            super().__setstate__(state)
            return
        warn_of_other_versions(type(self).__name__, state.pop("_versions"))
        parametrized_again(state.pop("_parametrized"))
        if state.get("device") is not None and torch.device(state["device"]).type != "cpu":
            state["device"] = str(usable(state["device"]))
        self.__dict__.update(state)
        self._join_weights()
