"""Entropy, cross-entropy and the divergence to the uniform distribution."""

from __future__ import annotations

import math
from typing import Unpack

from sklkl.divergences._arrays import align
from sklkl.divergences._core import INF, Array
from sklkl.divergences._kl import kl_divergence
from sklkl.divergences._options import Options, document
from sklkl.divergences._pair import Pair
from sklkl.divergences._signatures import Keywords, divergence, of_one

__all__ = ["cross_entropy", "entropy", "kl_to_uniform"]


@divergence
@document
def cross_entropy(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """Cross-entropy ``-Σ p log q`` of each row, which is ``entropy(p) + kl_divergence(p, q)``.

    In [entropy(p), inf]; ``inf`` if some p > 0 has q = 0. It is not zero at p == q.

    {inputs}
    {options}

    References
    ----------
    Cover and Thomas, Elements of Information Theory, 2006.

    Examples
    --------
    >>> from sklkl.divergences import cross_entropy
    >>> float(cross_entropy([0, 1], [0.5, 0.5], base=2))
    1.0
    """
    return Options(**options).rows(_cross_entropy, p, q)


def _cross_entropy(pair: Pair) -> Array:
    xp = pair.xp
    impossible = (pair.log_q == -INF) & (pair.p > 0)
    terms = pair.p * xp.where(pair.log_q == -INF, 0.0, pair.log_q)
    return 0.0 - pair.sum(xp.where(impossible, -INF, terms))  # never -0.0


@of_one
@document
def entropy(p: Array, **options: Unpack[Keywords]) -> Array:
    """Shannon entropy ``-Σ p log p`` of each row.

    In [0, log K]; 0 for a one-hot row, log K for a uniform one.

    {input}
    {options}

    References
    ----------
    Shannon, A mathematical theory of communication, Bell System Technical Journal 27, 1948.

    Examples
    --------
    >>> from sklkl.divergences import entropy
    >>> round(float(entropy([0.9, 0.1], base=2)), 6)
    0.468996
    """
    return cross_entropy(p, p, **options)


@of_one
@document
def kl_to_uniform(p: Array, **options: Unpack[Keywords]) -> Array:
    """KL divergence of each row to the uniform distribution, ``log K - entropy(p)``.

    In [0, log K]; 0 only if the row is uniform, log K if it is one-hot. Exact near the uniform distribution, where
    the difference of the two entropies is not.

    {input}
    {options}

    References
    ----------
    Cover and Thomas, Elements of Information Theory, 2006.

    Examples
    --------
    >>> from sklkl.divergences import kl_to_uniform
    >>> float(kl_to_uniform([0, 1, 0, 0], base=2))
    2.0
    """
    checked = Options(**options)
    xp, (p,), axis = align((p,), checked.axis)
    k = p.shape[axis]
    level = {"probs": 1 / k, "log_probs": -math.log(k), "logits": 0.0}[checked.from_]
    return kl_divergence(p, xp.full_like(p, level), **options)
