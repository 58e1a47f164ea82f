"""Which rows of blocks are set aside: of each class the same share, of all blocks together."""

from __future__ import annotations

import numpy as np


class RowsAside:
    """Chooses rows of one block after the other, so that even a class with a row in few blocks has its share.

    In each block a class gets what is due of its rows in whole numbers, and the rest is carried to the next block.

    Parameters
    ----------
    share : float in (0, 1)
        Share of the rows.
    n_classes : int
        Number of classes; 1 for a multilabel indicator, which is not stratified.
    random_state : RandomState
        Source of what is due at the beginning.
    """

    def __init__(self, share: float, n_classes: int, random_state: np.random.RandomState) -> None:
        self.share = share
        # with its share less than 1: the first row of a class, which may be its only one, is never set aside
        self.due = random_state.uniform(0.0, 1.0 - share, n_classes)

    def choose(self, codes: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
        """Return the sorted numbers of those rows of the next block that are set aside."""
        classes = codes if len(self.due) > 1 else np.zeros(len(codes), dtype=np.intp)
        counts = np.bincount(classes, minlength=len(self.due))
        self.due += self.share * counts
        wanted = np.floor(self.due).astype(np.intp)
        self.due -= wanted
        order = random_state.permutation(len(codes))
        by_class = order[np.argsort(classes[order], kind="stable")]
        place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.sort(by_class[place < np.repeat(wanted, counts)])
