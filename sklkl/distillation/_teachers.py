"""Teachers of every kind behind one face: ``fit``, ``predict_proba``, ``classes_``."""

from __future__ import annotations

import inspect
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object
from torch import nn

from sklkl._utils.checks import invalid
from sklkl._utils.frames import column_labels
from sklkl._utils.out_of_fold import checked_splits, out_of_fold_proba
from sklkl._utils.predicts_proba import PredictsProba, predicts_proba
from sklkl._utils.progress import task
from sklkl._utils.sklearn_private import BaseSearchCV, HasMethods, Hidden, _num_samples, _safe_indexing
from sklkl.distillation._alignment import checked_proba
from sklkl.distillation._function_teacher import FunctionTeacher
from sklkl.distillation._module_teacher import ModuleTeacher
from sklkl.distillation._teacher import Teacher

__all__ = [
    "TEACHERS",
    "EstimatorTeacher",
    "GivenProba",
    "ModuleTeacher",
    "is_ready",
    "known_labels",
    "make_teacher",
]


# What a teacher may be, in scikit-learn's terms; which of these it is `make_teacher` finds out. What is hidden from
# messages may have the method once it is fitted.
TEACHERS = (HasMethods("predict_proba"), Hidden(PredictsProba()), callable)


class EstimatorTeacher(FunctionTeacher):
    """A scikit-learn classifier, cloned and fitted; a ``FrozenEstimator`` stays as it is.

    Parameters
    ----------
    estimator : estimator with ``predict_proba``
        The classifier.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone.
    classes_ : ndarray or None
        Its labels.
    closed_ : bool
        Whether its labels are those of the rows it was fitted to.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklkl.distillation import EstimatorTeacher
    >>> X, y = load_iris(return_X_y=True)
    >>> teacher = EstimatorTeacher(DecisionTreeClassifier(max_depth=2))
    >>> teacher.fit(X, y).predict_proba(X).shape
    (150, 3)
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator, self.ready = estimator, isinstance(estimator, FrozenEstimator)
        self._name = type(estimator).__name__
        self._is_asking = False

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EstimatorTeacher:
        """Fit a clone of the estimator.

        Raises
        ------
        ValueError
            If there are weights and the estimator takes none.
        """
        self._ask_for(sample_weight)
        self.estimator_ = clone(self.estimator)
        with self._routing(sample_weight), nullcontext() if self.ready else task(f"teacher {self._name}"):
            self.estimator_.fit(X, y, **self._weights(sample_weight))
        if not hasattr(self.estimator_, "predict_proba"):
            raise invalid("teacher", self.estimator, "an estimator that has 'predict_proba' once it is fitted")
        self.classes_ = None if np.ndim(y) == 2 else known_labels(self.estimator_)
        self.closed_ = (
            not self.ready and self.classes_ is not None and set(self.classes_.tolist()) == set(np.unique(y).tolist())
        )
        return self

    def check_splits(self, X: Any, y: Any, cv: Any) -> None:
        """Raise a ValueError if rows cannot be split like this, see `predict_out_of_fold`."""
        if np.ndim(y) == 1:
            _splits(cv, X, np.asarray(y))

    def predict_out_of_fold(self, X: Any, y: Any, cv: Any, sample_weight: Any = None) -> np.ndarray:
        """Return the probabilities of each row by a clone that was fitted without it; call ``fit`` before.

        A row of a class that its clone has never seen is all zero: the clone could only deny that there is this class.

        Parameters
        ----------
        X, y : array-like
            Rows and labels; of shape (n_rows, n_labels) for a multilabel indicator.
        cv : int or splitter
            How to split them.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights.

        Raises
        ------
        ValueError
            If the rows cannot be split like this, or one is in no test part, so that it has no probabilities.
        """
        params = self._weights(sample_weight)
        known = np.ones(_num_samples(X), dtype=bool)
        with self._routing(sample_weight), task(f"teacher {self._name} by folds"):
            if self.classes_ is None:  # several labels, with an array each, which cross_val_predict puts together
                proba = cross_val_predict(self.estimator, X, y, cv=cv, method="predict_proba", params=params)
            else:
                y = np.asarray(y)
                splits = _splits(cv, X, y)
                proba = out_of_fold_proba(self.estimator, X, y, splits, params, self.classes_)
                known = _of_known_classes(y, splits)
        proba = checked_proba(self._complete(proba), _num_samples(X), multilabel=np.ndim(y) == 2)
        proba[~known] = 0
        return proba

    def _proba(self, X: Any, multilabel: bool) -> Any:
        return self._complete(self.estimator_.predict_proba(X))

    def _complete(self, proba: Any) -> Any:
        """Give a label that was always off, or always on, its second column, and a single class its only one."""
        classes = getattr(self.estimator_, "classes_", None)
        if self.classes_ is not None and len(self.classes_) == 1 and np.ndim(proba) == 2:
            return np.ones((len(proba), 1))  # some estimators give a column for the class that is not there
        if not (isinstance(proba, list) and isinstance(classes, list)):
            return proba
        return [
            p if p.shape[1] == 2 else np.hstack([1 - p, p] if known[0] else [p, 1 - p])
            for p, known in zip(proba, classes, strict=True)
        ]

    def _ask_for(self, sample_weight: Any) -> None:
        """Let the parts of an ensemble of pipelines request weights: scikit-learn passes none into those without."""
        _, last = _weighted_part(self.estimator)
        ensemble = isinstance(last, (StackingClassifier, VotingClassifier))
        pipelines = ensemble and any(isinstance(part, Pipeline) for _, part in last.estimators)
        if sample_weight is not None and pipelines and not self._requests(sample_weight):
            self.estimator, self._is_asking = _asking(self.estimator), True

    def _routing(self, sample_weight: Any) -> Any:
        """Return the context to fit in: weights are passed on without a request, unless they were requested."""
        return config_context(enable_metadata_routing=self._requests(sample_weight))

    def _requests(self, sample_weight: Any) -> bool:
        """Whether the user has metadata routing on, and a part of the estimator asks for the weights."""
        if self._is_asking:
            return sample_weight is not None
        if sample_weight is None or not get_config()["enable_metadata_routing"]:
            return False
        router = get_routing_for_object(self.estimator)
        return isinstance(router, MetadataRouter) and bool(router.consumes("fit", ["sample_weight"]))

    def _weights(self, sample_weight: Any) -> dict[str, Any]:
        if sample_weight is None:
            return {}
        if self._requests(sample_weight):
            return {"sample_weight": sample_weight}
        prefix, last = _weighted_part(self.estimator)
        if isinstance(last, FrozenEstimator):
            return {}
        parameters = inspect.signature(last.fit).parameters.values()
        takes_none = not any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)
        odd = last if takes_none else _resampling_step(self.estimator)
        if odd is not None:
            found = "takes no" if takes_none else "resamples the rows, which leaves those after it without their"
            raise ValueError(
                f"The teacher {odd!r} {found} sample_weight, but 'sample_weight' or 'class_weight' gives weights."
            )
        return {f"{prefix}sample_weight": sample_weight}


def _asking(estimator: Any) -> Any:
    """Return a clone whose predictors request weights, while other parts and scores go without."""
    with config_context(enable_metadata_routing=True):
        asking = clone(estimator)
        for part in asking.get_params().values():
            if isinstance(part, BaseEstimator):
                _request(part, "fit", is_classifier(part) or is_regressor(part))
                _request(part, "score", False)
    return asking


def _request(part: Any, method: str, wanted: bool) -> None:
    """Say whether a method is to be given weights, if it takes any."""
    request = getattr(part, f"set_{method}_request", None)
    if request is not None and "sample_weight" in inspect.signature(request).parameters:
        request(sample_weight=wanted)


def _weighted_part(estimator: Any) -> tuple[str, Any]:
    """Return the part that takes the weights without metadata routing, and how its arguments are called."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        prefix, part = _weighted_part(last)
        return f"{name}__{prefix}", part
    if isinstance(estimator, BaseSearchCV) and isinstance(estimator.estimator, Pipeline):
        return _weighted_part(estimator.estimator)  # a search passes the arguments of fit on
    return "", estimator


