"""A validation part that was given to ``fit``, in place of rows set aside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator

from sklkl._fit.inputs import Inputs, called, class_codes, indexable_rows, labelled_rows, read_more, read_more_labels
from sklkl._fit.parameters import FitData, FitParams, SplitParams
from sklkl._fit.weights import balanced_class_weight
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.sklearn_private import _safe_indexing
from sklkl.data import Rows


def validation_rows(
    estimator: BaseEstimator, params: FitParams, data: FitData, inputs: Inputs, classes: np.ndarray
) -> Rows:
    """Return the validation part that was given, with the column ``number``.

    Parameters
    ----------
    estimator : estimator
        Which knows the columns of X.
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to ``fit``.
    inputs : Inputs
        The training rows, validated.
    classes : ndarray of shape (n_classes,)
        Sorted labels, all that the network knows.

    Raises
    ------
    TypeError, ValueError
        If only a part of it was given, ``early_stopping`` is False, or the data are not like those of the training
        rows. Errors call them ``X_val``, ``y_val`` and ``sample_weight_val``.
    """
    _check_given(data, params.split)
    with called("X_val"):
        given = data.X_val if data.transform is None else data.transform(data.X_val)
        X = read_more(estimator, params.inputs, given)
    if X.shape[1:] != inputs.X.shape[1:]:
        raise invalid_input("X_val", f"rows of shape {X.shape[1:]}", f"of rows of shape {inputs.X.shape[1:]}, as X")
    with called("y_val", "y"):
        y = read_more_labels(estimator, data.y_val, inputs, classes)
    if len(y) != X.shape[0]:
        raise invalid_input(("X_val", "y_val"), f"{X.shape[0]} and {len(y)} rows", "of the same length")
    weighted = params.inputs
    if isinstance(weighted.class_weight, str):
        codes = class_codes(inputs.y, classes)
        by_class = balanced_class_weight(data.sample_weight, inputs.X, codes, classes)
        weighted = replace(weighted, class_weight=by_class)
    with called("sample_weight_val", "sample_weight"):
        return labelled_rows(weighted, Inputs(X, y, classes), data.sample_weight_val, classes, numbered=True)


def _check_given(data: FitData, split: SplitParams) -> None:
    """Raise a ValueError unless there is a validation part, all of it, and a use for it."""
    missing = [name for name in ("X_val", "y_val") if getattr(data, name) is None]
    if missing:
        raise ValueError(f"A validation part is 'X_val' and 'y_val' together. Got {' and '.join(missing)} = None.")
    if split.early_stopping is False:
        allowed = "'auto' or True where a validation part is given as 'X_val' and 'y_val'"
        raise invalid("early_stopping", False, allowed, of="KLClassifier")


def without_labels(data: FitData, labels: np.ndarray) -> FitData:
    """Return what was given, but for rows of the validation part that have one of these labels."""
    if data.X_val is None or data.y_val is None or len(labels) == 0:
        return data
    kept = np.flatnonzero(~np.isin(indexable_rows("y_val", data.y_val), labels))
    names = ("X_val", "y_val", "sample_weight_val")
    given = {name: indexable_rows(name, getattr(data, name)) for name in names}
    none = len(kept) == 0
    parts = {name: None if none or rows is None else _safe_indexing(rows, kept) for name, rows in given.items()}
    return replace(data, **parts)
