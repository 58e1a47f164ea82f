"""The way through ``fit``: inputs, soft targets, training set, net, training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from sklkl._fit.distill_weight import best_distill_weight, calibrate_on_part
from sklkl._fit.inputs import Inputs, labelled_rows, read_inputs, validated
from sklkl._fit.net_factory import new_net, resumed_net
from sklkl._fit.parameters import CONSTRAINTS, FitData, FitParams
from sklkl._fit.soft_targets import SoftTargets, soft_targets_of
from sklkl._fit.training_set import Training, n_passes, split_rows, training_set, wants_validation
from sklkl._utils.seeding import local_random_state
from sklkl._utils.sklearn_private import validate_parameter_constraints
from sklkl.data import Rows, TrainingSet
from sklkl.net import KLNet


class Previous(NamedTuple):
    """A net whose training is resumed, and its labels."""

    net: KLNet
    classes: np.ndarray


class Trained(NamedTuple):
    """A net that was trained, and on what."""

    net: KLNet
    classes: np.ndarray
    distill_weight: float
    interrupted: bool
    rows: Rows
    soft_targets: SoftTargets | None

    def publish(self, estimator: Any) -> None:
        """Give an estimator what it has learned."""
        estimator.classes_, estimator.net_ = self.classes, self.net
        estimator.distill_weight_, estimator.lr_ = self.distill_weight, self.net.lr_
        estimator.interrupted_ = self.interrupted

    def fitted_teacher(self) -> Any:
        """Return the teacher, fitted even if the student learned nothing from it; None if there is none."""
        if self.soft_targets is None:
            return None
        if self.distill_weight == 0:
            self.soft_targets.fit_teacher(self.rows)
        return self.soft_targets.fitted_teacher


@contextmanager
def restored_on_failure(estimator: Any) -> Iterator[None]:
    """Put every attribute back if there is an error, or an interruption before the first epoch is finished."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def checked_params(estimator: Any) -> FitParams:
    """Return the parameters of an estimator; an error names the one that is invalid."""
    params = estimator.get_params(deep=False)
    validate_parameter_constraints(CONSTRAINTS, params, caller_name=type(estimator).__name__)
    return FitParams.of(params)


def fit_net(
    estimator: Any,
    params: FitParams,
    data: FitData,
    *,
    previous: Previous | None = None,
    classes: np.ndarray | None = None,
    stream: bool = False,
) -> Trained:
    """Train a net.

    Parameters
    ----------
    estimator : estimator
        Whose input it is: learns the number and names of columns, or has them checked, and nothing else.
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to ``fit``.
    previous : Previous or None
        A net whose training is to be resumed.
    classes : ndarray or None
        Sorted labels that are known already; None learns them from y.
    stream : bool
        Whether further rows may come: one pass over these, without a validation part.

    Returns
    -------
    Trained
        The net; ``interrupted`` says whether training ended early, after some epochs.
    """
    inputs = read_inputs(estimator, params.inputs, data.X, data.y, classes=classes, reset=previous is None)
    soft_targets = None if _is_plain(params, data) else _soft_targets(estimator, params, data, inputs)
    found = inputs.classes if soft_targets is None or stream else soft_targets.classes
    if previous is not None and not np.array_equal(previous.classes, found):
        raise ValueError(
            f"warm_start resumes training on the same classes: {previous.classes.tolist()} were learned, y has "
            f"{found.tolist()}."
        )
    rows = labelled_rows(params.inputs, inputs, data.sample_weight, found, numbered=soft_targets is not None)
    random_state = local_random_state(params.random_state)
    build = partial(new_net, params.net, found)
    training = _training(params, rows, soft_targets, random_state, build, stream)
    if previous is None:
        net = build(training, random_state)
    else:
        net = resumed_net(previous.net, params.net, training)
    interrupted = _train(net, training)
    for _ in range(1, 1 if stream else params.teacher.n_generations):
        if not interrupted:
            training = replace(training, data=_taught_by(net, training.data))
            net = build(training, random_state)
            interrupted = _train(net, training)
    return Trained(net, found, training.distill_weight, interrupted, rows, soft_targets)


def _is_plain(params: FitParams, data: FitData) -> bool:
    """Whether rows have nothing to learn from but their labels."""
    return params.teacher.is_default and data.teacher_proba is None and data.X_unlabeled is None


def _soft_targets(estimator: Any, params: FitParams, data: FitData, inputs: Inputs) -> SoftTargets | None:
    any_rank, dtype = params.inputs.module is not None, params.inputs.numpy_dtype
    read = partial(validated, estimator, any_rank=any_rank, dtype=dtype, order="C", reset=False)
    return soft_targets_of(params, data, inputs, read)


def _training(
    params: FitParams,
    rows: Rows,
    soft_targets: SoftTargets | None,
    random_state: np.random.RandomState,
    build: Any,
    stream: bool,
) -> Training:
    """Return the training set and how to train on it; find the teacher's weight and temperature where that is wanted."""
    weight, taught = params.teacher.distill_weight, soft_targets is not None and soft_targets.exist
    if weight == "auto":
        weight = best_distill_weight(params, soft_targets, rows, random_state, build) if taught else 0.5
    elif not stream and taught and weight > 0 and params.teacher.teacher_cv is None and soft_targets.calibrates(rows):
        calibrate_on_part(params.split, soft_targets, rows, random_state)
    train, valid = rows, None
    if not stream and wants_validation(params.split, rows, distilled=taught and weight > 0):
        train, valid = split_rows(params.split, rows, random_state)
    data = training_set(train, valid, soft_targets, weight, random_state)
    return Training(data, weight, 1 if stream else n_passes(data, params.net.max_epochs), stream)


def _train(net: KLNet, training: Training) -> bool:
    """Train a net; return whether that was interrupted, once it has learned something."""
    n_before = len(net.history)
    try:
        net.partial_fit(training.data)
    except KeyboardInterrupt:
        if len(net.history) == n_before:
            raise
        return True
    return False


def _taught_by(net: KLNet, data: TrainingSet) -> TrainingSet:
    """Return the training set of the next generation, with the soft targets of a net that has learned this one."""
    proba = torch.as_tensor(net.predict_proba(data.train))
    proba = torch.stack([1 - proba, proba], dim=-1) if net.multilabel else proba
    return TrainingSet(data.train.with_columns(teacher_proba=proba.to(data.train.dtype)), data.valid)
