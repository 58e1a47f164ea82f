"""What an optimiser remembers, carried over to another one."""

from __future__ import annotations

import copy
from typing import Any

from torch.optim import Optimizer

__all__ = ["copy_moments"]

# Options on which it depends what an optimiser remembers.
_WHAT_IS_REMEMBERED = ("amsgrad", "centered", "momentum")


def copy_moments(source: Optimizer, target: Optimizer) -> None:
    """Give an optimiser a copy of what another one remembers, if both are of one kind and have the same parameters.

    The target keeps its own rates and options; where it is of another kind it starts afresh.

    Parameters
    ----------
    source, target : torch.optim.Optimizer
        From which and to which.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import copy_moments
    >>> source, target = (torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=lr) for lr in (0.1, 0.2))
    >>> source.param_groups[0]["params"][0].sum().backward()
    >>> source.step()
    >>> copy_moments(source, target)
    >>> target.state_dict()["state"][0]["exp_avg"], target.param_groups[0]["lr"]
    (tensor([0.1000]), 0.2)
    """
    if _kind(source) == _kind(target):
        state = copy.deepcopy(source.state_dict()["state"])
        target.load_state_dict({"state": state, "param_groups": target.state_dict()["param_groups"]})


def _kind(optimizer: Optimizer) -> list[Any]:
    """Return what two optimisers must have in common to understand each other's moments."""
    groups = [
        ([p.shape for p in group["params"]], [group.get(name) for name in _WHAT_IS_REMEMBERED])
        for group in optimizer.param_groups
    ]
    return [type(optimizer), groups]
