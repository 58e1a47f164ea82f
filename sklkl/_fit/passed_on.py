"""Constructor parameters that are passed on to a part, such as ``module__units`` or ``optimizer__betas``."""

from __future__ import annotations

from typing import Any


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
