"""Processes that train one network together: which rows each has, and what they tell each other.

Everything goes through two operations of ``torch.distributed``, the sum over ranks and the values of the first one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Ranks:
    """The processes of a group, as one of them sees them.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup or None
        None for all processes.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    bytes_summed : int
        How much this process has put into sums so far, for whoever wants to know what a step costs.
    """

    def __init__(self, group: Any = None) -> None:
        self.group = group
        self.rank: int = dist.get_rank(group)
        self.size: int = dist.get_world_size(group)
        self.bytes_summed = 0
        # some backends take tensors on a GPU only
        self._device = torch.device("cuda") if dist.get_backend(group) == "nccl" else None
        self.end_batch()

    # The rows of a batch

    def begin_batch(self, n_rows: int, weight: Tensor | None, share: bool = True) -> slice:
        """Return which rows of a batch are this rank's: all of them if there are too few, or none are to be shared."""
        self.n_rows, self.weight = n_rows, weight
        if not share or n_rows < self.size:
            self.own = slice(0, n_rows)
        else:
            self.own = slice(n_rows * self.rank // self.size, n_rows * (self.rank + 1) // self.size)
        return self.own

    def end_batch(self) -> None:
        """Let rows be only those that there are."""
        self.n_rows, self.weight, self.own = -1, None, slice(0, 0)

    @property
    def n_own(self) -> int:
        """Number of this rank's rows; -1 where there is no batch."""
        return self.own.stop - self.own.start if self.n_rows >= 0 else -1

    def all_rows(self, values: Tensor) -> Tensor:
        """Return values of all rows of the batch from those of this rank's, of shape (n_own, ...)."""
        if self.n_own == self.n_rows:
            return values
        result = values.new_zeros((self.n_rows, *values.shape[1:]))
        result[self.own] = values
        return self.sum(result)

    # What ranks tell each other

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of all ranks' values, which has the same bits on all of them."""
        sent = values.to(self._device or values.device, copy=True).contiguous()
        self.bytes_summed += sent.numel() * sent.element_size()
        dist.all_reduce(sent, group=self.group)
        return sent.to(values.device)

    def of_first(self, values: Tensor) -> Tensor:
        """Return the values of the first rank."""
        sent = values.to(self._device or values.device, copy=True).contiguous()
        source = 0 if self.group is None else dist.get_global_rank(self.group, 0)
        dist.broadcast(sent, source, group=self.group)
        return sent.to(values.device)

    def average(
        self, mass: Any, terms: dict[str, Tensor], gradients: Sequence[Tensor]
    ) -> tuple[Any, dict[str, Tensor]]:
        """Make means over this rank's rows those over all rows, in one message.

        Parameters
        ----------
        mass : float or Tensor of shape ()
            Total weight of this rank's rows.
        terms : dict of str to Tensor of shape ()
            Means by name.
        gradients : sequence of Tensor
            Gradients of such means, which are changed in place.

        Returns
        -------
        mass : Tensor of shape ()
            Total weight of all rows.
        terms : dict of str to Tensor of shape ()
            The means over all rows.
        """
        numbers = torch.stack([value.detach() for value in terms.values()])
        parts = [*(gradient.flatten() for gradient in gradients), numbers, torch.ones_like(numbers[:1])]
        total = self.sum(torch.cat(parts) * mass)
        mass = total[-1]
        means = (total[:-1] / mass.clamp(min=torch.finfo(mass.dtype).tiny)).split([len(part) for part in parts[:-1]])
        for gradient, mean in zip(gradients, means[:-1], strict=True):
            gradient.copy_(mean.view_as(gradient))
        return mass, dict(zip(terms, means[-1], strict=True))

    def align(self, tensors: Iterable[Tensor], generator: torch.Generator) -> None:
        """Give tensors and a generator the values that they have on the first rank."""
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(self.of_first(tensor))
        generator.set_state(self.of_first(generator.get_state()))

    def are_alike(self, numbers: Sequence[int]) -> bool:
        """Whether whole numbers are the same on all ranks."""
        own = torch.tensor(numbers, dtype=torch.int64)
        return not self.sum((self.of_first(own) != own).any().long().reshape(1)).any()

    def seed(self, own: int) -> int:
        """Return the first rank's seed."""
        return int(self.of_first(torch.tensor([own]))[0])


class _Active(threading.local):
    """The ranks that a thread trains with; other threads and processes that it starts train on their own."""

    ranks: Ranks | None = None


_active = _Active()


def active_ranks() -> Ranks | None:
    """Return the ranks that this thread trains with, None if it does so alone."""
    return _active.ranks


def set_active(ranks: Ranks | None) -> None:
    """Let this thread train with these ranks from now on."""
    _active.ranks = ranks


def drawn(shape: Sequence[int], draw: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """Return random values of this rank's rows, drawn for all rows, so that generators stay alike on all ranks."""
    ranks = _active.ranks
    if ranks is None or shape[0] != ranks.n_own:
        return draw(shape)
    return draw((ranks.n_rows, *shape[1:]))[ranks.own]
