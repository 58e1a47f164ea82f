"""What a net is trained on, and how: which rows are set aside, what a teacher is worth on them, how many passes."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from torch import Tensor

from sklkl._fit.monitors import validation_monitor, wants_validation_part
from sklkl._fit.parameters import FitParams, SplitParams, TeacherParams
from sklkl._fit.soft_targets import SoftTargets
from sklkl._fit.teacher_share import best_share, clearly_loses, clearly_worse, net_proba
from sklkl._utils.checks import invalid
from sklkl._utils.sklearn_private import drawn_split
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLNet

# Weight of the distillation loss for distill_weight="auto".
AUTO_WEIGHT = 0.5

# early_stopping="auto" sets none of fewer rows aside, nor of fewer than give every class one of those, up to the second
# number: what stops early has better probabilities, see examples/benchmarks/few_rows.py, but with three or four rows a
# class it has learned few of them.
FEW_ROWS, MANY_ROWS = 40, 200


@dataclass(frozen=True)
class Training:
    """A training set, and how a net is to be trained on it.

    Parameters
    ----------
    data : TrainingSet
        The rows; of the first member, where members of an ensemble have validation parts of their own.
    distill_weight : float
        Weight of the distillation loss.
    epochs : int
        Number of passes.
    stream : bool
        Whether further rows may come.
    n_labelled : int or None
        How many of the training rows, the first ones, have a label; None for all.
    parts : tuple of TrainingSet
        The rows of each member; empty if all have the same.
    """

    data: TrainingSet
    distill_weight: float
    epochs: int
    stream: bool = False
    n_labelled: int | None = None
    parts: tuple[TrainingSet, ...] = ()


NewNet = Callable[[Training, np.random.RandomState], KLNet]


def training_of(
    params: FitParams,
    rows: Rows,
    valid: Rows | None,
    soft_targets: SoftTargets | None,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> Training:
    """Return a training set and how to train on it; what a teacher is worth is found first, where that is wanted.

    A validation part ``valid`` that was given serves wherever rows would be set aside.
    """
    monitor = checked_monitor(params, gives_valid=valid is not None)
    weight, distilled = number_of(params.teacher), False
    if soft_targets is not None and soft_targets.teacher is not None:
        weight = _settled_weight(params, soft_targets, rows, valid, random_state, new_net)
        soft_targets.random_state_after = random_state.get_state()
        distilled = weight > 0
    train = rows
    if valid is None and stops_early(params, rows.shape[0], _n_classes(rows), distilled):
        train, valid = split_rows(params.split, rows, random_state)
    if valid is None and monitor is not None:
        raise ValueError(
            f"The callback {monitor}, but no row can be set aside, as no class has two. Pass rows of your own to fit "
            f"as 'X_val' and 'y_val'. Got early_stopping={params.split.early_stopping!r}."
        )
    if soft_targets is None:
        return Training(TrainingSet(train, valid), weight, params.net.max_epochs)
    return _training(params, soft_targets, weight, train, valid, random_state)


def checked_monitor(params: FitParams, gives_valid: bool) -> str | None:
    """Return which callback needs a validation part to be set aside, in words; raise a ValueError if none may be."""
    monitor = validation_monitor(params.net.callbacks) if not gives_valid and params.net.callbacks else None
    if monitor is not None and params.split.early_stopping is False:
        raise invalid("early_stopping", False, f"'auto' or True, as the callback {monitor}", of="KLClassifier")
    return monitor


def _training(
    params: FitParams,
    soft_targets: SoftTargets,
    weight: float,
    rows: Rows,
    valid: Rows | None,
    random_state: np.random.RandomState,
) -> Training:
    """Return a training set with soft targets; rows without labels make a pass longer, but at most double the work."""
    if weight > 0 or soft_targets.further.penalised:
        train, known = soft_targets.with_soft_targets(rows, weight, random_state)
    else:
        train, known = rows.with_columns(number=None), None
    n_labelled, n_rows = rows.shape[0], train.shape[0]
    epochs = math.ceil(params.net.max_epochs * min(1.0, 2 * n_labelled / n_rows))
    return Training(TrainingSet(train, valid, known), weight, epochs, n_labelled=n_labelled)


def number_of(params: TeacherParams) -> float:
    """Return the weight of a teacher whose worth is not asked."""
    weight: float | str = params.distill_weight
    return AUTO_WEIGHT if isinstance(weight, str) else weight


def stops_early(params: FitParams, n_rows: int, n_classes: int, distilled: bool) -> bool:
    """Whether to set rows aside; a teacher that labels every row is worth more than stopping early."""
    wanted: bool | str = params.split.early_stopping
    if not isinstance(wanted, str):
        return wanted
    one_of_each = math.ceil(n_classes / params.split.validation_fraction)
    enough = n_rows >= min(max(FEW_ROWS, one_of_each), MANY_ROWS) and not distilled
    return enough or bool(params.net.callbacks and wants_validation_part(params.net.callbacks))


def _n_classes(rows: Rows) -> int:
    """Return the number of classes that rows have; a multilabel indicator is not stratified by class."""
    assert rows.y is not None
    return 1 if rows.y.ndim == 2 else len(np.unique(rows.y.cpu().numpy()))


def stream_training(
    params: FitParams, rows: Rows, soft_targets: SoftTargets | None, random_state: np.random.RandomState
) -> Training:
    """Return one pass over rows to which others may come, without a validation part."""
    monitor = validation_monitor(params.net.callbacks) if params.net.callbacks else None
    if monitor is not None:
        raise ValueError(f"The callback {monitor}, which partial_fit does not have; 'early_stopping' is for fit.")
    weight = number_of(params.teacher)
    if soft_targets is None:
        return Training(TrainingSet(rows), weight, epochs=1, stream=True)
    return replace(_training(params, soft_targets, weight, rows, None, random_state), epochs=1, stream=True)


def _settled_weight(
    params: FitParams,
    soft_targets: SoftTargets,
    rows: Rows,
    valid: Rows | None,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> float:
    """Return the weight of the distillation loss, after calibrating the teacher."""
    if soft_targets.settled is not None:
        return soft_targets.weight_as_settled(random_state)
    teacher = params.teacher
    # labelled rows do not show what a teacher is worth if it is there for other rows, or for other classes
    if teacher.distill_weight == "auto" and teacher.distill_rows == "all" and teacher.teacher_classes == "same":
        # a copy, so that without any worth the student is that without a teacher, to the bit
        return weighed_teacher(params, soft_targets, rows, valid, copy.deepcopy(random_state), new_net)
    weight = number_of(teacher)
    if weight > 0 and soft_targets.calibrates_aside(rows.shape[0]):
        train, valid = split_rows(params.split, rows, random_state) if valid is None else (rows, valid)
        if valid is not None:
            soft_targets.unseen_proba(train, valid)
    return weight


def weighed_teacher(
    params: FitParams,
    soft_targets: SoftTargets,
    rows: Rows,
    given: Rows | None,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> float:
    """Let a teacher's share in the soft targets be what it is worth on rows set aside, and return their weight.

    The rest is a network's that learned the labels alone; if the teacher adds nothing to it, the weight is 0. Without
    rows to set aside the soft targets are the teacher's. A validation part that was ``given`` serves as such rows.
    """
    train, valid = rows, given
    if valid is None:
        train, valid = _judged_by(params.split, rows, random_state)
    if valid is None:
        return AUTO_WEIGHT

    def student(weight: float) -> KLNet:
        # as it would be trained on all rows: with early stopping or without
        validated = given is not None or stops_early(params, rows.shape[0], _n_classes(rows), weight > 0)
        learned, aside = train, valid if validated else None
        if validated and given is None and rows.shape[0] < MANY_ROWS:  # of so few rows those that stop it say too much
            learned, aside = _judged_by(params.split, train, copy.deepcopy(random_state))
        training = _training(params, soft_targets, weight, learned, aside, random_state)
        return new_net(training, copy.deepcopy(random_state)).train_on(training.data)

    soft_targets.check_rows(rows, random_state)
    proba, alone = soft_targets.unseen_proba(train, valid), student(0.0)  # what fails does so before a training
    without, unseen = net_proba(alone, valid), _codes_and_weight(valid)
    share = best_share(without, proba, *unseen)
    if share > 0 and soft_targets.may_know_all_rows:  # but its student does not
        share = best_share(without, net_proba(student(AUTO_WEIGHT), valid), *unseen)
        share = share if share > 0.5 else 0.0  # any two networks gain by being mixed; that is no merit of a teacher
    elif share > 0 and soft_targets.asks_of_known_rows:  # what was judged is then not what is taught
        known = soft_targets.proba_of(train), *_codes_and_weight(train)
        share = 0.0 if clearly_worse(known, (proba, *unseen)) else share
    soft_targets.mix_with(alone, share)
    if share > 0 and not soft_targets.may_know_all_rows:  # what is learned from it may still be worse than nothing
        taught = net_proba(student(AUTO_WEIGHT), valid)
        share = 0.0 if clearly_loses(taught, without, *unseen) else share
    return AUTO_WEIGHT if share > 0 else 0.0


def _judged_by(params: SplitParams, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
    """Set rows aside to judge by; a class of one row is not among them, but in what is trained in the end."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\d+ classes have one row only")
        return split_rows(params, rows, random_state)


