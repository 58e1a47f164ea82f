"""scikit-learn's private functions that this package uses, in one place: a new version of it breaks one file."""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing, metaestimators
from sklearn.utils._indexing import _get_column_indices
from sklearn.utils._metadata_requests import _routing_enabled
from sklearn.utils._param_validation import (
    HasMethods,
    Hidden,
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _check_method_params, _check_sample_weight, _check_y, _num_features, _num_samples

__all__ = [
    "BaseSearchCV",
    "HasMethods",
    "Hidden",
    "Interval",
    "Options",
    "RealNotInt",
    "StrOptions",
    "_check_method_params",
    "_check_partial_fit_first_call",
    "_check_sample_weight",
    "_check_y",
    "_get_column_indices",
    "_num_features",
    "_num_samples",
    "_routing_enabled",
    "_safe_indexing",
    "_safe_split",
    "available_if",
    "check_params",
    "drawn_split",
    "validate_parameter_constraints",
]

Method = TypeVar("Method", bound=Callable[..., Any])


def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
    """Return scikit-learn's decorator of this name, which is public but loses the type of the method."""
    decorator: Callable[[Method], Method] = metaestimators.available_if(check)
    return decorator


def drawn_split(splitter: Any, codes: Any) -> tuple[Any, Any]:
    """Return the row numbers of one split by class codes, without checks of these, which take half of the time."""
    train, test = next(splitter._iter_indices(codes, codes))
    return train, test


def check_params(estimator: Any) -> None:
    """Raise an error that names the first parameter of an estimator that is not within its constraints."""
    params, owner = estimator.get_params(deep=False), type(estimator).__name__
    validate_parameter_constraints(estimator._parameter_constraints, params, caller_name=owner)
