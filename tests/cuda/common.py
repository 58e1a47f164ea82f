"""What the tests of a CUDA device share: the device, guards, and small data."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch

DEVICE = "cuda"

if not torch.cuda.is_available():  # none of the files that import this can do anything
    pytest.skip("there is no CUDA device", allow_module_level=True)

SOFT = np.random.RandomState(0).dirichlet([1, 1, 1], 120)  # soft targets and weights for the 120 rows of ``table``
WEIGHT = np.random.RandomState(1).rand(120)


def on_device(*arrays):
    return [torch.as_tensor(values, device=DEVICE) for values in arrays]


def places(clf):
    """Return where the network and the optimiser's moments are."""
    held = [*clf.module_.parameters(), *clf.module_.buffers()]
    moments = [value for state in clf.net_.optimizer_.state.values() for value in state.values()]
    return {part.device.type for part in [*held, *moments] if isinstance(part, torch.Tensor) and part.ndim}


@contextmanager
def waiting(mode):
    """Let what waits for the device give a warning ("warn") or raise an error ("error")."""
    torch.cuda.synchronize()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mode is a prototype
            torch.cuda.set_sync_debug_mode(mode)
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
