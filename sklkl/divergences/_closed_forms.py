"""Closed forms of KL(P‖Q) for two members of one parametric family, in nats.

Parameters broadcast and may be NumPy, PyTorch (with gradients) or other array API arrays, or plain numbers; values
outside a family's domain give NaN. All but the Dirichlet form are sums of terms that are never negative, so that
they stay accurate for nearly equal parameters; all are exactly 0 for equal ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack, overload

from array_api_compat import is_torch_namespace
from numpy import ndarray
from scipy import special

from sklkl._utils.checks import invalid_input
from sklkl.divergences._arrays import as_float_arrays, check_broadcast, widened
from sklkl.divergences._core import Array, Namespace, gap, kl_terms, log_ratio, np, safe_log, scalar
from sklkl.divergences._kl import kl_divergence
from sklkl.divergences._options import document
from sklkl.divergences._signatures import Keywords, NumpyLike, Other, divergence

__all__ = [
    "bernoulli_kl",
    "categorical_kl",
    "diagonal_gaussian_kl",
    "dirichlet_kl",
    "exponential_kl",
    "gaussian_kl",
    "laplace_kl",
    "poisson_kl",
]


@overload
def bernoulli_kl(p: NumpyLike, q: NumpyLike) -> ndarray: ...
@overload
def bernoulli_kl(p: Other | NumpyLike, q: Other | NumpyLike) -> Other: ...
def bernoulli_kl(p: Array, q: Array) -> Array:
    """KL divergence of two Bernoulli distributions, ``p log(p/q) + (1-p) log((1-p)/(1-q))``.

    Parameters
    ----------
    p, q : array
        Probabilities of success, in [0, 1].

    Returns
    -------
    array of the broadcast shape
        Nats, in [0, inf].

    Examples
    --------
    >>> from sklkl.divergences import bernoulli_kl
    >>> round(float(bernoulli_kl(0.3, 0.6)), 6)
    0.183787
    """
    return _evaluated(_bernoulli, p, q)


def _bernoulli(xp: Namespace, p: Array, q: Array) -> Array:
    others, difference = 1 - p, p - q  # (1 - q) - (1 - p) would be the rounding of 1 - p for small changes
    d = log_ratio(xp, others, difference, safe_log(xp, others), safe_log(xp, 1 - q))
    return _measure_terms(xp, p, q) + kl_terms(xp, others, difference, d)


@divergence
@document
def categorical_kl(p: Array, q: Array, **options: Unpack[Keywords]) -> Array:
    """KL divergence of two categorical distributions: `kl_divergence` under its family's name.

    In [0, inf].

    {inputs}
    {options}

    Examples
    --------
    >>> from sklkl.divergences import categorical_kl
    >>> round(float(categorical_kl([0.5, 0.5], [0.9, 0.1], base=2)), 6)
    0.736966
    """
    return kl_divergence(p, q, **options)


@overload
def poisson_kl(rate_p: NumpyLike, rate_q: NumpyLike) -> ndarray: ...
@overload
def poisson_kl(rate_p: Other | NumpyLike, rate_q: Other | NumpyLike) -> Other: ...
def poisson_kl(rate_p: Array, rate_q: Array) -> Array:
    """KL divergence of two Poisson distributions, ``a log(a/b) - a + b`` for rates a and b.

    Parameters
    ----------
    rate_p, rate_q : array
        Rates, >= 0.

    Returns
    -------
    array of the broadcast shape
        Nats, in [0, inf].

    Examples
    --------
    >>> from sklkl.divergences import poisson_kl
    >>> round(float(poisson_kl(3, 5)), 6)
    0.467523
    """
    return _evaluated(_measure_terms, rate_p, rate_q)


@overload
def exponential_kl(rate_p: NumpyLike, rate_q: NumpyLike) -> ndarray: ...
@overload
def exponential_kl(rate_p: Other | NumpyLike, rate_q: Other | NumpyLike) -> Other: ...
def exponential_kl(rate_p: Array, rate_q: Array) -> Array:
    """KL divergence of two exponential distributions, ``log(a/b) + b/a - 1`` for rates a and b.

    Parameters
    ----------
    rate_p, rate_q : array
        Rates, > 0.

    Returns
    -------
    array of the broadcast shape
        Nats, in [0, inf).

    Examples
    --------
    >>> from sklkl.divergences import exponential_kl
    >>> round(float(exponential_kl(2, 3)), 6)
    0.094535
    """
    return _evaluated(_exponential, rate_p, rate_q)


def _exponential(xp: Namespace, rate_p: Array, rate_q: Array) -> Array:
    return gap(xp, _log_ratio(xp, _positive(xp, rate_p), _positive(xp, rate_q)))


@overload
def laplace_kl(loc_p: NumpyLike, scale_p: NumpyLike, loc_q: NumpyLike, scale_q: NumpyLike) -> ndarray: ...
@overload
def laplace_kl(
    loc_p: Other | NumpyLike, scale_p: Other | NumpyLike, loc_q: Other | NumpyLike, scale_q: Other | NumpyLike
) -> Other: ...
def laplace_kl(loc_p: Array, scale_p: Array, loc_q: Array, scale_q: Array) -> Array:
    """KL divergence of two Laplace distributions.

    With ``r = scale_p / scale_q`` and ``x = |loc_p - loc_q| / scale_p`` it is ``r (x + exp(-x)) - 1 - log r``.

    Parameters
    ----------
    loc_p, scale_p : array
        Location and scale > 0 of P.
    loc_q, scale_q : array
        Location and scale > 0 of Q.

    Returns
    -------
    array of the broadcast shape
        Nats, in [0, inf).

    Examples
    --------
    >>> from sklkl.divergences import laplace_kl
    >>> round(float(laplace_kl(0, 1, 1, 2)), 6)
    0.377087
    """
    return _evaluated(_laplace, loc_p, scale_p, loc_q, scale_q)


def _laplace(xp: Namespace, loc_p: Array, scale_p: Array, loc_q: Array, scale_q: Array) -> Array:
    scale_p, scale_q = _positive(xp, scale_p), _positive(xp, scale_q)
    moved = gap(xp, -xp.abs(loc_p - loc_q) / scale_p)
    return gap(xp, _log_ratio(xp, scale_q, scale_p)) + scale_p / scale_q * moved


@overload
def diagonal_gaussian_kl(mean_p: NumpyLike, var_p: NumpyLike, mean_q: NumpyLike, var_q: NumpyLike) -> ndarray: ...
@overload
def diagonal_gaussian_kl(
    mean_p: Other | NumpyLike, var_p: Other | NumpyLike, mean_q: Other | NumpyLike, var_q: Other | NumpyLike
) -> Other: ...
def diagonal_gaussian_kl(mean_p: Array, var_p: Array, mean_q: Array, var_q: Array) -> Array:
    """KL divergence of two Gaussians with independent coordinates, summed over the last axis.

    Each coordinate adds ``½ (v - 1 - log v + (mean_p - mean_q)² / var_q)`` with ``v = var_p / var_q``.

    Parameters
    ----------
    mean_p, var_p : array of shape (..., d)
        Means and variances > 0 of P; plain numbers for one dimension.
    mean_q, var_q : array of shape (..., d)
        Means and variances > 0 of Q.

    Returns
    -------
    array of shape (...)
        Nats, in [0, inf).

    Examples
    --------
    >>> from sklkl.divergences import diagonal_gaussian_kl
    >>> round(float(diagonal_gaussian_kl(0, 1, 1, 4)), 6)
    0.443147
    """
    return _evaluated(_diagonal_gaussian, mean_p, var_p, mean_q, var_q)


def _diagonal_gaussian(xp: Namespace, mean_p: Array, var_p: Array, mean_q: Array, var_q: Array) -> Array:
    var_p, var_q = _positive(xp, var_p), _positive(xp, var_q)
    moved = (mean_p - mean_q) * ((mean_p - mean_q) / var_q)
    terms = (gap(xp, _log_ratio(xp, var_q, var_p)) + moved) / 2
    return xp.sum(terms, axis=-1) if terms.ndim else terms


@overload
def gaussian_kl(mean_p: NumpyLike, cov_p: NumpyLike, mean_q: NumpyLike, cov_q: NumpyLike) -> ndarray: ...
@overload
def gaussian_kl(
    mean_p: Other | NumpyLike, cov_p: Other | NumpyLike, mean_q: Other | NumpyLike, cov_q: Other | NumpyLike
) -> Other: ...
def gaussian_kl(mean_p: Array, cov_p: Array, mean_q: Array, cov_q: Array) -> Array:
    """KL divergence of two multivariate Gaussians with full covariance.

    ``½ (tr(cov_q⁻¹ cov_p) - d - log det(cov_q⁻¹ cov_p) + (mean_q - mean_p)ᵀ cov_q⁻¹ (mean_q - mean_p))``, computed
    from the Cholesky factors.

    Parameters
    ----------
    mean_p : array of shape (..., d)
        Mean of P.
    cov_p : array of shape (..., d, d)
        Covariance of P, symmetric positive definite; only the lower triangle is read.
    mean_q : array of shape (..., d)
        Mean of Q.
    cov_q : array of shape (..., d, d)
        Covariance of Q, likewise.

    Returns
    -------
    array of shape (...)
        Nats, in [0, inf).

    Raises
    ------
    ValueError
        If a covariance is not positive definite, or no square matrix of the size of the means.

    Examples
    --------
    >>> from sklkl.divergences import gaussian_kl
    >>> kl = gaussian_kl([0, 0], [[1, 0], [0, 1]], [1, -1], [[2, 0.5], [0.5, 1]])
    >>> round(float(kl), 6)
    1.279808
    """
    return _evaluated(_gaussian, mean_p, cov_p, mean_q, cov_q, wide=True, check=_check_shapes)


def _gaussian(xp: Namespace, mean_p: Array, cov_p: Array, mean_q: Array, cov_q: Array) -> Array:
    root_p, root_q = _cholesky(xp, cov_p, "cov_p"), _cholesky(xp, cov_q, "cov_q")
    spread = gap(xp, 2 * _log_ratio(xp, *(xp.linalg.diagonal(root) for root in (root_q, root_p))))
    moved = _solve(xp, root_q, (mean_q - mean_p)[..., None])[..., 0]
    turned = xp.tril(_solve(xp, root_q, root_p - root_q), k=-1)  # the identity left out is not off the diagonal
    squares = xp.sum(spread + moved * moved, axis=-1) + xp.sum(turned * turned, axis=(-2, -1))
    return squares / 2


@overload
def dirichlet_kl(alpha: NumpyLike, beta: NumpyLike) -> ndarray: ...
@overload
def dirichlet_kl(alpha: Other | NumpyLike, beta: Other | NumpyLike) -> Other: ...
def dirichlet_kl(alpha: Array, beta: Array) -> Array:
    """KL divergence of two Dirichlet distributions.

    ``log B(beta) - log B(alpha) + Σ (alpha - beta) (ψ(alpha) - ψ(Σ alpha))``, with the multivariate beta function B
    and the digamma function ψ.

    Parameters
    ----------
    alpha, beta : array of shape (..., K)
        Concentrations, > 0.

    Returns
    -------
    array of shape (...)
        Nats, in [0, inf).

    Examples
    --------
    >>> from sklkl.divergences import dirichlet_kl
    >>> round(float(dirichlet_kl([1, 2, 3], [2, 2, 2])), 6)
    0.806853
    """
    return _evaluated(_dirichlet, alpha, beta, wide=True)


def _dirichlet(xp: Namespace, alpha: Array, beta: Array) -> Array:
    if not alpha.ndim or not beta.ndim:
        raise invalid_input(("alpha", "beta"), "plain numbers", "of shape (..., K)", "dirichlet_kl")
    alpha, beta = _positive(xp, alpha), _positive(xp, beta)
    total_a, total_b = (xp.sum(x, axis=-1, keepdims=True) for x in (alpha, beta))
    slopes = _special(xp, "digamma", alpha) - _special(xp, "digamma", total_a)
    terms = _lgamma_change(xp, beta, alpha) + (alpha - beta) * slopes
    value = xp.sum(terms, axis=-1) - _lgamma_change(xp, total_b, total_a)[..., 0]
    return xp.where(value < 0, 0.0, value)


def _evaluated(
    form: Callable[..., Array],
    *parameters: Array,
    wide: bool = False,
    check: Callable[..., None] = check_broadcast,
) -> Array:
    """Return ``form(xp, ...)`` of the parameters as arrays of one library and type.

    Half precision is computed in float32; forms that are `wide`, because they cancel, are computed in float64.
    `check` raises an error if the shapes of the parameters do not go together.
    """
    xp, parameters = as_float_arrays(*parameters)
    check(*parameters)
    dtype = parameters[0].dtype
    parameters = _doubled(xp, *parameters) if wide else widened(xp, *parameters)
    with np.errstate(all="ignore"):  # what lies outside a family's domain is NaN
        return scalar(xp.astype(form(xp, *parameters), dtype, copy=False))


def _doubled(xp: Namespace, *arrays: Array) -> tuple[Array, ...]:
    """Return arrays in float64, or in float32 on a device without it."""
    if getattr(getattr(arrays[0], "device", None), "type", "") == "mps":
        return widened(xp, *arrays)
    return tuple(xp.astype(x, xp.float64, copy=False) for x in arrays)


def _lgamma_change(xp: Namespace, end: Array, start: Array) -> Array:
    return _special(xp, "lgamma", end) - _special(xp, "lgamma", start)


def _special(xp: Namespace, name: str, x: Array) -> Array:
    """Return lgamma or digamma, which the array API standard does not have; PyTorch's carry gradients."""
    if is_torch_namespace(xp):
        return getattr(x, name)()
    function = {"lgamma": special.gammaln, "digamma": special.digamma}[name]
    return xp.asarray(function(np.from_dlpack(x)))


