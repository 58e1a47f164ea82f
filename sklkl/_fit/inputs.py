"""From what was given to ``fit`` to rows of numbers: inputs, and labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d, validate_data
from torch.utils.data import DataLoader, Dataset

from sklkl._fit.in_place import check_finite, stays_in_place
from sklkl._fit.object_labels import check_no_missing, missing_label, object_array, typed_labels
from sklkl._fit.parameters import FLOATS, FitData, InputParams
from sklkl._fit.times import check_no_times
from sklkl._fit.weights import row_weights
from sklkl._utils.arrays import as_array, is_lazy_column, to_numpy
from sklkl._utils.checks import invalid, invalid_input, refusal
from sklkl._utils.columns import is_missing
from sklkl._utils.sklearn_private import _check_partial_fit_first_call, _check_y
from sklkl._utils.validation import check_readable
from sklkl._utils.whole_numbers import check_whole_numbers
from sklkl.data import LazyRows, RowBlocks, Rows, _rows

TEXT_HINT = (
    "The network takes numbers only: encode the other columns in a Pipeline before it. sklkl.Distiller gives the "
    "teacher the rows as they are, and the network those that its Pipeline has encoded."
)

_CONTAINERS = (
    "an array, a sparse matrix or a frame (sklkl.KLNet takes data sets of torch, and dicts of inputs; what is read "
    "block by block is for fit, as sklkl.data.RowBlocks)"
)
# Libraries of data that are in no memory.
_SOURCES = ("pyarrow", "datasets")
# Kinds of arrays whose values are labels whatever they are.
_PLAIN_LABELS = "biuU"


def validated(
    estimator: BaseEstimator, X: Any, y: Any = "no_validation", *, module_dtype: np.dtype | None, **kwargs: Any
) -> Any:
    """Validate X, or X and y, as scikit-learn does.

    Inputs of a network of the user's own may have any rank, but no whole number that its floating type cannot hold.
    """
    check_container(X)
    X = X if type(X) is np.ndarray else to_numpy("X", X)
    if not (isinstance(X, np.ndarray) and X.dtype.kind in "biuf"):
        check_no_times(X, TEXT_HINT)
    # what is too large for a type becomes inf, which is refused; numpy need not warn as well
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            found = validate_data(estimator, X, y, accept_sparse="csr", allow_nd=module_dtype is not None, **kwargs)
        except Exception:
            check_readable("X", X, kwargs["dtype"], TEXT_HINT)
            raise
    if module_dtype is not None:
        check_whole_numbers(X, module_dtype)
    return found


def check_container(X: Any, name: str = "X", allowed: str = _CONTAINERS) -> None:
    """Raise a TypeError if inputs are in no array, matrix or frame, but in what has to be asked for them."""
    if type(X) is np.ndarray:
        return
    of_library = type(X).__module__.partition(".")[0] in _SOURCES
    is_source = of_library and not (hasattr(X, "__array__") or is_lazy_column(X))
    if is_source or isinstance(X, (Mapping, Iterator, Set, str, bytes, Dataset, DataLoader, RowBlocks)):
        raise TypeError(refusal(name, type(X).__name__, allowed))


def check_given(estimator: BaseEstimator, X: Any, y: Any) -> None:
    """Raise a TypeError if inputs are not in memory, and, as scikit-learn does, a ValueError if there are no labels."""
    check_container(X, allowed="rows in memory: an array, a sparse matrix or a frame")
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")


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


def indexable(data: FitData) -> FitData:
    """Return what a teacher is to see in containers whose rows can be taken by number; none of no row is none."""
    check_container(data.X_unlabeled, "X_unlabeled")
    check_container(data.teacher_proba, "teacher_proba", "an array or a frame of probabilities")
    check_container(data.X_val, "X_val")
    names = ("sample_weight", "teacher_proba", "X_unlabeled", "X_val")
    rows = {name: indexable_rows(name, getattr(data, name)) for name in names}
    if rows["X_unlabeled"] is not None and rows["X_unlabeled"].shape[:1] == (0,):
        rows["X_unlabeled"] = None
    return replace(data, teacher_X=indexable_rows("X", data.X if data.teacher_X is None else data.teacher_X), **rows)


class Inputs(NamedTuple):
    """Validated inputs and labels.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        Inputs in the network's floating type, unless they stay in place.
    y : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Labels, or a multilabel indicator.
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    in_place : bool, default=False
        Whether X stays as it is, of another type or order than the network's, or read-only.
    """

    X: Any
    y: np.ndarray
    classes: np.ndarray
    in_place: bool = False


def read_inputs(
    estimator: BaseEstimator,
    params: InputParams,
    X: Any,
    y: Any,
    *,
    classes: np.ndarray | None = None,
    reset: bool,
    multilabel: bool | None = None,
    in_place: bool = False,
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
    in_place : bool
        Whether a large table may stay as it is, of another type or order.

    Raises
    ------
    TypeError, ValueError
        If the inputs or labels are invalid.
    """
    y = label_array(y)
    is_large = in_place and isinstance(X, np.ndarray) and X.size > _rows.LARGE
    kept = is_large and stays_in_place(X, params.numpy_dtype)
    how: dict[str, Any] = {"dtype": "numeric"} if kept else {"dtype": params.numpy_dtype, "order": "C"}
    plain = _plain_table(X, y, params.numpy_dtype) if reset and not kept else None
    if plain is not None:  # its columns have no names
        X, estimator.n_features_in_ = plain, plain.shape[1]
        vars(estimator).pop("feature_names_in_", None)
    else:
        X, y = validated(estimator, X, y, module_dtype=params.module_dtype, **how, multi_output=True, reset=reset)
    if kept:
        check_finite(X, params.numpy_dtype)
    y, classes = target_of(y, classes, multilabel, "in the training that is resumed")
    return Inputs(X, y, classes, kept)


