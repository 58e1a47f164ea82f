"""The way through ``fit``: inputs, soft targets, training set, net, training."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sklkl._fit.attempt import Attempt, Previous, Trained
from sklkl._fit.inputs import labelled_rows, read_inputs, read_more
from sklkl._fit.net_factory import new_net, resumed_net
from sklkl._fit.outcome import check_outcome
from sklkl._fit.parameters import CONSTRAINTS, FitData, FitParams, TeacherParams
from sklkl._fit.soft_targets import soft_targets_of
from sklkl._fit.teacher_share import net_proba
from sklkl._fit.training import stream_training, training_of
from sklkl._fit.training_set import Training
from sklkl._utils.seeding import local_random_state, seeded
from sklkl._utils.sklearn_private import validate_parameter_constraints
from sklkl.data import TrainingSet
from sklkl.net import KLNet


def checked_params(estimator: Any) -> FitParams:
    """Return the parameters of an estimator; an error names the one that is invalid."""
    params = estimator.get_params(deep=False)
    validate_parameter_constraints(CONSTRAINTS, params, caller_name=type(estimator).__name__)
    return FitParams.of(params)


def fit_net(
    attempt: Attempt,
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
    attempt : Attempt
        The fit: its draft learns the number and names of columns, or has them checked, and nothing else.
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
    plain = _is_plain(params.teacher, data)
    estimator = attempt.draft
    reset, multilabel = previous is None, None if previous is None else previous.net.multilabel
    inputs = read_inputs(estimator, params.inputs, data.X, data.y, classes=classes, reset=reset, multilabel=multilabel)
    random_state = local_random_state(params.random_state)
    soft_targets = None
    if not plain:
        params = _seeded(params, copy.deepcopy(random_state))  # the network's own draws are those without a teacher
        soft_targets = soft_targets_of(params, data, inputs, partial(read_more, estimator, params.inputs))
    found = inputs.classes if soft_targets is None or stream else soft_targets.classes
    if previous is not None:
        previous.check(found)
    rows = labelled_rows(params.inputs, inputs, data.sample_weight, found, numbered=soft_targets is not None)
    build = partial(new_net, params.net, found)
    if stream:
        training = stream_training(params, rows, soft_targets, random_state)
    else:
        training = training_of(params, rows, soft_targets, random_state, build)

    def train(net: KLNet) -> Trained:
        trained = Trained(net, found, training.distill_weight, True, rows, soft_targets)
        attempt.trainings.append(trained)
        return trained._replace(interrupted=_train(net, training))

    trained = train(
        build(training, random_state) if previous is None else resumed_net(previous.net, params.net, training)
    )
    for _ in range(1, 1 if stream else params.teacher.n_generations):
        if not trained.interrupted:
            training = replace(training, data=_taught_by(trained.net, training.data))
            trained = train(build(training, random_state))
    return trained


def _is_plain(params: TeacherParams, data: FitData) -> bool:
    """Whether rows have nothing to learn from but their labels."""
    no_teacher = params.teacher is None and params.teacher_cv is None and data.teacher_proba is None
    no_rows = params.augment in (None, "auto") and params.distill_rows == "all" and data.X_unlabeled is None
    return no_teacher and no_rows


def _seeded(params: FitParams, random_state: np.random.RandomState) -> FitParams:
    """Return parameters whose teacher and its splits have seeds, for everything random is from ``random_state``."""
    teacher, cv = (seeded(part, random_state) for part in (params.teacher.teacher, params.teacher.teacher_cv))
    return replace(params, teacher=replace(params.teacher, teacher=teacher, teacher_cv=cv))


def _train(net: KLNet, training: Training) -> bool:
    """Train a net; return whether that was interrupted, once it has learned something."""
    try:
        net.partial_fit(training.data)
    except KeyboardInterrupt:
        if not net.has_learned_:
            raise
        return True
    check_outcome(net, training)
    return False


def _taught_by(net: KLNet, data: TrainingSet) -> TrainingSet:
    """Return the training set of the next generation, with the soft targets of a net that has learned this one."""
    proba = net_proba(net, data.train).to(data.train.dtype)
    return TrainingSet(data.train.with_columns(teacher_proba=proba), data.valid)