def _codes_and_weight(rows: Rows) -> tuple[Tensor, Tensor | None]:
    """Return codes and weights where soft targets are, on the CPU."""
    return rows.codes.cpu(), None if rows.weight is None else rows.weight.cpu()


def split_rows(params: SplitParams, rows: Rows, random_state: np.random.RandomState) -> tuple[Rows, Rows | None]:
    """Set a validation part aside, if that is possible."""
    assert rows.y is not None
    train, valid = validation_split(rows.y.cpu().numpy(), params.validation_fraction, random_state)
    if len(valid) == 0:
        return rows, None
    return rows.part(torch.from_numpy(train)), rows.part(torch.from_numpy(valid))


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
        return _drawn(ShuffleSplit, codes, n_valid, random_state)
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
    kind = StratifiedShuffleSplit if can_stratify(codes[pool], n_valid) else ShuffleSplit
    train, valid = _drawn(kind, codes[pool], n_valid, random_state)
    return np.sort(np.concatenate([pool[train], np.flatnonzero(alone)])), np.sort(pool[valid])


def _drawn(
    kind: type[ShuffleSplit | StratifiedShuffleSplit],
    codes: np.ndarray,
    n_valid: int,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers that `train_test_split` draws, which checks all once more and takes thrice as long."""
    return drawn_split(kind(1, test_size=n_valid, random_state=random_state), codes)


def can_stratify(codes: np.ndarray, n_valid: int) -> bool:
    """Whether a part of so many rows, and the rest, can have rows of every class."""
    return min(n_valid, len(codes) - n_valid) >= len(np.flatnonzero(np.bincount(codes)))
