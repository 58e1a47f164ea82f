"""What is remembered of a categorical column, counts only, and the table of counts that new values give with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklkl._utils.columns import is_missing
from sklkl.divergences._table import Table

__all__ = ["ValueReference"]


@dataclass(frozen=True)
class ValueReference:
    """A column whose every value is a bin, and so is each new value that the reference lacks.

    Parameters
    ----------
    counts : dict
        Number of reference rows of each value.
    n_missing : int
        Number of reference rows without a value.
    """

    counts: dict[Hashable, int]
    n_missing: int

    @classmethod
    def fit(cls, values: Iterable[Hashable]) -> ValueReference:
        """Count the reference values."""
        return cls(*_count(values))

    def __getstate__(self) -> dict[str, Any]:
        # in two lists: files without pickle have texts for the keys of a dict
        return {"values": list(self.counts), "counts": list(self.counts.values()), "n_missing": self.n_missing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        counts = dict(zip(state["values"], state["counts"], strict=True))
        self.__dict__.update(counts=counts, n_missing=state["n_missing"])

    def table(self, values: Iterable[Hashable]) -> Table:
        """Return the counts beside those of new values."""
        new, n_missing = _count(values)
        union = self.counts | new
        a = np.asarray([*(self.counts.get(value, 0) for value in union), self.n_missing])
        b = np.asarray([*(new.get(value, 0) for value in union), n_missing])
        names = np.empty(len(a), dtype=object)
        names[:] = [*union, "missing"]
        return Table.of(a, b, names=names)


def _count(values: Iterable[Hashable]) -> tuple[dict[Hashable, int], int]:
    counts = Counter(values)
    missing = [value for value in counts if is_missing(value)]  # several, as NaN is not equal to itself
    return counts, sum(counts.pop(value) for value in missing)
