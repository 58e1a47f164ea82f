"""What becomes of labels and weights before training: codes, row weights, a validation part."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from sklkl._fit.net_factory import numpy_dtype, torch_device
from sklkl._utils.sklearn_private import _check_sample_weight
from sklkl.data import Rows, is_sparse

# early_stopping="auto" keeps smaller data whole: a validation part of a few rows says little.
MIN_ROWS_TO_SPLIT = 200
TEXT_HINT = (
    "The network takes numbers only: encode the other columns in a Pipeline before it. sklkl.Distiller gives the "
    "teacher the rows as they are, and the network those that its Pipeline has encoded."
)


def validated(estimator: Any, X: Any, y: Any = "no_validation", **kwargs: Any) -> Any:
    """Validate X, or X and y, as scikit-learn does, and let a network of the user's own have inputs of any rank."""
    try:
        return validate_data(estimator, X, y, accept_sparse="csr", allow_nd=estimator.module is not None, **kwargs)
    except ValueError as error:
        if any(text in str(error) for text in ("could not convert string to float", "Cannot cast")):
            error.add_note(TEXT_HINT)
        raise


def training_rows(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    classes: np.ndarray | None = None,
    more_classes: np.ndarray | None = None,
    numbered: bool = False,
    reset: bool,
) -> tuple[Rows, np.ndarray]:
    """Return validated rows with codes and weights, on the device, and the classes.

    Parameters
    ----------
    estimator : KLClassifier
        For its parameters; learns the number and names of columns.
    X, y, sample_weight : array-like
        What was given to ``fit``.
    classes : ndarray or None
        Sorted labels that are known already; None learns them from y.
    more_classes : ndarray or None
        Labels that are classes even if y has none of them.
    numbered : bool
        Whether the rows get a column ``number``, their place in X.
    reset : bool
        Whether to learn the columns from X or to check them.

    Returns
    -------
    rows : Rows
        Rows of positive weight.
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    """
    check_label_types(y)
    dtype = numpy_dtype(estimator.dtype)
    with np.errstate(over="ignore"):  # casting 1e40 to float32 gives inf, which is refused; numpy need not warn as well
        X, y = validated(estimator, X, y, dtype=dtype, order="C", multi_output=True, reset=reset)
    y = y.toarray() if is_sparse(y) else y
    y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    if more_classes is not None and y.ndim == 1:
        classes = union_of_classes(np.unique(y), more_classes)
    codes, classes = encoded(y, classes)
    weight = row_weights(sample_weight, estimator.class_weight, X, codes, classes)
    rows = Rows(X, codes, weight=weight, number=np.arange(len(codes)) if numbered else None)
    if weight is not None and not weight.all():
        rows = rows.take(torch.from_numpy(np.flatnonzero(weight)))
    return rows.to(torch_device(estimator.device)), classes


def wants_validation(estimator: Any, rows: Rows, taught: bool) -> bool:
    """Whether to set a validation part aside; a teacher that labels every row is worth more than stopping early."""
    wanted = estimator.early_stopping
    return len(rows) >= MIN_ROWS_TO_SPLIT and not taught if wanted == "auto" else wanted


