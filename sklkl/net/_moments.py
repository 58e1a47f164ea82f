"""What an optimiser remembers, carried over to another one, and optimisers that are made to remember, not to train."""

from __future__ import annotations

import copy
import inspect
from collections import defaultdict
from typing import Any

from torch.optim import Optimizer

# Options on which it depends what an optimiser remembers.
_WHAT_IS_REMEMBERED = ("amsgrad", "centered", "momentum")


class Remade:
    """What makes an optimiser as unpickling does, without the constructor: that imports torch's compiler, for seconds.

    Parameters
    ----------
    kind : torch.optim.Optimizer class
        Its class.
    """

    def __init__(self, kind: type[Optimizer]) -> None:
        self.kind = kind

    def __call__(self, groups: list[dict[str, Any]], **options: Any) -> Optimizer:
        """Return an optimiser of these groups of parameters."""
        parameters = inspect.signature(self.kind).parameters.items()
        defaults = {name: item.default for name, item in parameters if item.default is not item.empty} | options
        optimizer = self.kind.__new__(self.kind)
        groups = [{**defaults, **group, "params": list(group["params"])} for group in groups]
        optimizer.__setstate__({"defaults": defaults, "state": defaultdict(dict), "param_groups": groups})
        return optimizer


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
