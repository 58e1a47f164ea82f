"""From what was given to ``fit`` to rows of numbers: inputs, class codes, weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d
from torch.utils.data import DataLoader, Dataset

from sklkl._fit.labels import label_array
from sklkl._fit.parameters import InputParams
from sklkl._utils.arrays import as_array, to_numpy
from sklkl._utils.checks import invalid, invalid_input, refusal
from sklkl._utils.sklearn_private import _check_sample_weight, _check_y
from sklkl._utils.validation import checked_data
from sklkl._utils.whole_numbers import check_whole_numbers
from sklkl.data import Rows

TEXT_HINT = (
    "The network takes numbers only: encode the other columns in a Pipeline before it. sklkl.Distiller gives the "
    "teacher the rows as they are, and the network those that its Pipeline has encoded."
)

_CONTAINERS = "an array, a sparse matrix or a frame (sklkl.KLNet takes data sets of torch, and dicts of inputs)"
_OWNER = "KLClassifier"
# Weights of which the largest is within 2**-30 to 2**30 are taken as they are: their sums are far from any limit.
_ORDINARY_EXPONENT = 30


def validated(estimator: Any, X: Any, y: Any = "no_validation", *, any_rank: bool, **kwargs: Any) -> Any:
    """Validate X, or X and y, as scikit-learn does; a network of the user's own may have inputs of any rank."""
    check_container(X)
    X = to_numpy("X", X)
    try:
        # what is too large for a type becomes inf, which is refused; numpy need not warn as well
        with np.errstate(over="ignore", invalid="ignore"):
            return checked_data(estimator, X, y, accept_sparse="csr", allow_nd=any_rank, **kwargs)
    except (ValueError, TypeError) as error:
        if any(text in str(error) for text in ("could not convert string to float", "Cannot cast")):
            error.add_note(TEXT_HINT)
        raise


def check_container(X: Any, name: str = "X", allowed: str = _CONTAINERS) -> None:
    """Raise a TypeError if inputs are in no array, matrix or frame, but in what has to be asked for them."""
    if isinstance(X, (Mapping, Iterator, Set, str, bytes, Dataset, DataLoader)):
        raise TypeError(refusal(name, type(X).__name__, allowed))


@contextmanager
def called(name: str, instead_of: str = "X") -> Iterator[None]:
    """Let an error about data of one kind call them by their own name."""
    try:
        yield
    except (TypeError, ValueError) as error:
        found, n_found = re.subn(rf"(Input )?\b{instead_of}\b", name, str(error), count=1)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(found if n_found else f"{name} cannot be used: {found}") from error


def indexable_rows(name: str, values: Any) -> Any:
    """Return rows that can be taken by number: sparse matrices as CSR, what is no array or frame as an array."""
    if hasattr(values, "tocsr"):
        return values.tocsr()
    by_number = hasattr(values, "shape") and hasattr(values, "__getitem__")
    return values if values is None or by_number else as_array(name, values)


class Inputs(NamedTuple):
    """Validated inputs and labels.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Inputs in the network's floating type.
    y : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Labels, or a multilabel indicator.
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    """

    X: Any
    y: np.ndarray
    classes: np.ndarray


def read_inputs(
    estimator: Any,
    params: InputParams,
    X: Any,
    y: Any,
    *,
    classes: np.ndarray | None = None,
    reset: bool,
    multilabel: bool | None = None,
) -> Inputs:
    """Return validated inputs.

    Parameters
    ----------
    estimator : estimator
        Whose input it is: learns the number and names of columns, or has them checked.
    params : InputParams
        Parameters.
    X, y : array-like
        What was given to ``fit``.
    classes : ndarray or None
        Sorted labels that are known already; None learns them from y.
    reset : bool
        Whether to learn the columns from X or to check them.
    multilabel : bool or None
        Whether y must be an indicator, as that of a training that is resumed; None for either.

    Raises
    ------
    TypeError, ValueError
        If the inputs or labels are invalid.
    """
    y = label_array(y)
    any_rank, dtype = params.any_rank, params.numpy_dtype
    given = X
    X, y = validated(estimator, X, y, any_rank=any_rank, dtype=dtype, order="C", multi_output=True, reset=reset)
    if any_rank:
        check_whole_numbers(given, dtype)
    return Inputs(X, *_target(y, classes, multilabel, "in the training that is resumed"))


def _target(y: Any, classes: np.ndarray | None, multilabel: bool | None, like: str) -> tuple[np.ndarray, np.ndarray]:
    """Return labels or an indicator, and the sorted labels; ``like`` says whose kind of target it must be."""
    y = y.toarray() if hasattr(y, "toarray") else y
    y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    check_classification_targets(y)
    if multilabel is not None and multilabel != (y.ndim == 2):
        raise _other_target(multilabel, like)
    if y.ndim == 2:
        return _multilabel(y, classes)
    return y, LabelEncoder().fit(y).classes_ if classes is None else classes


def read_more(estimator: Any, params: InputParams, X: Any) -> Any:
    """Return further inputs, validated against those that the estimator knows."""
    dtype = params.numpy_dtype
    inputs = validated(estimator, X, any_rank=params.any_rank, dtype=dtype, order="C", reset=False)
    if params.any_rank:
        check_whole_numbers(X, dtype)
    return inputs


def read_more_labels(estimator: Any, y: Any, inputs: Inputs, classes: np.ndarray) -> np.ndarray:
    """Return further labels, validated against those of the training rows; `classes` are all that are known."""
    y, multilabel = _check_y(label_array(y), multi_output=True, estimator=estimator), inputs.y.ndim == 2
    y, _ = _target(y, classes, multilabel, "the target of the training rows")
    if not multilabel:
        class_codes(y, classes)  # or an error
    return y