def split_rows(estimator: Any, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
    """Set a validation part aside, if that is possible."""
    train, valid = validation_split(rows.codes.cpu().numpy(), estimator.validation_fraction, random_state)
    if len(valid) == 0:
        return rows, None
    return rows.take(torch.from_numpy(train)), rows.take(torch.from_numpy(valid))


def check_label_types(y: Any) -> None:
    """Refuse labels that numpy would quietly turn into something else.

    Raises
    ------
    TypeError
        If strings are mixed with other types: ``["a", 1]`` would become ``["a", "1"]``.
    ValueError
        If a label is None.
    """
    values = y.ravel() if isinstance(y, np.ndarray) else y
    if not (isinstance(values, (list, tuple)) or getattr(getattr(values, "dtype", None), "kind", None) == "O"):
        return
    kinds = {type(value) for value in values}
    if type(None) in kinds:
        raise ValueError("Input y contains None.")
    if "NAType" in {kind.__name__ for kind in kinds}:  # pandas.NA; pandas itself may not be installed
        raise ValueError("Input y contains NA.")
    texts = {kind for kind in kinds if issubclass(kind, str)}
    # a float among strings is NaN, a missing label, which scikit-learn's own message names
    others = {kind.__name__ for kind in kinds - texts if not issubclass(kind, float)}
    if texts and others:
        raise TypeError(f"Labels must be uniformly strings or numbers. Got str and {', '.join(sorted(others))}.")


def encoded(y: np.ndarray, classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return class codes and the classes; the classes are learned from y unless they are given.

    Parameters
    ----------
    y : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Labels, or a multilabel indicator.
    classes : ndarray or None
        Sorted labels that are known already.

    Raises
    ------
    ValueError
        If y holds labels that are not among the known ones.
    """
    check_classification_targets(y)
    if y.ndim == 2:
        return _encoded_multilabel(y, classes)
    if classes is None:
        encoder = LabelEncoder()
        return encoder.fit_transform(y), encoder.classes_
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        labels = np.unique(y[unknown]).tolist()
        raise ValueError(f"y has labels {labels} that are not among the classes {classes.tolist()}.")
    return codes, classes


def union_of_classes(classes: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return the sorted labels of both.

    Raises
    ------
    ValueError
        If one has strings and the other has not.
    """
    texts = [values.dtype.kind in "OUST" for values in (classes, more)]
    if texts[0] != texts[1]:
        raise ValueError(f"The teacher's classes {more.tolist()} and those of y {classes.tolist()} differ in type.")
    return np.union1d(classes, more)


def _encoded_multilabel(y: np.ndarray, classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    target = type_of_target(y)
    if target != "multilabel-indicator":
        raise ValueError(f"y with several columns must be a multilabel indicator of zeros and ones. Got {target}.")
    labels = np.arange(y.shape[1])
    if classes is not None and not np.array_equal(classes, labels):
        raise ValueError(f"y has {y.shape[1]} columns, but the labels are {classes.tolist()}.")
    return y.astype(np.int64), labels


def row_weights(
    sample_weight: Any, class_weight: Any, X: Any, codes: np.ndarray, classes: np.ndarray
) -> np.ndarray | None:
    """Return the product of sample weights and class weights, or None where every row counts the same.

    Raises
    ------
    ValueError
        If a sample weight is negative or NaN, or all are zero.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True, copy=True)
    used = weight > 0
    if not used.any():
        raise ValueError("The 'sample_weight' parameter must have a positive weight. Got zeros only.")
    if class_weight is not None and codes.ndim == 2:
        raise ValueError("The 'class_weight' parameter must be None for multilabel targets; use 'sample_weight'.")
    if class_weight is not None:
        present = np.unique(codes[used])
        by_class = np.zeros(len(classes), dtype=X.dtype)
        by_class[present] = compute_class_weight(
            class_weight, classes=classes[present], y=classes[codes[used]], sample_weight=weight[used]
        )
        weight *= by_class[codes]
        if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
            raise ValueError(
                f"The 'class_weight' parameter must have finite weights >= 0. Got {class_weight!r} instead."
            )
    return weight


def validation_split(
    codes: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers into a training and a validation part, stratified by class where that is possible.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Class codes; a multilabel indicator is not stratified.
    fraction : float in (0, 1)
        Share of the rows set aside.
    random_state : RandomState
        Source of the choice.

    Returns
    -------
    train, valid : ndarray of int
        Row numbers. ``valid`` is empty if no class has two rows.

    Warns
    -----
    UserWarning
        If a class has one row only; it stays in the training part.
    """
    if codes.ndim == 2:
        train, valid = train_test_split(np.arange(len(codes)), test_size=fraction, random_state=random_state)
        return train, valid
    counts = np.bincount(codes)
    alone = counts[codes] == 1
    if alone.any():
        warnings.warn(
            f"{alone.sum()} classes have one row only, which stays in the training part: the rows set aside, for early "
            "stopping or to calibrate a teacher, have none of these classes.",
            UserWarning,
            stacklevel=4,
        )
    pool = np.flatnonzero(~alone)
    if len(pool) == 0:
        return np.arange(len(codes)), pool
    n_valid = min(max(1, round(fraction * len(pool))), len(pool) - 1)
    enough = min(n_valid, len(pool) - n_valid) >= (counts > 1).sum()
    train, valid = train_test_split(
        pool, test_size=n_valid, stratify=codes[pool] if enough else None, random_state=random_state
    )
    return np.sort(np.concatenate([train, np.flatnonzero(alone)])), np.sort(valid)
