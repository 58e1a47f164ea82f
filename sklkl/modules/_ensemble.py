"""Networks that predict as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sklkl.modules._gathered import is_wide
from sklkl.modules._mlp import MLP, is_watched
from sklkl.modules._softmax import log_softmax

__all__ = ["Ensemble", "is_built_in", "takes_wide"]


class Ensemble(nn.Module):
    """Networks that predict as one: the logits are those of the mean of their probabilities.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Networks that return logits of shape (n_rows, n_classes).
    multilabel : bool, default=False
        Whether each logit is that of a label of its own: then it is the log-odds of the mean of the label's
        probabilities, else the logarithm of the mean of the class's.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles, arXiv:1612.01474.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP, Ensemble
    >>> networks = [MLP(n_features=4, n_classes=3) for _ in range(2)]
    >>> Ensemble(networks)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    members: nn.ModuleList

    def __init__(self, members: Sequence[nn.Module], multilabel: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.multilabel = multilabel

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, of shape (n_rows, n_classes)."""
        return self._mean(torch.stack([member(x) for member in self.members]))

    def takes_sparse(self) -> bool:
        """Whether all members do, see :meth:`MLP.takes_sparse`."""
        return all(isinstance(member, MLP) and member.takes_sparse() for member in self.members)

    def forward_sparse(self, X: Any) -> Tensor:
        """Return the logits of rows of a CSR matrix, see :meth:`MLP.forward_sparse`."""
        members: Any = self.members
        return self._mean(torch.stack([member.forward_sparse(X) for member in members]))

    def _mean(self, logits: Tensor) -> Tensor:
        """Return the logits of the mean of probabilities over the first axis."""
        if self.multilabel:
            return _log_mean(logsigmoid(logits)) - _log_mean(logsigmoid(-logits))
        return _log_mean(log_softmax(logits))

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of built-in networks in evaluation mode, see :meth:`MLP.forward_numpy`."""
        logits = np.stack([member.forward_numpy(x) for member in self.members if isinstance(member, MLP)])
        if self.multilabel:
            return _log_mean_numpy(special.log_expit(logits)) - _log_mean_numpy(special.log_expit(-logits))
        return _log_mean_numpy(special.log_softmax(logits, axis=-1))

    def extra_repr(self) -> str:
        """Show in the module's representation what a logit is."""
        return f"multilabel={self.multilabel}"


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


def _log_mean(log_values: Tensor) -> Tensor:
    return log_values.logsumexp(0) - math.log(len(log_values))


def _log_mean_numpy(log_values: np.ndarray) -> np.ndarray:
    mean = special.logsumexp(log_values, axis=0) - math.log(len(log_values))
    return np.asarray(mean, dtype=log_values.dtype)
