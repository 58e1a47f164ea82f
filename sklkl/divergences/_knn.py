"""Kullback-Leibler divergence between two samples from distances to nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import digamma
from sklearn.neighbors import KDTree

from sklkl._utils.checks import check_integer
from sklkl._utils.types import ArrayLike, RandomState
from sklkl._utils.validation import checked_array
from sklkl.divergences._estimate import Estimate, as_samples, check_interval, generator, kl_estimate

__all__ = ["knn_kl_divergence"]

# Distances a block of rows holds.
_BLOCK = 2**21

# From so many features on, comparing all pairs is faster than a tree.
_MANY_FEATURES = 10

# Distances that differ by less than this share are equal: decimal numbers such as 1000.1 have no exact differences.
_TIE = 1e-7

# Rows nearer than this, in standard deviations of the features, are at one point.
_POINT = 1e-9

# Spread of a feature, relative to its largest value, that is rounding.
_CONSTANT = 10 * np.finfo(np.float64).eps


def knn_kl_divergence(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    k: int = 3,
    confidence_level: float | None = None,
    n_resamples: int = 999,
    random_state: RandomState = None,
) -> float | Estimate:
    """Kullback-Leibler divergence ``KL(P‖Q)`` from samples, by nearest neighbours; in nats.

    The density ratio at a row of X is that of the two counts in the ball around it that just holds k other rows of X
    and k rows of Y. Equal and rounded rows are allowed; where rows of X repeat that Y has much more rarely than what is
    around them, the two counts at that very point are compared. Where P and Q are close, negative estimates are as
    common as positive ones; they are not clipped, because that would add a bias. The estimate is biased, mostly towards
    0, if there are few rows or many features, above all correlated ones (see `classifier_kl_divergence`); and it is
    finite even if the divergence is infinite.

    Parameters
    ----------
    X : array-like of shape (n, d) or (n,)
        Sample of P, one row each. The features' units do not matter.
    Y : array-like of shape (m, d) or (m,)
        Sample of Q, independent of X.
    k : int, default=3
        Neighbours, from 1 to n - 1 and at most m. More of them reduce the variance and increase the bias.
    confidence_level : float, optional
        Return an interval that is to cover the estimate's expectation with this probability. It does not cover the
        estimate's bias.
    n_resamples : int, default=999
        Number of bootstrap samples behind the interval, drawn from the rows' local ratios, because a
        search for neighbours among repeated rows would be biased.
    random_state : None, int, Generator or RandomState
        Draws the bootstrap samples; None is different every time. The estimate itself is deterministic.

    Returns
    -------
    float or Estimate
        The estimate, with its interval if `confidence_level` is given.

    Raises
    ------
    ValueError
        If the samples are not finite numbers or their features differ, or an option is outside its range.

    References
    ----------
    Wang, Kulkarni and Verdú, Divergence estimation for multidimensional densities via k-nearest-neighbor distances,
    IEEE Transactions on Information Theory 55, 2009: the adaptive choice of k, here with counts instead of distances.
    Kraskov, Stögbauer and Grassberger, Estimating mutual information, Physical Review E 69, 2004: counts in a ball that
    another sample has set.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import knn_kl_divergence
    >>> random = np.random.default_rng(0)
    >>> X, Y = random.normal(0, 1, 1000), random.normal(1, 1, 1000)  # KL is 0.5
    >>> round(knn_kl_divergence(X, Y), 1)
    0.5
    >>> estimate = knn_kl_divergence(X, Y, confidence_level=0.95, random_state=0)
    >>> estimate.low < 0.5 < estimate.high
    True
    """
    X, Y = _samples(X, Y)
    check_integer(
        "k", k, 1, min(len(X) - 1, len(Y)), f", with {len(X)} rows of X and {len(Y)} of Y", of="knn_kl_divergence"
    )
    check_interval(confidence_level, n_resamples)
    log_ratio_X, ratio_Y = _local_ratios(X, Y, int(k), confidence_level is not None)
    return kl_estimate(log_ratio_X, ratio_Y, confidence_level, n_resamples, generator(random_state))


def _samples(X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples as float64 arrays, each feature divided by its standard deviation within them.

    The divergence does not depend on the features' units, so neither must its estimate.
    """
    X, Y = as_samples(X, Y)
    X = checked_array("X", X, dtype=np.float64)
    Y = checked_array("Y", Y, dtype=np.float64)
    # by powers of two, hence exactly, to magnitudes whose squares neither overflow nor vanish
    _, exponent = np.frexp(np.maximum(np.abs(X).max(axis=0), np.abs(Y).max(axis=0)))
    X, Y = np.ldexp(X, -exponent), np.ldexp(Y, -exponent)
    scale = np.sqrt(np.average([X.var(axis=0), Y.var(axis=0)], axis=0, weights=[len(X), len(Y)]))
    scale[scale < _CONSTANT] = 1.0
    return X / scale, Y / scale


