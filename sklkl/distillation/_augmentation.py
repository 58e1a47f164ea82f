"""Synthetic rows for a teacher to label: near the real ones, and as valid as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import invalid_input
from sklkl.distillation._tables import columns_of, like

__all__ = ["AUGMENTATIONS", "augmented", "check_table", "munge", "noise"]


def munge(
    X: np.ndarray, factor: int, random_state: np.random.RandomState, *, swap: float = 0.5, spread: float = 0.2
) -> np.ndarray:
    """Move features towards those of the nearest other row (MUNGE).

    Each feature of a row is, with probability ``swap``, replaced: a continuous one by a normal draw around the
    neighbour's value, of a standard deviation of ``spread`` times the distance of the two values; a discrete one by
    the neighbour's value itself. A group of one-hot columns moves as one.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Real rows, at least two.
    factor : int
        Number of synthetic rows for each real one.
    random_state : RandomState
        Source of the draws.
    swap : float in [0, 1], default=0.5
        Probability that a feature moves.
    spread : float >= 0, default=0.2
        Standard deviation as a share of the distance.

    Returns
    -------
    ndarray of shape (factor * n_rows, n_features)
        Synthetic rows.

    Raises
    ------
    ValueError
        If there is one row only.

    References
    ----------
    Bucila, Caruana and Niculescu-Mizil (2006), Model Compression, KDD, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import munge
    >>> X = np.array([[1, 0, 0.1], [0, 1, 0.9]])
    >>> munge(X, 1, np.random.RandomState(3)).round(2)
    array([[1.  , 0.  , 0.86],
           [0.  , 1.  , 0.9 ]])
    """
    if len(X) < 2:
        raise ValueError(f"The augmentation 'munge' mixes neighbours: it needs at least two rows. Got {len(X)}.")
    neighbour = np.tile(X[_nearest_other(X)], (factor, 1))
    moved = np.tile(X, (factor, 1))
    for columns, discrete in feature_groups(X):
        rows = np.flatnonzero(random_state.uniform(size=len(moved)) < swap)
        target = neighbour[np.ix_(rows, columns)]
        if not discrete:
            distance = np.nan_to_num(np.abs(target - moved[np.ix_(rows, columns)]))  # next to a missing value: 0
            target = target + spread * distance * random_state.standard_normal(target.shape)
        moved[np.ix_(rows, columns)] = target
    return moved


def noise(
    X: np.ndarray, factor: int, random_state: np.random.RandomState, *, scale: float = 0.1, swap: float = 0.1
) -> np.ndarray:
    """Add normal noise to continuous features and redraw some of the discrete ones.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Real rows.
    factor : int
        Number of synthetic rows for each real one.
    random_state : RandomState
        Source of the draws.
    scale : float >= 0, default=0.1
        Standard deviation of the noise in standard deviations of the feature.
    swap : float in [0, 1], default=0.1
        Probability that a discrete feature, or a group of one-hot columns, takes its value from a random row.

    Returns
    -------
    ndarray of shape (factor * n_rows, n_features)
        Synthetic rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import noise
    >>> X = np.array([[1, 0, 0.1], [0, 1, 0.9]])
    >>> noise(X, 10, np.random.RandomState(0)).shape
    (20, 3)
    """
    moved = np.tile(X, (factor, 1))
    for columns, discrete in feature_groups(X):
        if discrete:
            rows = np.flatnonzero(random_state.uniform(size=len(moved)) < swap)
            moved[np.ix_(rows, columns)] = X[np.ix_(random_state.randint(len(X), size=len(rows)), columns)]
        else:
            moved[:, columns] += (
                scale * np.nanstd(X[:, columns], axis=0) * random_state.standard_normal((len(moved), 1))
            )
    return moved


AugmentationName = Literal["munge", "noise"]

AUGMENTATIONS: dict[str, Callable[..., np.ndarray]] = {"munge": munge, "noise": noise}


def augmented(X: Any, augment: Any, factor: int, random_state: np.random.RandomState) -> Any:
    """Return ``factor`` synthetic rows for each row of X, in a container like that of X.

    Parameters
    ----------
    X : array-like or frame of shape (n_rows, n_features)
        Real rows. Categories of a frame are discrete; a missing value stays one or is filled from another row.
    augment : {"munge", "noise"} or callable
        How; a callable is called as ``augment(X, factor, random_state)`` with an array and returns new rows.
    factor : int
        How many for each.
    random_state : RandomState
        Source of the draws.

    Raises
    ------
    ValueError
        If X is no dense table, or the callable's rows have another number of columns or codes of no category.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import augmented
    >>> augmented(np.eye(4), "munge", 10, np.random.RandomState(0)).shape
    (40, 4)
    """
    check_table(X)
    columns = columns_of(X)
    values = np.column_stack([column.values for column in columns])
    function = AUGMENTATIONS[augment] if isinstance(augment, str) else augment
    rows = _made(function, values, factor, random_state)
    if rows.ndim != 2 or rows.shape[1] != values.shape[1]:
        raise ValueError(
            f"The 'augment' parameter must return rows of shape (n, {values.shape[1]}). Got the shape {rows.shape}."
        )
    return like(X, [column.decoded(new) for column, new in zip(columns, rows.T, strict=True)])


def check_table(X: Any) -> None:
    """Raise a ValueError unless X is a dense table, such as synthetic rows are made from.

    Parameters
    ----------
    X : array-like, sparse matrix or frame
        Real rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.distillation import check_table
    >>> check_table(np.eye(4))
    """
    if sparse.issparse(X):
        raise ValueError("The 'augment' parameter must be None for sparse X; pass rows as 'X_unlabeled' instead.")
    if np.ndim(X) != 2:
        raise ValueError(f"The 'augment' parameter must be None for X of {np.ndim(X)} dimensions; a table has two.")


def _made(function: Callable[..., Any], values: np.ndarray, factor: int, random_state: np.random.RandomState) -> Any:
    """Return what a function makes of rows, as an array of floats."""
    try:
        made = as_array("augment", function(values, factor, random_state))
        return made.astype(np.float64, casting="unsafe" if made.dtype.kind == "O" else "same_kind")
    except Exception as error:  # whatever a function from elsewhere, or NumPy about its result, says
        allowed = f"a function of X, the factor and a RandomState that returns rows of {values.shape[1]} numbers"
        raise invalid_input("augment", f"{type(error).__name__}: {error}", allowed) from error


def feature_groups(X: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Return the columns that move together, and whether they are discrete.

    A run of columns of zeros and ones with exactly one 1 in every row is a group; a column of whole numbers is
    discrete.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.
    """
    discrete = ((np.round(X) == X) | np.isnan(X)).all(axis=0)
    binary = ((X == 0) | (X == 1)).all(axis=0)
    groups, start = [], 0
    while start < X.shape[1]:
        stop = _one_hot_end(X, binary, start) if binary[start] else start + 1
        groups.append((np.arange(start, stop), bool(discrete[start])))
        start = stop
    return groups


def _one_hot_end(X: np.ndarray, binary: np.ndarray, start: int) -> int:
    """Return the end of the one-hot group that begins at ``start``, or of this column alone."""
    total = np.zeros(len(X))
    for column in range(start, X.shape[1]):
        if not binary[column]:
            break
        total += X[:, column]
        if (total > 1).any():
            break
        if (total == 1).all():
            return column + 1
    return start + 1


def _nearest_other(X: np.ndarray) -> np.ndarray:
    """Return the number of the nearest other row of each, with features on one scale."""
    with np.errstate(invalid="ignore"):  # a column without any value
        scaled = StandardScaler().fit_transform(X)
    scaled = np.nan_to_num(scaled)  # a missing value is taken for the mean
    found = NearestNeighbors(n_neighbors=2).fit(scaled).kneighbors(scaled, return_distance=False)
    own = found[:, 0] == np.arange(len(X))  # a duplicate may come before the row itself
    return np.where(own, found[:, 1], found[:, 0])
