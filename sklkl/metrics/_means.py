"""Mean divergences of the predicted from the true distributions, and the share of it that a model explains."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from sklkl._utils.types import ArrayLike, Labels, Proba, Weight
from sklkl.divergences import js_divergence, kl_divergence, reverse_kl_divergence
from sklkl.metrics._docs import document
from sklkl.metrics._validation import Comparison, compare

__all__ = ["d2_kl_score", "mean_divergence", "mean_js_divergence", "mean_kl_divergence", "mean_reverse_kl_divergence"]


@document
def mean_kl_divergence(
    y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None, smoothing: float = 0.0
) -> float:
    """Mean over the rows of KL(truth‖prediction), in nats.

    With labels it is the log-loss, unclipped: ``inf`` where the true class has probability 0. Its expectation is
    least at the true probabilities (a strictly proper score), also under `smoothing` below 1, because truth and
    prediction pass the same invertible channel.

    Parameters
    ----------
    {inputs}
    {smoothing}

    Returns
    -------
    float
        In [0, inf]; 0 only if all predictions equal the truth.

    {raises}

    References
    ----------
    Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102, 2007.

    Examples
    --------
    >>> from sklkl.metrics import mean_kl_divergence
    >>> round(mean_kl_divergence(["ham", "spam"], [[0.9, 0.1], [0.5, 0.5]]), 6)
    0.399254
    >>> mean_kl_divergence([[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1], [0.5, 0.5]])
    0.0
    """
    rows = compare(y_true, y_proba, sample_weight, labels)
    return mean_divergence(kl_divergence, rows, smoothing)


@document
def mean_reverse_kl_divergence(
    y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None, smoothing: float = 0.0
) -> float:
    """Mean over the rows of KL(prediction‖truth), in nats.

    For soft labels such as a teacher's. With labels it is ``inf`` unless every prediction is certain and right, and
    under `smoothing` not a proper score: its expectation is least at predictions that are too confident.

    Parameters
    ----------
    {inputs}
    {smoothing}

    Returns
    -------
    float
        In [0, inf]; 0 only if all predictions equal the truth.

    {raises}

    Examples
    --------
    >>> from sklkl.metrics import mean_reverse_kl_divergence
    >>> p, q = [[0.36, 0.48, 0.16]], [[1 / 3, 1 / 3, 1 / 3]]
    >>> round(mean_reverse_kl_divergence(p, q), 6)
    0.097455
    >>> mean_reverse_kl_divergence(["ham", "spam"], [[0.9, 0.1], [0.5, 0.5]])
    inf
    """
    rows = compare(y_true, y_proba, sample_weight, labels)
    return mean_divergence(reverse_kl_divergence, rows, smoothing)


@document
def mean_js_divergence(
    y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None, smoothing: float = 0.0
) -> float:
    """Mean over the rows of the Jensen-Shannon divergence of truth and prediction, in nats.

    Bounded, so that no single row dominates the mean. With labels it is not a proper score: where a class has
    probability 0.8 its expectation is least at a prediction of 0.94. Choose models for their probabilities by
    `mean_kl_divergence`. With soft labels that are the true probabilities it is least at the truth.

    Parameters
    ----------
    {inputs}
    {smoothing}

    Returns
    -------
    float
        In [0, log 2]; 0 only if all predictions equal the truth.

    {raises}

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, IEEE Transactions on Information Theory 37, 1991.

    Examples
    --------
    >>> from sklkl.metrics import mean_js_divergence
    >>> round(mean_js_divergence(["ham", "spam"], [[0.9, 0.1], [0.0, 1.0]]), 6)
    0.017987
    """
    rows = compare(y_true, y_proba, sample_weight, labels)
    return mean_divergence(js_divergence, rows, smoothing)


@document
def d2_kl_score(
    y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None, smoothing: float = 0.0
) -> float:
    """Share of the divergence from the class frequencies that the predictions explain.

    ``1 - mean KL(truth‖prediction) / mean KL(truth‖prior)``, where the prior is the weighted mean of the truth. With
    labels it is `sklearn.metrics.d2_log_loss_score` without its clipping.

    Parameters
    ----------
    {inputs}
    {smoothing}

    Returns
    -------
    float
        In [-inf, 1]; 1 for perfect predictions, 0 for the prior. If all true rows are equal, 1 for perfect
        predictions and 0 for all others. NaN, with an `UndefinedMetricWarning`, for fewer than two rows.

    {raises}

    Examples
    --------
    >>> from sklkl.metrics import d2_kl_score
    >>> round(d2_kl_score([0, 1, 1, 0], [0.1, 0.8, 0.9, 0.5]), 6)
    0.593516
    """
    rows = compare(y_true, y_proba, sample_weight, labels)
    if len(rows.proba) < 2:
        message = "D^2 score is not well-defined with less than two samples."
        warnings.warn(message, UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    unexplained = mean_divergence(kl_divergence, rows, smoothing)
    total = mean_divergence(kl_divergence, rows, smoothing, q=rows.mean(rows.truth))
    if total == 0:
        return float("nan") if np.isnan(unexplained) else float(unexplained == 0)
    return 1 - unexplained / total


def mean_divergence(
    divergence: Callable[..., np.ndarray], rows: Comparison, smoothing: float, q: np.ndarray | None = None
) -> float:
    """Return the weighted mean of ``divergence(truth, q)`` over the rows; `q` is the prediction by default."""
    values = divergence(rows.truth, rows.proba if q is None else q, normalize=True, smoothing=smoothing)
    return float(rows.mean(values))
