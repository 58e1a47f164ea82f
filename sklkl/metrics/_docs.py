"""What the metrics' docstrings have in common, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["document"]

Function = TypeVar("Function", bound=Callable[..., Any])

_TEXTS = {
    "inputs": """y_true : array-like of shape (n_samples,) or (n_samples, n_classes)
        Labels of any type, or soft labels: one distribution per row, columns as in `y_proba`. The columns of frames
        are matched by name if they are named by class.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities; one column is the probability of the second of two classes. Rows are divided by
        their sums, which must be within 1e-3 of 1 (2**-7 for values in bfloat16).
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0. A weight of 2 counts the row twice, one of 0 leaves it out.
    labels : array-like of shape (n_classes,), default=None
        The class of each column, in this very order (`sklearn.metrics.log_loss` sorts them). By default the sorted
        classes of `y_true`, as in ``classes_``.""",
    "proba": """y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Predicted probabilities, as in `mean_kl_divergence`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0; rows of weight 0 are left out.""",
    "smoothing": """smoothing : float, default=0.0
        Share of the uniform distribution mixed into truth and prediction alike, in [0, 1].""",
    "raises": """Raises
    ------
    ValueError
        If rows are negative or do not sum to 1, `y_true` holds something that is not in `labels`, numbers of rows or
        classes disagree, or a parameter is outside its range. NaN among the probabilities is not an error.""",
}


def document(function: Function) -> Function:
    """Fill the shared descriptions into a docstring."""
    for name, text in _TEXTS.items():
        function.__doc__ = (function.__doc__ or "").replace("{" + name + "}", text)
    return function