def _plain_table(X: Any, y: Any, dtype: np.dtype) -> np.ndarray | None:
    """Return X in the network's type if scikit-learn's checks, a noticeable part of a short fit, would find nothing."""
    plain = type(X) is type(y) is np.ndarray and X.dtype.kind == "f" and y.dtype.kind in _PLAIN_LABELS
    if not plain or X.ndim != 2 or y.shape != X.shape[:1] or X.size == 0:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        table = np.asarray(X, dtype=dtype, order="C")
        return table if np.isfinite(table.sum()) else None


def target_of(y: Any, classes: np.ndarray | None, multilabel: bool | None, like: str) -> tuple[np.ndarray, np.ndarray]:
    """Return labels or an indicator, and the sorted labels; ``like`` says whose kind of target it must be."""
    y = y.toarray() if hasattr(y, "toarray") else y
    y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    if classes is None and y.ndim == 1 and y.dtype.kind in _PLAIN_LABELS:
        classes = np.unique(y)
    if classes is None or not _are_plain_labels(y, classes):
        _check_labels(y)
    if multilabel is not None and multilabel != (y.ndim == 2):
        kinds = ["one label for each row", "a multilabel indicator"]
        raise invalid_input("y", kinds[not multilabel], f"{kinds[multilabel]}, as {like}")
    if y.ndim == 2:
        return _multilabel(y, classes)
    if classes is None:
        classes = LabelEncoder().fit(y).classes_ if y.dtype.kind == "O" else np.unique(y)
    return y, classes


def _are_plain_labels(y: np.ndarray, classes: np.ndarray) -> bool:
    """Whether scikit-learn's look at labels, which takes a noticeable part of a short fit, would find nothing."""
    return y.ndim == 1 and y.dtype.kind in _PLAIN_LABELS and 2 * len(classes) <= len(y)


def _check_labels(y: np.ndarray) -> None:
    try:
        check_classification_targets(y)
    except ValueError as error:
        if y.ndim == 2:
            error.add_note("Probabilities to learn from, beside the labels, are the 'teacher_proba' of fit.")
        raise


