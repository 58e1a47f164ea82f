"""The divergences by name: what `pairwise_divergence` and the common tests run over."""

from typing import Literal, TypeAlias

from sklkl._utils.checks import check_choice
from sklkl.divergences._distances import DISTANCES, DistanceName
from sklkl.divergences._kl import KL_DIVERGENCES, KLName
from sklkl.divergences._power import POWER_DIVERGENCES, PowerName
from sklkl.divergences._signatures import AnyDivergence

__all__ = ["DIVERGENCES", "DivergenceName", "get_divergence"]

# The keys of `DIVERGENCES`, for type checkers.
DivergenceName: TypeAlias = Literal[DistanceName, KLName, PowerName]

DIVERGENCES: dict[str, AnyDivergence] = dict(sorted((DISTANCES | KL_DIVERGENCES | POWER_DIVERGENCES).items()))


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
