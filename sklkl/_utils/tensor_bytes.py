"""A tensor's numbers as bytes, of any type of torch's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def tensor_bytes(values: Tensor) -> np.ndarray:
    """Return the bytes of a tensor's numbers in C order, of shape (n_bytes,), on the CPU.

    numpy does not know all types of torch, and torch does not look at an empty tensor as bytes whatever its strides.
    """
    flat = values.detach().cpu().contiguous().reshape(-1)
    return (flat if flat.numel() else flat.new_empty(0)).view(torch.uint8).numpy()
