"""``StackedGridSearchCV`` and ``StackedRandomizedSearchCV``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from sklkl.model_selection._stacked import CONSTRAINTS, StackedSearch

__all__ = ["StackedGridSearchCV", "StackedRandomizedSearchCV"]


class StackedGridSearchCV(StackedSearch, GridSearchCV):
    """`sklearn.model_selection.GridSearchCV` whose candidates are trained together.

    The networks of all candidates on a fold are trained as one stack, each as by its own ``fit`` but for rounding, at
    a part of the cost. The estimator is a :class:`sklkl.KLClassifier` or a pipeline that ends in one; with any other,
    this is scikit-learn's own search. Networks can share a stack if they have the same shape, number of epochs, batch
    size and rule of the learning rate: strengths, rates, dropout-free regularisation and seeds may differ. Candidates
    that differ in other parameters make stacks of their own, and what cannot be stacked at all, such as a ``module``
    of your own, is trained alone.

    Parameters
    ----------
    estimator : KLClassifier, or Pipeline that ends in one
        What is searched; cloned, never changed.
    param_grid : dict or list of dict
        Values to try by the name of the parameter, as in scikit-learn.
    scoring, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        As in `sklearn.model_selection.GridSearchCV`.
    n_jobs : int or None, default=None
        Number of processes that train stacks, each all candidates of one fold: more than there are folds gain nothing.
        Candidates are evaluated in as many threads.
    max_stack : int or "auto", default="auto"
        Most networks in a stack. "auto" allows 50, and fewer if a training step would hold more than 64 MiB.
    n_repeats : int, default=1
        How often each candidate is trained on each fold; its score is the mean. The first time has the classifier's
        ``random_state``, the others have seeds derived from it. Between close candidates the luck of a single seed
        decides otherwise.
    halve_after : int or None, default=None
        Number of epochs after which, in each stack, the half of the networks with the higher validation log-losses
        stops training, and again whenever that number has doubled; those of one seed compete with each other. So less
        is spent on candidates that will not win, whose scores are then those of networks that were stopped early. It
        takes a validation part, see ``early_stopping``; without one a warning says that it has no effect. None trains
        all to their end.

    Attributes
    ----------
    cv_results_ : dict
        As scikit-learn's, with a column ``"stacked"``: how many networks were trained together with the candidate's,
        itself included. With repeats, ``"std_repeat_test_score"`` has the standard deviation over seeds of the mean
        over folds; the names of several metrics replace "score". ``"mean_fit_time"`` is no measure of a candidate: the
        first fit on a fold trains them all.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in `sklearn.model_selection.GridSearchCV`.

    See Also
    --------
    StackedRandomizedSearchCV : The same for values drawn from distributions.

    Notes
    -----
    Which fits belong together is found by their data and parameters: a fit that is not recognised, such as one whose
    parameters cannot be pickled, is an ordinary one. The networks of a fold wait in memory until they are scored.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.model_selection import StackedGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = KLClassifier(max_epochs=10, random_state=0)
    >>> grid = {"kl_strength": [0.0, 0.01, 0.1]}
    >>> search = StackedGridSearchCV(clf, grid, scoring="neg_log_loss", cv=3)
    >>> search = search.fit(X, y)
    >>> search.cv_results_["stacked"]
    array([3, 3, 3])
    >>> search.best_params_["kl_strength"] in grid["kl_strength"]
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {**GridSearchCV._parameter_constraints, **CONSTRAINTS}

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        max_stack: int | Literal["auto"] = "auto",
        n_repeats: int = 1,
        halve_after: int | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_stack = max_stack
        self.n_repeats = n_repeats
        self.halve_after = halve_after


class StackedRandomizedSearchCV(StackedSearch, RandomizedSearchCV):
    """`sklearn.model_selection.RandomizedSearchCV` whose candidates are trained together.

    What is said of :class:`StackedGridSearchCV` holds here too. A parameter that shapes the network, such as
    ``hidden_layer_sizes``, had better have few values, so that candidates find company.

    Parameters
    ----------
    estimator : KLClassifier, or Pipeline that ends in one
        What is searched; cloned, never changed.
    param_distributions : dict or list of dict
        Distributions or lists of values by the name of the parameter, as in scikit-learn.
    n_iter, scoring, refit, cv, verbose, pre_dispatch, random_state, error_score, return_train_score
        As in `sklearn.model_selection.RandomizedSearchCV`.
    n_jobs, max_stack, n_repeats, halve_after
        As in :class:`StackedGridSearchCV`.

    Attributes
    ----------
    cv_results_ : dict
        As in :class:`StackedGridSearchCV`.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in `sklearn.model_selection.RandomizedSearchCV`.

    See Also
    --------
    StackedGridSearchCV : The same for all combinations of given values.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.model_selection import StackedRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = KLClassifier(max_epochs=10, random_state=0)
    >>> strengths = {"kl_strength": loguniform(1e-3, 1)}
    >>> search = StackedRandomizedSearchCV(
    ...     clf, strengths, n_iter=4, cv=3, random_state=0
    ... )
    >>> search.fit(X, y).cv_results_["stacked"]
    array([4, 4, 4, 4])
    """

    _parameter_constraints: dict[str, list[Any]] = {**RandomizedSearchCV._parameter_constraints, **CONSTRAINTS}

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        max_stack: int | Literal["auto"] = "auto",
        n_repeats: int = 1,
        halve_after: int | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_stack = max_stack
        self.n_repeats = n_repeats
        self.halve_after = halve_after
