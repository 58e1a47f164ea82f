"""Score functions for `sklearn.feature_selection.SelectKBest`: how far a feature's distribution depends on the class.

Each feature is cut into bins; what is compared are the distributions of the bins within the classes. The scores are in
nats, and 0 for a constant feature. All three depend on a numeric feature through the order of its values only, so
scaling changes nothing. They are estimates from counts and therefore biased upwards: a feature that is independent of
the class still gets about ``(bins - 1) (classes - 1) / (2 n)`` from `js_classif`, so that the scores of discrete
features with very many values are too high. A feature that is mostly one number gets few bins, because a value is never
split; a larger `n_bins` or a bin for each value separates its rare values.

Missing values (NaN, None) are a bin of their own. `SelectKBest` itself refuses NaN and strings before any score
function sees them. Within a pipeline encode them first (``SimpleImputer(strategy="constant", fill_value=-1)``,
``OrdinalEncoder(encoded_missing_value=-1)``): a value that nothing else has gets its own bin if the feature is discrete
or has few values. Or call the function on the DataFrame itself and choose columns by score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_array, check_consistent_length, column_or_1d

from sklkl._utils.arrays import to_numpy
from sklkl._utils.binning import category_bins, numeric_bins, rounded
from sklkl._utils.checks import check_integer, check_number, invalid, invalid_input
from sklkl._utils.columns import is_category_typed, is_hashable, is_missing
from sklkl._utils.quantities import as_array, canonical, quantity
from sklkl._utils.sklearn_private import _safe_indexing
from sklkl._utils.types import ArrayLike, MatrixLike
from sklkl._utils.validation import check_none_missing, check_targets, checked_array
from sklkl.divergences import kl_divergence
from sklkl.divergences._table import count_divergence

__all__ = ["jeffreys_classif", "js_classif", "kl_classif"]

# Values of a sparse matrix that are dense at one time.
_BLOCK = 2**22

Counts = np.ndarray
Score = Callable[[Counts, float], float]
# The features one by one, their names, and which of them hold no numbers.
Columns = tuple[Iterator[np.ndarray], list[Any], np.ndarray]


def js_classif(
    X: MatrixLike, y: ArrayLike, *, discrete_features: ArrayLike = "auto", n_bins: int = 10, pseudo_count: float = 0.0
) -> np.ndarray:
    """Jensen-Shannon divergence between the classes of each binned feature, which is its mutual information with `y`.

    ``Σ_c π_c KL(P(x|c) ‖ P(x))`` with the class frequencies π and ``P(x) = Σ_c π_c P(x|c)``. Much faster than
    `sklearn.feature_selection.mutual_info_classif`, which estimates the same from nearest neighbours.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Numbers; in a DataFrame also strings, categories or other discrete values. NaN and None are missing values.
    y : array-like of shape (n_samples,)
        Class labels.
    discrete_features : "auto", bool or array-like, default="auto"
        Which features get a bin for each value: all or none, a mask, positions, or column names. "auto" are the
        columns of a DataFrame that hold neither numbers, of whatever type, nor dates or durations; sparse features are
        not discrete by default, unlike in `mutual_info_classif`.
    n_bins : int, default=10
        Number of bins of about equal frequency of the other features; fewer values than that get a bin each.
    pseudo_count : float, default=0.0
        Added to the count of each class in each bin that occurs.

    Returns
    -------
    ndarray of shape (n_features,)
        Scores in nats, in [0, min(log n_classes, entropy of the binned feature)] without pseudo-counts.

    Raises
    ------
    ValueError
        If `y` is no classification target or has a single class, `X` holds infinite numbers, or an option is out of
        range.

    References
    ----------
    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37, 1991, section IV.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.feature_selection import SelectKBest
    >>> from sklkl.feature_selection import js_classif
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> js_classif(X, y).round(2)
    array([0.51, 0.28, 0.93, 0.94])
    >>> SelectKBest(js_classif, k=2).fit(X, y).get_feature_names_out()
    array(['petal length (cm)', 'petal width (cm)'], dtype=object)
    """
    return _scores(_js, X, y, discrete_features, n_bins, pseudo_count)


def kl_classif(
    X: MatrixLike, y: ArrayLike, *, discrete_features: ArrayLike = "auto", n_bins: int = 10, pseudo_count: float = 0.5
) -> np.ndarray:
    """Kullback-Leibler divergence of each class from all others, of each binned feature.

    ``Σ_c π_c KL(P(x|c) ‖ P(x|not c))`` with the class frequencies π. (Against ``P(x)`` instead of ``P(x|not c)`` this
    would be the mutual information again: `js_classif`.) Unbounded, it prefers features that identify a class with
    certainty, even if only in a few rows.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        As in `js_classif`.
    y : array-like of shape (n_samples,)
        Class labels.
    discrete_features : "auto", bool or array-like, default="auto"
        As in `js_classif`.
    n_bins : int, default=10
        As in `js_classif`.
    pseudo_count : float, default=0.5
        Added to the counts of a class and of all others in each bin that occurs. With 0 a bin that only one class has
        makes the score infinite.

    Returns
    -------
    ndarray of shape (n_features,)
        Scores in nats, in [0, inf].

    Raises
    ------
    ValueError
        As in `js_classif`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl.feature_selection import kl_classif
    >>> kl_classif(*load_iris(return_X_y=True)).round(2)
    array([1.16, 0.56, 2.88, 3.05])
    """
    return _scores(_kl, X, y, discrete_features, n_bins, pseudo_count)


def jeffreys_classif(
    X: MatrixLike, y: ArrayLike, *, discrete_features: ArrayLike = "auto", n_bins: int = 10, pseudo_count: float = 0.5
) -> np.ndarray:
    """Jeffreys divergence of each class and all others, of each binned feature.

    ``Σ_c π_c (KL(P(x|c) ‖ P(x|not c)) + KL(P(x|not c) ‖ P(x|c)))`` with the class frequencies π. With two classes this
    is the "information value" of credit scoring, the population stability index between the classes.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        As in `js_classif`.
    y : array-like of shape (n_samples,)
        Class labels.
    discrete_features : "auto", bool or array-like, default="auto"
        As in `js_classif`.
    n_bins : int, default=10
        As in `js_classif`.
    pseudo_count : float, default=0.5
        As in `kl_classif`.

    Returns
    -------
    ndarray of shape (n_features,)
        Scores in nats, in [0, inf].

    Raises
    ------
    ValueError
        As in `js_classif`.

    References
    ----------
    Siddiqi, Credit Risk Scorecards, 2006, chapter 6.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklkl.feature_selection import jeffreys_classif
    >>> jeffreys_classif(*load_breast_cancer(return_X_y=True))[:3].round(2)
    array([4.5 , 1.21, 4.71])
    """
    return _scores(_jeffreys, X, y, discrete_features, n_bins, pseudo_count)


def _js(counts: Counts, pseudo_count: float) -> float:
    shares = counts.sum(axis=1) / counts.sum()
    within = _distributions(counts + pseudo_count)
    return float(shares @ kl_divergence(within, shares @ within, normalize=True))


def _kl(counts: Counts, pseudo_count: float) -> float:
    return _one_against_rest("kl", counts, pseudo_count)


def _jeffreys(counts: Counts, pseudo_count: float) -> float:
    return _one_against_rest("jeffreys", counts, pseudo_count)


def _one_against_rest(divergence: str, counts: Counts, pseudo_count: float) -> float:
    values = count_divergence(divergence, counts, counts.sum(axis=0) - counts, pseudo_count)
    return float(counts.sum(axis=1) / counts.sum() @ values)


def _distributions(counts: Counts) -> np.ndarray:
    return counts / counts.sum(axis=1, keepdims=True)


def _scores(
    score: Score, X: MatrixLike, y: ArrayLike, discrete_features: ArrayLike, n_bins: int, pseudo_count: float
) -> np.ndarray:
    check_integer("n_bins", n_bins, 2)
    check_number("pseudo_count", pseudo_count, "a finite number >= 0")
    y_codes, n_classes = _class_codes(y)
    X = to_numpy("X", X)
    columns, names, objects = _frame_columns(X) if hasattr(X, "columns") else _array_columns(X)
    discrete = _discrete(discrete_features, names, objects)
    scores = []
    for values, is_discrete in zip(columns, discrete, strict=True):
        check_consistent_length(values, y_codes)
        x_codes = _bin_codes(values, is_discrete, n_bins)
        scores.append(score(_counts(y_codes, n_classes, x_codes), pseudo_count))
    return np.array(scores)


def _class_codes(y: ArrayLike) -> tuple[np.ndarray, int]:
    check_none_missing(y)
    y = column_or_1d(to_numpy("y", y), warn=True)
    assert_all_finite(y, input_name="y")
    check_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise invalid_input("y", f"{len(classes)} class", "labels of at least two classes")
    return codes, len(classes)


def _array_columns(X: Any) -> Columns:
    X = checked_array("X", X, accept_sparse="csc", ensure_all_finite="allow-nan")
    n_features = X.shape[1]
    return (_sparse_columns(X) if issparse(X) else iter(X.T)), list(range(n_features)), np.zeros(n_features, dtype=bool)


def _sparse_columns(X: Any) -> Iterator[np.ndarray]:
    """Yield the columns, made dense in blocks of bounded size."""
    step = max(1, _BLOCK // X.shape[0])
    for start in range(0, X.shape[1], step):
        yield from X[:, start : start + step].T.toarray()


def _frame_columns(X: Any) -> Columns:
    columns = [_frame_column(_safe_indexing(X, j, axis=1)) for j in range(X.shape[1])]
    return (
        iter(columns),
        list(getattr(X, "column_names", X.columns)),
        np.array([values.dtype.kind == "O" for values in columns], dtype=bool),
    )


def _frame_column(column: Any) -> np.ndarray:
    """Return the values of a DataFrame's column: numbers, also dates and durations, or objects if it holds others.

    The values decide, not the type: numbers among objects are numbers.
    """
    array = as_array("X", column)
    found = None if is_category_typed(column) else quantity(array)
    if found is None or (array.dtype.kind == "O" and all(map(is_missing, array))):
        if array.dtype.kind == "O" and not all(map(is_hashable, array.tolist())):
            raise invalid_input("X", "a column of others", "a frame of numbers, strings or other hashable objects")
        categories = np.empty(len(array), dtype=object)
        categories[:] = canonical(array)
        return categories
    numbers = check_array(found.values, ensure_2d=False, ensure_all_finite="allow-nan", input_name="X")
    return rounded(numbers, found.resolution)


def _discrete(given: ArrayLike, names: list[Any], objects: np.ndarray) -> np.ndarray:
    """Return which features get a bin for each value, as a mask."""
    if isinstance(given, str) and given == "auto":
        return objects
    mask = _mask(given, names)
    if (objects & ~mask).any():
        unfit = names[int(np.argmax(objects & ~mask))]
        raise invalid("discrete_features", given, f"a choice with {unfit!r} in it, which holds no numbers")
    return mask


def _mask(given: ArrayLike, names: list[Any]) -> np.ndarray:
    n, chosen = len(names), np.asarray(given)
    if chosen.dtype == bool and chosen.shape in ((), (n,)):
        return np.broadcast_to(chosen, n)
    positions = [_position(one, names) for one in chosen.ravel().tolist()]
    if chosen.dtype == bool or None in positions:
        allowed = f"'auto', a bool, {n} bools, positions below {n} or names of columns"
        raise invalid("discrete_features", given, allowed)
    mask = np.zeros(n, dtype=bool)
    mask[np.array(positions, dtype=np.intp)] = True
    return mask


def _position(one: Any, names: list[Any]) -> int | None:
    if isinstance(one, int) and -len(names) <= one < len(names):
        return one
    return names.index(one) if one in names else None


def _bin_codes(values: np.ndarray, discrete: bool, n_bins: int) -> np.ndarray:
    if values.dtype.kind == "O":
        return category_bins(values).codes(values)
    eps = float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0
    values = rounded(values.astype(np.float64), eps)
    if discrete:
        return np.unique(values, return_inverse=True)[1]
    return numeric_bins(values, n_bins).codes(values)


def _counts(y_codes: np.ndarray, n_classes: int, x_codes: np.ndarray) -> Counts:
    """Return the number of rows of each class in each bin, of the bins that occur."""
    n_bins = int(x_codes.max()) + 1
    counts = np.bincount(y_codes * n_bins + x_codes, minlength=n_classes * n_bins).reshape(n_classes, n_bins)
    return counts[:, counts.any(axis=0)]
