"""The way through ``fit``: inputs, soft targets, training set, net, training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from sklkl._fit.attempt import Attempt, Previous, Task, Trained
from sklkl._fit.blocks import task_of_blocks
from sklkl._fit.calibration import calibrate
from sklkl._fit.checkpoint import NO_CHECKPOINT, FitCheckpoint, checkpoint_of
from sklkl._fit.idle import warn_of_idle
from sklkl._fit.inputs import indexable, labelled_rows, read_inputs, read_more
from sklkl._fit.members import check_structure, new_members, resumed_nets, with_own_parts
from sklkl._fit.monitors import asks_for_validation
from sklkl._fit.net_factory import new_net
from sklkl._fit.outcome import check_outcome
from sklkl._fit.parameters import FitData, FitParams, TeacherParams
from sklkl._fit.prediction import NetClassifier
from sklkl._fit.stored import POSITION
from sklkl._fit.teacher_share import net_proba
from sklkl._fit.teaching import soft_targets_of
from sklkl._fit.training_set import Training, stream_training, training_of
from sklkl._fit.validation_rows import validation_rows
from sklkl._utils.checks import invalid_input
from sklkl._utils.seeding import local_random_state, seeded
from sklkl.data import RowBlocks, TrainingSet
from sklkl.net import KLNet
from sklkl.net._by_hand import ScaledRows
from sklkl.net._training_state import TrainingCheckpoint

_NO_VALIDATION = (
    "A callback looks at a validation part, and there is none: {}. Set 'early_stopping' to True, or pass one to fit as "
    "'X_val' and 'y_val'."
)


def fit_net(
    attempt: Attempt,
    params: FitParams,
    data: FitData,
    *,
    previous: Previous | None = None,
    classes: np.ndarray | None = None,
    stream: bool = False,
    learned: list[dict[str, Any]] | None = None,
    tells: bool = True,
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
    learned : list of dict or None
        State of each net of a stream after these and further rows, instead of a training.
    tells : bool
        Whether to warn of parameters that have no effect; of a stream only the first part does.

    Returns
    -------
    Trained
        The net; ``interrupted`` says whether training ended early, after some epochs.
    """
    if previous is not None:
        check_structure(previous.net, params.net)
    if not stream:
        attempt.draft.__dict__.pop(POSITION, None)
    checkpoint, params = _of_stream(params, learned) if stream else _checkpoint(params, data, previous)
    task = prepared(attempt.draft, params, data, previous, classes, stream, checkpoint)
    training, net, targets = task.training, None, checkpoint.targets
    tells = tells and not (stream and previous is not None)
    for generation in range(checkpoint.generation, 1 if stream else params.teacher.n_generations):
        if net is not None:
            targets = _said_by(net, training)
        if targets:
            training, previous = _with_targets(training, targets), None
            checkpoint.begin_generation(generation, task.random_state)
        if previous is None:
            make = new_net if params.net.n_members == 1 else new_members
            net = make(params.net, task.classes, training, task.random_state)
        else:
            net = resumed_nets(previous.net, params.net, training)
        if tells:  # of what is valid
            warn_of_idle(attempt.draft, params, data, task)
            tells = False
        trained = Trained(net, task)
        if checkpoint.ended is not None:
            checkpoint.restore(net, training)
            return trained._replace(interrupted=False)
        attempt.trainings.append(trained)
        keeper = checkpoint.begin_training(generation, targets) if checkpoint.path else None
        if not _learns(net, training, params, keeper):
            return trained
    checkpoint.end(trained.net)
    return trained._replace(interrupted=False)


def _of_stream(params: FitParams, learned: list[dict[str, Any]] | None) -> tuple[FitCheckpoint, FitParams]:
    """Return what a call of ``partial_fit`` is to have learned without a training, and its parameters as they are."""
    checkpoint = FitCheckpoint()
    checkpoint.ended = learned
    return checkpoint, params


def _checkpoint(params: FitParams, data: FitData, previous: Previous | None) -> tuple[FitCheckpoint, FitParams]:
    """Return how far a fit has come already, and parameters with the random state with which it began."""
    if params.checkpoint.checkpoint is None:
        return NO_CHECKPOINT, params
    checkpoint = checkpoint_of(params, data, None if previous is None else previous.net)
    return checkpoint, checkpoint.begun(params)


def _learns(net: KLNet, training: Training, params: FitParams, keeper: TrainingCheckpoint | None) -> bool:
    """Train a net, and set its confidence; return whether it came to its end, or was interrupted after some epochs."""
    ended, scaled = True, ScaledRows()
    try:
        train(net, training, keeper, scaled)
    except KeyboardInterrupt:
        if not net.has_learned_:
            raise
        ended = False
    if ended:
        check_outcome(net, training, scaled)
    if params.split.calibrate:  # an interruption of that leaves the net as it was trained, or calibrated
        calibrate(net, training, scaled)
    return ended


