"""P-value of a divergence of counts from its first two moments: deterministic, no random splits."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, softmax
from scipy.stats import chi2, gamma

from sklkl.divergences._registry import DIVERGENCES
from sklkl.divergences._table import TIE, count_divergence

__all__ = ["SCALES", "asymptotic_p_value"]

# How a divergence of two nearly equal distributions compares with its chi-square form Σ (p - q)² / p.
SCALES = {"jeffreys": 1.0, "kl": 0.5, "js": 0.125}


def asymptotic_p_value(divergence: str, a: np.ndarray, b: np.ndarray, pseudo_count: float) -> float:
    """Return the tail of the gamma distribution that has the divergence's mean and variance over all random splits.

    For large counts that is the chi-square distribution with one degree of freedom less than there are bins. The
    moments account for pseudo-counts and for small counts, where chi-square would be far off.
    """
    observed = float(count_divergence(divergence, a, b, pseudo_count))
    mean, variance = _null_moments(divergence, a, b, pseudo_count)
    if not np.isfinite(mean):  # without pseudo-counts, splits that leave a bin empty are infinitely divergent
        scale, n, m = SCALES[divergence], np.sum(a), np.sum(b)
        return float(chi2.sf(observed / scale * n * m / (n + m), max(1, np.sum(a + b > 0) - 1)))
    if variance <= TIE * mean**2:  # all splits give the same value
        return 1.0
    return float(gamma.sf(observed, mean**2 / variance, scale=variance / mean))


def _null_moments(divergence: str, a: np.ndarray, b: np.ndarray, pseudo_count: float) -> tuple[float, float]:
    """Return mean and variance of the divergence over all splits of the pooled rows into samples of the same sizes.

    The divergence is a sum over bins. Its mean is exact. Its variance is that of independent bins whose counts have a
    given sum (Morris, Central limit theorems for multinomial sums, Annals of Statistics 3, 1975), times what the sum
    takes from quadratic terms, ``(K - 1) / K``.
    """
    n, m = float(np.sum(a)), float(np.sum(b))
    pooled, n_bins = np.unique(a + b, return_counts=True)  # bins of one pooled count have one distribution
    k, hypergeometric, binomial = _count_distributions(pooled, n, m)
    sizes = n + pseudo_count * len(a), m + pseudo_count * len(a)
    terms = _terms(divergence, (k + pseudo_count) / sizes[0], (pooled[:, None] - k + pseudo_count) / sizes[1])
    if not np.isfinite(terms).all():
        return np.inf, np.inf
    mean = np.sum(n_bins @ (hypergeometric * terms))
    terms, k = (x - np.sum(binomial * x, axis=1, keepdims=True) for x in (terms, k))
    var_terms, cov, var_k = (np.sum(n_bins @ (binomial * x)) for x in (terms**2, terms * k, k**2))
    used = np.sum(n_bins[pooled > 0])
    return float(mean), float((var_terms - cov**2 / var_k) * (used - 1) / used)


def _count_distributions(pooled: np.ndarray, n: float, m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts of the first sample, of shape (n_bins, n_counts), and their chances in random splits.

    The chances are those of a bin by itself, hypergeometric, and of a bin if all were independent, binomial. Counts
    more than ten standard deviations off are left out.
    """
    mean, deviation = pooled * n / (n + m), np.sqrt(pooled * n * m) / (n + m)
    least = np.maximum(0, np.floor(mean - 10 * deviation - 10))
    most = np.minimum(pooled, np.ceil(mean + 10 * deviation + 10))
    P, k = pooled[:, None], least[:, None] + np.arange(np.max(most - least) + 1)
    beyond = k > most[:, None]
    k = np.minimum(k, most[:, None])
    choices, others = _log_choose(P, k), _log_choose(n + m - P, n - k)
    logs = np.where(beyond, -np.inf, (choices + others, choices + k * np.log(n / m)))
    return k, *softmax(logs, axis=-1)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _terms(divergence: str, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return what each bin adds to the divergence: the divergence of distributions of one bin."""
    return DIVERGENCES[divergence](p.reshape(-1, 1), q.reshape(-1, 1)).reshape(p.shape)
