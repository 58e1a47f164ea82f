"""Judging generated samples by the classes that a classifier sees in them."""

from __future__ import annotations

import math

import numpy as np

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.frames import column_labels
from sklkl._utils.types import ArrayLike, Labels, Proba, Weight
from sklkl.divergences import kl_divergence
from sklkl.metrics._docs import document
from sklkl.metrics._validation import check_labels, check_probabilities, check_weight, in_order, label_codes

__all__ = ["inception_score", "mode_coverage_kl"]


@document
def inception_score(y_proba: Proba, *, sample_weight: Weight = None) -> float:
    """Inception Score ``exp(mean KL(p(y|x)‖p(y)))``: high for samples that are distinct and of all classes.

    Of all samples at once, not averaged over splits.

    Parameters
    ----------
    {proba}

    Returns
    -------
    float
        In [1, n_classes]; `n_classes` if every sample is certain and all classes are equally frequent.

    {raises}

    References
    ----------
    Salimans, Goodfellow, Zaremba, Cheung, Radford and Chen, Improved techniques for training GANs, NeurIPS 2016,
    section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.metrics import inception_score
    >>> round(inception_score(np.eye(10)), 6)
    10.0
    """
    proba = check_probabilities("y_proba", y_proba)
    weight = check_weight(sample_weight, len(proba))
    proba, weight = proba[weight > 0], weight[weight > 0]
    marginal = np.average(proba, axis=0, weights=weight)
    return math.exp(np.average(kl_divergence(proba, marginal, normalize=True), weights=weight))


@document
def mode_coverage_kl(
    y_generated: ArrayLike,
    *,
    labels: Labels = None,
    reference: ArrayLike | None = None,
    y_reference: ArrayLike | None = None,
    sample_weight: Weight = None,
) -> float:
    """KL(modes of the generated samples‖reference), in nats: whether a generator drops or prefers modes.

    Sampling error alone adds about ``(n_modes - 1) / (2 n_samples)`` if there are more samples than modes.

    Parameters
    ----------
    y_generated : array-like of shape (n_samples,) or (n_samples, n_modes)
        The mode of each generated sample: labels, or a classifier's probabilities.
    labels : array-like of shape (n_modes,), default=None
        All modes, also those never generated. Needed wherever modes are given as labels; the order of the columns.
    reference : array-like of shape (n_modes,), default=None
        Probabilities that the modes should have, in the order of `labels`. Uniform by default.
    y_reference : array-like of shape (m,) or (m, n_modes), default=None
        Modes of real samples, whose mean is the reference; in place of `reference`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0 of the generated samples.

    Returns
    -------
    float
        In [0, inf]; in [0, log n_modes] for the uniform reference, where one mode of many gives the logarithm of their
        number. ``inf`` if a mode is generated whose probability in the reference is zero.

    Raises
    ------
    ValueError
        If the modes are labels and `labels` is None or lacks one, both references are given, or an input is no
        distribution.

    References
    ----------
    Metz, Poole, Pfau and Sohl-Dickstein, Unrolled generative adversarial networks, ICLR 2017.

    Examples
    --------
    >>> from sklkl.metrics import mode_coverage_kl
    >>> round(mode_coverage_kl([7] * 50, labels=range(1000)), 6)
    6.907755
    """
    if reference is not None and y_reference is not None:
        raise invalid_input(("reference", "y_reference"), "both", "given one at a time at most", "mode_coverage_kl")
    generated = _mode_shares("y_generated", y_generated, labels, sample_weight)
    if y_reference is not None:
        labels = column_labels(y_generated) if labels is None else labels
        reference = _mode_shares("y_reference", y_reference, labels)
    if reference is None:
        reference = np.full(len(generated), 1 / len(generated))
    if np.shape(reference) != generated.shape:
        found = f"the shape {np.shape(reference)}"
        raise invalid_input("reference", found, f"of shape {generated.shape}, one value a mode", "mode_coverage_kl")
    return float(
        kl_divergence(generated, check_probabilities("reference", np.asarray(reference)[None])[0], normalize=True)
    )


def _mode_shares(name: str, y: ArrayLike, labels: Labels, sample_weight: Weight = None) -> np.ndarray:
    """Return the weighted share of each mode."""
    table, y = y, as_array(name, y)
    labels = None if labels is None else check_labels(labels)
    weight = check_weight(sample_weight, len(y)) if y.ndim else np.ones(1)
    if not (y.ndim == 2 and y.shape[1] > 1):
        if labels is None:
            raise invalid("labels", None, f"the labels of all modes, because {name} holds labels", "mode_coverage_kl")
        return np.bincount(label_codes(name, y, labels), weight, len(labels)) / weight.sum()
    shares = in_order(name, check_probabilities(name, y), table, labels)
    if labels is not None and shares.shape[1] != len(labels):
        raise invalid_input(name, f"{shares.shape[1]} columns", f"of {len(labels)} columns, as many as labels")
    return np.average(shares[weight > 0], axis=0, weights=weight[weight > 0])
