"""Divergence of a classifier's predicted probabilities from a reference: a measure of confidence, or of novelty."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, Tags, column_or_1d, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from sklkl._utils.checks import check_choice, check_number, invalid, invalid_input
from sklkl._utils.class_alignment import class_codes
from sklkl._utils.out_of_fold import Splits, aligned_proba, checked_splits, out_of_fold_proba
from sklkl._utils.predicts_proba import predicts_proba
from sklkl._utils.sklearn_private import _check_sample_weight
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl._utils.validation import check_targets
from sklkl.divergences import DIVERGENCES, pairwise_divergence
from sklkl.divergences._registry import DivergenceName

__all__ = ["ProbaDivergence"]

REFERENCES = ("prior", "uniform", "templates")


class ProbaDivergence(ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Divergence of a classifier's predicted probabilities from a reference distribution over the classes.

    One column for ``reference="prior"`` or "uniform": a measure of the prediction's confidence. One column for each
    class for "templates": how far the prediction is from the mean prediction for the rows of that class, which also
    detects out-of-distribution rows (`score_samples`).

    `X` may be whatever the estimator takes: tables, sparse matrices, DataFrames, texts before a vectorizer.

    Parameters
    ----------
    estimator : estimator
        Classifier with ``predict_proba``, or a pipeline that ends in one. It is cloned; wrapped in `FrozenEstimator`
        it is used as it is.
    reference : {"prior", "uniform", "templates"}, default="prior"
        Class frequencies of the training rows, the uniform distribution, or the mean prediction of each class.
    divergence : str, default="kl"
        Name of a divergence, a key of `sklkl.divergences.DIVERGENCES`; predictions are its first argument, references
        its second.
    smoothing : float, default=0.0
        Share of the uniform distribution mixed into predictions and references, in [0, 1]. Without it a class that
        never occurs in a template makes the KL divergence infinite for predictions that give it some probability.
    cv : int, cross-validation generator, iterable or None, default=5
        How to predict the training rows for the templates: out of fold, as `sklearn.model_selection.check_cv` reads
        it, or, if None, by the estimator that was trained on them: one fit only and often the sharper score, but a
        classifier that memorises its rows has templates in which all other classes have probability zero. A
        `FrozenEstimator` always predicts them itself.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        Its class labels.
    references_ : ndarray of shape (1, n_classes) or (n_classes, n_classes)
        One distribution for each output column.
    n_features_in_ : int
        Number of columns seen in `fit`, if the classifier has it.
    feature_names_in_ : ndarray of str
        Names of the columns, if the classifier has them.

    References
    ----------
    Hendrycks, Basart, Mazeika, Zou, Kwon, Mostajabi, Steinhardt and Song, Scaling out-of-distribution detection for
    real-world settings, ICML 2022, section 4 (templates).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklkl.preprocessing import ProbaDivergence
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000)
    >>> unusual = ProbaDivergence(classifier, reference="templates").fit(X, y)
    >>> unusual.transform(X[[0, 77]]).round(1)
    array([[0. , 3.4, 7.6],
           [9.2, 0.4, 0.3]])
    >>> unusual.score_samples(X[[0, 77]]).round(2)
    array([-0.  , -0.32])
    """

    def __init__(
        self,
        estimator: Any,
        *,
        reference: Literal["prior", "uniform", "templates"] = "prior",
        divergence: DivergenceName = "kl",
        smoothing: float = 0.0,
        cv: Any = 5,
    ) -> None:
        self.estimator = estimator
        self.reference = reference
        self.divergence = divergence
        self.smoothing = smoothing
        self.cv = cv

    def fit(self, X: MatrixLike, y: ArrayLike, **fit_params: Any) -> ProbaDivergence:
        """Fit the classifier and learn the references.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list
            What the estimator takes.
        y : array-like of shape (n_samples,)
            Class labels.
        **fit_params : dict
            Passed to ``fit`` of the estimator; with metadata routing enabled, to whatever requests them, ``groups`` to
            `cv` for instance. The estimator's ``sample_weight`` also weights class frequencies and templates.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not allowed, the estimator has no ``predict_proba``, `y` is no classification target or
            has labels that the estimator does not know, or a class has no rows to make a template of.
        """
        self._check_params()
        check_targets(y)
        X, labels = indexable(X, column_or_1d(y, warn=True))
        routed = self._routed(fit_params)
        params = routed.estimator.fit
        weight = _check_sample_weight(params.get("sample_weight"), X, dtype=np.float64, ensure_non_negative=True)
        splits = self._splits(X, labels, routed.splitter.split)
        estimator = clone(self.estimator).fit(X, labels, **params)
        codes = class_codes("y", labels, estimator.classes_)
        if self.reference == "templates":
            proba = self._training_proba(estimator, X, labels, splits, params)
            references = _templates(proba, codes, estimator.classes_, weight)
        else:
            n_classes = len(estimator.classes_)
            masses = np.bincount(codes, weight, n_classes) if self.reference == "prior" else np.ones(n_classes)
            references = (masses / masses.sum())[None, :]
        self.estimator_, self.classes_, self.references_ = estimator, estimator.classes_, references
        self._n_features_out = len(references)
        return self

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Return the divergence of the predicted probabilities from each reference.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list
            What the estimator takes.

        Returns
        -------
        ndarray of shape (n_samples, 1) or (n_samples, n_classes)
            Divergences, in nats if the divergence has a unit.
        """
        check_is_fitted(self)
        proba = aligned_proba(self.estimator_, X, self.classes_)
        return pairwise_divergence(
            proba, self.references_, metric=self.divergence, normalize=True, smoothing=self.smoothing
        )

    def score_samples(self, X: MatrixLike) -> np.ndarray:
        """Return how normal each row is: the lower, the more out of distribution.

        For "templates" minus the divergence from the nearest template; for "prior" and "uniform" the divergence itself,
        because an unconfident prediction is a sign of a row unlike the training rows.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list
            What the estimator takes.

        Returns
        -------
        ndarray of shape (n_samples,)
            Scores, comparable with those of scikit-learn's outlier detectors in sign only.
        """
        values = self.transform(X)
        return 0.0 - values.min(axis=1) if self.reference == "templates" else values[:, 0]

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the fitted classifier has seen."""
        return self._seen_by_estimator("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns that the fitted classifier has seen."""
        return self._seen_by_estimator("feature_names_in_")

    def get_metadata_routing(self) -> MetadataRouter:
        """Return where metadata given to `fit` go: to the estimator and to the splitter `cv`."""
        to_fit, to_split = (MethodMapping().add(caller="fit", callee=callee) for callee in ("fit", "split"))
        router = MetadataRouter(owner=self.__class__.__name__).add(estimator=self.estimator, method_mapping=to_fit)
        return router.add(splitter=self.cv, method_mapping=to_split)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = deepcopy(get_tags(self.estimator).input_tags)
        tags.target_tags.required = True
        return tags

    def _check_params(self) -> None:
        if isinstance(self.estimator, type) or not (hasattr(self.estimator, "fit") and predicts_proba(self.estimator)):
            raise invalid("estimator", self.estimator, "a classifier with fit and predict_proba", "ProbaDivergence")
        check_choice("reference", self.reference, REFERENCES, of="ProbaDivergence")
        check_choice("divergence", self.divergence, DIVERGENCES, of="ProbaDivergence")
        check_number("smoothing", self.smoothing, "a number in [0, 1]", high=1.0, of="ProbaDivergence")

    def _routed(self, fit_params: dict[str, Any]) -> Bunch:
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **fit_params)
        return Bunch(estimator=Bunch(fit=fit_params), splitter=Bunch(split={}))

    def _splits(self, X: MatrixLike, y: np.ndarray, params: dict[str, Any]) -> Splits | None:
        """Return the splits for predictions out of fold; None if the fitted estimator itself is to predict."""
        if self.reference != "templates" or self.cv is None or isinstance(self.estimator, FrozenEstimator):
            return None
        splits = check_cv(self.cv, y, classifier=True).split(X, y, **params)
        return checked_splits("cv", self.cv, splits, len(y))

    def _training_proba(
        self, fitted: Any, X: MatrixLike, y: np.ndarray, splits: Splits | None, params: dict[str, Any]
    ) -> np.ndarray:
        if splits is None:
            return aligned_proba(fitted, X, fitted.classes_)
        return out_of_fold_proba(self.estimator, X, y, splits, params, fitted.classes_)

    def _seen_by_estimator(self, name: str) -> Any:
        if not hasattr(getattr(self, "estimator_", None), name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.estimator_, name)


def _templates(proba: np.ndarray, codes: np.ndarray, classes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weighted mean probabilities of the rows of each class, rows without a prediction left out."""
    used = (weight > 0) & ~np.isnan(proba).any(axis=1)
    templates = np.empty((len(classes), len(classes)))
    for code, label in enumerate(classes.tolist()):
        rows = used & (codes == code)
        if not rows.any():
            allowed = "labels with a predicted row of positive weight of each class"
            raise invalid_input("y", f"none of class {label!r}", allowed, "ProbaDivergence")
        templates[code] = np.average(proba[rows], axis=0, weights=weight[rows])
    return templates
