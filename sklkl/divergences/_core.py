"""Numerics shared by every divergence: forms that stay exact near equality and finite at zeros.

Each function takes the array namespace first and works elementwise on the array API standard, so that NumPy, PyTorch
(with gradients, on any device) and other array libraries share one definition.
"""

from math import factorial
from typing import Any, TypeAlias

import array_api_compat.numpy
from array_api_compat import is_numpy_array

Array: TypeAlias = Any
Namespace: TypeAlias = Any

# NumPy under its array API face, which also gives older versions `vecdot` and `concat`.
np: Namespace = array_api_compat.numpy

INF = float("inf")

# Below this |log(q/p)| the difference of two nearly equal terms is replaced by its power series.
NEAR = 0.1

# Power series of expm1(d) - d after the factor d^2; nine terms reach float64 precision at |d| = NEAR.
_SERIES = tuple(1 / factorial(k) for k in range(2, 11))


def constant(x: Array) -> Array:
    """Return the values of `x` without their gradient history."""
    return x.detach() if hasattr(x, "detach") else x


def scalar(x: Array) -> Array:
    """Turn NumPy's zero-dimensional arrays into scalars, as NumPy's own reductions do."""
    return x[()] if is_numpy_array(x) else x


def near_gap(d: Array) -> Array:
    """Return ``expm1(d) - d`` for ``abs(d) <= NEAR``, where the plain form cancels."""
    series = 0.0 * d
    for coefficient in reversed(_SERIES):
        series = series * d + coefficient
    return d * d * series


def gap(xp: Namespace, d: Array) -> Array:
    """Return ``expm1(d) - d``, which is never negative and zero only at zero."""
    near, infinite = xp.abs(d) < NEAR, xp.isinf(d)
    bounded = xp.where(infinite, 0.0, d)
    far = xp.where(infinite, INF, xp.expm1(bounded) - bounded)
    return xp.where(near, near_gap(xp.where(near, d, 0.0)), far)


def safe_log(xp: Namespace, p: Array) -> Array:
    """Return ``log(p)`` with ``log(0) = -inf`` and a gradient of 0 there instead of infinity."""
    zero = p == 0
    return xp.where(zero, -INF, xp.log(xp.where(zero, 1.0, p)))


def safe_sqrt(xp: Namespace, x: Array) -> Array:
    """Return ``sqrt(x)`` with a finite gradient at 0."""
    positive = x > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, 1.0)), x)


def logsumexp(xp: Namespace, x: Array, axis: int) -> Array:
    """Return ``log Σ exp(x)`` along `axis`, kept as a length of one; gradients are finite at ``x = -inf``."""
    top = constant(xp.max(x, axis=axis, keepdims=True))
    infinite = xp.isinf(top)
    shift = xp.where(infinite, 0.0, top)
    # A row whose maximum is infinite is its own answer; its entries must not reach exp, whose gradient would be NaN.
    total = xp.sum(xp.exp(xp.where(infinite, 0.0, x) - shift), axis=axis, keepdims=True)
    return xp.where(infinite, top, xp.log(total) + shift)


def log_softmax(xp: Namespace, x: Array, axis: int) -> Array:
    """Return ``x - log Σ exp(x)`` along `axis`, NaN in rows of ``-inf`` only."""
    shifted = x - constant(xp.max(x, axis=axis, keepdims=True))
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


def log_ratio(xp: Namespace, p: Array, difference: Array, log_p: Array, log_q: Array) -> Array:
    """Return ``log(q / p)`` from ``difference = q - p``, with full relative accuracy where the two are close.

    A difference of logarithms loses digits in proportion to ``|log p|``, so it serves only where q is far from p.
    The result is 0 where both are 0, ``inf`` where only `p` is 0 and ``-inf`` where only `q` is 0.
    """
    # Tiny p is left to the logarithms: the gradient of the quotient would overflow.
    near = (difference > -p / 2) & (difference < 1000 * p) & (p > 2**12 * xp.finfo(p.dtype).smallest_normal)
    close = xp.log1p(xp.where(near, difference, 0.0) / xp.where(near, p, 1.0))
    return xp.where(near, close, difference_of_logs(xp, log_p, log_q))


def difference_of_logs(xp: Namespace, log_p: Array, log_q: Array) -> Array:
    """Return ``log_q - log_p``, 0 where both are ``-inf``."""
    return xp.where((log_p == -INF) & (log_q == -INF), 0.0, log_q - log_p)


def kl_terms(xp: Namespace, p: Array, difference: Array, d: Array) -> Array:
    """Return ``p log(p/q) - p + q`` elementwise from ``difference = q - p`` and ``d = log(q/p)``.

    The added ``q - p`` makes every term non-negative, so a sum of terms cannot cancel.
    """
    near = (xp.abs(d) < NEAR) & (p > 0)
    close = p * near_gap(xp.where(near, d, 0.0))
    # Infinite ratios are replaced before the product: inf * 0 would be NaN in the value or in the gradient.
    far = difference - p * xp.where(xp.isinf(d), 0.0, d)
    return xp.where(d == -INF, INF, xp.where(near, close, far))


def ignoring_rounding(xp: Namespace, total: Array, scale: Array, tolerance: float | None = None) -> Array:
    """Return `total` with values that are rounding error of sums of size `scale` set to 0, gradients kept.

    Probabilities sum to one up to rounding only; where the sums enter a small divergence, that rounding would swamp
    it. `tolerance`, relative to the scale, is by default that of the type of `total`.
    """
    tolerance = 16 * float(xp.finfo(total.dtype).eps) if tolerance is None else tolerance
    return total - constant(xp.where(xp.abs(total) <= tolerance * scale, total, 0.0))
