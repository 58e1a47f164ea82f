"""What each epoch recorded, of a training or of a long stream of them."""

from __future__ import annotations

from typing import Any

from skorch.history import History


class EpochRecords(History):
    """skorch's history, of which one record is read in the same time however many there are."""

    def __getitem__(self, i: Any) -> Any:
        # skorch copies the list of all records first
        return list.__getitem__(self, i) if type(i) is int else super().__getitem__(i)
