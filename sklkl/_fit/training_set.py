"""What a net is trained on: rows with their soft targets, and a validation part."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from sklkl._fit.parameters import SplitParams
from sklkl._fit.soft_targets import MIN_ROWS_TO_SPLIT
from sklkl.data import Rows, TrainingSet


@dataclass(frozen=True)
class Training:
    """A training set, and how a net is to be trained on it.

    Parameters
    ----------
    data : TrainingSet
        The rows.
    distill_weight : float
        Weight of the distillation loss.
    epochs : int
        Number of passes.
    stream : bool
        Whether further rows may come.
    """

    data: TrainingSet
    distill_weight: float
    epochs: int
    stream: bool = False


def n_passes(data: TrainingSet, max_epochs: int) -> int:
    """Return the number of passes; rows without labels, which make a pass longer, may at most double the work."""
    has_label = data.train.has_label
    return math.ceil(max_epochs * min(1.0, 2 * int(has_label.sum()) / len(has_label)))


def wants_validation(params: SplitParams, rows: Rows, distilled: bool) -> bool:
    """Whether to set a validation part aside; a teacher that labels every row is worth more than stopping early."""
    wanted: bool | str = params.early_stopping
    return rows.X.shape[0] >= MIN_ROWS_TO_SPLIT and not distilled if isinstance(wanted, str) else wanted


def split_rows(params: SplitParams, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
    """Set a validation part aside, if that is possible."""
    assert rows.y is not None
    train, valid = validation_split(rows.y.cpu().numpy(), params.validation_fraction, random_state)
    if len(valid) == 0:
        return rows, None
    return rows.take(torch.from_numpy(train)), rows.take(torch.from_numpy(valid))


def validation_split(
    codes: np.ndarray, fraction: float, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Split row numbers into a training and a validation part, stratified by class where that is possible.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,) or (n_rows, n_labels)
        Class codes; a multilabel indicator is not stratified.
    fraction : float in (0, 1)
        Share of the rows set aside.
    random_state : RandomState
        Source of the choice.

    Returns
    -------
    train, valid : ndarray of int
        Row numbers. ``valid`` is empty if no class has two rows, or there is one row.

    Warns
    -----
    UserWarning
        If a class has one row only; it stays in the training part.
    """
    if codes.ndim == 2:
        n_valid = min(math.ceil(fraction * len(codes)), len(codes) - 1)
        if n_valid == 0:
            return np.arange(1), np.arange(0)
        train, valid = train_test_split(np.arange(len(codes)), test_size=n_valid, random_state=random_state)
        return train, valid
    counts = np.bincount(codes)
    alone = counts[codes] == 1
    if alone.any():
        warnings.warn(
            f"{alone.sum()} classes have one row only, which stays in the training part: the rows set aside, for early "
            "stopping or to calibrate a teacher, have none of these classes.",
            UserWarning,
            stacklevel=4,
        )
    pool = np.flatnonzero(~alone)
    if len(pool) == 0:
        return np.arange(len(codes)), pool
    n_valid = min(max(1, round(fraction * len(pool))), len(pool) - 1)
    enough = min(n_valid, len(pool) - n_valid) >= (counts > 1).sum()
    train, valid = train_test_split(
        pool, test_size=n_valid, stratify=codes[pool] if enough else None, random_state=random_state
    )
    return np.sort(np.concatenate([train, np.flatnonzero(alone)])), np.sort(valid)
