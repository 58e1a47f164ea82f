"""Divergences built on power sums ``Σ p^alpha q^(1-alpha)``: Renyi, Tsallis, alpha, Bhattacharyya, chi²."""

from __future__ import annotations

import math
from functools import partial
from numbers import Real
from typing import Literal, TypeAlias, Unpack

from sklkl._utils.checks import check_number, invalid
from sklkl.divergences._core import INF, NEAR, Array, logsumexp, near_gap
from sklkl.divergences._kl import kl_divergence
from sklkl.divergences._options import Options, document
from sklkl.divergences._pair import Pair
from sklkl.divergences._signatures import AnyDivergence, Keywords, divergence, of_order

__all__ = ["alpha_divergence", "bhattacharyya_distance", "chi2_divergence", "renyi_divergence", "tsallis_divergence"]


@of_order
@document
def renyi_divergence(p: Array, q: Array, *, alpha: float = 0.5, **options: Unpack[Keywords]) -> Array:
    """Renyi divergence ``log(Σ p^alpha q^(1-alpha)) / (alpha - 1)`` of each row.

    In [0, inf], increasing in `alpha`; ``alpha=1`` is the KL divergence, ``alpha=0`` is ``-log Q(p > 0)``,
    ``alpha=inf`` the largest ``log(p/q)``.

    {inputs}
    alpha : float, default=0.5
        Order, in [0, inf].
    {options}

    References
    ----------
    van Erven and Harremoes, Renyi divergence and Kullback-Leibler divergence, IEEE Trans. Inf. Theory 60, 2014.

    Examples
    --------
    >>> from sklkl.divergences import renyi_divergence
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(renyi_divergence(p, q, alpha=2)), 6)
    0.145658
    """
    if not (isinstance(alpha, Real) and alpha >= 0):
        raise invalid("alpha", alpha, "a number in [0, inf]", "renyi_divergence")
    if alpha == 1:
        return kl_divergence(p, q, **options)
    return Options(**options).rows(_largest_log if alpha == INF else partial(_renyi, alpha), p, q)


def _renyi(alpha: float, pair: Pair) -> Array:
    xp, excess = pair.xp, _power_excess(pair, alpha)
    near = xp.abs(excess) < 0.5
    far = logsumexp(xp, _log_powers(pair, alpha), pair.axis)
    return xp.where(near, xp.log1p(xp.where(near, excess, 0.0)), far) / (alpha - 1) + 0.0  # not -0.0


def _log_powers(pair: Pair, alpha: float) -> Array:
    """Return ``log(p^alpha q^(1-alpha))``."""
    return _in_support(pair, alpha * pair.log_p + (1 - alpha) * pair.log_q)


def _largest_log(pair: Pair) -> Array:
    return pair.xp.max(_in_support(pair, 0.0 - pair.log_ratio), axis=pair.axis, keepdims=True)


def _in_support(pair: Pair, logs: Array) -> Array:
    """Return `logs` with ``-inf``, the logarithm of nothing, where p = 0."""
    outside = (pair.log_p == -INF) & ~pair.xp.isnan(pair.log_q)
    return pair.xp.where(outside, -INF, logs)


def _power_excess(pair: Pair, alpha: float) -> Array:
    """Return ``Σ p^alpha q^(1-alpha) - 1`` without cancellation near p == q."""
    balanced = pair.sum(_above_tangent(pair, alpha)) + (alpha - 1) * pair.excess() + pair.excess_over_one()
    return pair.either(balanced, lambda: pair.sum(_powers(pair, alpha)[0]) - 1)


def _above_tangent(pair: Pair, alpha: float) -> Array:
    """Return ``p^alpha q^(1-alpha) - p - (1 - alpha)(q - p)``: terms of one sign, whose sum cannot cancel."""
    xp, p, t = pair.xp, pair.p, 1 - alpha
    near = (xp.abs(pair.log_ratio) < NEAR / max(1.0, abs(t))) & (p > 0)
    d = xp.where(near, pair.log_ratio, 0.0)
    close = p * (near_gap(t * d) - t * near_gap(d))
    far = _power_change(pair, alpha) - t * pair.difference
    rounding = far > 0 if 0 < t <= 1 else far < 0
    return xp.where(near, close, xp.where(rounding, 0.0, far))


def _power_change(pair: Pair, alpha: float) -> Array:
    """Return ``p^alpha q^(1-alpha) - p``."""
    powers, mild, grown = _powers(pair, alpha)
    return pair.xp.where(mild, pair.p * pair.xp.expm1(grown), powers - pair.p)


def _powers(pair: Pair, alpha: float) -> tuple[Array, Array, Array]:
    """Return ``p^alpha q^(1-alpha)``, by logarithms only where the ratio is too extreme to start from p.

    Also where it is not, and ``log(p^alpha q^(1-alpha) / p)`` there.
    """
    xp, logs, grown = pair.xp, _log_powers(pair, alpha), (1 - alpha) * pair.log_ratio
    mild, overflow = xp.abs(grown) < 10, logs > math.log(float(xp.finfo(logs.dtype).max))
    grown = xp.where(mild, grown, 0.0)
    powers = xp.where(overflow, INF, xp.exp(xp.where(overflow, 0.0, logs)))
    return xp.where(mild, pair.p * xp.exp(grown), powers), mild, grown


