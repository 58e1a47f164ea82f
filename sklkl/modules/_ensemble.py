"""Networks that predict as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeGuard, cast

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sklkl.modules._gathered import is_wide
from sklkl.modules._mlp import MLP, is_watched
from sklkl.modules._softmax import log_softmax

__all__ = ["Ensemble", "is_built_in", "takes_wide"]

Pool = Literal["linear", "logarithmic"]


class Ensemble(nn.Module):
    """Networks that predict as one: an opinion pool, linear or logarithmic.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Networks that return logits of shape (n_rows, n_classes).
    multilabel : bool, default=False
        Whether each logit is that of a label of its own.
    pool : {"linear", "logarithmic"}, default="linear"
        Whether the probabilities are the arithmetic means of the members', or their geometric means made to add up to
        1, whose logits are the means of the logits. The linear pool suits members that are too sure: it is less sure
        than they are. For the same reason it is not sure enough where each member is right about how sure it is.

    Notes
    -----
    Of all distributions the logarithmic pool is that whose mean KL from it to the members is least. The log-loss of
    each row, whatever its class, is the mean of those of the members less that mean KL.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles, arXiv:1612.01474. Ranjan and Gneiting (2010), Combining Probability Forecasts, Journal of the Royal
    Statistical Society B 72, 71-91, of what linear pools lack. Heskes (1998), Selecting Weighting Factors in
    Logarithmic Opinion Pools, Advances in Neural Information Processing Systems 10.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP, Ensemble
    >>> networks = [MLP(n_features=4, n_classes=3) for _ in range(2)]
    >>> Ensemble(networks)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    members: nn.ModuleList

    def __init__(self, members: Sequence[nn.Module], multilabel: bool = False, pool: Pool = "linear") -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.multilabel, self.pool = multilabel, pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, of shape (n_rows, n_classes)."""
        return self._pooled(torch.stack([member(x) for member in self.members]))

    def takes_sparse(self) -> bool:
        """Whether all members do, see :meth:`MLP.takes_sparse`."""
        return all(isinstance(member, MLP) and member.takes_sparse() for member in self.members)

    def forward_sparse(self, X: Any) -> Tensor:
        """Return the logits of rows of a CSR matrix, see :meth:`MLP.forward_sparse`."""
        members: Any = self.members
        return self._pooled(torch.stack([member.forward_sparse(X) for member in members]))

    def _pooled(self, logits: Tensor) -> Tensor:
        """Return the logits of the pool over the first axis."""
        if self.pool == "logarithmic":
            return _mean(logits)
        if self.multilabel:
            return _log_mean(logsigmoid(logits)) - _log_mean(logsigmoid(-logits))
        return _log_mean(log_softmax(logits))

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of built-in networks in evaluation mode, see :meth:`MLP.forward_numpy`."""
        logits = np.stack([member.forward_numpy(x) for member in self.members if isinstance(member, MLP)])
        if self.pool == "logarithmic":
            return np.asarray(logits.mean(axis=0))
        if self.multilabel:
            return _log_mean_numpy(special.log_expit(logits)) - _log_mean_numpy(special.log_expit(-logits))
        return _log_mean_numpy(special.log_softmax(logits, axis=-1))

    def extra_repr(self) -> str:
        """Show in the module's representation what a logit is."""
        return f"multilabel={self.multilabel}, pool={self.pool!r}"


def is_built_in(module: nn.Module) -> bool:
    """Whether a network is the built-in one, or all those of an ensemble are, without hooks or layers of others.

    Examples
    --------
    >>> from sklkl.modules import MLP, Ensemble, is_built_in
    >>> is_built_in(Ensemble([MLP(n_features=4, n_classes=3)]))
    True
    """
    if type(module) is Ensemble:
        return not is_watched(module) and all(map(is_built_in, module.members))
    return type(module) is MLP and module.is_bare()


def takes_wide(module: nn.Module, X: Any) -> TypeGuard[MLP | Ensemble]:
    """Whether a network is a built-in one, and rows are wide, see :func:`is_wide`, and not scaled as dense ones.

    Examples
    --------
    >>> from scipy import sparse
    >>> from sklkl.modules import MLP, takes_wide
    >>> network = MLP(n_features=100_000, n_classes=3)
    >>> takes_wide(network, sparse.csr_array((10, 100_000)))
    True
    """
    return is_built_in(module) and is_wide(X) and cast(MLP | Ensemble, module).takes_sparse()


def _mean(logits: Tensor) -> Tensor:
    """Return the means over the first axis; a network of the user's own may rule a class out, others another one."""
    least = torch.finfo(logits.dtype).min / 2
    return (logits.clamp(min=least) / len(logits)).sum(0)


def _log_mean(log_values: Tensor) -> Tensor:
    return log_values.logsumexp(0) - math.log(len(log_values))


def _log_mean_numpy(log_values: np.ndarray) -> np.ndarray:
    mean = special.logsumexp(log_values, axis=0) - math.log(len(log_values))
    return np.asarray(mean, dtype=log_values.dtype)
