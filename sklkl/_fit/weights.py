"""From sample weights and class weights to one weight for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import compute_class_weight

from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid
from sklkl._utils.sklearn_private import _check_sample_weight
from sklkl._utils.types import MatrixLike, Weight

# Weights of which the largest is within 2**-30 to 2**30 are taken as they are: their sums are far from any limit.
_ORDINARY_EXPONENT = 30


def row_weights(sample_weight: Weight, class_weight: Any, X: Any, codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the product of sample weights and class weights, of which one may be None.

    They are float64 and as large as they were given, unless floating types may not hold them or their sums: only their
    ratios matter, and the largest is then 1.

    Raises
    ------
    ValueError
        If a weight is negative, NaN or infinite, or all are zero, or class weights are not those of these classes.
    """
    weight = sample_weights(sample_weight, X)
    if class_weight is None:
        return _within_range(weight)
    if codes.ndim == 2:
        raise ValueError("The 'class_weight' parameter must be None for multilabel targets; use 'sample_weight'.")
    return _within_range(weight, class_weights(class_weight, weight / weight.max(), codes, classes)[codes])


def ordinary_weights(sample_weight: Weight, X: MatrixLike) -> Weight:
    """Return sample weights as they were given, for a teacher; their ratios if they are far from 1."""
    if sample_weight is None:
        return None
    weight = sample_weights(sample_weight, X)
    within_range = _within_range(weight)
    return to_numpy("sample_weight", sample_weight) if np.array_equal(weight, within_range) else within_range


def sample_weights(sample_weight: Weight, X: MatrixLike) -> np.ndarray:
    """Return one weight for each row of X, in float64.

    Raises
    ------
    ValueError
        If one is negative, NaN or infinite, or all are zero, or they are no numbers, or more or fewer than rows.
    """
    if isinstance(sample_weight, np.ndarray) and sample_weight.ndim == 0:
        sample_weight = sample_weight[()]
    try:
        sample_weight = to_numpy("sample_weight", sample_weight)
        with np.errstate(over="ignore"):  # what is too large for float64 becomes inf, which is refused
            weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True)
        if not weight.any():  # scikit-learn refuses these since 1.9
            raise ValueError("Got weights that are all zero; at least one must be non-zero.")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"The 'sample_weight' parameter must be finite numbers >= 0, one for each row, and not all zero. {error}"
        ) from error
    return np.asarray(weight, dtype=np.float64)


def class_weights(class_weight: Any, weight: np.ndarray, codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the weight of each class; a dict is read as scikit-learn does, for all classes, also those of no row."""
    used = weight > 0
    known = np.unique(codes[used]) if isinstance(class_weight, str) else np.arange(len(classes))
    by_class = np.zeros(len(classes))
    try:
        by_class[known] = compute_class_weight(
            class_weight, classes=classes[known], y=classes[codes[used]], sample_weight=weight[used]
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"The 'class_weight' parameter must have a number for each class. {error}.") from error
    of_rows = by_class[codes[used]]
    if not (np.isfinite(by_class).all() and (by_class >= 0).all() and of_rows.any()):
        allowed = "finite weights >= 0 of the classes, which may not all be zero"
        raise invalid("class_weight", class_weight, allowed, of="KLClassifier")
    return by_class


def balanced_class_weight(sample_weight: Weight, X: Any, codes: np.ndarray, classes: np.ndarray) -> dict[Any, float]:
    """Return what ``"balanced"`` is for these rows, in a dict that serves for others too."""
    weight = sample_weights(sample_weight, X)
    return dict(zip(classes, class_weights("balanced", weight / weight.max(), codes, classes), strict=True))


def _within_range(*factors: np.ndarray) -> np.ndarray:
    """Return the product of weights >= 0, divided by the largest if that is far from 1."""
    mantissas, exponents = zip(*map(np.frexp, factors), strict=True)
    mantissa, exponent = np.prod(mantissas, axis=0), np.stack(exponents).sum(axis=0)
    highest = int(exponent[mantissa > 0].max())
    if abs(highest) <= _ORDINARY_EXPONENT:
        return np.prod(factors, axis=0)
    scaled = np.ldexp(mantissa, np.maximum(exponent - highest, -2000))
    return scaled / scaled.max()
