"""The ratio of two densities as a mixture of kernels, fitted to a sample of each: KLIEP.

Sugiyama, Suzuki, Nakajima, Kashima, von Bünau and Kawanabe, Direct importance estimation for covariate shift
adaptation, Annals of the Institute of Statistical Mathematics 60, 2008. Two things differ, both for the sake of small
samples: the mixture has a constant part, so that "no shift" is among the ratios and none is zero; and the bandwidth is
cross-validated on held-out rows of both samples, because a ratio of narrow kernels has a mean of one on the training
rows it was fitted to, and not on others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import StandardScaler

from sklkl._utils.checks import invalid_input

__all__ = ["KernelRatio", "fit_kernel_ratio"]

# Candidate bandwidths as multiples of the median distance of target rows from centres; the last is a constant ratio.
_MULTIPLES = np.array([0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, np.inf])
# Kernels that cover fewer training rows (or half of all), by Kish's count, are left out: such rows would get all the
# weight.
_LEAST_ROWS = 10
# The log-likelihood is maximised to within this many nats per target row.
_TOLERANCE = 1e-3
_MAX_ITER = 1000
# A longer step leaves a weight at least this part of what it has after two plain ones.
_LEAST_PART = 0.01
_BLOCK = 2**22  # values in a block of the kernel matrix of the training rows


@dataclass(frozen=True)
class KernelRatio:
    """The ratio ``r(x) = w_0 + Σ_l w_l K(x, c_l) / b_l`` of a target to a training density, K Gaussian.

    Parameters
    ----------
    centers : array of shape (n_centers, n_features)
        The points c_l, standardised by `scaler`.
    bandwidth : float
        Standard deviation of the kernels.
    kernel_means : array of shape (n_centers + 1,)
        Means b_l of the kernels over the training rows, after 1 for the constant.
    weights : array of shape (n_centers + 1,)
        Mixture weights w_l >= 0 of sum 1, so that the mean of the ratio over the training rows is 1.
    scaler : StandardScaler
        Makes the training rows' columns of mean 0 and variance 1.
    """

    centers: np.ndarray
    bandwidth: float
    kernel_means: np.ndarray
    weights: np.ndarray
    scaler: StandardScaler

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the ratio at each row of `X`."""
        coefficients, rows = self.weights / self.kernel_means, self.scaler.transform(X)
        blocks = (_kernels(rows[part], self.centers, self.bandwidth) for part in _parts(rows, self.centers))
        return np.concatenate([kernels @ coefficients for kernels in blocks])


def fit_kernel_ratio(
    X: np.ndarray, X_target: np.ndarray, n_centers: int, bandwidth: float | None, cv: int, rng: np.random.Generator
) -> KernelRatio:
    """Return the ratio of the density of `X_target` to that of `X`, both of shape (n_rows, n_features).

    `bandwidth`, in standard deviations of the columns of `X`, is chosen by cross-validation with `cv` folds if None.
    """
    scaler = StandardScaler().fit(X)
    rows, target = scaler.transform(X), scaler.transform(X_target)
    chosen = rng.choice(len(target), min(n_centers, len(target)), replace=False)
    centers = target[chosen]
    typical = np.median(euclidean_distances(target, centers)) or 1.0
    candidates = _MULTIPLES * typical if bandwidth is None else np.array([bandwidth])
    _require_overlap(rows, centers, candidates)
    width = float(candidates[0])
    if len(candidates) > 1:
        folds, target_folds = (rng.permutation(np.arange(len(x)) % cv) for x in (rows, target))
        scores = [_held_out_score(rows, target, folds, target_folds, chosen, candidate) for candidate in candidates]
        width = float(candidates[np.argmax(scores)])
    sums, covered = _kernel_sums(rows, np.zeros(len(rows), dtype=int), centers, width)
    kernels, kernel_means = _kernels(target, centers, width)[:, covered], sums[:, covered] / len(rows)
    weights = _mixture_weights(kernels, kernel_means, np.ones((1, len(target))), np.ones(kernel_means.shape))
    return KernelRatio(centers[covered[1:]], width, kernel_means[0], weights[0], scaler)


def _require_overlap(rows: np.ndarray, centers: np.ndarray, candidates: np.ndarray) -> None:
    """Raise a ValueError if even the widest kernel around no centre covers training rows enough."""
    widest = np.max(candidates[np.isfinite(candidates)])
    _, covered = _kernel_sums(rows, np.zeros(len(rows), dtype=int), centers, widest)
    if not covered[1:].any():
        allowed = f"samples that overlap: one target row at least must have {_LEAST_ROWS} training rows around it"
        raise invalid_input(("X", "X_target"), f"samples that do not at a bandwidth of {widest:.3g}", allowed)


