"""Constructor parameters that are passed on to a part, such as ``module__units`` or ``optimizer__betas``."""

from __future__ import annotations

import inspect
from typing import Any

from sklkl.modules import accepted


class PassedOnParams:
    """Let an estimator take, show, set and clone keyword arguments named ``prefix__name``.

    To be mixed in before :class:`sklearn.base.BaseEstimator`. scikit-learn resolves ``prefix__name`` only if the
    parameter ``prefix`` is an estimator; here it may be a class or a factory that has not been called yet.
    """

    _passed_on_prefixes: tuple[str, ...] = ()

    def _is_passed_on(self, name: str) -> bool:
        return any(name.startswith(prefix + "__") for prefix in self._passed_on_prefixes)

    def _store_passed_on(self, params: dict[str, Any]) -> None:
        for name, value in params.items():
            if not self._is_passed_on(name):
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}")
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all parameters by name, those that are passed on included."""
        params = super().get_params(deep=deep)  # type: ignore[misc]
        return params | {name: value for name, value in vars(self).items() if self._is_passed_on(name)}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, those that are passed on included."""
        passed_on = {name: params.pop(name) for name in list(params) if self._is_passed_on(name)}
        super().set_params(**params)  # type: ignore[misc]
        self._store_passed_on(passed_on)
        return self

    def _passed_on(self, prefix: str, receiver: Any, also: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the arguments for one part, checked against what it accepts, or what is accepted for it.

        Raises
        ------
        ValueError
            If the part does not accept one of them.
        """
        start = prefix + "__"
        params = {name.removeprefix(start): value for name, value in vars(self).items() if name.startswith(start)}
        refused = set(params) - set(accepted(receiver, **params)) - set(also)
        if refused:
            name = getattr(receiver, "__name__", repr(receiver))
            raise ValueError(
                f"The {start + min(refused)!r} parameter of {type(self).__name__} is passed on to {name}, which does "
                f"not accept it; its signature is {inspect.signature(receiver)}."
            )
        return params