def _resampling_step(estimator: Any) -> Any:
    """Return the first step of a pipeline that changes which rows there are, as imbalanced-learn's samplers do."""
    inner = estimator.estimator if isinstance(estimator, BaseSearchCV) else estimator
    steps = inner.steps if isinstance(inner, Pipeline) else []
    return next((step for _, step in steps if hasattr(step, "fit_resample")), None)


class GivenProba:
    """Probabilities that were given for the rows, in place of a teacher.

    Parameters
    ----------
    proba : array or frame of shape (n_rows, n_classes)
        Probabilities; the columns of a frame are named by class.
    classes : ndarray of shape (n_classes,)
        The student's labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import GivenProba
    >>> proba = np.array([[0.5, 0.5], [1.0, 0.0]])
    >>> given = GivenProba(proba, classes=np.array([0, 1]))
    >>> given.predict_proba(None, numbers=np.array([1]))
    array([[1., 0.]])
    """

    closed_, ready = False, True

    def __init__(self, proba: Any, classes: np.ndarray) -> None:
        self.proba = proba
        self.classes_ = column_labels(proba, classes) if hasattr(proba, "columns") else None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GivenProba:
        """Do nothing: the probabilities are what they are."""
        return self

    def predict_proba(self, X: Any, *, multilabel: bool = False, numbers: np.ndarray | None = None) -> np.ndarray:
        """Return the checked probabilities of the rows with these numbers, of all if that is None."""
        numbers = np.arange(_num_samples(self.proba)) if numbers is None else numbers
        proba = _safe_indexing(self.proba, numbers)
        return checked_proba(proba, len(numbers), "array 'teacher_proba'", multilabel=multilabel, numbers=numbers)


