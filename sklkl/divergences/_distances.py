"""Bounded divergences, most of them metrics: Jensen-Shannon, Hellinger, total variation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Literal, TypeAlias, Unpack

from array_api_compat import array_namespace

from sklkl._utils.checks import invalid
from sklkl.divergences._core import Array, constant, kl_terms, log_ratio, safe_log, safe_sqrt, scalar
from sklkl.divergences._kernels import JSRows
from sklkl.divergences._options import Options, document
from sklkl.divergences._pair import Pair
from sklkl.divergences._signatures import AnyDivergence, Keywords, divergence, of_several

__all__ = ["hellinger_distance", "js_distance", "js_divergence", "total_variation"]


@of_several
@document
def js_divergence(
    p: Array, q: Array, *more: Array, weights: Sequence[float] | None = None, **options: Unpack[Keywords]
) -> Array:
    """Jensen-Shannon divergence ``Σ_i w_i KL(p_i‖m)`` of each row to the mixture ``m = Σ_i w_i p_i``.

    In [0, log n] for n distributions, symmetric for equal weights, 0 only if all are equal, never infinite.

    {inputs}
    *more : array of shape (..., K)
        Further distributions.
    weights : sequence of float, optional
        One number >= 0 per distribution, divided by their sum; equal by default.
    {options}

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37, 1991.

    Examples
    --------
    >>> from sklkl.divergences import js_divergence
    >>> float(js_divergence([1, 0], [0, 1], base=2))
    1.0
    >>> three = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    >>> round(float(js_divergence(*three, weights=[2, 1, 1], base=2)), 6)
    1.5
    """
    shares = _shares(weights, 2 + len(more))
    kernel = None if more or weights is not None else JSRows
    return Options(**options).rows(partial(_js, shares), p, q, *more, kernel=kernel)


def _shares(weights: Sequence[float] | None, n: int) -> list[float]:
    try:
        given = [1.0] * n if weights is None else [float(w) for w in weights]
    except (TypeError, ValueError):
        given = []  # refused below
    total = sum(given)
    if len(given) != n or min(given) < 0 or not 0 < total < math.inf:
        raise invalid("weights", weights, f"{n} finite numbers >= 0, not all 0")
    return [w / total for w in given]


def _js(shares: list[float], *pairs: Pair) -> Array:
    """Return the weighted sum over the distributions; all pairs share their first one."""
    xp, first = pairs[0].xp, pairs[0].p
    rows = [first, *(pair.q for pair in pairs)]
    # Differences, not values, are carried to the mixture: they keep their digits when all are nearly equal.
    from_first = [0.0 * first, *(pair.difference for pair in pairs)]
    to_mixture, mixture = (sum(w * x for w, x in zip(shares, xs, strict=True)) for xs in (from_first, rows))
    widest = reduce(xp.maximum, (xp.abs(x) for x in from_first))
    parts = []
    for w, p, moved in zip(shares, rows, from_first, strict=True):
        near = constant(widest) < constant(p)  # elsewhere these differences keep less of their digits than the rows do
        parts += [w * _kl_to(pairs[0], p, mixture, xp.where(near, to_mixture - moved, mixture - p), w)] if w else []
    return sum(parts)


def _kl_to(pair: Pair, p: Array, mixture: Array, difference: Array, share: float) -> Array:
    """Return the generalised KL divergence of `p` to a mixture of which it is a share; `difference` is between them."""
    d = log_ratio(pair.xp, p, difference, safe_log(pair.xp, p), safe_log(pair.xp, mixture))
    # The mixture is at least `share` times p, also where it is too small for a number and rounds to zero.
    least = math.log(share)
    d = pair.xp.where(d < least, least, d)
    return pair.sum(kl_terms(pair.xp, p, difference, d))


@of_several
@document
def js_distance(
    p: Array, q: Array, *more: Array, weights: Sequence[float] | None = None, **options: Unpack[Keywords]
) -> Array:
    """Jensen-Shannon distance of each row, the square root of `js_divergence`; a metric for two distributions.

    In [0, sqrt(log n)] for n distributions; 0 only if all are equal, where its gradient is finite too.

    {inputs}
    *more : array of shape (..., K)
        Further distributions.
    weights : sequence of float, optional
        One number >= 0 per distribution, divided by their sum; equal by default.
    {options}

    References
    ----------
    Endres and Schindelin, A new metric for probability distributions, IEEE Trans. Inf. Theory 49, 2003.

    Examples
    --------
    >>> from sklkl.divergences import js_distance
    >>> round(float(js_distance([1, 0], [0.5, 0.5])), 6)
    0.464501
    """
    values = js_divergence(p, q, *more, weights=weights, **options)
    return scalar(safe_sqrt(array_namespace(values), values))


@divergence
@document
def hellinger_distance(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Hellinger distance ``sqrt(½ Σ (√p - √q)²)`` of each row; a metric without unit.

    In [0, 1]; 0 only if p == q, 1 if p and q have no common support.

    {inputs}
    {options}

    References
    ----------
    Pardo, Statistical Inference Based on Divergence Measures, 2006.

    Examples
    --------
    >>> from sklkl.divergences import hellinger_distance
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(hellinger_distance(p, q) ** 2), 6)
    0.02265
    """
    return Options(**options).without_unit("hellinger_distance").rows(_hellinger, p, q)


def _hellinger(pair: Pair) -> Array:
    roots = safe_sqrt(pair.xp, pair.p) + safe_sqrt(pair.xp, pair.q)
    # √q - √p loses the digits that (q - p) / (√q + √p) keeps.
    change = pair.difference / pair.xp.where(roots == 0, 1.0, roots)
    return safe_sqrt(pair.xp, pair.sum(change * change) / 2)


@divergence
@document
def total_variation(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Total variation distance ``½ Σ |p - q|`` of each row; a metric without unit.

    In [0, 1]; 0 only if p == q, 1 if p and q have no common support.

    {inputs}
    {options}

    References
    ----------
    Pardo, Statistical Inference Based on Divergence Measures, 2006.

    Examples
    --------
    >>> from sklkl.divergences import total_variation
    >>> round(float(total_variation([0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3])), 6)
    0.173333
    """
    return Options(**options).without_unit("total_variation").rows(_total_variation, p, q)


def _total_variation(pair: Pair) -> Array:
    return pair.sum(pair.xp.abs(pair.difference)) / 2


DistanceName: TypeAlias = Literal["hellinger", "js", "js_distance", "total_variation"]

DISTANCES: dict[str, AnyDivergence] = {
    "hellinger": hellinger_distance,
    "js": js_divergence,
    "js_distance": js_distance,
    "total_variation": total_variation,
}

# Near p = q these grow with the first power of the difference, all others with the second.
FIRST_ORDER = frozenset({"hellinger", "js_distance", "total_variation"})
