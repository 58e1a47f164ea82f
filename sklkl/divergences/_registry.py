"""The divergences by name: what `pairwise_divergence` and the common tests run over."""

from typing import Literal, TypeAlias

from sklkl._utils.checks import check_choice
from sklkl.divergences._distances import hellinger_distance, js_distance, js_divergence, total_variation
from sklkl.divergences._kl import generalized_kl, jeffreys_divergence, kl_divergence, reverse_kl_divergence
from sklkl.divergences._power import (
    alpha_divergence,
    bhattacharyya_distance,
    chi2_divergence,
    renyi_divergence,
    tsallis_divergence,
)
from sklkl.divergences._signatures import AnyDivergence

__all__ = ["DIVERGENCES", "DivergenceName", "get_divergence"]

# The keys of `DIVERGENCES`, for type checkers.
DivergenceName: TypeAlias = Literal[
    "alpha",
    "bhattacharyya",
    "chi2",
    "generalized_kl",
    "hellinger",
    "jeffreys",
    "js",
    "js_distance",
    "kl",
    "renyi",
    "reverse_kl",
    "total_variation",
    "tsallis",
]

DIVERGENCES: dict[str, AnyDivergence] = {
    "alpha": alpha_divergence,
    "bhattacharyya": bhattacharyya_distance,
    "chi2": chi2_divergence,
    "generalized_kl": generalized_kl,
    "hellinger": hellinger_distance,
    "jeffreys": jeffreys_divergence,
    "js": js_divergence,
    "js_distance": js_distance,
    "kl": kl_divergence,
    "renyi": renyi_divergence,
    "reverse_kl": reverse_kl_divergence,
    "total_variation": total_variation,
    "tsallis": tsallis_divergence,
}


def get_divergence(name: DivergenceName) -> AnyDivergence:
    """Return the divergence of a registered name.

    Parameters
    ----------
    name : str
        A key of `DIVERGENCES`.

    Returns
    -------
    callable
        ``f(p, q, *, axis, keepdims, base, normalize, from_, smoothing) -> array``.

    Raises
    ------
    ValueError
        If the name is not registered.

    Examples
    --------
    >>> from sklkl.divergences import get_divergence
    >>> round(float(get_divergence("total_variation")([0.2, 0.8], [0.5, 0.5])), 6)
    0.3
    """
    check_choice("metric", name, DIVERGENCES)
    return DIVERGENCES[name]
