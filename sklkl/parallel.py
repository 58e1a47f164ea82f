"""One network trained by several processes, on one machine or many.

May import: nothing but what is private and small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from sklkl._utils.ranks import Ranks, active_ranks, set_active

__all__ = ["data_parallel"]


@contextmanager
def data_parallel(group: Any = None) -> Iterator[None]:
    """Return a context in which every ``fit`` is one training of all processes, each with its share of every batch.

    For scripts that ``torchrun``, ``accelerate launch`` or a scheduler starts several times. All processes ("ranks")
    run the same lines: the same ``fit`` with the same rows. Each computes the gradient of its part of a batch, and the
    mean over all rows, weighted as in one process, is what everyone steps with; so is the divergence that an adaptive
    rate measures, and the loss that training stops by. The result is that of one process but for rounding.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup, default=None
        The processes; None for all. ``torch.distributed.init_process_group`` must have been called before, as
        ``accelerate.Accelerator()`` does too.

    Raises
    ------
    RuntimeError
        If torch.distributed is not initialised, or the context is entered within another one.
    ValueError
        From ``fit``, on all ranks: if rows or settings are not the same everywhere, or the training cannot be shared.

    Notes
    -----
    Threads and processes that are started inside, as by ``n_jobs``, train on their own. An error or interruption of one
    rank leaves the others waiting for it; what started them has to end them, as ``torchrun`` does.

    References
    ----------
    Li et al. (2020), PyTorch Distributed: Experiences on Accelerating Data Parallel Training, arXiv:2006.15704.

    Examples
    --------
    >>> import tempfile  # for one process alone; torchrun needs no file
    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.parallel import data_parallel
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = KLClassifier(max_epochs=20, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     method = f"file://{folder}/ranks"
    ...     dist.init_process_group("gloo", method, rank=0, world_size=1)
    ...     with data_parallel():
    ...         clf = clf.fit(X, y)
    ...     dist.destroy_process_group()
    >>> clf.score(X, y) > 0.9
    True
    """
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError("data_parallel needs torch.distributed: call torch.distributed.init_process_group before.")
    if active_ranks() is not None:
        raise RuntimeError("data_parallel is entered within another data_parallel.")
    # the only process has nobody to tell
    set_active(Ranks(group) if dist.get_world_size(group) > 1 else None)
    try:
        yield
    finally:
        set_active(None)
