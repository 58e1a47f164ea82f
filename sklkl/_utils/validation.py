"""scikit-learn's checks of inputs, with words for the errors of numpy, pandas and others that these let through.

scikit-learn's own messages stay as they are.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import invalid_input, refusal
from sklkl._utils.columns import is_missing

__all__ = [
    "check_none_missing",
    "check_readable",
    "check_targets",
    "checked_array",
    "checked_data",
    "with_columns_checked",
]


def checked_data(estimator: Any, X: Any, y: Any = "no_validation", **kwargs: Any) -> Any:
    """Return what :func:`sklearn.utils.validation.validate_data` does; X that cannot be read as numbers is named."""
    try:
        return validate_data(estimator, X, y, **kwargs)
    except Exception:
        check_readable("X", X, kwargs.get("dtype", "numeric"))
        raise


def with_columns_checked(estimator: Any, X: Any, *, reset: bool = True) -> Any:
    """Return X as it is, once the number and names of its columns were learned, or compared with those of before.

    Raises
    ------
    ValueError
        If the columns are others, or two have the same name.
    """
    names = list(getattr(X, "column_names", X.columns)) if hasattr(X, "columns") else []
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise invalid_input("X", f"{twice[0]!r} more than once", "a frame whose columns have different names")
    return validate_data(estimator, X, reset=reset, skip_check_array=True)


def checked_array(name: str, X: Any, **kwargs: Any) -> Any:
    """Return what :func:`sklearn.utils.check_array` does; what cannot be read as numbers is named."""
    try:
        return check_array(X, input_name=name, **kwargs)
    except Exception:
        check_readable(name, X, kwargs.get("dtype", "numeric"))
        raise


def check_readable(name: str, X: Any, dtype: Any, hint_on_texts: str = "") -> None:
    """Raise an error that names X and says why if it cannot be read as numbers; a hint is its note where X has texts.

    To be called once X was refused, as it reads X again.
    """
    anything: dict[str, Any] = {"accept_sparse": True, "ensure_2d": False, "allow_nd": True}
    anything |= {"ensure_all_finite": False, "ensure_min_samples": 0, "ensure_min_features": 0}
    try:
        check_array(X, dtype=dtype, **anything)
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        named = kind(f"Input {name} must be an array, a sparse matrix or a frame of numbers. {error}")
        if hint_on_texts and any(text in str(error) for text in ("could not convert string to float", "Cannot cast")):
            named.add_note(hint_on_texts)
        raise named from error


def check_targets(y: Any) -> None:
    """Raise what :func:`sklearn.utils.multiclass.check_classification_targets` does, in words if y is a mixture."""
    check_none_missing(y)
    try:
        check_classification_targets(y)
    except TypeError as error:
        if "bytes" in str(error):
            raise
        # they cannot be sorted
        raise TypeError(refusal("y", "a mixture", "labels that are uniformly strings or numbers")) from error


def check_none_missing(y: Any) -> None:
    """Raise ValueError if a label among objects is missing: None and NA, of which scikit-learn says other things."""
    values = as_array("y", y)
    if values.dtype.kind != "O" or not values.ndim:
        return
    missing = [is_missing(value) for value in values.flat]
    if any(missing):
        row = missing.index(True) // (values.size // len(values))
        raise ValueError(f"Input y contains NaN or None: row {row} has no label.")
