"""How a net is trained: which rows are set aside, what a teacher is worth on them, how many passes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np

from sklkl._fit.parameters import FitParams, TeacherParams
from sklkl._fit.soft_targets import SoftTargets
from sklkl._fit.teacher_share import best_share, net_proba
from sklkl._fit.training_set import Training, n_passes, split_rows, wants_validation
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLNet

# Weight of the distillation loss for distill_weight="auto".
AUTO_WEIGHT = 0.5

NewNet = Callable[[Training, np.random.RandomState], KLNet]


def training_of(
    params: FitParams,
    rows: Rows,
    soft_targets: SoftTargets | None,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> Training:
    """Return a training set and how to train on it; what a teacher is worth is found first, where that is wanted."""
    weight, distilled = _number(params.teacher), False
    if soft_targets is not None and soft_targets.teacher is not None:
        weight = _settled_weight(params, soft_targets, rows, random_state, new_net)
        distilled = weight > 0
    train, valid = rows, None
    if wants_validation(params.split, rows, distilled):
        train, valid = split_rows(params.split, rows, random_state)
    return _training(params, soft_targets, weight, train, valid, random_state)


def stream_training(
    params: FitParams, rows: Rows, soft_targets: SoftTargets | None, random_state: np.random.RandomState
) -> Training:
    """Return one pass over rows to which others may come, without a validation part."""
    weight, known = _number(params.teacher), None
    if soft_targets is not None:
        rows, known = soft_targets.with_soft_targets(rows, weight, random_state)
    return Training(TrainingSet(rows, None, known), weight, epochs=1, stream=True)


def _number(params: TeacherParams) -> float:
    """Return the weight of a teacher whose worth is not asked."""
    weight: float | str = params.distill_weight
    return AUTO_WEIGHT if isinstance(weight, str) else weight


def _training(
    params: FitParams,
    soft_targets: SoftTargets | None,
    weight: float,
    train: Rows,
    valid: Rows | None,
    random_state: np.random.RandomState,
) -> Training:
    known = None
    if soft_targets is not None:
        train, known = soft_targets.with_soft_targets(train, weight, random_state)
    data = TrainingSet(train, valid, known)
    return Training(data, weight, n_passes(data, params.net.max_epochs))


def _settled_weight(
    params: FitParams,
    soft_targets: SoftTargets,
    rows: Rows,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> float:
    """Return the weight of the distillation loss, after calibrating the teacher."""
    if params.teacher.distill_weight == "auto" and _shows_its_worth(params.teacher):
        # a copy, so that without any worth the student is that without a teacher, to the bit
        return weighed_teacher(params, soft_targets, rows, copy.deepcopy(random_state), new_net)
    weight = _number(params.teacher)
    if weight > 0 and params.teacher.teacher_cv is None and soft_targets.calibrates(len(rows)):
        train, valid = split_rows(params.split, rows, random_state)
        if valid is not None:
            soft_targets.unseen_proba(train, valid)
    return weight


def _shows_its_worth(params: TeacherParams) -> bool:
    """Whether labelled rows show what a teacher is worth: not if it is there for other rows, or for other classes."""
    return params.distill_rows == "all" and params.teacher_classes == "same"


def weighed_teacher(
    params: FitParams, soft_targets: SoftTargets, rows: Rows, random_state: np.random.RandomState, new_net: NewNet
) -> float:
    """Let a teacher's share in the soft targets be what it is worth on rows set aside, and return their weight.

    The rest is a network's that learned the labels alone; if the teacher adds nothing to it, the weight is 0. Without
    rows to set aside the soft targets are the teacher's.
    """
    with warnings.catch_warnings():  # a class of one row, which is not set aside, is in what is trained in the end
        warnings.filterwarnings("ignore", message=r"\d+ classes have one row only")
        train, valid = split_rows(params.split, rows, random_state)
    if valid is None:
        return AUTO_WEIGHT

    def student(weight: float) -> KLNet:
        # as it would be trained on all rows: with early stopping or without
        stops_early = wants_validation(params.split, rows, weight > 0)
        training = _training(params, soft_targets, weight, train, valid if stops_early else None, random_state)
        net = new_net(training, copy.deepcopy(random_state))
        return net.partial_fit(training.data)

    soft_targets.further.check_unlabeled()
    proba, alone = soft_targets.unseen_proba(train, valid), student(0.0)  # what fails does so before a training
    ready = soft_targets.may_know_all_rows
    if ready:  # but its student does not
        proba = net_proba(student(AUTO_WEIGHT), valid)
    share = best_share(net_proba(alone, valid), proba, valid.codes.cpu(), valid.weight)
    if ready and share <= 0.5:  # any two networks gain by being mixed; that is no merit of a teacher
        share = 0.0
    soft_targets.mix_with(alone, share)
    return AUTO_WEIGHT if share > 0 else 0.0