def make_teacher(teacher: Any) -> Teacher:
    """Return a teacher of whatever kind behind the common face.

    Parameters
    ----------
    teacher : estimator, torch.nn.Module or callable
        An estimator with ``predict_proba``, a network that gives logits, or a function from X to probabilities. What
        has ``predict_proba`` and is no estimator is used as it is, if it has no ``fit`` or is in a ``FrozenEstimator``.

    Returns
    -------
    EstimatorTeacher, ModuleTeacher or FunctionTeacher
        The teacher.

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklkl.distillation import make_teacher
    >>> type(make_teacher(LogisticRegression())).__name__
    'EstimatorTeacher'
    """
    if not isinstance(teacher, type):
        has_proba = hasattr(teacher, "predict_proba") or predicts_proba(teacher)
        if has_proba and hasattr(teacher, "fit") and not _holds_no_estimator(teacher):
            return EstimatorTeacher(teacher)
        if isinstance(teacher, nn.Module):
            return ModuleTeacher(teacher)
        if hasattr(teacher, "predict_proba"):
            return FunctionTeacher(teacher.predict_proba, known_labels(teacher))
        if callable(teacher):
            return FunctionTeacher(teacher)
    raise ValueError(
        "The 'teacher' parameter must be an estimator with 'predict_proba', a torch.nn.Module that gives logits, a "
        f"function from X to probabilities, or None. Got {teacher!r} instead."
    )


def is_ready(teacher: Any) -> bool:
    """Return whether a teacher need not be fitted.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import is_ready
    >>> is_ready(GaussianNB())
    False
    """
    return not hasattr(teacher, "fit") or isinstance(teacher, FrozenEstimator)


def known_labels(model: Any) -> np.ndarray | None:
    """Return the labels in ``classes_``; None if there are none, or those of several targets, each with its own.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.distillation import known_labels
    >>> known_labels(GaussianNB().fit([[0], [1]], ["a", "b"])).tolist()
    ['a', 'b']
    """
    classes = getattr(model, "classes_", None)
    several = isinstance(classes, list) and any(np.ndim(label) > 0 for label in classes)
    return None if classes is None or several else np.asarray(classes)


def _holds_no_estimator(teacher: Any) -> bool:
    """Whether a FrozenEstimator's ``fit``, which asks whether the estimator in it is fitted, would fail."""
    return isinstance(teacher, FrozenEstimator) and not hasattr(teacher.estimator, "__sklearn_tags__")


def _splits(cv: Any, X: Any, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    with warnings.catch_warnings():  # a class of fewer rows than parts does no harm, see _of_known_classes
        warnings.filterwarnings("ignore", message="The least populated class")
        return checked_splits("teacher_cv", cv, check_cv(cv, y, classifier=True).split(X, y), len(y))


def _of_known_classes(y: np.ndarray, splits: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return which rows are of a class that a training part has of which they are in the test part."""
    known = np.zeros(len(y), dtype=bool)
    for train, test in splits:
        known[test] |= np.isin(y[test], y[train])
    return known