def read_more(estimator: BaseEstimator, params: InputParams, X: Any) -> Any:
    """Return further inputs, validated against those that the estimator knows."""
    types = {"module_dtype": params.module_dtype, "dtype": params.numpy_dtype}
    return validated(estimator, X, **types, order="C", reset=False)


def read_more_labels(estimator: BaseEstimator, y: Any, inputs: Inputs, classes: np.ndarray) -> np.ndarray:
    """Return further labels, validated against those of the training rows; `classes` are all that are known."""
    y, multilabel = _check_y(label_array(y), multi_output=True, estimator=estimator), inputs.y.ndim == 2
    y, _ = target_of(y, classes, multilabel, "the target of the training rows")
    if not multilabel:
        class_codes(y, classes)  # or an error
    return y


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
    weight = None
    if sample_weight is not None or params.class_weight is not None:
        weight = row_weights(sample_weight, params.class_weight, inputs.X, codes, classes).astype(params.numpy_dtype)
    columns: dict[str, Any] = {"weight": weight, "number": np.arange(len(codes)) if numbered else None}
    if inputs.in_place:
        rows: Rows = LazyRows(inputs.X, codes, FLOATS[params.numpy_dtype.name], **columns)
    else:
        rows = Rows(inputs.X, codes, **columns)
    if weight is not None and not weight.all():
        rows = rows.part(torch.from_numpy(np.flatnonzero(weight)))
    return rows if params.device.type == "cpu" else rows.to(params.device)


def class_codes(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the place of each label among sorted classes.

    Raises
    ------
    ValueError
        If y holds labels that are not among them.
    """
    try:
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        unknown = classes[codes] != y
    except TypeError:  # labels of kinds that cannot be compared, such as dates and numbers
        codes, unknown = np.zeros(len(y), dtype=np.intp), np.ones(len(y), dtype=bool)
    if unknown.any():
        labels = np.unique(y[unknown]).tolist()
        raise ValueError(f"y has labels {labels} that are not among the classes {classes.tolist()}.")
    return codes


def label_array(y: Any) -> Any:
    """Return labels as an array of texts, numbers, booleans or times; None and sparse matrices as they are.

    Numbers and booleans of an object array get a type of their own, as those of a list do.

    Raises
    ------
    TypeError
        If texts are mixed with others (``["a", 1]`` would become ``["a", "1"]``), or there are labels of other kinds.
    ValueError
        If a label is missing.
    """
    if isinstance(y, (list, tuple)):
        return typed_labels(object_array(y), lambda texts: np.asarray(texts.tolist()))
    if y is None or sparse.issparse(y):
        return y
    if isinstance(y, np.ma.MaskedArray) and np.ma.is_masked(y):
        raise missing_label("a masked value", np.ma.getmaskarray(y))
    values = y if type(y) is np.ndarray else np.asarray(to_numpy("y", y))
    if values.ndim == 0:  # scikit-learn refuses it by name
        return y
    if values.dtype.kind == "T":  # numpy's texts of any length, which scikit-learn does not know
        values = values.astype(object)
    if values.dtype.kind == "O":
        return typed_labels(values, lambda texts: texts)
    if values.dtype.kind in "fmM":
        check_no_missing(values)
    return values


def is_first_call(estimator: BaseEstimator, classes: Any) -> bool:
    """Return whether ``partial_fit`` is called for the first time; the estimator then learns its ``classes_``.

    Raises
    ------
    ValueError
        If `classes` are no labels, missing in the first call, or not those of the calls before.
    """
    try:
        classes = to_numpy("classes", classes)
        if classes is not None and any(map(is_missing, classes)):
            raise ValueError("A label is missing.")
        first: bool = _check_partial_fit_first_call(estimator, classes)
    except (ValueError, TypeError) as error:
        allowed = "all labels that will ever come, the same in each call"
        raise ValueError(f"The 'classes' parameter of partial_fit must be {allowed}. {error}") from error
    if len(estimator.classes_) == 0:
        raise invalid("classes", classes, "one label or more", of="partial_fit")
    return first