def _local_ratios(X: np.ndarray, Y: np.ndarray, k: int, of_Y: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return ``log p(x)/q(x)`` at the rows of X and ``p(y)/q(y)`` at the rows of Y, zeros unless `of_Y`."""
    from_X, from_Y = _distances_to(X), _distances_to(Y)
    step = max(1, _BLOCK // max(len(X), len(Y)))
    log_ratio, ratio = np.empty(len(X)), np.zeros(len(Y))
    for start in range(0, len(X), step):
        rows = X[start : start + step]
        to_Y = from_Y(rows)
        log_ratio[start : start + step], radius, in_Y = _ball_ratios(from_X(rows), to_Y, k)
        if of_Y:  # each row of Y shares in all counts
            ratio += to_Y.sums(radius, 1 / np.maximum(in_Y, 1))
    return log_ratio + np.log(len(Y) / (len(X) - 1)), ratio * (len(Y) / len(X))


def _ball_ratios(to_X: _Distances, to_Y: _Distances, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the log-ratio of the counts in a ball around each row, its radius, and how many rows of Y it holds.

    The ball is the smallest with k rows of each sample. Where it had to be widened for one of them, the other's count
    is binomial, and ψ(count + 1) its logarithm without bias; a count that the ball was chosen for has ψ(count).
    """
    reach_X, reach_Y = to_X.kth(k + 1), to_Y.kth(k)  # nearest of X is the row itself
    radius = np.maximum(reach_X, reach_Y) * (1 + _TIE)
    inside_X, inside_Y = (reach < radius * (1 - 2 * _TIE) for reach in (reach_X, reach_Y))
    in_X, in_Y = to_X.count(radius) - 1, to_Y.count(radius)
    log_ratio = digamma(in_X + inside_X) - digamma(in_Y + inside_Y)
    repeated = (reach_X <= _POINT) & (radius > _POINT)
    if not repeated.any():
        return log_ratio, radius, in_Y
    point = np.full(len(radius), _POINT)
    at_X, at_Y = to_X.count(point) - 1, to_Y.count(point)
    # A point that X repeats and Y hardly has: were it like its surroundings, Y would have `expected` rows there.
    expected = in_Y * at_X / np.maximum(in_X, 1)
    special = repeated & (expected > at_Y + 3 * np.sqrt(at_Y) + 5)
    log_ratio = np.where(special, digamma(at_X + 1) - digamma(at_Y + 1), log_ratio)
    return log_ratio, np.where(special, point, radius), np.where(special, at_Y, in_Y)


class _Distances(Protocol):
    """Distances from the rows of a block to all points of a sample."""

    def kth(self, k: int) -> np.ndarray:
        """Return each row's distance to its k-th nearest point."""

    def count(self, radius: np.ndarray) -> np.ndarray:
        """Return the number of points within each row's radius."""

    def sums(self, radius: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return for each point the sum of the weights of the rows within whose radius it is."""


def _distances_to(points: np.ndarray) -> Callable[[np.ndarray], _Distances]:
    if points.shape[1] >= _MANY_FEATURES:
        return lambda rows: _AllDistances(cdist(rows, points))
    tree = KDTree(points)
    return lambda rows: _TreeDistances(tree, rows)


@dataclass(frozen=True)
class _TreeDistances:
    tree: KDTree
    rows: np.ndarray

    def kth(self, k: int) -> np.ndarray:
        return self.tree.query(self.rows, k)[0][:, -1]

    def count(self, radius: np.ndarray) -> np.ndarray:
        return self.tree.query_radius(self.rows, radius, count_only=True)

    def sums(self, radius: np.ndarray, weight: np.ndarray) -> np.ndarray:
        within = self.tree.query_radius(self.rows, radius)
        weights = np.repeat(weight, [len(points) for points in within])
        return np.bincount(np.concatenate(within), weights, minlength=len(self.tree.data))


@dataclass(frozen=True)
class _AllDistances:
    values: np.ndarray

    def kth(self, k: int) -> np.ndarray:
        return np.partition(self.values, k - 1, axis=1)[:, k - 1]

    def count(self, radius: np.ndarray) -> np.ndarray:
        return np.count_nonzero(self.values <= radius[:, None], axis=1)

    def sums(self, radius: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return weight @ (self.values <= radius[:, None])
