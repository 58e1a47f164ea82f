"""Whose objects a file may hold: this package's own, and those of scikit-learn's searches and calibrations.

A file can have any of them called with arguments of its choice, so they are classes whose construction does no work,
and functions that only compute.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from sklearn import metrics, model_selection
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback

from sklkl._utils.binning import Clusters, NumericBins
from sklkl.divergences._references import BinnedReference, NumberReference
from sklkl.drift._kliep import KernelRatio
from sklkl.drift._references import ValueReference
from sklkl.drift._weighting import no_shift
from sklkl.io._requests import REQUESTS
from sklkl.metrics import DivergenceScorer
from sklkl.model_selection._choice import OneStandardError

_ROOMS = (
    "callbacks", "classifier", "distillation", "distiller", "drift", "feature_selection", "metrics", "model_selection",
    "penalties", "preprocessing",
)  # fmt: skip
_BASES = (BaseEstimator, Callback, DivergenceScorer)
_FUNCTIONS = ("feature_selection", "metrics")
# What a fitted detector and weighter have learned.
_OF_DRIFT = (BinnedReference, Clusters, KernelRatio, NumberReference, NumericBins, ValueReference, no_shift)
# What skops leaves to its users, though it is of no more consequence than what it trusts.
_OF_SCIKIT_LEARN = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",  # the estimators of a vote, by name
)


@cache
def trusted_types() -> tuple[str, ...]:
    """Return full names of types and functions."""
    items = [*_own(), *_splitters(), *_score_functions(), *REQUESTS, *_OF_DRIFT]
    found = {f"{item.__module__}.{item.__name__}" for item in items}
    return (*sorted(found), *_OF_SCIKIT_LEARN)


def _own() -> Iterator[Any]:
    for room in _ROOMS:
        module = import_module(f"sklkl.{room}")
        for item in (getattr(module, name) for name in module.__all__):
            if issubclass(item, _BASES) if inspect.isclass(item) else inspect.isfunction(item) and room in _FUNCTIONS:
                yield item
    yield OneStandardError  # which a function makes


def _splitters() -> Iterator[Any]:
    splitters = (model_selection.BaseCrossValidator, model_selection.BaseShuffleSplit)
    for item in vars(model_selection).values():
        if inspect.isclass(item) and issubclass(item, splitters):
            yield item


def _score_functions() -> Iterator[Any]:
    return (metrics.get_scorer(name)._score_func for name in metrics.get_scorer_names())