def _held_out_score(
    rows: np.ndarray,
    target: np.ndarray,
    folds: np.ndarray,
    target_folds: np.ndarray,
    chosen: np.ndarray,
    bandwidth: float,
) -> float:
    """Return the mean over folds of ``mean log r(target rows) - log mean r(training rows)``, in nats.

    That is a lower bound of KL(target‖training), which the true ratio attains (Donsker and Varadhan). A held-out
    target row is no centre.
    """
    n_folds = folds.max() + 1
    sums, covered = _kernel_sums(rows, folds, target[chosen], bandwidth)
    kernels, sums = _kernels(target, target[chosen], bandwidth)[:, covered], sums[:, covered]
    sizes = np.bincount(folds)[:, None]
    kernel_means = (sums.sum(axis=0) - sums) / (len(rows) - sizes)
    fitted = target_folds != np.arange(n_folds)[:, None]
    allowed = np.insert(fitted[:, chosen], 0, True, axis=1)[:, covered] & (kernel_means > 0)
    kernel_means[~allowed] = 1.0
    coefficients = _mixture_weights(kernels, kernel_means, fitted, allowed) / kernel_means
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(fitted, 0.0, np.log(coefficients @ kernels.T))
        gains = logs.sum(axis=1) / (~fitted).sum(axis=1) - np.log(np.sum(coefficients * sums / sizes, axis=1))
    return float(np.mean(gains)) if np.isfinite(gains).all() else -np.inf


def _mixture_weights(
    kernels: np.ndarray, kernel_means: np.ndarray, fitted: np.ndarray, allowed: np.ndarray
) -> np.ndarray:
    """Return maximum likelihood weights of mixtures, of shape (n_mixtures, n_kernels).

    A component is a row of `kernels`, of shape (n_rows, n_kernels), over its mean, of shape (n_mixtures, n_kernels).
    Mixture k is fitted to the rows where ``fitted[k]`` with the components where ``allowed[k]``. The largest gradient
    less one bounds how far the concave log-likelihood is from its maximum.

    Steps are those of expectation-maximisation, lengthened, which takes a tenth of their number: SQUAREM of Varadhan
    and Roland, Simple and globally convergent methods for accelerating the convergence of any EM algorithm,
    Scandinavian Journal of Statistics 35, 2008.
    """
    shares = fitted / np.sum(fitted, axis=1, keepdims=True)

    def gradient(weights: np.ndarray) -> np.ndarray:
        return (shares / ((weights / kernel_means) @ kernels.T)) @ kernels / kernel_means

    weights = allowed / np.sum(allowed, axis=1, keepdims=True)
    for _ in range(_MAX_ITER):
        slopes = gradient(weights)
        if np.max(slopes, where=allowed > 0, initial=0.0) <= 1 + _TOLERANCE:
            break
        once = weights * slopes
        weights = _lengthened(weights, once, once * gradient(once))
    return weights


def _lengthened(weights: np.ndarray, once: np.ndarray, twice: np.ndarray) -> np.ndarray:
    """Return where weights, a mixture a row, get to from what one step and two make of them; at least two steps far."""
    step, bend = once - weights, twice - 2 * once + weights
    squares = (np.sum(part**2, axis=1, keepdims=True) for part in (step, bend))
    length = np.sqrt(np.maximum(next(squares) / np.maximum(next(squares), np.finfo(float).tiny), 1.0))
    # a weight that vanished would never come back
    longer = np.maximum(weights + 2 * length * step + length**2 * bend, _LEAST_PART * twice)
    return longer / np.sum(longer, axis=1, keepdims=True)


def _kernels(rows: np.ndarray, centers: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return the constant 1 and the kernels of each row, of shape (n_rows, 1 + n_centers)."""
    if not len(centers):
        return np.ones((len(rows), 1))
    distances = euclidean_distances(rows, centers, squared=True)
    return np.insert(np.exp(-distances / (2 * bandwidth**2)), 0, 1.0, axis=1)


def _kernel_sums(
    rows: np.ndarray, folds: np.ndarray, centers: np.ndarray, bandwidth: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of the kernels over the rows of each fold, and which kernels cover rows enough."""
    membership = (folds == np.arange(folds.max() + 1)[:, None]).astype(np.float64)
    sums, squares = np.zeros((len(membership), len(centers) + 1)), np.zeros(len(centers) + 1)
    for part in _parts(rows, centers):
        kernels = _kernels(rows[part], centers, bandwidth)
        sums += membership[:, part] @ kernels
        squares += np.sum(kernels**2, axis=0)
    covered = np.sum(sums, axis=0) ** 2 >= min(_LEAST_ROWS, len(rows) / 2) * squares
    covered &= squares > 0
    covered[0] = True
    return sums, covered


def _parts(rows: np.ndarray, centers: np.ndarray) -> Iterator[slice]:
    step = max(1, _BLOCK // (len(centers) + 1))
    return (slice(start, start + step) for start in range(0, len(rows), step))
