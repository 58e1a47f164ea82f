"""Divergences between two samples of one column, by the shares of their values in bins."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from sklkl._binning import NumericBins, category_bins, is_missing, numeric_bins
from sklkl.divergences._estimate import Estimate, check_integer, check_interval, generator, unbiased_interval
from sklkl.divergences._registry import DIVERGENCES
from sklkl.divergences._two_samples import NULLS, asymptotic_p_value, permutation_p_value

__all__ = ["StabilityIndex", "histogram_divergence", "population_stability_index"]

# Near p = q these are of the order of p - q, the others of that of its square, where the bootstrap knows the bias.
_FIRST_ORDER = frozenset({"hellinger", "js_distance", "total_variation"})


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
    >>> index = population_stability_index([1, 1, 2] * 20, [1, 2, 2] * 20, random_state=0)
    >>> round(index.value, 2), index.p_value < 0.01, index.low
    (0.45, True, nan)
    """

    value: float
    p_value: float
    low: float = math.nan
    high: float = math.nan


def histogram_divergence(
    x: Any,
    y: Any,
    *,
    divergence: str = "kl",
    bins: Any = 10,
    pseudo_count: float = 0.5,
    categorical: bool = False,
    confidence_level: float | None = None,
    n_resamples: int = 999,
    random_state: Any = None,
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
        ``(edge, next edge]``, values beyond the outermost edges having intervals of their own.
    pseudo_count : float, default=0.5
        Added to each bin's count in each sample, so that an empty bin is rare instead of impossible. 0 gives the
        divergence of the raw shares.
    categorical : bool, default=False
        Make each distinct value of the samples a bin, instead of intervals of numbers.
    confidence_level : float, optional
        Return an interval that is to cover the divergence of the two distributions, in these bins, with this
        probability.
    n_resamples : int, default=999
        Number of bootstrap samples behind the interval. They also show by how much the value is too large, which the
        interval is corrected for: the value may be near its upper end.
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
    >>> round(histogram_divergence([1, 1, 2, None], [1, 2, 2, None], pseudo_count=0), 6)
    0.173287
    >>> colours = ["red"] * 30 + ["blue"] * 10, ["red"] * 10 + ["blue"] * 30
    >>> round(histogram_divergence(*colours, divergence="total_variation", categorical=True, pseudo_count=0), 6)
    0.5
    """
    if divergence not in DIVERGENCES:
        raise ValueError(f"divergence={divergence!r} given; allowed: {', '.join(map(repr, sorted(DIVERGENCES)))}")
    check_interval(confidence_level, n_resamples)
    a, b = _counts({"x": x, "y": y}, bins, pseudo_count, categorical)
    if confidence_level is None:
        return float(_of_counts(divergence, a, b, pseudo_count))
    return _with_interval(divergence, a, b, pseudo_count, confidence_level, n_resamples, generator(random_state))


def population_stability_index(
    reference: Any,
    current: Any,
    *,
    bins: Any = 10,
    pseudo_count: float = 0.5,
    categorical: bool = False,
    null: str = "permutation",
    n_permutations: int = 999,
    confidence_level: float | None = None,
    n_resamples: int = 999,
    random_state: Any = None,
) -> StabilityIndex:
    """Index of population stability (PSI), ``Σ (p - q) log(p/q)`` of the shares in bins, with a p-value.

    It is the Jeffreys divergence. Without any change its mean is about ``(B - 1)(1/n + 1/m)`` for B bins, hence fixed
    thresholds such as 0.1 and 0.25 mean nothing by themselves: ten bins and 100 values a sample exceed 0.1 in 85 % of
    cases. Judge by the p-value.

    Parameters
    ----------
    reference : array-like of shape (n,)
        Values from before.
    current : array-like of shape (m,)
        Values of now.
    bins, pseudo_count, categorical : object
        As in `histogram_divergence`, the intervals being those of `reference`.
    null : {"permutation", "asymptotic"}, default="permutation"
        The p-value is the share of random splits of all rows, or the tail of the chi-square distribution that
        ``n m / (n + m)`` times the index has for large samples. The latter is quick, and for small samples too large
        rather than too small.
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
    if null not in NULLS:
        raise ValueError(f"null={null!r} given; allowed: {', '.join(map(repr, NULLS))}")
    check_integer("n_permutations", n_permutations, 1)
    check_interval(confidence_level, n_resamples)
    a, b = _counts({"reference": reference, "current": current}, bins, pseudo_count, categorical)
    rng = generator(random_state)
    if null == "permutation":
        p_value = permutation_p_value("psi", a, b, pseudo_count, n_permutations, rng)
    else:
        p_value = asymptotic_p_value("psi", a, b, pseudo_count)
    if confidence_level is None:
        return StabilityIndex(float(_of_counts("jeffreys", a, b, pseudo_count)), p_value)
    value, low, high = _with_interval("jeffreys", a, b, pseudo_count, confidence_level, n_resamples, rng)
    return StabilityIndex(value, p_value, low, high)


def _counts(
    samples: dict[str, Any], bins: Any, pseudo_count: float, categorical: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of two samples in the bins that are in use; the keys are their names in messages."""
    if not isinstance(pseudo_count, Real) or not 0 <= pseudo_count < math.inf:
        raise ValueError(f"pseudo_count={pseudo_count!r} given; allowed: a finite number >= 0")
    bins = _checked_bins(bins)
    x, y = (_column(name, values, categorical) for name, values in samples.items())
    # categories of both: were those of y alone thrown together, samples of many rare ones would seem to differ
    found = category_bins(np.concatenate([x, y])) if categorical else _intervals(x, bins)
    a, b = (np.bincount(found.codes(values), minlength=found.n_bins) for values in (x, y))
    used = a + b > 0
    return a[used], b[used]


def _checked_bins(bins: Any) -> Any:
    """Return the number of intervals, or the edges between them as an array."""
    if np.ndim(bins) == 0:
        if not isinstance(bins, int | np.integer) or isinstance(bins, bool) or bins < 1:
            raise ValueError(f"bins={bins!r} given; allowed: an integer >= 1 or ascending edges")
        return bins
    edges = np.asarray(bins, dtype=np.float64)
    if edges.ndim != 1 or not len(edges) or np.isnan(edges).any() or not (edges[1:] > edges[:-1]).all():
        raise ValueError(f"bins={bins!r} given; allowed: an integer >= 1 or ascending edges")
    return edges


def _intervals(x: np.ndarray, bins: Any) -> NumericBins:
    return NumericBins(bins) if isinstance(bins, np.ndarray) else numeric_bins(x, int(bins))


def _column(name: str, values: Any, categorical: bool) -> np.ndarray:
    """Return one sample, objects if categorical, otherwise floats with NaN where a value is missing."""
    # as objects, because NumPy makes the string "nan" of a missing value among strings
    column = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if column.ndim != 1 or not len(column):
        raise ValueError(f"{name} of shape {column.shape} given; allowed: one-dimensional, not empty")
    if categorical:
        return column.astype(object)
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    return np.array([_number(name, value) for value in column])


def _number(name: str, value: Any) -> float:
    if is_missing(value):
        return math.nan
    if isinstance(value, Real | Decimal | np.bool_):
        return float(value)
    raise ValueError(f"{name} with the value {value!r} given; allowed: numbers, or any values with categorical=True")


def _of_counts(divergence: str, a: np.ndarray, b: np.ndarray, pseudo_count: float) -> np.ndarray:
    return DIVERGENCES[divergence](a + pseudo_count, b + pseudo_count, normalize=True)


def _with_interval(
    divergence: str,
    a: np.ndarray,
    b: np.ndarray,
    pseudo_count: float,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Estimate:
    """Return the divergence of two rows of counts and its bootstrap interval."""
    value = float(_of_counts(divergence, a, b, pseudo_count))
    shares = [(counts + pseudo_count) / np.sum(counts + pseudo_count) for counts in (a, b)]
    first, second = (rng.multinomial(np.sum(c), p, n_resamples) for c, p in zip((a, b), shares, strict=True))
    replicates = _of_counts(divergence, first, second, pseudo_count)
    if divergence not in _FIRST_ORDER:
        return unbiased_interval(value, replicates, confidence_level)
    _, low, high = unbiased_interval(value**2, replicates**2, confidence_level)
    return Estimate(value, math.sqrt(low), math.sqrt(high))