def _other_target(multilabel: bool, like: str) -> ValueError:
    kinds = ["one label for each row", "a multilabel indicator"]
    return invalid_input("y", kinds[not multilabel], f"{kinds[multilabel]}, as {like}")


def _multilabel(y: np.ndarray, classes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    target = type_of_target(y)
    if target != "multilabel-indicator":
        raise ValueError(f"y with several columns must be a multilabel indicator of zeros and ones. Got {target}.")
    labels = np.arange(y.shape[1])
    if classes is not None and not np.array_equal(classes, labels):
        raise ValueError(f"y has {y.shape[1]} columns, but the labels are {classes.tolist()}.")
    return y.astype(np.int64), labels


def labelled_rows(
    params: InputParams, inputs: Inputs, sample_weight: Any, classes: np.ndarray, *, numbered: bool = False
) -> Rows:
    """Return the rows of positive weight with codes and weights, on the device.

    Parameters
    ----------
    params : InputParams
        Parameters.
    inputs : Inputs
        Validated inputs.
    sample_weight : array-like of shape (n_rows,) or None
        What was given to ``fit``.
    classes : ndarray of shape (n_classes,)
        Sorted labels, all that y has and perhaps more.
    numbered : bool
        Whether the rows get a column ``number``, their place in X.
    """
    codes = inputs.y if inputs.y.ndim == 2 else class_codes(inputs.y, classes)
    weight = row_weights(sample_weight, params.class_weight, inputs.X, codes, classes)
    weight = None if weight is None else weight.astype(params.numpy_dtype)
    rows = Rows(inputs.X, codes, weight=weight, number=np.arange(len(codes)) if numbered else None)
    if weight is not None and not weight.all():
        rows = rows.take(torch.from_numpy(np.flatnonzero(weight)))
    return rows if params.device.type == "cpu" else rows.to(params.device)


def class_codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the place of each label among sorted classes.

    Raises
    ------
    ValueError
        If y holds labels that are not among them.
    """
    try:
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        unknown = classes[codes] != y
    except TypeError:  # labels of kinds that cannot be compared, such as dates and numbers
        codes, unknown = np.zeros(len(y), dtype=np.intp), np.ones(len(y), dtype=bool)
    if unknown.any():
        labels = np.unique(y[unknown]).tolist()
        raise ValueError(f"y has labels {labels} that are not among the classes {classes.tolist()}.")
    return codes


def row_weights(
    sample_weight: Any, class_weight: Any, X: Any, codes: np.ndarray, classes: np.ndarray
) -> np.ndarray | None:
    """Return the product of sample weights and class weights, or None where every row counts the same.

    They are float64 and as large as they were given, unless floating types may not hold them or their sums: only their
    ratios matter, and the largest is then 1.

    Raises
    ------
    ValueError
        If a weight is negative, NaN or infinite, or all are zero, or class weights are not those of these classes.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = sample_weights(sample_weight, X)
    if class_weight is None:
        return _within_range(weight)
    if codes.ndim == 2:
        raise ValueError("The 'class_weight' parameter must be None for multilabel targets; use 'sample_weight'.")
    return _within_range(weight, _class_weights(class_weight, weight / weight.max(), codes, classes)[codes])


def ordinary_weights(sample_weight: Any, X: Any) -> Any:
    """Return sample weights as they were given, for a teacher; their ratios if they are far from 1."""
    if sample_weight is None:
        return None
    weight = sample_weights(sample_weight, X)
    within_range = _within_range(weight)
    return to_numpy("sample_weight", sample_weight) if np.array_equal(weight, within_range) else within_range


def sample_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Return one weight for each row of X, in float64.

    Raises
    ------
    ValueError
        If one is negative, NaN or infinite, or all are zero, or they are no numbers, or more or fewer than rows.
    """
    alone = isinstance(sample_weight, np.ndarray) and sample_weight.ndim == 0
    sample_weight = sample_weight[()] if alone else sample_weight
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


def _class_weights(class_weight: Any, weight: np.ndarray, codes: np.ndarray, classes: np.ndarray) -> np.ndarray:
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
        raise invalid(
            "class_weight", class_weight, "finite weights >= 0 of the classes, which may not all be zero", of=_OWNER
        )
    return by_class


def settled_class_weight(class_weight: Any, sample_weight: Any, inputs: Inputs, classes: np.ndarray) -> Any:
    """Return class weights that do not depend on the rows: ``"balanced"`` as a dict of what it is for these rows."""
    if not isinstance(class_weight, str):
        return class_weight
    weight, codes = sample_weights(sample_weight, inputs.X), class_codes(inputs.y, classes)
    return dict(zip(classes, _class_weights(class_weight, weight / weight.max(), codes, classes), strict=True))


def _within_range(*factors: np.ndarray) -> np.ndarray:
    """Return the product of weights >= 0, divided by the largest if that is far from 1."""
    mantissas, exponents = zip(*map(np.frexp, factors), strict=True)
    mantissa, exponent = np.prod(mantissas, axis=0), np.stack(exponents).sum(axis=0)
    highest = int(exponent[mantissa > 0].max())
    if abs(highest) <= _ORDINARY_EXPONENT:
        return np.prod(factors, axis=0)
    scaled = np.ldexp(mantissa, np.maximum(exponent - highest, -2000))
    return scaled / scaled.max()
