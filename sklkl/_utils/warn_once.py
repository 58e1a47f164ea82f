"""Warnings that the clones of a search give once, and not in every fit."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["WarnsOnce"]

# What unpickled estimators have said in this process: a search sends a pickle to its workers for every fit.
_SAID_BY_UNPICKLED: dict[str, object] = {}


class WarnsOnce:
    """An estimator that says once what its clones would all say; to be mixed in before ``BaseEstimator``.

    Python's own filters forget what was said whenever they are changed, which scikit-learn does for every fit of a
    search. So an estimator and its clones, and the clones of these, share a record of what they have said. A pickle
    is without it, as pickles of equal estimators should be equal; unpickled estimators share the record of their
    process. An estimator that was neither cloned nor unpickled leaves repetitions to Python's filters.
    """

    def _warn_once(self, message: str, stacklevel: int) -> None:
        """Give a UserWarning unless this estimator, or one that it shares its record with, has done so."""
        said, mine = vars(self).get("_said", {}), object()
        if said.setdefault(message, mine) is not mine:  # in one step, as there may be threads
            return
        try:
            warnings.warn(message, UserWarning, stacklevel=stacklevel + 1)
        except UserWarning:  # a filter makes it an error, which every fit shall raise
            del said[message]
            raise

    def __sklearn_clone__(self) -> Any:
        copy = super().__sklearn_clone__()  # type: ignore[misc]
        copy._said = vars(self).setdefault("_said", {})
        return copy

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_said"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        self._said = _SAID_BY_UNPICKLED