def prepared(
    estimator: NetClassifier,
    params: FitParams,
    data: FitData,
    previous: Previous | None,
    classes: np.ndarray | None,
    stream: bool,
    checkpoint: FitCheckpoint,
) -> Task:
    """Return what is to be learned from what was given to ``fit``."""
    plain, gives_valid = is_plain(params.teacher, data), _gives_valid(data)
    if isinstance(data.X, RowBlocks) and not stream:
        return task_of_blocks(estimator, params, data, previous, gives_valid)
    reset, multilabel = previous is None, None if previous is None else previous.net.multilabel
    params, random_state = _seeded(params, plain)
    kinds: dict[str, Any] = {"classes": classes, "multilabel": multilabel, "in_place": plain and not stream}
    inputs = read_inputs(estimator, params.inputs, data.X, data.y, reset=reset, **kinds)
    soft_targets = None
    if not plain:
        soft_targets = soft_targets_of(params, indexable(data), inputs, partial(read_more, estimator, params.inputs))
    if soft_targets is not None:
        soft_targets.settled = checkpoint.settled
    found = inputs.classes if soft_targets is None or stream else soft_targets.classes
    if previous is not None:
        previous.check(found)
    rows = labelled_rows(params.inputs, inputs, data.sample_weight, found, numbered=soft_targets is not None)
    valid = validation_rows(estimator, params, data, inputs, found) if gives_valid else None
    if stream:
        training = stream_training(params, rows, soft_targets, random_state)
    else:
        build = partial(new_net if params.net.n_members == 1 else new_members, params.net, found)
        training = training_of(params, rows, valid, soft_targets, random_state, build)
        if params.net.n_members > 1 and not params.net.codistill_strength:
            training = with_own_parts(training, rows, params.net.n_members, random_state)
    if soft_targets is not None and checkpoint.path:
        checkpoint.settle(soft_targets, training)
    return Task(found, rows, soft_targets, training, random_state)


def is_plain(params: TeacherParams, data: FitData) -> bool:
    """Whether rows have nothing to learn from but their labels."""
    no_teacher = params.teacher is None and params.teacher_cv is None and data.teacher_proba is None
    no_rows = params.augment in (None, "auto") and params.distill_rows == "all" and data.X_unlabeled is None
    return no_teacher and no_rows


def _gives_valid(data: FitData) -> bool:
    """Whether there is a part of a validation part."""
    return any(given is not None for given in (data.X_val, data.y_val, data.sample_weight_val))


def _seeded(params: FitParams, plain: bool) -> tuple[FitParams, np.random.RandomState]:
    """Return parameters whose teacher has a seed, and the generator of a network with a teacher or without."""
    random_state = local_random_state(params.random_state)
    if plain:
        return params, random_state
    of_teacher = copy.deepcopy(random_state)  # the network's own draws are those without a teacher
    teacher, cv = seeded(params.teacher.teacher, of_teacher), seeded(params.teacher.teacher_cv, of_teacher)
    return replace(params, teacher=replace(params.teacher, teacher=teacher, teacher_cv=cv)), random_state


def train(
    net: KLNet,
    training: Training,
    checkpoint: TrainingCheckpoint | None = None,
    scaled: ScaledRows | None = None,
) -> None:
    """Train a net; what a callback or a layer says of the training set becomes an error that says what to set."""
    try:
        net.train_on(training.parts or training.data, checkpoint=checkpoint, _scaled=scaled)
    except KeyError as error:
        if training.data.valid is None and asks_for_validation(error):
            raise ValueError(_NO_VALIDATION.format(error)) from error
        raise
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            allowed = "such that every batch has two rows or more, as batch normalisation needs them"
            raise invalid_input("batch_size", "a batch of one row", allowed, of="KLClassifier") from error
        raise


def _said_by(net: KLNet, training: Training) -> list[Tensor]:
    """Return the probabilities of the training rows, for the next generation to learn from, by a net of this one."""
    return [net_proba(net, data.train).to(data.train.dtype) for data in (training.data, *training.parts)]


def _with_targets(training: Training, targets: Sequence[Tensor]) -> Training:
    """Return a training with these soft targets in place of its own."""
    sets = zip((training.data, *training.parts), targets, strict=True)
    data, *parts = (TrainingSet(own.train.with_columns(teacher_proba=proba), own.valid) for own, proba in sets)
    return replace(training, data=data, parts=tuple(parts))
