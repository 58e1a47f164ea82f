"""What an optimiser remembers, carried over to another one."""

from __future__ import annotations

import copy
from typing import Any

from torch.optim import Optimizer

# Options on which it depends what an optimiser remembers.
_WHAT_IS_REMEMBERED = ("amsgrad", "centered", "momentum")


def copy_moments(source: Optimizer, target: Optimizer) -> None:
    """Give an optimiser a copy of what another one remembers, if both are of one kind and have the same parameters.

    The target keeps its own rates and options; where it is of another kind it starts afresh.
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