def _positive(xp: Namespace, x: Array) -> Array:
    return xp.where(x > 0, x, math.nan)


def _log_ratio(xp: Namespace, p: Array, q: Array) -> Array:
    return log_ratio(xp, p, q - p, safe_log(xp, p), safe_log(xp, q))


def _measure_terms(xp: Namespace, p: Array, q: Array) -> Array:
    return kl_terms(xp, p, q - p, _log_ratio(xp, p, q))


def _cholesky(xp: Namespace, covariance: Array, name: str) -> Array:
    try:
        return xp.linalg.cholesky(covariance)
    except Exception as error:
        if "LinAlgError" not in type(error).__name__:  # each array library has an exception of its own, of this name
            raise
        raise invalid_input(name, "one that is not", "positive definite matrices") from error


def _check_shapes(mean_p: Array, cov_p: Array, mean_q: Array, cov_q: Array) -> None:
    for name, mean, cov in (("p", mean_p, cov_p), ("q", mean_q, cov_q)):
        d = mean.shape[-1] if mean.ndim else 0
        if not d or cov.ndim < 2 or tuple(cov.shape[-2:]) != (d, d) or d != mean_p.shape[-1]:
            names, found = (f"mean_{name}", f"cov_{name}"), f"the shapes {tuple(mean.shape)} and {tuple(cov.shape)}"
            hint = "; for vectors of variances there is diagonal_gaussian_kl"
            allowed = f"of shapes (..., d) and (..., d, d), d the same for both distributions{hint}"
            raise invalid_input(names, found, allowed, "gaussian_kl")
    check_broadcast(mean_p[..., None], cov_p, mean_q[..., None], cov_q)


def _solve(xp: Namespace, a: Array, b: Array) -> Array:
    """Solve ``a x = b`` with the leading axes broadcast by hand: libraries differ in what they take for a vector."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return xp.linalg.solve(*(xp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b)))
