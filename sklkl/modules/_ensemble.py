"""Networks that predict as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from torch import Tensor, nn

from sklkl.modules._gathered import is_wide
from sklkl.modules._mlp import MLP, is_watched

__all__ = ["Ensemble", "is_built_in", "takes_wide"]


class Ensemble(nn.Module):
    """Networks that predict as one: the logits are the means of theirs, a logarithmic opinion pool.

    The probabilities are the geometric means of those of the members, made to add up to 1, for classes as for labels:
    of all distributions that whose mean KL from it to the members is least. The log-loss of each row, whatever its
    class, is the mean of those of the members less that mean KL: several networks are never worse than they are
    one by one in the mean, and better by how far they differ. The arithmetic mean of probabilities that are right in
    the mean is less sure than it should be.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Networks that return logits of shape (n_rows, n_classes), or (n_rows, n_labels) for labels of their own.

    References
    ----------
    Heskes (1998), Selecting Weighting Factors in Logarithmic Opinion Pools, Advances in Neural Information Processing
    Systems 10. Ranjan and Gneiting (2010), Combining Probability Forecasts, Journal of the Royal Statistical Society B
    72, 71-91, Theorem 2.1, of the arithmetic mean.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP, Ensemble
    >>> networks = [MLP(n_features=4, n_classes=3) for _ in range(2)]
    >>> Ensemble(networks)(torch.zeros(5, 4)).shape
    torch.Size([5, 3])
    """

    members: nn.ModuleList

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, of shape (n_rows, n_classes)."""
        return _mean(torch.stack([member(x) for member in self.members]))

    def takes_sparse(self) -> bool:
        """Whether all members do, see :meth:`MLP.takes_sparse`."""
        return all(isinstance(member, MLP) and member.takes_sparse() for member in self.members)

    def forward_sparse(self, X: Any) -> Tensor:
        """Return the logits of rows of a CSR matrix, see :meth:`MLP.forward_sparse`."""
        members: Any = self.members
        return _mean(torch.stack([member.forward_sparse(X) for member in members]))

    def forward_numpy(self, x: np.ndarray) -> np.ndarray:
        """Return the logits of built-in networks in evaluation mode, see :meth:`MLP.forward_numpy`."""
        logits = np.stack([member.forward_numpy(x) for member in self.members if isinstance(member, MLP)])
        return np.asarray(logits.mean(axis=0))


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
