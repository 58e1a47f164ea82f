"""What the columns of a data frame of probabilities are called."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["column_labels"]


def column_labels(table: Any, labels: np.ndarray | None = None) -> np.ndarray | None:
    """Return the labels that a frame's columns are named by; None for arrays and where columns are only counted.

    Names that are strings, which polars requires, are matched with numbers where ``labels`` are numbers.
    """
    if not hasattr(table, "columns"):
        return None
    names = list(table.columns)
    if type(table.columns).__name__ == "RangeIndex" and names == list(range(len(names))):
        return None  # pandas numbers them by default
    numeric = labels is not None and labels.dtype.kind not in "OUST"
    by_text = {str(label): label for label in labels.tolist()} if labels is not None and numeric else {}
    found = [by_text.get(name, name) for name in names]
    return np.array(found, dtype=None if len({type(label) for label in found}) == 1 else object)
