"""Divergence of each row from the mean distribution of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils import Tags

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import check_choice, check_number, invalid
from sklkl._utils.sklearn_private import _check_sample_weight
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl._utils.validation import check_none_missing, check_targets, checked_data
from sklkl.divergences import DIVERGENCES, pairwise_divergence
from sklkl.divergences._registry import DivergenceName
from sklkl.divergences._signatures import NumpyLike
from sklkl.preprocessing._rows import (
    INPUT,
    Rows,
    RowsTransformer,
    check_rows,
    dense_blocks,
    distributions,
    is_sparse,
    mean_distribution,
)
from sklkl.preprocessing._sparse_kl import sparse_kl

__all__ = ["DivergenceToPrototypes"]


class DivergenceToPrototypes(RowsTransformer):
    """Divergence of each row, read as a distribution, from the prototype of each class.

    The prototype of a class is the weighted sum of its rows plus `prior_count` in every column, normalised. Rows may
    be counts, histograms, tf-idf or topic shares. With ``metric="kl"`` the nearest prototype is the prediction of
    multinomial naive Bayes with a flat class prior, and sparse rows stay sparse; unlike the likelihoods of naive Bayes
    the divergences do not grow with the length of a document.

    Parameters
    ----------
    metric : str, default="kl"
        Name of a divergence, a key of `sklkl.divergences.DIVERGENCES`; rows are its first argument, prototypes its
        second. All but "kl" make blocks of sparse rows dense.
    prior_count : float, default=0.1
        Pseudo-count added to every entry of a prototype, in units of the data, >= 0. With 0, and without `smoothing`,
        a word that never occurs in a class makes the KL divergence from that class infinite.
    smoothing : float, default=0.0
        Share of the uniform distribution mixed into rows and prototypes, in [0, 1].
    metric_params : dict, default=None
        The metric's own parameters, such as ``{"alpha": 2}``, or ``{"base": 2}`` for bits.

    Attributes
    ----------
    prototypes_ : ndarray of shape (n_classes, n_features)
        The distribution of each class.
    mean_distribution_ : ndarray of shape (n_features,)
        Mean of the training distributions; it replaces rows of zeros, and is the prototype of a class of such rows.
    classes_ : ndarray of shape (n_classes,)
        Class labels; output columns are in their order.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns, if all are strings.

    References
    ----------
    Rennie, Shih, Teevan and Karger, Tackling the poor assumptions of naive Bayes text classifiers, ICML 2003.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklkl.preprocessing import DivergenceToPrototypes
    >>> texts = ["rain and wind", "wind and snow", "goals and cards", "late goal"]
    >>> model = make_pipeline(CountVectorizer(), DivergenceToPrototypes())
    >>> model = model.fit(texts, ["weather", "weather", "sport", "sport"])
    >>> model.transform(["snow and rain", "goal"]).round(2)
    array([[2.16, 0.51],
           [1.66, 4.22]])
    """

    def __init__(
        self,
        metric: DivergenceName = "kl",
        *,
        prior_count: float = 0.1,
        smoothing: float = 0.0,
        metric_params: dict[str, Any] | None = None,
    ) -> None:
        self.metric = metric
        self.prior_count = prior_count
        self.smoothing = smoothing
        self.metric_params = metric_params

    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> DivergenceToPrototypes:
        """Learn the prototypes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0 of the rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is outside its range, `X` has negative entries or sums beyond the largest float, or `y` is no
            classification target.
        """
        self._check_params()
        check_none_missing(y)
        X, y = checked_data(self, to_numpy("X", X), y, **INPUT)
        check_targets(y)
        X = check_rows(X, "DivergenceToPrototypes.fit")
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._n_features_out = len(self.classes_)
        self.mean_distribution_ = mean_distribution(X, weight)
        sums = _class_sums(X, codes, len(self.classes_), weight)
        self.prototypes_ = distributions(sums + self.prior_count, self.mean_distribution_)
        return self

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Return the divergence of each row from each prototype.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Divergences, in nats if the metric has a unit.
        """
        P, dtype = self._rows(X)
        if is_sparse(P) and self.metric == "kl" and not self.metric_params:
            values = sparse_kl(P, self.prototypes_, self.smoothing)
        else:
            values = np.concatenate([self._divergence(block, self.prototypes_) for block in dense_blocks(P)])
        return values.astype(dtype, copy=False)

    def _check_params(self) -> None:
        check_choice("metric", self.metric, DIVERGENCES, of="DivergenceToPrototypes")
        check_number("prior_count", self.prior_count, "a finite number >= 0", of="DivergenceToPrototypes")
        check_number("smoothing", self.smoothing, "a number in [0, 1]", high=1.0, of="DivergenceToPrototypes")
        try:
            self._divergence([[1.0]], [[1.0]])
        except TypeError as error:
            allowed = f"None or a dict of parameters of the metric {self.metric!r}"
            raise invalid("metric_params", self.metric_params, allowed, "DivergenceToPrototypes") from error

    def _divergence(self, P: NumpyLike, Q: NumpyLike) -> np.ndarray:
        params = self.metric_params or {}
        return pairwise_divergence(P, Q, metric=self.metric, normalize=True, smoothing=self.smoothing, **params)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _class_sums(X: Rows, codes: np.ndarray, n_classes: int, weight: np.ndarray) -> np.ndarray:
    """Return the weighted sum of the rows of each class, of shape (n_classes, n_features)."""
    members = csr_matrix((weight, (codes, np.arange(len(codes)))), shape=(n_classes, len(codes)))
    sums = members @ X
    sums = sums.toarray() if is_sparse(sums) else sums
    with np.errstate(over="ignore"):
        if not np.isfinite(sums.sum()):
            raise ValueError("Values too large in data passed to DivergenceToPrototypes.fit: their sum is infinite")
    return sums
