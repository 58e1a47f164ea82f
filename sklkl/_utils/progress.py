"""Who is told how far a fit has come: those who asked for it by ``verbose``, and scikit-learn's callbacks, from 1.9 on.

A fit is followed by itself or by the fit that it is a part of, whatever lies between the two: what runs longer than a
moment is a `task`, which need not know for whom.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

from tqdm.auto import tqdm

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9 there are none

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """In place of scikit-learn's."""

    def with_callbacks(method: Any) -> Any:
        """Return the method."""
        return method


__all__ = ["CallbackSupportMixin", "Followed", "current_fit", "followed", "new_task", "task"]

Method = TypeVar("Method", bound=Callable[..., Any])


class Followed(NamedTuple):
    """A fit that is followed.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    context : sklearn.callback.CallbackContext or None
        That of the task that is under way, for callbacks; None if there are none.
    verbose : bool
        Whether tasks are named on standard error.
    """

    estimator: Any
    context: Any
    verbose: bool


# The fit that is followed and under way, None if none is.
current_fit: ContextVar[Followed | None] = ContextVar("current_fit", default=None)


def followed(fit: Method) -> Method:
    """Return a ``fit`` that tells how far it has come if its estimator has ``verbose`` set, or callbacks."""

    @wraps(fit)
    def followed_fit(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "_skl_callbacks", None):
            return _fit_with_callbacks(self, fit, X, y, *args, **kwargs)
        if not self.verbose:  # perhaps a part of one that is followed
            return fit(self, X, y, *args, **kwargs)
        with _following(Followed(self, None, True)):
            return fit(self, X, y, *args, **kwargs)

    return cast(Method, followed_fit)


@with_callbacks
def _fit_with_callbacks(estimator: Any, fit: Any, X: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
    context = estimator._init_callback_context(max_subtasks=None)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    with _following(Followed(estimator, context, bool(estimator.verbose))):
        fitted = fit(estimator, X, y, *args, **kwargs)
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    return fitted


@contextmanager
def _following(what: Followed) -> Iterator[None]:
    token = current_fit.set(what)
    try:
        yield
    finally:
        current_fit.reset(token)


def new_task(name: str, max_subtasks: int) -> tuple[Any, Any]:
    """Return the estimator, and the context of a new task that the caller begins and ends; None without callbacks."""
    current = current_fit.get()
    if current is None or current.context is None:
        return None, None
    return current.estimator, current.context.subcontext(task_name=name, max_subtasks=max_subtasks)


@contextmanager
def task(name: str) -> Iterator[None]:
    """Tell who follows the fit that this is being done, and how long it took."""
    current = current_fit.get()
    if current is None:
        yield
        return
    start, title = time.perf_counter(), f"[{type(current.estimator).__name__}] {name}"
    _say(current, title)
    inner = current
    if current.context is not None:
        inner = current._replace(context=current.context.subcontext(task_name=name, max_subtasks=None))
        inner.context.call_on_fit_task_begin(estimator=current.estimator)
    with _following(inner):
        yield
    if inner.context is not None:
        inner.context.call_on_fit_task_end(estimator=current.estimator)
    _say(current, f"{title}: {time.perf_counter() - start:.1f} s")


def _say(current: Followed, text: str) -> None:
    if current.verbose:
        tqdm.write(text, file=sys.stderr)