@of_order
@document
def tsallis_divergence(p: Array, q: Array, *, alpha: float = 0.5, **options: Unpack[Keywords]) -> Array:
    """Tsallis divergence ``(Σ p^alpha q^(1-alpha) - 1) / (alpha - 1)`` of each row.

    In [0, inf], at most ``1 / (1 - alpha)`` for ``alpha < 1``; ``alpha=1`` is the KL divergence, ``alpha=2`` is chi².

    {inputs}
    alpha : float, default=0.5
        Order, a finite number >= 0.
    {options}

    References
    ----------
    Tsallis, Generalized entropy-based criterion for consistent testing, Physical Review E 58, 1998.

    Examples
    --------
    >>> from sklkl.divergences import tsallis_divergence
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(tsallis_divergence(p, q, alpha=2)), 6)
    0.1568
    """
    check_number("alpha", alpha, "a finite number >= 0", of="tsallis_divergence")
    if alpha == 1:
        return kl_divergence(p, q, **options)
    return Options(**options).rows(partial(_tsallis, alpha), p, q)


def _tsallis(alpha: float, pair: Pair) -> Array:
    return _power_excess(pair, alpha) / (alpha - 1) + 0.0  # not -0.0


@of_order
@document
def alpha_divergence(p: Array, q: Array, *, alpha: float = 0.5, **options: Unpack[Keywords]) -> Array:
    """Alpha divergence ``(Σ p^alpha q^(1-alpha) - 1) / (alpha (alpha - 1))`` of each row.

    In [0, inf]. The limits are ``alpha=1``: KL(p‖q) and ``alpha=0``: KL(q‖p); ``alpha=0.5`` is four times the
    squared Hellinger distance, ``alpha=2`` half of chi². Amari's own parameter is ``1 - 2 alpha``.

    {inputs}
    alpha : float, default=0.5
        Order, any finite number; swapping p and q is the same as ``1 - alpha``.
    {options}

    References
    ----------
    Cichocki and Amari, Families of alpha- beta- and gamma-divergences, Entropy 12, 2010.

    Examples
    --------
    >>> from sklkl.divergences import alpha_divergence
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(alpha_divergence(p, q, alpha=2)), 6)
    0.0784
    """
    check_number("alpha", alpha, "a finite number", low=-INF, of="alpha_divergence")
    if alpha < 0.5:
        p, q, alpha = q, p, 1 - alpha
    return tsallis_divergence(p, q, alpha=alpha, **options) / alpha


@divergence
@document
def bhattacharyya_distance(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Bhattacharyya distance ``-log Σ sqrt(p q)`` of each row.

    In [0, inf]; symmetric; half the Renyi divergence of order one half; ``inf`` if p and q have no common support.

    {inputs}
    {options}

    References
    ----------
    Bhattacharyya, On a measure of divergence between two statistical populations, Bull. Calcutta Math. Soc. 35, 1943.

    Examples
    --------
    >>> from sklkl.divergences import bhattacharyya_distance
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(bhattacharyya_distance(p, q)), 6)
    0.02291
    """
    return renyi_divergence(p, q, alpha=0.5, **options) / 2


@divergence
@document
def chi2_divergence(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Pearson's chi-squared divergence ``Σ (p - q)² / q`` of each row, without unit.

    In [0, inf]; 0 only if p == q, ``inf`` if some p > 0 has q = 0.

    {inputs}
    {options}

    References
    ----------
    Pearson, On the criterion that a given system of deviations from the probable, Philosophical Magazine 50, 1900.

    Examples
    --------
    >>> from sklkl.divergences import chi2_divergence
    >>> round(float(chi2_divergence([0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3])), 6)
    0.1568
    """
    return Options(**options).without_unit("chi2_divergence").rows(_chi2, p, q)


def _chi2(pair: Pair) -> Array:
    xp, q = pair.xp, pair.q
    # Zero and subnormal q are left to the logarithms: the quotient or its gradient would overflow.
    plain = q > xp.finfo(q.dtype).smallest_normal
    terms = pair.difference * (pair.difference / xp.where(plain, q, 1.0))
    return pair.sum(xp.where(plain, terms, _above_tangent(pair, 2)))


PowerName: TypeAlias = Literal["alpha", "bhattacharyya", "chi2", "renyi", "tsallis"]

POWER_DIVERGENCES: dict[str, AnyDivergence] = {
    "alpha": alpha_divergence,
    "bhattacharyya": bhattacharyya_distance,
    "chi2": chi2_divergence,
    "renyi": renyi_divergence,
    "tsallis": tsallis_divergence,
}
