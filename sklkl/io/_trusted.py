"""Whose objects a file of this package may hold: of estimators, penalties and callbacks that it exports."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

_ROOMS = (
    "callbacks", "classifier", "distillation", "distiller", "drift", "feature_selection", "model_selection", "penalties",
    "preprocessing",
)  # fmt: skip


def trusted_types() -> list[str]:
    """Return the full names of this package's types whose objects may be made from a file.

    They are classes whose construction does no work: a file can have one called with arguments of its choice.
    """
    return sorted(f"{kind.__module__}.{kind.__name__}" for kind in set(_classes()))


def _classes() -> Iterator[type[Any]]:
    for room in _ROOMS:
        module = import_module(f"sklkl.{room}")
        for name in module.__all__:
            kind = getattr(module, name)
            if inspect.isclass(kind) and issubclass(kind, (BaseEstimator, Callback)):
                yield kind
