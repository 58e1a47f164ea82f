"""What the columns of predictions are called."""

from __future__ import annotations

import numpy as np

from sklkl._utils.arrays import as_array
from sklkl._utils.types import ArrayLike, Labels, Proba
from sklkl.metrics._validation import check_labels, class_order, is_soft

__all__ = ["class_names"]


def class_names(y_true: ArrayLike, y_proba: Proba, labels: Labels, n_classes: int) -> np.ndarray:
    """Return the class of each column of the distributions that `compare` makes of the same arguments."""
    if labels is not None:
        return check_labels(labels)
    soft = is_soft("y_true", y_true)
    order = class_order("y_true", y_true, y_proba, soft)
    if order is not None:
        return order
    return np.arange(n_classes) if soft else np.unique(as_array("y_true", y_true))
