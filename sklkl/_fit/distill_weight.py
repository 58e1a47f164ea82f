"""How much of the loss is a teacher's, where that is to be found on rows set aside."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from sklkl._fit.parameters import FitParams, SplitParams
from sklkl._fit.soft_targets import SoftTargets
from sklkl._fit.training_set import Training, labelled, n_passes, split_rows, training_set
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLNet

# Candidates for distill_weight="auto".
DISTILL_WEIGHTS = (0.0, 0.5, 0.9, 1.0)

NewNet = Callable[[Training, np.random.RandomState], KLNet]


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
    data = training_set(train, valid, soft_targets, 1.0, random_state)
    if valid is None:
        raise ValueError("The 'distill_weight' parameter cannot be 'auto' if no row can be set aside.")
    if soft_targets.calibrates(rows) and params.teacher.teacher_cv is None:
        soft_targets.calibrate(valid)
        data = TrainingSet(soft_targets.calibrated(data.train), valid, data.known_classes)

    def valid_loss(weight: float) -> float:
        # without a teacher, rows without a label would only dilute the mean
        rows_of = data if weight else TrainingSet(labelled(data.train), valid, data.known_classes)
        training = Training(rows_of, weight, n_passes(rows_of, params.net.max_epochs))
        net = new_net(training, copy.deepcopy(random_state))
        net.partial_fit(training.data)
        return float(np.nanmin(net.history[:, "valid_loss"]))

    return min(DISTILL_WEIGHTS, key=valid_loss)


def calibrate_on_part(
    params: SplitParams, soft_targets: SoftTargets, rows: Rows, random_state: np.random.RandomState
) -> None:
    """Fit the teacher to some of the rows, to learn from the others how far to trust its confidence."""
    train, valid = split_rows(params, rows, random_state)
    if valid is not None:
        soft_targets.fit_teacher(train)
        soft_targets.calibrate(valid)
