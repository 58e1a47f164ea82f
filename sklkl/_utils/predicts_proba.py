"""Whether an estimator has ``predict_proba``, also one of which that shows only once it is fitted."""

from __future__ import annotations

from typing import Any

from sklkl._utils.sklearn_private import HasMethods

__all__ = ["PredictsProba", "predicts_proba"]


def predicts_proba(estimator: Any) -> bool:
    """Return whether an estimator has ``predict_proba``, or may have it once it is fitted.

    A meta-estimator has it if a part has it that it may not have made yet, such as the final estimator of a stack.
    """
    try:
        return callable(estimator.predict_proba)
    except AttributeError as error:
        return hasattr(type(estimator), "predict_proba") and _lacks_fitted_part(error)


def _lacks_fitted_part(error: BaseException | None) -> bool:
    """Return whether an error comes from a part that is made in ``fit``: one named ``part_``, or None for a default."""
    while error is not None:
        name = getattr(error, "name", None) or ""
        made_in_fit = name.endswith("_") and not name.endswith("__")
        if made_in_fit or (name == "predict_proba" and getattr(error, "obj", error) is None):
            return True
        error = error.__cause__ or error.__context__
    return False


class PredictsProba(HasMethods):
    """scikit-learn's constraint on a parameter, for `predicts_proba` beside other methods."""

    def __init__(self, *others: str) -> None:
        super().__init__([*others, "predict_proba"])
        self.others = others

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether a value is such an estimator."""
        return all(callable(getattr(val, method, None)) for method in self.others) and predicts_proba(val)
