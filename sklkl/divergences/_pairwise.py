"""Divergence matrices: every row of P against every row of Q, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, overload

from array_api_compat import device, is_numpy_namespace, is_torch_namespace
from numpy import ndarray
from scipy.spatial.distance import cdist

from sklkl._utils.checks import invalid_input
from sklkl.divergences._arrays import as_float_arrays, rounding
from sklkl.divergences._core import INF, Array, Namespace, ignoring_rounding, np
from sklkl.divergences._distances import js_divergence
from sklkl.divergences._kernels import lifted, shifted_negentropy
from sklkl.divergences._kl import kl_divergence
from sklkl.divergences._options import Options
from sklkl.divergences._pair import Pair
from sklkl.divergences._registry import DivergenceName, get_divergence
from sklkl.divergences._signatures import From, NumpyLike, Other

__all__ = ["pairwise_divergence"]

# Values a block's temporaries hold; the loop over pairs for JS stays within the processor's cache.
_BLOCK = 2**20
_JS_BLOCK = 2**15

# Entries below this share of their row's sum are recomputed by the definition: the matrix forms cancel there.
_SMALL = 1e-5


@overload
def pairwise_divergence(
    P: NumpyLike,
    Q: NumpyLike | None = None,
    *,
    metric: DivergenceName = "kl",
    base: float | None = None,
    normalize: bool = False,
    from_: From = "probs",
    smoothing: float = 0.0,
    **parameters: Any,
) -> ndarray: ...
@overload
def pairwise_divergence(
    P: Other | NumpyLike,
    Q: Other | NumpyLike | None = None,
    *,
    metric: DivergenceName = "kl",
    base: float | None = None,
    normalize: bool = False,
    from_: From = "probs",
    smoothing: float = 0.0,
    **parameters: Any,
) -> Other: ...
def pairwise_divergence(
    P: Array,
    Q: Array | None = None,
    *,
    metric: DivergenceName = "kl",
    base: float | None = None,
    normalize: bool = False,
    from_: From = "probs",
    smoothing: float = 0.0,
    **parameters: Any,
) -> Array:
    """Divergence of every row of `P` from every row of `Q`.

    KL, reverse KL and Jeffreys are matrix products in float64 (NumPy, PyTorch); Jensen-Shannon takes one logarithm
    per value, Hellinger distance and total variation are SciPy's Euclidean and city block distances (NumPy). Entries
    near zero of the first two, and all other metrics, come from the row-wise definitions in blocks.

    Parameters
    ----------
    P : array of shape (n, K)
        Reference distributions, one per row.
    Q : array of shape (m, K), optional
        Approximating distributions, one per row; `P` by default.
    metric : str, default="kl"
        Name of a divergence, a key of `DIVERGENCES`.
    base : float, optional
        As in `kl_divergence`.
    normalize : bool, default=False
        As in `kl_divergence`.
    from_ : {"probs", "log_probs", "logits"}, default="probs"
        As in `kl_divergence`.
    smoothing : float, default=0.0
        As in `kl_divergence`.
    **parameters : dict
        The metric's own parameters, such as ``alpha``.

    Returns
    -------
    array of shape (n, m)
        Entry (i, j) is the divergence of ``P[i]`` and ``Q[j]``, in nats or the unit of `base`.

    Raises
    ------
    ValueError
        If the metric is unknown, an option is outside its range, or the inputs are not two-dimensional with the same
        number of columns.

    Examples
    --------
    >>> from sklkl.divergences import pairwise_divergence
    >>> pairwise_divergence([[0.5, 0.5], [1.0, 0.0]], base=2)
    array([[ 0., inf],
           [ 1.,  0.]])
    """
    divergence = get_divergence(metric)
    options = Options(base=base, normalize=normalize, from_=from_, smoothing=smoothing)
    xp, (P, Q) = as_float_arrays(P, P if Q is None else Q)
    if P.ndim != 2 or Q.ndim != 2 or P.shape[1] != Q.shape[1]:
        shapes = f"the shapes {tuple(P.shape)} and {tuple(Q.shape)}"
        raise invalid_input(("P", "Q"), shapes, "of shapes (n, K) and (m, K)", "pairwise_divergence")
    if not P.shape[0] or not Q.shape[0]:
        return xp.zeros((P.shape[0], Q.shape[0]), dtype=P.dtype, device=device(P))
    matrix = None if parameters else _matrix_form(xp, metric)
    if matrix is None:
        return _by_definition(partial(divergence, **vars(options), **parameters), xp, P, Q)
    with np.errstate(all="ignore"):
        values = matrix(xp, P, Q, options)
    return values if base is None else values / math.log(base) ** (0.5 if metric == "js_distance" else 1)


def _by_definition(divergence: Callable[..., Array], xp: Namespace, P: Array, Q: Array) -> Array:
    """Return the matrix of ``divergence(p, q)`` by broadcasting blocks of rows against blocks of rows."""
    width = max(1, P.shape[1])
    columns = max(1, _BLOCK // width)
    rows = max(1, _BLOCK // (width * min(columns, Q.shape[0])))
    return xp.concat(
        [
            xp.concat([divergence(p[:, None, :], q[None, :, :]) for q in _blocks(Q, columns)], axis=1)
            for p in _blocks(P, rows)
        ]
    )


def _blocks(x: Array, step: int) -> list[Array]:
    return [x[start : min(start + step, x.shape[0]), ...] for start in range(0, x.shape[0], step)]


def _matrix_form(xp: Namespace, metric: str) -> Callable[..., Array] | None:
    if is_numpy_namespace(xp):
        return {**_PRODUCTS, **_NUMPY_FORMS}.get(metric)
    return _PRODUCTS.get(metric) if is_torch_namespace(xp) else None


def _kl_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    """Return ``Σ p log p - P @ log Q.T``; float64 because the difference cancels."""
    P64, Q64 = xp.astype(P, xp.float64, copy=False), xp.astype(Q, xp.float64, copy=False)
    q = options.pair(xp, 1, Q64, Q64)
    step = max(1, _BLOCK // Q.shape[0])
    blocks = [_kl_block(xp, options.pair(xp, 1, p, p), q, P.dtype) for p in _blocks(P64, step)]
    for block, p in zip(blocks, _blocks(P, step), strict=True):
        _refine(xp, block, p, Q, kl_divergence, options)
    return xp.astype(xp.concat(blocks), P.dtype, copy=False)


def _kl_block(xp: Namespace, p: Pair, q: Pair, dtype: Any) -> Array:
    total_p, total_q, empty = p.sum(p.p), q.sum(q.p).T, q.log_q == -INF
    negative_entropy = p.sum(p.p * xp.where(p.log_p == -INF, 0.0, p.log_p))
    cross = p.p @ xp.where(empty, 0.0, q.log_q).T
    if p.normalized or _equal_sums(xp, total_p, total_q, dtype):  # the common case: all rows sum to one
        values = (negative_entropy - total_p) + total_q - cross
    else:
        values = negative_entropy - cross + _rounding_of_sums(xp, total_p, total_q, dtype)
    if not xp.any(empty):
        return values
    occupied, empty = (xp.astype(x, values.dtype) for x in (p.log_p > -INF, empty))
    return xp.where(occupied @ empty.T > 0, INF, values)


def _equal_sums(xp: Namespace, total_p: Array, total_q: Array, dtype: Any) -> bool:
    largest, least = xp.maximum(xp.max(total_p), xp.max(total_q)), xp.minimum(xp.min(total_p), xp.min(total_q))
    return bool(largest - least <= rounding(xp, xp.empty(0, dtype=dtype)) * largest)


def _rounding_of_sums(xp: Namespace, total_p: Array, total_q: Array, dtype: Any) -> Array:
    """Return ``Σq - Σp`` where that is no more than rounding of the inputs, which were of type `dtype`, else 0."""
    tolerance = rounding(xp, xp.empty(0, dtype=dtype))
    change = total_q - total_p
    return change - ignoring_rounding(xp, change, total_p + total_q, tolerance)


def _reverse_kl_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    return _kl_matrix(xp, Q, P, options).T


def _jeffreys_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    return _kl_matrix(xp, P, Q, options) + _reverse_kl_matrix(xp, P, Q, options)


_PRODUCTS: dict[str, Callable[..., Array]] = {
    "kl": _kl_matrix,
    "reverse_kl": _reverse_kl_matrix,
    "jeffreys": _jeffreys_matrix,
}


def _js_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    """Return ``½ Σ p log 2p + ½ Σ q log 2q - ½ Σ s log s``, ``s = p + q``: one logarithm per value."""
    p, q = (lifted(options.pair(xp, 1, x, x).p) for x in (P.astype(np.float64), Q.astype(np.float64)))
    values = (shifted_negentropy(p)[:, None] + shifted_negentropy(q)) / 2
    work = np.empty((3, max(1, min(len(q), _JS_BLOCK // max(1, q.shape[1]))), q.shape[1]))
    for i, row in enumerate(p):
        start = i if P is Q else 0  # of a symmetric matrix one half is enough
        _subtract_mixtures(row, q[start:], values[i, start:], work)
        if P is Q:
            values[i + 1 :, i] = values[i, i + 1 :]
    _refine(xp, values, P, Q, js_divergence, options)
    return values.astype(P.dtype, copy=False)


def _subtract_mixtures(row: Array, q: Array, out: Array, work: Array) -> None:
    tile, mixture, logs = work
    tile[:] = row  # adding arrays of one shape is five times faster than broadcasting a short row
    for start in range(0, len(q), len(tile)):
        block = q[start : start + len(tile)]
        n = len(block)
        s = np.add(tile[:n], block, out=mixture[:n])
        out[start : start + n] -= np.vecdot(s, np.log(s, out=logs[:n])) / 2


def _js_distance_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    values = _js_matrix(xp, P, Q, options)
    return np.sqrt(values, out=values)


def _hellinger_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    p, q = (np.sqrt(x) for x in _probabilities(P, Q, options.without_unit("hellinger_distance")))
    return (cdist(p, q) / math.sqrt(2)).astype(P.dtype, copy=False)


def _total_variation_matrix(xp: Namespace, P: Array, Q: Array, options: Options) -> Array:
    p, q = _probabilities(P, Q, options.without_unit("total_variation"))
    return (cdist(p, q, "cityblock") / 2).astype(P.dtype, copy=False)


def _probabilities(P: Array, Q: Array, options: Options) -> list[Array]:
    return [options.pair(np, 1, x, x).p for x in (P.astype(np.float64), Q.astype(np.float64))]


_NUMPY_FORMS: dict[str, Callable[..., Array]] = {
    "hellinger": _hellinger_matrix,
    "js": _js_matrix,
    "js_distance": _js_distance_matrix,
    "total_variation": _total_variation_matrix,
}


def _refine(
    xp: Namespace, values: Array, P: Array, Q: Array, divergence: Callable[..., Array], options: Options
) -> None:
    """Replace the entries of `values` that are nearly zero by those of the definition, in place."""
    without_unit = partial(divergence, **{**vars(options), "base": None})
    total = xp.sum(P, axis=1, keepdims=True) if options.from_ == "probs" and not options.normalize else 1.0
    rows, columns = xp.nonzero(values < _SMALL * total)
    step = max(1, _BLOCK // max(1, P.shape[1]))
    for i, j in zip(_blocks(rows, step), _blocks(columns, step), strict=True):
        values[i, j] = xp.astype(without_unit(xp.take(P, i, axis=0), xp.take(Q, j, axis=0)), values.dtype)
