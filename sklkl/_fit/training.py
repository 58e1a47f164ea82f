"""How a net is trained: which rows are set aside, what a teacher is worth on them, how many passes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from sklkl._fit.parameters import FitParams
from sklkl._fit.soft_targets import SoftTargets
from sklkl._fit.training_set import Training, n_passes, split_rows, wants_validation
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLNet

# Candidates for distill_weight="auto".
DISTILL_WEIGHTS = (0.0, 0.5, 0.9, 1.0)

NewNet = Callable[[Training, np.random.RandomState], KLNet]


def training_of(
    params: FitParams,
    rows: Rows,
    soft_targets: SoftTargets | None,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> Training:
    """Return a training set and how to train on it; what a teacher is worth is found first, where that is wanted."""
    weight = params.teacher.distill_weight
    if soft_targets is not None and soft_targets.teacher is not None:
        weight = _settled_weight(params, soft_targets, rows, random_state, new_net)
        distilled = weight > 0
    else:
        weight, distilled = 0.5 if weight == "auto" else weight, False
    train, valid = rows, None
    if wants_validation(params.split, rows, distilled):
        train, valid = split_rows(params.split, rows, random_state)
    if soft_targets is None:
        return Training(TrainingSet(train, valid), weight, params.net.max_epochs)
    train, known = soft_targets.with_soft_targets(train, weight, random_state)
    data = TrainingSet(train, valid, known)
    return Training(data, weight, n_passes(data, params.net.max_epochs))


def stream_training(
    params: FitParams, rows: Rows, soft_targets: SoftTargets | None, random_state: np.random.RandomState
) -> Training:
    """Return one pass over rows to which others may come, without a validation part."""
    weight: float = params.teacher.distill_weight
    known = None
    if soft_targets is not None:
        rows, known = soft_targets.with_soft_targets(rows, weight, random_state)
    return Training(TrainingSet(rows, None, known), weight, epochs=1, stream=True)


def _settled_weight(
    params: FitParams,
    soft_targets: SoftTargets,
    rows: Rows,
    random_state: np.random.RandomState,
    new_net: NewNet,
) -> float:
    """Return the weight of the distillation loss, after calibrating the teacher."""
    weight: float | str = params.teacher.distill_weight
    if isinstance(weight, str):
        return best_distill_weight(params, soft_targets, rows, random_state, new_net)
    if weight > 0 and soft_targets.calibrates_aside(len(rows)):
        train, valid = split_rows(params.split, rows, random_state)
        if valid is not None:
            soft_targets.calibrate(valid, train)
    return weight


def best_distill_weight(
    params: FitParams, soft_targets: SoftTargets, rows: Rows, random_state: np.random.RandomState, new_net: NewNet
) -> float:
    """Return the weight of lowest log-loss on rows set aside; if wanted, calibrate the teacher on them on the way.

    Raises
    ------
    ValueError
        If no class has two rows, so that none can be set aside.
    """
    train, valid = split_rows(params.split, rows, random_state)
    if valid is None:
        raise ValueError("The 'distill_weight' parameter cannot be 'auto' if no row can be set aside.")
    train, known = soft_targets.with_soft_targets(train, 1.0, random_state)
    if soft_targets.calibrates_aside(len(rows)):
        soft_targets.calibrate(valid)
        train = soft_targets.calibrated(train)
    data = TrainingSet(train, valid, known)

    def valid_loss(weight: float) -> float:
        # without a teacher, rows without a label would only dilute the mean
        learned = data if weight else TrainingSet(train.labelled(), valid, known)
        training = Training(learned, weight, n_passes(learned, params.net.max_epochs))
        net = new_net(training, copy.deepcopy(random_state))
        net.partial_fit(learned)
        return float(np.nanmin(net.history[:, "valid_loss"]))

    return min(DISTILL_WEIGHTS, key=valid_loss)
