"""Optimisers by name, with the parameters that suit small tables."""

from __future__ import annotations

from typing import Literal

import torch
from torch.optim import Optimizer

OptimizerName = Literal["adam", "sgd"]

# "adam" is AdamW, which decouples the decay from the gradient (Loshchilov and Hutter 2019), as decay is meant to work.
OPTIMIZERS: dict[OptimizerName, tuple[type[Optimizer], dict[str, float]]] = {
    "adam": (torch.optim.AdamW, {"weight_decay": 0.3, "fused": True}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4, "fused": True}),
}
