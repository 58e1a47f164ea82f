"""Which candidate of a search to take, other than the one of the best mean score."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from sklkl._utils.checks import invalid

__all__ = ["one_standard_error", "searched_column"]


def one_standard_error(towards: str, *, larger: bool = True, metric: str = "score") -> OneStandardError:
    """Return a ``refit`` that takes the largest value of a parameter whose score is within an error of the best.

    The scores of close candidates differ by chance as much as by merit. Of those whose mean over folds is at most one
    standard error below the best, that of the strongest regularisation is taken. It serves scikit-learn's searches as
    well as the stacked ones.

    Parameters
    ----------
    towards : str
        Name of the parameter, such as ``"kl_strength"``; the names of a pipeline's steps before it may be left out.
    larger : bool, default=True
        Whether its largest value is taken; False takes the smallest.
    metric : str, default="score"
        Which score, where ``scoring`` has several.

    Returns
    -------
    callable
        From ``cv_results_`` to the position of a candidate. Of several with the same value it takes the best one. The
        standard error is that of the best candidate's mean over folds.

    Raises
    ------
    ValueError
        When called: if no candidate, or more than one parameter, has the name, if there is no such score, or none is a
        number.

    References
    ----------
    Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section 3.4.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.model_selection import StackedGridSearchCV, one_standard_error
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"kl_strength": [0.0, 0.01, 0.1]}
    >>> clf = KLClassifier(max_epochs=10, random_state=0)
    >>> refit = one_standard_error("kl_strength")
    >>> search = StackedGridSearchCV(clf, grid, cv=3, refit=refit)
    >>> search.fit(X, y).best_params_["kl_strength"] in grid["kl_strength"]
    True
    """
    return OneStandardError(towards, larger, metric)


class OneStandardError:
    """What `one_standard_error` returns; an object, so that it can be pickled."""

    def __init__(self, towards: str, larger: bool, metric: str) -> None:
        self.towards, self.larger, self.metric = towards, larger, metric

    def __repr__(self) -> str:
        return f"one_standard_error({self.towards!r}, larger={self.larger!r}, metric={self.metric!r})"

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the position of the candidate to take."""
        values = np.ma.asarray(cv_results[searched_column(cv_results, self.towards)])
        scores = np.asarray(cv_results[self._mean_of(cv_results)], dtype=float)
        if np.isnan(scores).all():
            raise ValueError("No candidate has a score.")
        best = int(np.nanargmax(scores))
        n_folds = sum(name.startswith("split") and name.endswith(f"_test_{self.metric}") for name in cv_results)
        error = cv_results[f"std_test_{self.metric}"][best] / np.sqrt(max(1, n_folds - 1))
        allowed = [i for i in np.flatnonzero(scores >= scores[best] - error) if not np.ma.getmaskarray(values)[i]]
        sign = 1 if self.larger else -1
        return int(max(allowed, key=lambda i: (sign * values[i], scores[i]), default=best))

    def _mean_of(self, cv_results: Mapping[str, Any]) -> str:
        """Return the column of the means of the metric."""
        start, found = "mean_test_", f"mean_test_{self.metric}"
        if found not in cv_results:
            scores = sorted(column.removeprefix(start) for column in cv_results if column.startswith(start))
            raise invalid("metric", self.metric, f"one of the scores of the search, which are {scores}")
        return found


def searched_column(cv_results: Mapping[str, Any], name: str, argument: str = "towards", of: str = "") -> str:
    """Return the column of ``cv_results_`` that has the values of a parameter, which are numbers.

    Parameters
    ----------
    cv_results : dict
        A search's ``cv_results_``.
    name : str
        Name of the parameter; the names of a pipeline's steps before it may be left out.
    argument, of : str
        What the name is called where it was passed, and whose parameter that is, for the messages.

    Raises
    ------
    ValueError
        If no parameter, or more than one, has the name, or a value is no number.
    """
    own = f"param_{name}"
    columns = [own] if own in cv_results else [column for column in cv_results if column.endswith(f"__{name}")]
    if len(columns) != 1:
        searched = sorted(column.removeprefix("param_") for column in cv_results if column.startswith("param_"))
        raise invalid(argument, name, f"one of the parameters searched, which are {searched}", of)
    values = np.ma.asarray(cv_results[columns[0]]).compressed().tolist()
    strange = [value for value in values if not isinstance(value, Real)]
    if strange:
        raise invalid(argument, name, f"a parameter whose values are numbers; {strange[0]!r} is none", of)
    return columns[0]
