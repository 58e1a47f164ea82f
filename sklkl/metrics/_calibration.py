"""Calibration: predicted probabilities against observed frequencies, in groups of similar predictions and overall."""

from __future__ import annotations

import numpy as np

from sklkl._utils.checks import check_integer
from sklkl._utils.types import ArrayLike, Labels, Proba, Weight
from sklkl.divergences import kl_divergence
from sklkl.metrics._docs import document
from sklkl.metrics._validation import Comparison, compare

__all__ = ["calibration_kl", "prior_shift_kl"]

# Confidences, and shares of the weight, that agree to this many digits count as equal.
_DIGITS = 9


@document
def calibration_kl(
    y_true: ArrayLike,
    y_proba: Proba,
    *,
    sample_weight: Weight = None,
    labels: Labels = None,
    smoothing: float = 0.0,
    n_bins: int = 10,
    return_bias: bool = False,
) -> float | tuple[float, float]:
    """Reliability term of the log-loss: how far the frequencies of the classes are from what is predicted, in nats.

    Rows are grouped by predicted class (the first of tied ones) and, within it, by the probability of that class, into
    bins of about equal weight; equal probabilities share a bin. The result is the weighted mean over the bins of
    KL(mean truth‖mean prediction), over all classes. It does not measure how informative predictions are: the
    class frequencies as a constant prediction are perfectly calibrated.

    Sampling error alone makes it positive. The bias is its expectation for perfectly calibrated predictions, to first
    order: ``Σ_k Var(mean y_k) / (2 mean q_k)`` of each bin. The variance is ``q (1 - q)`` a row for labels, the squared
    residual for soft labels. It takes rows as independent; in simulations it was within 15 % for bins of 20 rows.

    Parameters
    ----------
    {inputs}
    {smoothing}
    n_bins : int, default=10
        Number of bins, shared out among the predicted classes by weight; each has at least one.
    return_bias : bool, default=False
        Return the bias too.

    Returns
    -------
    value : float
        In [0, inf]; ``inf`` if a class occurs in a bin where all predictions give it probability zero.
    bias : float
        Its expectation under perfect calibration; only if `return_bias`.

    {raises}

    References
    ----------
    Bröcker, Reliability, sufficiency, and the decomposition of proper scores, Quarterly Journal of the Royal
    Meteorological Society 135, 2009.

    Kull and Flach, Novel decompositions of proper scoring rules for classification, ECML PKDD 2015.

    Examples
    --------
    >>> from sklkl.metrics import calibration_kl
    >>> y_true, y_proba = [0, 0, 0, 1, 1, 1, 1, 0], [0.1] * 4 + [0.75] * 4
    >>> value, bias = calibration_kl(y_true, y_proba, return_bias=True)
    >>> round(value, 6), round(bias, 6)
    (0.046166, 0.125)
    """
    check_integer("n_bins", n_bins, 1, of="calibration_kl")
    rows = compare(y_true, y_proba, sample_weight, labels)
    bins = _Bins(_bin_of_each_row(rows, n_bins))
    mass = bins.sum(rows.weight)
    observed, predicted = (bins.sum(rows.weight[:, None] * x) / mass[:, None] for x in (rows.truth, rows.proba))
    gaps = kl_divergence(observed, predicted, normalize=True, smoothing=smoothing)
    value = float(np.average(gaps, weights=mass))
    return (value, float(np.average(_bias(rows, bins, predicted, smoothing), weights=mass))) if return_bias else value


def _bin_of_each_row(rows: Comparison, n_bins: int) -> np.ndarray:
    """Return a number for each row that depends on the predictions only, equal for rows of one bin."""
    predicted = rows.proba.argmax(axis=1)
    confidence = rows.proba.max(axis=1).round(_DIGITS)
    shares = np.bincount(predicted, weights=rows.weight) / rows.weight.sum()
    codes = predicted * n_bins
    for k in np.flatnonzero(shares):
        members = predicted == k
        n_own = max(1, int((n_bins * shares[k] + 0.5).round(_DIGITS)))
        codes[members] += _quantile_bin(confidence[members], rows.weight[members], n_own)
    return codes


def _quantile_bin(values: np.ndarray, weight: np.ndarray, n_bins: int) -> np.ndarray:
    """Return ``floor(n_bins * share of the weight that lies strictly below)``."""
    distinct, inverse = np.unique(values, return_inverse=True)
    mass = np.bincount(inverse, weights=weight, minlength=len(distinct))
    below = (np.cumsum(mass) - mass) / mass.sum()
    return np.floor((n_bins * below).round(_DIGITS)).astype(np.intp).clip(max=n_bins - 1)[inverse]


class _Bins:
    """Sums over the rows of each bin."""

    def __init__(self, codes: np.ndarray) -> None:
        self.order = np.argsort(codes, kind="stable")
        self.starts = np.unique(codes[self.order], return_index=True)[1]

    def sum(self, values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values[self.order], self.starts, axis=0)


def _bias(rows: Comparison, bins: _Bins, predicted: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the expected divergence of each bin if truth had the predicted distributions."""
    q = rows.proba
    variance = q * (1 - q) if rows.hard else (rows.truth - q) ** 2
    spread = (1 - smoothing) ** 2 * bins.sum(rows.weight[:, None] ** 2 * variance)
    expected = (1 - smoothing) * predicted + smoothing / q.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):  # a class of probability zero that never occurs: 0 / 0
        terms = np.where(spread == 0, 0.0, spread / expected)
    return terms.sum(axis=1) / (2 * bins.sum(rows.weight) ** 2)


@document
def prior_shift_kl(
    y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None, smoothing: float = 0.0
) -> float:
    """KL(mean truth‖mean prediction), in nats: whether the classes are predicted as often as they occur.

    It is `calibration_kl` with all rows in one bin, and at most as large as it.

    Parameters
    ----------
    {inputs}
    {smoothing}

    Returns
    -------
    float
        In [0, inf].

    {raises}

    Examples
    --------
    >>> from sklkl.metrics import prior_shift_kl
    >>> round(prior_shift_kl(["a", "a", "a", "b"], [[0.5, 0.5]] * 4), 6)
    0.130812
    """
    rows = compare(y_true, y_proba, sample_weight, labels)
    observed, predicted = rows.mean(rows.truth), rows.mean(rows.proba)
    return float(kl_divergence(observed, predicted, normalize=True, smoothing=smoothing))
