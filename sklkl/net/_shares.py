"""A net's training as one of several processes: its share of each batch, and what becomes of it for all rows."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklkl._utils.checks import invalid_input
from sklkl._utils.ranks import active_ranks
from sklkl._utils.tensor_bytes import tensor_bytes
from sklkl.callbacks import BestWeights
from sklkl.data import Rows, StreamedRows
from sklkl.losses import TermMeans

# Of a net, those by which its training is another one.
_SETTINGS = (
    "max_epochs",
    "batch_size",
    "lr",
    "learning_rate",
    "kl_target",
    "kl_strength",
    "distill_weight",
    "distill_rows",
    "averaged_epochs",
)
# So many numbers of rows are looked at together.
_AT_ONCE = 2**20


def shares(iterator: Iterable[Any], share: bool) -> Iterator[Any]:
    """Yield this process's rows of each batch, all of them where it trains alone or they are not to be shared."""
    ranks = active_ranks()
    if ranks is None:
        yield from iterator
        return
    try:
        for batch in iterator:
            yield batch.part(ranks.begin_batch(len(batch[0]), batch.weight, share))
    finally:
        ranks.end_batch()


def joined(step: dict[str, Any], gradients: Sequence[Tensor], batch: Any) -> Tensor | None:
    """Make the means of a step, and their gradients, those over all processes' rows; return the weights of all rows."""
    ranks = active_ranks()
    if ranks is None:
        return getattr(batch, "weight", None)
    step["mass"], step["terms"] = ranks.average(step["mass"], step["terms"], gradients)
    step["loss"] = reduce(add, step["terms"].values())
    return ranks.weight


def of_all_rows(predict: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Return what predicts all processes' rows from each one's own, for a rate that is measured by them."""
    ranks = active_ranks()
    return predict if ranks is None else lambda x: ranks.all_rows(predict(x))


def joint_means(means: TermMeans) -> dict[str, float]:
    """Return the means of an epoch over all processes' rows."""
    own, ranks = means.read(), active_ranks()
    if ranks is None:
        return own
    mass = sum(map(float, means.masses))
    values = {name: torch.tensor(value, dtype=torch.float64) for name, value in own.items()}
    return {name: float(value) for name, value in ranks.average(mass, values, [])[1].items()}


def align(net: Any) -> None:
    """Begin an epoch with the first process's weights and random state."""
    ranks = active_ranks()
    if ranks is not None:
        state = (values for values in net.module_.state_dict().values() if isinstance(values, Tensor))
        ranks.align(state, net.generator_)


def check_shared(net: Any, train: Any, valid: Any) -> None:
    """See that a training can be shared, and that all processes are about to do the same.

    Raises
    ------
    ValueError
        If not; on all processes.
    """
    ranks = active_ranks()
    if ranks is None:
        return
    reason = _why_not_shared(net, train, valid)
    if reason is not None:
        raise ValueError(f"A training cannot be shared by data_parallel if {reason}.")
    settings = [zlib.crc32(repr(_settings(net)).encode())]
    if not ranks.are_alike([*settings, *_fingerprint(train), *([] if valid is None else _fingerprint(valid))]):
        found = f"{len(train)} rows of its own on process {ranks.rank} of {ranks.size}, or other settings"
        raise invalid_input("X", found, "the same rows, in the same order, on all processes", of="data_parallel")


def _settings(net: Any) -> list[Any]:
    """Return what has to be the same for all, without what another device or a progress bar makes different."""
    layers = [(type(layer).__name__, getattr(layer, "p", None)) for layer in net.module_.modules()]
    shapes = [tuple(values.shape) for values in net.module_.parameters()]
    groups = net.optimizer_.param_groups
    options = [{name: part for name, part in group.items() if name != "params"} for group in groups]
    patience = [callback.patience for _, callback in net.callbacks_ if isinstance(callback, BestWeights)]
    kinds = [type(part).__name__ for part in (net.optimizer_, net.criterion_, net.penalty_)]
    return [layers, shapes, options, patience, kinds, *(getattr(net, name) for name in _SETTINGS)]


def _why_not_shared(net: Any, train: Any, valid: Any) -> str | None:
    """Return what a training depends on that shares of a batch do not have."""
    if not _in_memory(train) or not (valid is None or _in_memory(valid)):
        return "its data are not rows in memory"
    if net._needs_closure:
        return f"the optimizer {type(net.optimizer_).__name__} evaluates the loss several times a step"
    if any(getattr(layer, "track_running_stats", False) for layer in net.module_.modules()):
        return "the module has statistics of batches, as of a batch norm; a layer or group norm has none"
    return None


def _in_memory(rows: Any) -> bool:
    return isinstance(rows, Rows) and not isinstance(rows, StreamedRows)


def _fingerprint(rows: Rows) -> list[int]:
    """Return the number of rows and checksums of what they are."""
    values = [part for part in (rows.y, rows.weight) if part is not None]
    if rows.is_sparse:
        values += [torch.from_numpy(np.asarray(part)) for part in (rows.X.data, rows.X.indices)]
        return [len(rows), *map(_checksum, values)]
    edges = [*range(0, len(rows), max(1, _AT_ONCE // math.prod(rows.shape[1:]))), len(rows)]
    of_inputs = reduce(lambda checksum, batch: _checksum(batch[0], checksum), rows.split(edges), 0)
    return [len(rows), of_inputs, *map(_checksum, values)]


def _checksum(values: Tensor, before: int = 0) -> int:
    return zlib.crc32(tensor_bytes(values).data, before)
