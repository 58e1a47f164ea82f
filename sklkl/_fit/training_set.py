"""From validated rows to a trained net: soft targets, a validation part, generations of students."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from skorch.helper import predefined_split

from sklkl._fit.inputs import split_rows, wants_validation
from sklkl._fit.net_factory import make_net, update_net
from sklkl._fit.soft_targets import Teaching
from sklkl.data import Rows
from sklkl.net import KLNet

# Candidates for distill_weight="auto".
DISTILL_WEIGHTS = (0.0, 0.5, 0.9, 1.0)


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Put every attribute back if training ends in an error, or is interrupted before an epoch is finished."""
    before = estimator.__dict__.copy()
    estimator.interrupted_ = False
    try:
        yield
    except BaseException:
        if not estimator.interrupted_:
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
        raise


class Lesson:
    """What a net is trained on: rows with their soft targets, and a validation part.

    Parameters
    ----------
    estimator : KLClassifier
        For its parameters and classes.
    teaching : Teaching
        Where soft targets come from.
    rows : Rows
        Validated rows, numbered if there is something to be taught.
    distill_weight : float
        Weight of the distillation term.
    random_state : RandomState
        Source of the validation part and of synthetic rows.
    validation : bool
        Whether to set a validation part aside.
    """

    def __init__(
        self,
        estimator: Any,
        teaching: Teaching,
        rows: Rows,
        distill_weight: float,
        random_state: np.random.RandomState,
        validation: bool,
    ) -> None:
        self.estimator, self.distill_weight = estimator, distill_weight
        train, valid = split_rows(estimator, rows, random_state) if validation else (rows, None)
        self.valid = valid
        self.train, self.known = teaching.labelled(train, distill_weight, random_state)
        self.share_of_passes = min(1.0, 2 * len(train) / len(self.train))

    def epochs(self, max_epochs: int) -> int:
        """Return the number of passes; rows without labels, which make a pass longer, may at most double the work."""
        return math.ceil(max_epochs * self.share_of_passes)

    def prepare(self, net: KLNet) -> KLNet:
        """Give a net what it needs to be trained on this lesson."""
        update_net(net, self.estimator, self.train, self.distill_weight, self.known)
        net.train_split = None if self.valid is None else predefined_split(self.valid)
        return net

    def next_generation(self, net: KLNet) -> None:
        """Take the soft targets from a net that has learned this lesson."""
        proba = torch.as_tensor(net.predict_proba(self.train))
        proba = torch.stack([1 - proba, proba], dim=-1) if net.multilabel else proba
        self.train = self.train.with_columns(teacher_proba=proba.to(self.train.dtype))
        self.known = None


def make_lesson(estimator: Any, teaching: Teaching, rows: Rows, random_state: np.random.RandomState) -> Lesson:
    """Return the lesson that an estimator's parameters ask for; find the weight of its teacher if that is to be found.

    Parameters
    ----------
    estimator : KLClassifier
        For its parameters and classes.
    teaching : Teaching
        Where soft targets come from.
    rows : Rows
        Validated rows.
    random_state : RandomState
        Source of all that is random.
    """
    weight = estimator.distill_weight
    if weight == "auto":
        weight = best_distill_weight(estimator, teaching, rows, random_state) if teaching.taught else 0.5
    elif weight > 0 and estimator.teacher_cv is None and teaching.calibrates(rows):
        calibrate_on_part(estimator, teaching, rows, random_state)
    validation = wants_validation(estimator, rows, taught=teaching.taught and weight > 0)
    return Lesson(estimator, teaching, rows, weight, random_state, validation)


def calibrate_on_part(estimator: Any, teaching: Teaching, rows: Rows, random_state: np.random.RandomState) -> None:
    """Fit the teacher to some of the rows, to learn from the others how sure it should be."""
    train, valid = split_rows(estimator, rows, random_state)
    if valid is not None:
        teaching.fit_teacher(train)
        teaching.calibrate(valid)


def best_distill_weight(estimator: Any, teaching: Teaching, rows: Rows, random_state: np.random.RandomState) -> float:
    """Return the weight of lowest log-loss on rows set aside; if wanted, calibrate the teacher on them on the way.

    Raises
    ------
    ValueError
        If no class has two rows, so that none can be set aside.
    """
    lesson = Lesson(estimator, teaching, rows, 1.0, random_state, validation=True)
    if lesson.valid is None:
        raise ValueError("The 'distill_weight' parameter cannot be 'auto' if no row can be set aside.")
    if teaching.calibrates(rows) and estimator.teacher_cv is None:
        teaching.calibrate(lesson.valid)
        lesson.train = teaching.calibrated(lesson.train)
    losses = {weight: _valid_loss(lesson, weight, copy.deepcopy(random_state)) for weight in DISTILL_WEIGHTS}
    return min(losses, key=losses.__getitem__)


def _valid_loss(lesson: Lesson, weight: float, random_state: np.random.RandomState) -> float:
    lesson.distill_weight = weight
    estimator = lesson.estimator
    net = lesson.prepare(make_net(estimator, lesson.train, random_state))
    net.max_epochs = lesson.epochs(estimator.max_epochs) if weight else estimator.max_epochs
    net.partial_fit(lesson.train if weight else labelled_part(lesson.train))
    return float(np.nanmin(net.history[:, "valid_loss"]))


def labelled_part(rows: Rows) -> Rows:
    """Return the rows that have a label; without a teacher the others would only dilute the mean."""
    has_label = (rows.codes if rows.codes.ndim == 1 else rows.codes[:, 0]) >= 0
    return rows.take(torch.nonzero(has_label).flatten())
