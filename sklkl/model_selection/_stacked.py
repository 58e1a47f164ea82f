"""What the stacked searches have in common: scikit-learn's way through a search, with a plan of what it will fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from numbers import Integral
from typing import Any

from joblib import effective_n_jobs, parallel_config

from sklkl._fit.plan import Candidate, Plan
from sklkl._utils.checks import invalid
from sklkl._utils.sklearn_private import Interval, StrOptions
from sklkl._utils.types import MatrixLike
from sklkl.model_selection._candidates import Params, candidates_of, final_classifier
from sklkl.model_selection._repeats import means_of, spread_of, with_seeds
from sklkl.model_selection._workers import WaitingThreads, trainer

CONSTRAINTS: dict[str, list[Any]] = {
    "max_stack": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_repeats": [Interval(Integral, 1, None, closed="left")],
    "halve_after": [Interval(Integral, 1, None, closed="left"), None],
}


# How far above the warning the call of `fit` is, through scikit-learn's own.
_FIT = 8


class StackedSearch:
    """To be mixed in before one of scikit-learn's searches, whose candidates are then trained together."""

    estimator: Any
    n_jobs: Any
    max_stack: Any
    n_repeats: int
    halve_after: int | None

    def fit(self, X: MatrixLike, y: Any = None, **params: Any) -> Any:
        """Search, and fit the best candidate to all rows.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.
        y : array-like of shape (n_rows,) or (n_rows, n_labels)
            Labels.
        **params : dict
            For the ``fit`` of the estimator, the scorer and the splitter, as in scikit-learn's searches.

        Returns
        -------
        self : estimator
            The fitted search.

        Raises
        ------
        ValueError
            As scikit-learn's searches and the estimator's ``fit``; also if ``n_repeats`` is larger than 1 and the
            estimator has no seed from which others could follow, or ``halve_after`` is set and it stops no training
            early.
        """
        n_jobs = effective_n_jobs(self.n_jobs)
        # processes train the stacks, here or on a cluster, and threads wait for them
        threads = n_jobs > 1 and _has_plan(self.estimator)
        with parallel_config(backend=WaitingThreads(), n_jobs=n_jobs) if threads else nullcontext():
            return super().fit(X, y, **params)  # type: ignore[misc]

    def _run_search(self, evaluate_candidates: Callable[..., Any], *, callback_ctx: Any = None) -> None:
        def evaluate(params: Iterable[Params], **kwargs: Any) -> Any:
            candidates = with_seeds(self.estimator, list(params), self.n_repeats, type(self).__name__)
            if self.n_repeats > 1:  # the context counts one task for each candidate and fold
                kwargs.pop("callback_ctx", None)
            options = {"largest": self.max_stack, "halve_after": self.halve_after}
            with trainer(effective_n_jobs(self.n_jobs), **options) as train:
                classifiers = candidates_of(self.estimator, candidates)
                _check_halving(type(self).__name__, self.halve_after, classifiers)
                plan = Plan(classifiers, len(candidates), train)
                with plan.active():
                    found = evaluate_candidates(candidates, more_results={"stacked": plan.stacked}, **kwargs)
            _tell_of_idle_halving(type(self).__name__, self.halve_after, plan)
            return found

        # what scikit-learn before 1.9 does not know
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        super()._run_search(evaluate, **context)  # type: ignore[misc]

    def _format_results(
        self, candidate_params: Sequence[Params], n_splits: int, out: Sequence[Any], more_results: Any = None
    ) -> dict[str, Any]:
        n, more = self.n_repeats, {name: values[:: self.n_repeats] for name, values in (more_results or {}).items()}
        if n > 1:
            more |= spread_of(out, n, n_splits)
            candidate_params, out = candidate_params[::n], means_of(out, n, n_splits)
        results: dict[str, Any] = super()._format_results(candidate_params, n_splits, out, more)  # type: ignore[misc]
        return results


def _check_halving(owner: str, halve_after: int | None, candidates: Sequence[Candidate]) -> None:
    without = {candidate.estimator.early_stopping is False for candidate in candidates}
    if halve_after is not None and without == {True}:
        allowed = "None where early_stopping=False: there is no validation part to compare networks by"
        raise invalid("halve_after", halve_after, allowed, owner)


def _tell_of_idle_halving(owner: str, halve_after: int | None, plan: Plan) -> None:
    """Warn if no training could have been halved, once all candidates were evaluated."""
    if halve_after is None or halve_after < plan.compared_until:
        return
    if max(plan.stacked, default=1) == 1:
        need = "candidates that can be trained together"
    elif plan.compared_until == 0:
        need = "a validation part, by early_stopping=True or by 'X_val' in fit,"
    else:
        need = f"an epoch before the last of {plan.compared_until}"
    text = f"The 'halve_after' parameter of {owner} has no effect; {need} would give it one."
    warnings.warn(text, UserWarning, stacklevel=_FIT)


def _has_plan(estimator: Any) -> bool:
    return final_classifier(estimator)[0] is not None
