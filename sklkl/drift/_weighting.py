"""``DensityRatioWeighter``: training for rows whose features are distributed differently."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from sklkl._utils.arrays import indexable
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.predicts_proba import PredictsProba
from sklkl._utils.sklearn_private import (
    HasMethods,
    Interval,
    StrOptions,
    _check_sample_weight,
    _num_samples,
    _routing_enabled,
    check_params,
)
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl._utils.validation import checked_array, with_columns_checked
from sklkl.divergences._classifier import LogRatio, cross_fitted
from sklkl.divergences._estimate import generator
from sklkl.drift._kliep import KernelRatio, fit_kernel_ratio

__all__ = ["DensityRatioWeighter"]

_CONSTRAINTS: dict[str, list[Any]] = {
    "estimator": [HasMethods(["fit"])],
    "method": [StrOptions({"kliep", "classifier"})],
    "classifier": [PredictsProba("fit"), None],
    "cv": ["cv_object"],
    "n_centers": [Interval(Integral, 1, None, closed="left")],
    "bandwidth": [StrOptions({"cv"}), Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
}

# Mean density ratio of the training rows, which should be 1, below which they hold nothing like the target rows.
_LEAST_SHARE = 0.01


def no_shift(X: Any) -> np.ndarray:
    """Return a ratio of one at each row."""
    return np.ones(_num_samples(X))


class _MeanRatio:
    """The geometric mean of the ratios of several classifiers."""

    def __init__(self, log_ratios: list[LogRatio]) -> None:
        self.log_ratios = log_ratios

    def __call__(self, rows: Any) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(np.mean([log_ratio(rows) for log_ratio in self.log_ratios], axis=0))


def _estimator_has(method: str) -> Callable[[Any], bool]:
    """Return a check for a method of the fitted estimator, or of the given one before."""

    def check(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class DensityRatioWeighter(MetaEstimatorMixin, BaseEstimator):
    """Train an estimator for target rows by weighting the training rows with the ratio of the two densities.

    Under covariate shift the features are distributed differently where the estimator is used than where it was
    trained, but y depends on them in the same way. The loss on target rows is then the loss on training rows weighted
    by ``w(x) = p_target(x) / p_train(x)``, which can be estimated from unlabelled target rows. This helps an
    estimator that is misspecified, which then fits best where the target rows are. It increases the variance, the more
    the smaller `effective_sample_size_`; a well-specified estimator only loses by it.

    Parameters
    ----------
    estimator : classifier or regressor whose ``fit`` accepts ``sample_weight``
        Cloned and fitted with the weights. A pipeline accepts weights if metadata routing is enabled and its steps
        request them.
    method : {"kliep", "classifier"}, default="kliep"
        How the ratio is estimated. ``"kliep"``: a mixture of Gaussian kernels that maximises the likelihood of the
        target rows, for a few numeric features. ``"classifier"``: the odds of a classifier that tells target rows
        from training rows, for many features, of any kind that the classifier accepts.
    classifier : classifier with ``predict_proba`` or None, default=None
        For ``method="classifier"``. None is kernel logistic regression, good for ratios of any smooth shape; with few
        rows, or if only means have changed, logistic regression on standardised features has less variance.
    cv : int >= 2, cross-validation splitter or iterable, default=5
        Folds for the choice of the bandwidth (an int only), or for the classifier, whose odds are always those of
        rows that it was not trained on; those are the target rows, followed by the training rows.
    n_centers : int >= 1, default=100
        Largest number of kernels; their centres are drawn from the target rows.
    bandwidth : float > 0 or "cv", default="cv"
        Standard deviation of the kernels, in standard deviations of the features in the training rows. ``"cv"``
        chooses it by cross-validated likelihood.
    random_state : int, RandomState instance or None, default=None
        Seed for centres and folds.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    weights_ : array of shape (n_samples,)
        Estimated density ratio at the training rows, of mean 1; without the `sample_weight` given to :meth:`fit`.
    effective_sample_size_ : float
        Kish's ``(Σ w)² / Σ w²``: as many rows of equal weight would be as precise.
    classes_ : array of shape (n_classes,)
        Class labels; only if `estimator_` has them.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of str
        Names of the features; only if all are strings.

    References
    ----------
    Shimodaira, Improving predictive inference under covariate shift by weighting the log-likelihood function, Journal
    of Statistical Planning and Inference 90, 2000. Sugiyama, Suzuki, Nakajima, Kashima, von Bünau and Kawanabe, Direct
    importance estimation for covariate shift adaptation, Annals of the Institute of Statistical Mathematics 60, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklkl.drift import DensityRatioWeighter
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(0, 1, (200, 1)), rng.normal(1, 0.5, (200, 1))
    >>> y, y_target = X.ravel() ** 2, X_target.ravel() ** 2
    >>> weighted = DensityRatioWeighter(LinearRegression(), random_state=0)
    >>> weighted = weighted.fit(X, y, X_target)
    >>> unweighted = LinearRegression().fit(X, y)
    >>> weighted.score(X_target, y_target) > unweighted.score(X_target, y_target)
    True
    """

    _parameter_constraints = _CONSTRAINTS

    def __init__(
        self,
        estimator: Any,
        *,
        method: Literal["kliep", "classifier"] = "kliep",
        classifier: Any = None,
        cv: Any = 5,
        n_centers: int = 100,
        bandwidth: float | Literal["cv"] = "cv",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.classifier = classifier
        self.cv = cv
        self.n_centers = n_centers
        self.bandwidth = bandwidth
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Return the estimator's own tags: its type, and what X and y may be."""
        tags = deepcopy(get_tags(self.estimator))
        tags.transformer_tags = None
        tags.array_api_support = False
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return that `sample_weight` and `X_target` are for this estimator and all else is for the one inside."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=self.estimator, method_mapping=mapping)

    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        X_target: MatrixLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> DensityRatioWeighter:
        """Estimate the weights of the training rows and fit the estimator with them.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        X_target : array-like, sparse matrix or dataframe of shape (n_target, n_features), default=None
            Rows without targets, as they are met where the estimator is used. None means that they are like the
            training rows: all weights are 1. Cross-validation passes X_target on as a whole, except if it happens to
            have as many rows as X: then scikit-learn takes it for aligned with X and passes the rows of the fold's
            training part only. They are still target rows, only fewer.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights to be multiplied with the estimated ones. The densities are estimated without them.
        **fit_params : dict
            Passed to the estimator's ``fit``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the estimator does not accept sample weights, a parameter or input is not allowed, or no training row
            is like the target rows.
        """
        check_params(self)
        self._require_weights()
        routed = process_routing(self, "fit", **fit_params).estimator.fit if _routing_enabled() else fit_params
        with_columns_checked(self, X)
        self._ratio: Callable[[Any], np.ndarray] = no_shift
        self._mean_ratio = 1.0
        ratios = np.ones(_num_samples(X)) if X_target is None else self._ratios(X, X_target)
        if sample_weight is not None:
            routed = {**routed, "sample_weight": _check_sample_weight(sample_weight, X, dtype=np.float64) * ratios}
        elif X_target is not None:
            routed = {**routed, "sample_weight": ratios}
        self.estimator_ = clone(self.estimator).fit(X, y, **routed)
        self.weights_ = ratios
        self.effective_sample_size_ = float(ratios.sum() ** 2 / (ratios**2).sum())
        return self

    def _require_weights(self) -> None:
        """Raise a ValueError if the estimator takes no sample weights, directly or by metadata routing."""
        routing = get_routing_for_object(self.estimator)
        if not has_fit_parameter(self.estimator, "sample_weight") and not routing.consumes("fit", ["sample_weight"]):
            allowed = (
                "an estimator whose fit accepts sample_weight, or, with metadata routing enabled, one with a step that "
                "requests it by set_fit_request(sample_weight=True)"
            )
            raise invalid("estimator", self.estimator, allowed, "DensityRatioWeighter")

    def _ratios(self, X: MatrixLike, X_target: MatrixLike) -> np.ndarray:
        try:
            with_columns_checked(self, X_target, reset=False)
        except ValueError as error:
            raise ValueError(f"X_target must have the columns of X. {error}") from error
        X, X_target = indexable("X", X), indexable("X_target", X_target)
        ratios = self._kernel_ratios(X, X_target) if self.method == "kliep" else self._odds(X, X_target)
        self._mean_ratio = float(ratios.mean())
        return ratios / self._mean_ratio

    def _kernel_ratios(self, X: MatrixLike, X_target: MatrixLike) -> np.ndarray:
        rows = checked_array("X", X, dtype=np.float64)
        target = checked_array("X_target", X_target, dtype=np.float64)
        bandwidth = None if isinstance(self.bandwidth, str) else self.bandwidth
        most = min(len(rows), len(target))
        if bandwidth is None and not (isinstance(self.cv, Integral) and self.cv <= most):
            raise invalid("cv", self.cv, f"an integer from 2 to {most}, the smaller sample", "DensityRatioWeighter")
        n_centers = int(self.n_centers)  # numpy does not count True as 1
        ratio = fit_kernel_ratio(rows, target, n_centers, bandwidth, self.cv, generator(self.random_state))
        self._ratio = ratio
        return ratio(rows)

    def _odds(self, X: Any, X_target: Any) -> np.ndarray:
        _, log_ratio, fitted = cross_fitted(X_target, X, self.classifier, self.cv, self.random_state)
        self._ratio = _MeanRatio(fitted)
        with np.errstate(over="ignore"):
            ratios = np.exp(log_ratio)
        share = ratios.mean()
        if not _LEAST_SHARE <= share < np.inf:
            allowed = "samples that overlap: target rows that the classifier can mistake for training rows"
            found = f"mean odds of the training rows of {share:.1g}, where 1 is expected,"
            raise invalid_input(("X", "X_target"), found, allowed, "DensityRatioWeighter")
        return ratios

    def density_ratio(self, X: MatrixLike) -> np.ndarray:
        """Return the estimated ratio of the target to the training density at new rows.

        High where the target rows are and the training rows are not: it says which rows the training rows do not
        cover. It is scaled as `weights_`, to a mean of 1 over the training rows. For ``method="classifier"`` it is
        the geometric mean of the ratios by the classifiers of all folds; at training rows `weights_` are better,
        each being by the classifier that has not seen the row.

        Parameters
        ----------
        X : array-like, sparse matrix or dataframe of shape (n_rows, n_features)
            Rows, with the columns of the training rows.

        Returns
        -------
        array of shape (n_rows,)
            Ratios >= 0; all 1 if there were no target rows.

        Raises
        ------
        ValueError
            If the columns are not those of :meth:`fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LinearRegression
        >>> from sklkl.drift import DensityRatioWeighter
        >>> rng = np.random.default_rng(0)
        >>> X, X_target = rng.normal(0, 1, (500, 1)), rng.normal(1, 1, (500, 1))
        >>> weighter = DensityRatioWeighter(LinearRegression(), random_state=0)
        >>> weighter = weighter.fit(X, X.ravel(), X_target)
        >>> before, between, after = weighter.density_ratio([[-1.0], [0.5], [2.0]])
        >>> bool(before < between < after)
        True
        """
        check_is_fitted(self)
        with_columns_checked(self, X, reset=False)
        X = indexable("X", X)
        if isinstance(self._ratio, KernelRatio):
            X = checked_array("X", X, dtype=np.float64)
        return self._ratio(X) / self._mean_ratio

    @property
    def classes_(self) -> np.ndarray:
        """Class labels of the fitted estimator."""
        return self.estimator_.classes_

    @available_if(_estimator_has("predict"))
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the estimator's predictions for `X`."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the estimator's class probabilities for `X`."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the logarithms of the estimator's class probabilities for `X`."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return the estimator's decision function for `X`."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> float:
        """Return the estimator's own score of `X` and `y`, weighted by `sample_weight` if given."""
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(X, y, **weights)
