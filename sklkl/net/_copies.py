"""A net's copies and pickles."""

from __future__ import annotations

import sys
import warnings
from typing import Any, Self

import skorch
import torch
from sklearn.exceptions import InconsistentVersionWarning
from torch import nn

from sklkl.net._skorch import SkorchNet
from sklkl.net._storage import copied, parametrized_again, stored, usable, without_parametrizations

# Best weights that callbacks keep for the time of a training.
_LEFT_OVER = {"weights_": None, "best_model_weights_": None}


def versions() -> dict[str, str]:
    """Return the versions of what a stored net is made with, without a build's name."""
    found = {"sklkl": sys.modules["sklkl"].__version__, "skorch": skorch.__version__, "torch": torch.__version__}
    return {name: str(version).split("+")[0] for name, version in found.items()}


class CopiedNet(SkorchNet):
    """A net that can be copied and pickled whatever its network is made of."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = object.__new__(type(self))
        memo[id(self)] = copy
        copy.__dict__.update(copied(dict(vars(self)), memo))
        return copy

    def __getstate__(self) -> dict[str, Any]:
        given = getattr(self, "module", None)
        state: dict[str, Any] = copied(dict(vars(self)), {id(given): given, id(self): self}, change=stored)
        for _, callback in state.get("callbacks_", ()):
            vars(callback).update({name: value for name, value in _LEFT_OVER.items() if name in vars(callback)})
        networks = [value for name, value in state.items() if isinstance(value, nn.Module) and name != "module"]
        return {**state, "_parametrized": without_parametrizations(networks), "_versions": versions()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "__cuda_dependent_attributes__" in state:  # stored by an earlier version
            super().__setstate__(state)
            return
        _warn_of_other_versions(type(self).__name__, state.pop("_versions"))
        parametrized_again(state.pop("_parametrized"))
        if state.get("device") is not None and torch.device(state["device"]).type != "cpu":
            state["device"] = str(usable(state["device"]))
        self.__dict__.update(state)


def _warn_of_other_versions(owner: str, then: dict[str, str]) -> None:
    for name, now in versions().items():
        if then.get(name) != now:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=f"{owner} ({name})",
                    current_sklearn_version=now,
                    original_sklearn_version=then.get(name, "unknown"),
                ),
                stacklevel=3,
            )
