"""Divergences between two samples of one column, by the shares of their values in bins."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from sklkl._utils.checks import check_choice, check_integer, check_number
from sklkl._utils.quantities import Quantity
from sklkl._utils.types import ArrayLike, RandomState
from sklkl.divergences._asymptotic import asymptotic_p_value
from sklkl.divergences._distances import FIRST_ORDER
from sklkl.divergences._estimate import Estimate, check_interval, generator, unbiased_interval
from sklkl.divergences._permutation import permutation_p_value
from sklkl.divergences._registry import DIVERGENCES, DivergenceName
from sklkl.divergences._sample_columns import as_column, check_bins, check_kinds, splits_of_rows, table_of
from sklkl.divergences._table import MOST_CATEGORIES, NULLS, Table, count_divergence

__all__ = ["StabilityIndex", "histogram_divergence", "population_stability_index"]

# Near p = q these are of first order in p - q, the others of second order, where the bootstrap estimates the bias.


class StabilityIndex(NamedTuple):
    """Population stability index with its p-value and its confidence interval.

    Parameters
    ----------
    value : float
        The index, >= 0.
    p_value : float
        Probability of an index at least as large where both samples are from one distribution.
    low, high : float
        Ends of the confidence interval; NaN without a confidence level.

    Examples
    --------
    >>> from sklkl.divergences import population_stability_index
    >>> p, q = [1, 1, 2] * 20, [1, 2, 2] * 20
    >>> index = population_stability_index(p, q, random_state=0)
    >>> round(index.value, 2), index.p_value < 0.01, index.low
    (0.45, True, nan)
    """

    value: float
    p_value: float
    low: float = math.nan
    high: float = math.nan


def histogram_divergence(
    x: ArrayLike,
    y: ArrayLike,
    *,
    divergence: DivergenceName = "kl",
    bins: ArrayLike = 10,
    pseudo_count: float = 0.5,
    categorical: bool = False,
    confidence_level: float | None = None,
    n_resamples: int = 999,
    random_state: RandomState = None,
) -> float | Estimate:
    """Divergence of two samples of one column, by the shares of their values in bins.

    Missing values (NaN, None, NaT, NA) have a bin of their own; bins that are empty in both samples are left out. With
    B bins and no difference the value is still about ``(B - 1)/2 · (1/n + 1/m)`` for KL: see
    `population_stability_index` for a p-value.

    Parameters
    ----------
    x : array-like of shape (n,)
        Sample of P.
    y : array-like of shape (m,)
        Sample of Q.
    divergence : str, default="kl"
        Name of a divergence, a key of `DIVERGENCES`.
    bins : int or array-like, default=10
        Number of intervals with about equally many values of `x` each; or the ascending edges between intervals
        ``(edge, next edge]``, values beyond the outermost edges having intervals of their own; dates between dates.
    pseudo_count : float, default=0.5
        Added to each bin's count in each sample, so that no share is 0. 0 gives the divergence of
        the raw shares, which may be infinite.
    categorical : bool, default=False
        Make each distinct value of the samples a bin, instead of intervals of numbers.
    confidence_level : float, optional
        Return an interval that is to cover the divergence of the two distributions, in these bins, with this
        probability. With only a few values in each bin its coverage is lower.
    n_resamples : int, default=999
        Number of bootstrap samples behind the interval. They also estimate the value's upward bias, for which
        the interval is corrected: the value may be near its upper end.
    random_state : None, int, Generator or RandomState
        Draws the bootstrap samples; None is different every time.

    Returns
    -------
    float or Estimate
        The divergence, in nats where it has a unit, with its interval if `confidence_level` is given.

    Raises
    ------
    ValueError
        If a sample is empty, not one-dimensional or not of numbers (unless categorical), or an option is outside its
        range.

    References
    ----------
    Paninski, Estimation of entropy and mutual information, Neural Computation 15, 2003, on the bias.

    Examples
    --------
    >>> from sklkl.divergences import histogram_divergence
    >>> p, q = [1, 1, 2, None], [1, 2, 2, None]
    >>> round(histogram_divergence(p, q, pseudo_count=0), 6)
    0.173287
    >>> colours = ["red"] * 30 + ["blue"] * 10, ["red"] * 10 + ["blue"] * 30
    >>> options = {"divergence": "total_variation", "categorical": True}
    >>> round(histogram_divergence(*colours, **options, pseudo_count=0), 6)
    0.5
    """
    check_choice("divergence", divergence, DIVERGENCES, of="histogram_divergence")
    intervals = _check(bins, pseudo_count, confidence_level, n_resamples)
    samples = as_column("x", x, categorical), as_column("y", y, categorical)
    check_kinds(("x", "y"), *samples)
    check_kinds(("x", "bins"), samples[0], intervals)
    table = table_of(*samples, intervals)
    if confidence_level is None:
        return float(count_divergence(divergence, table.a, table.b, pseudo_count))
    return _with_interval(divergence, table, pseudo_count, confidence_level, n_resamples, generator(random_state))


def population_stability_index(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    bins: ArrayLike = 10,
    pseudo_count: float = 0.5,
    categorical: bool = False,
    null: Literal["permutation", "asymptotic"] = "permutation",
    n_permutations: int = 999,
    confidence_level: float | None = None,
    n_resamples: int = 999,
    random_state: RandomState = None,
) -> StabilityIndex:
    """Index of population stability (PSI), ``Σ (p - q) log(p/q)`` of the shares in bins, with a p-value.

    It is the Jeffreys divergence. Without any change its mean is about ``(B - 1)(1/n + 1/m)`` for B bins, hence fixed
    thresholds such as 0.1 and 0.25 do not fit all sample sizes: with ten bins and 100 values a sample the index exceeds
    0.1 in 85 % of cases. Judge by the p-value.

    Parameters
    ----------
    reference : array-like of shape (n,)
        Values from before.
    current : array-like of shape (m,)
        Values of now.
    bins, pseudo_count, categorical : object
        As in `histogram_divergence`, the intervals being those of `reference`.
    null : {"permutation", "asymptotic"}, default="permutation"
        ``"permutation"``: the p-value is the share of random splits of all rows into samples of these sizes whose
        index is at least as large, correct for samples of any size (of more than 1000 categories, the rare ones are
        put together at random for it). ``"asymptotic"``: that of a gamma distribution
        with mean and variance of the index over all splits, quicker and deterministic; it needs ten rows of
        `reference` or more for each bin.
    n_permutations : int, default=999
        Number of random splits; the p-value is at least ``1 / (n_permutations + 1)``.
    confidence_level, n_resamples : object
        As in `histogram_divergence`.
    random_state : None, int, Generator or RandomState
        Draws splits and bootstrap samples; None is different every time.

    Returns
    -------
    StabilityIndex
        The index, in nats, its p-value and, if `confidence_level` is given, its interval.

    Raises
    ------
    ValueError
        As `histogram_divergence`.

    References
    ----------
    Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation
    14, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.divergences import population_stability_index
    >>> random = np.random.default_rng(0)
    >>> reference, current = random.normal(size=100), random.normal(size=100)
    >>> index = population_stability_index(reference, current, random_state=0)
    >>> index.value > 0.1, index.p_value > 0.05
    (True, True)
    """
    check_choice("null", null, NULLS, of="population_stability_index")
    check_integer("n_permutations", n_permutations, 1, of="population_stability_index")
    intervals = _check(bins, pseudo_count, confidence_level, n_resamples)
    samples = as_column("reference", reference, categorical), as_column("current", current, categorical)
    check_kinds(("reference", "current"), *samples)
    check_kinds(("reference", "bins"), samples[0], intervals)
    table, rng = table_of(*samples, intervals), generator(random_state)
    if null == "asymptotic":
        p_value = asymptotic_p_value("jeffreys", table.a, table.b, pseudo_count)
    else:
        splits = splits_of_rows(*samples, intervals)
        drawn = table.grouped(MOST_CATEGORIES) if categorical else table
        p_value = permutation_p_value("jeffreys", drawn, pseudo_count, n_permutations, rng, splits=splits)
    if confidence_level is None:
        return StabilityIndex(float(count_divergence("jeffreys", table.a, table.b, pseudo_count)), p_value)
    value, low, high = _with_interval("jeffreys", table, pseudo_count, confidence_level, n_resamples, rng)
    return StabilityIndex(value, p_value, low, high)


def _check(bins: ArrayLike, pseudo_count: float, confidence_level: float | None, n_resamples: int) -> int | Quantity:
    """Return the number of bins or their edges, and raise ValueError if an option is outside its range."""
    check_interval(confidence_level, n_resamples)
    check_number("pseudo_count", pseudo_count, "a finite number >= 0")
    return check_bins(bins)


def _with_interval(
    divergence: DivergenceName,
    table: Table,
    pseudo_count: float,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return the divergence of the two samples and its bootstrap interval."""
    value = float(count_divergence(divergence, table.a, table.b, pseudo_count))
    first, second = (_resampled(counts, pseudo_count, n_resamples, rng) for counts in (table.a, table.b))
    replicates = count_divergence(divergence, first, second, pseudo_count)
    if divergence not in FIRST_ORDER:
        return unbiased_interval(value, replicates, confidence_level)
    _, low, high = unbiased_interval(value**2, replicates**2, confidence_level)
    return Estimate(value, math.sqrt(low), math.sqrt(high))


def _resampled(counts: np.ndarray, pseudo_count: float, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    shares = (counts + pseudo_count) / np.sum(counts + pseudo_count)
    return rng.multinomial(np.sum(counts), shares, n_resamples)
