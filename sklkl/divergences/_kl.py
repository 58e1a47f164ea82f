"""Kullback-Leibler divergence and its direct relatives: reverse, symmetrised, for unnormalised measures."""

from __future__ import annotations

from typing import Literal, TypeAlias, Unpack

from sklkl.divergences._core import INF, Array, kl_terms
from sklkl.divergences._kernels import KLRows
from sklkl.divergences._options import Options, document
from sklkl.divergences._pair import Pair
from sklkl.divergences._signatures import AnyDivergence, Keywords, divergence

__all__ = ["generalized_kl", "jeffreys_divergence", "kl_divergence", "reverse_kl_divergence"]


@divergence
@document
def kl_divergence(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Kullback-Leibler divergence ``KL(p‖q) = Σ p log(p/q)`` of each row, also called relative entropy.

    In [0, inf] for distributions; exactly 0 if p == q, ``inf`` if some p > 0 has q = 0. Measures that are not
    normalised are taken literally (and may give a negative value), except that sums which differ by rounding only
    count as equal.

    {inputs}
    {options}

    References
    ----------
    Kullback and Leibler, On information and sufficiency, Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> from sklkl.divergences import kl_divergence
    >>> kl_divergence([[0.5, 0.5], [0.9, 0.1]], [0.9, 0.1], base=2).round(6)
    array([0.736966, 0.      ])
    """
    return Options(**options).rows(_kl, p, q, kernel=KLRows)


def _kl(pair: Pair) -> Array:
    return pair.either(_generalized(pair) + pair.excess(), lambda: _direct(pair))


def _direct(pair: Pair) -> Array:
    """Return ``Σ p log(p/q)`` term by term, which is exact where no term is nearly the negative of another."""
    xp, d = pair.xp, pair.log_ratio
    bounded = xp.where(xp.isinf(d), 0.0, d)
    return 0.0 - pair.sum(xp.where(d == -INF, -INF, pair.p * bounded))


@divergence
@document
def reverse_kl_divergence(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Kullback-Leibler divergence the other way round, ``KL(q‖p) = Σ q log(q/p)`` of each row.

    In [0, inf]; 0 only if p == q, ``inf`` if some q > 0 has p = 0.

    {inputs}
    {options}

    Examples
    --------
    >>> from sklkl.divergences import reverse_kl_divergence
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(reverse_kl_divergence(p, q)), 6)
    0.097455
    """
    return kl_divergence(q, p, **options)


@divergence
@document
def jeffreys_divergence(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Jeffreys divergence ``KL(p‖q) + KL(q‖p) = Σ (p - q) log(p/q)``, known as the population stability index.

    In [0, inf]; symmetric; 0 only if p == q.

    {inputs}
    {options}

    References
    ----------
    Jeffreys, An invariant form for the prior probability in estimation problems, Proc. R. Soc. A 186, 1946.

    Examples
    --------
    >>> from sklkl.divergences import jeffreys_divergence
    >>> p, q = [0.36, 0.48, 0.16], [1 / 3, 1 / 3, 1 / 3]
    >>> round(float(jeffreys_divergence(p, q)), 6)
    0.182755
    """
    return Options(**options).rows(_jeffreys, p, q)


def _jeffreys(pair: Pair) -> Array:
    infinite = pair.xp.isinf(pair.log_ratio)
    terms = pair.difference * pair.xp.where(infinite, 0.0, pair.log_ratio)
    return pair.sum(pair.xp.where(infinite, INF, terms))


@divergence
@document
def generalized_kl(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Kullback-Leibler divergence of unnormalised measures, ``Σ p log(p/q) - p + q`` (I-divergence).

    In [0, inf]; 0 only if p == q whatever the sums; equals `kl_divergence` where the sums agree.

    {inputs}
    {options}

    References
    ----------
    Csiszar, Why least squares and maximum entropy?, Annals of Statistics 19, 1991.

    Examples
    --------
    >>> from sklkl.divergences import generalized_kl
    >>> round(float(generalized_kl([1, 2], [2, 1])), 6)
    0.693147
    """
    return Options(**options).rows(_generalized, p, q)


def _generalized(pair: Pair) -> Array:
    return pair.sum(kl_terms(pair.xp, pair.p, pair.difference, pair.log_ratio))


KLName: TypeAlias = Literal["generalized_kl", "jeffreys", "kl", "reverse_kl"]

KL_DIVERGENCES: dict[str, AnyDivergence] = {
    "generalized_kl": generalized_kl,
    "jeffreys": jeffreys_divergence,
    "kl": kl_divergence,
    "reverse_kl": reverse_kl_divergence,
}
