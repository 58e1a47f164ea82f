"""The life of a net's penalty: fitted once, then called on every batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sklkl.net._passes import StackPasses
from sklkl.penalties import adapted, make_penalty


def pop_params(owner: str, params: dict[str, Any]) -> dict[str, Any]:
    """Take the parameters of a part, ``owner__name``, out of a dict and return them by their own names."""
    start = owner + "__"
    return {name.removeprefix(start): params.pop(name) for name in list(params) if name.startswith(start)}


def with_params(kl_penalty: Any, params: dict[str, Any]) -> Any:
    """Return a penalty with parameters of its own set; without any it is returned as it is."""
    return make_penalty(kl_penalty).set_params(**params) if params else kl_penalty


def fitted_penalty(kl_penalty: Any, current: Any, rows: Any, n_classes: int) -> Any:
    """Return the penalty of a training: the current one, trained further, if it is as the parameter says.

    Parameters
    ----------
    kl_penalty : str or object
        The parameter.
    current : object or None
        The penalty of the training before, if that is resumed.
    rows : Rows or other data set
        Training rows.
    n_classes : int
        Number of classes.
    """
    penalty = make_penalty(kl_penalty)
    # by value: a copy of an object is the same penalty, an object that was changed in place another one
    if current is None or not adapted(penalty).has_parameters_of(adapted(current)):
        return penalty.fit(rows, n_classes)
    adapted(current).partial_fit(rows, n_classes)
    return current


def penalty_values(net: Any, log_proba: Tensor, batch: Any, passes: StackPasses | None = None) -> Tensor:
    """Return the penalty of each row; rows without a label carry none, unless the penalty is made for them."""
    penalty = adapted(net.penalty_)
    if penalty.needs_net and passes is not None:
        values = passes.penalties(penalty, log_proba)
    elif penalty.needs_net:
        values = penalty(log_proba, batch, net)
        net.set_mode(True)
    else:
        values = penalty(log_proba, batch)
    if not net.unlabeled_rows_ or penalty.uses_unlabeled:
        return values
    return values.masked_fill(batch[1] < 0, 0.0)  # not a product, which would be NaN where they are infinite
