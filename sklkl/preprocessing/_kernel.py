"""A positive semi-definite kernel between distributions: the exponential of minus a divergence."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
from scipy.sparse import csr_matrix

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import check_choice, check_number
from sklkl._utils.types import MatrixLike
from sklkl._utils.validation import checked_data
from sklkl.divergences import pairwise_divergence
from sklkl.preprocessing._rows import (
    INPUT,
    Rows,
    RowsTransformer,
    check_rows,
    distributions,
    is_sparse,
    mean_distribution,
)
from sklkl.preprocessing._sparse_overlap import sparse_divergence

__all__ = ["DivergenceKernel"]

# Negative definite, so that exp(-gamma D) is positive semi-definite for every gamma (Schoenberg). JS and the square of
# the Hellinger distance are squared distances of a Hilbert space, total variation is half the L1 distance, and a
# power between 0 and 1 of a negative definite function is one again, which gives js_distance and hellinger.
KernelMetric: TypeAlias = Literal["hellinger", "js", "js_distance", "total_variation"]
METRICS = get_args(KernelMetric)

# gamma="median" looks at the divergences between at most this many training rows.
_MEDIAN_ROWS = 1000


class DivergenceKernel(RowsTransformer):
    """Kernel matrix ``exp(-gamma D(x, x'))`` between rows, read as distributions, and the training rows.

    For `SVC(kernel="precomputed")` behind it in a pipeline, for `SpectralClustering(affinity="precomputed")`, and
    other estimators that take a kernel. Rows may be counts, histograms, tf-idf or topic shares; of sparse rows only
    the columns that two of them have in common take time.

    Parameters
    ----------
    metric : {"js", "js_distance", "hellinger", "total_variation"}, default="js"
        Divergence D. These are negative definite, hence the kernel is positive semi-definite; KL and its relatives
        are not.
    gamma : float or "median", default=1.0
        Factor > 0; "median" is one over the median divergence between training rows (of at most 1000 of them, evenly
        spaced).

    Attributes
    ----------
    distributions_ : ndarray or sparse matrix of shape (n_samples_fit, n_features)
        The training rows, each divided by its sum.
    mean_distribution_ : ndarray of shape (n_features,)
        Their mean, which replaces rows of zeros.
    gamma_ : float
        The factor in use.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns, if all are strings.

    References
    ----------
    Fuglede and Topsøe, Jensen-Shannon divergence and Hilbert space embedding, ISIT 2004.
    Hein and Bousquet, Hilbertian metrics and positive definite kernels on probability measures, AISTATS 2005.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from sklkl.preprocessing import DivergenceKernel
    >>> counts = [[9, 1, 0], [4, 1, 1], [1, 0, 4], [0, 2, 7]]
    >>> DivergenceKernel("total_variation").fit_transform(counts).round(2)
    array([[1.  , 0.79, 0.45, 0.41],
           [0.79, 1.  , 0.53, 0.51],
           [0.45, 0.53, 1.  , 0.8 ],
           [0.41, 0.51, 0.8 , 1.  ]])
    >>> kernel = DivergenceKernel(gamma="median")
    >>> model = make_pipeline(kernel, SVC(kernel="precomputed"))
    >>> model.fit(counts, ["a", "a", "b", "b"]).predict([[50, 10, 10]])
    array(['a'], dtype='<U1')
    """

    def __init__(self, metric: KernelMetric = "js", *, gamma: float | Literal["median"] = 1.0) -> None:
        self.metric = metric
        self.gamma = gamma

    def fit(self, X: MatrixLike, y: None = None) -> DivergenceKernel:
        """Keep the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative rows.
        y : object, default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not allowed or `X` has negative entries.
        """
        check_choice("metric", self.metric, METRICS, of="DivergenceKernel")
        by_median = isinstance(self.gamma, str) and self.gamma == "median"
        if not by_median:
            check_number("gamma", self.gamma, "'median' or a finite number > 0", above=0.0, of="DivergenceKernel")
        rows = check_rows(checked_data(self, to_numpy("X", X), **INPUT), "DivergenceKernel.fit")
        self.mean_distribution_ = mean_distribution(rows)
        self.distributions_ = distributions(rows, self.mean_distribution_)
        self.gamma_ = _median_gamma(self.metric, self.distributions_) if by_median else float(self.gamma)
        self._n_features_out = rows.shape[0]
        return self

    def transform(self, X: MatrixLike) -> np.ndarray:
        """Return the kernel between the rows and the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative rows.

        Returns
        -------
        ndarray of shape (n_samples, n_samples_fit)
            Values in [0, 1], 1 for equal distributions; float32 if `X` is.
        """
        P, dtype = self._rows(X)
        values = _divergences(self.metric, P, self.distributions_)
        return np.exp(-self.gamma_ * values).astype(dtype, copy=False)


def _divergences(metric: KernelMetric, P: Rows, Q: Rows) -> np.ndarray:
    """Return the divergence of each row of `P` from each row of `Q`."""
    if is_sparse(P) or is_sparse(Q):
        return sparse_divergence(metric, csr_matrix(P), csr_matrix(Q))
    others = None if np.array_equal(P, Q) else Q  # of a symmetric matrix one half is enough
    return pairwise_divergence(P, others, metric=metric, normalize=True)


def _median_gamma(metric: KernelMetric, P: Rows) -> float:
    """Return one over the median divergence between rows of `P`; 1 if that is 0."""
    chosen = np.unique(np.linspace(0, P.shape[0] - 1, min(P.shape[0], _MEDIAN_ROWS)).astype(int))
    between = _divergences(metric, P[chosen], P[chosen])[np.triu_indices(len(chosen), k=1)]
    median = float(np.median(between)) if len(between) else 0.0
    return 1 / median if median > np.finfo(float).tiny else 1.0
