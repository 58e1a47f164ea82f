"""The way through ``fit``: inputs, soft targets, training set, net, training."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklkl._fit.inputs import labelled_rows, read_inputs, read_more
from sklkl._fit.net_factory import new_net, resumed_net
from sklkl._fit.parameters import CONSTRAINTS, FitData, FitParams, TeacherParams
from sklkl._fit.soft_targets import SoftTargets, soft_targets_of
from sklkl._fit.training import stream_training, training_of
from sklkl._fit.training_set import Training
from sklkl._utils.interrupts import insist
from sklkl._utils.seeding import local_random_state, seeded
from sklkl._utils.sklearn_private import validate_parameter_constraints
from sklkl._utils.torch_state import OwnTorchState
from sklkl.data import Rows, TrainingSet
from sklkl.modules import MLP
from sklkl.net import KLNet


class Previous(NamedTuple):
    """A net whose training is resumed, and its labels."""

    net: KLNet
    classes: np.ndarray

    def check(self, classes: np.ndarray) -> None:
        """Raise a ValueError unless these are the labels."""
        if not np.array_equal(self.classes, classes):
            raise ValueError(
                f"warm_start resumes training on the same classes: {self.classes.tolist()} were learned, y has "
                f"{classes.tolist()}."
            )


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
        if self.soft_targets is None or self.soft_targets.teacher is None:
            return None
        if self.distill_weight == 0:
            self.soft_targets.fit_teacher(self.rows)
        return self.soft_targets.fitted_teacher


class Attempt:
    """Context of a fit that an estimator takes over all at once at its end, or not at all.

    What learns is a draft, a copy of the estimator, so an error or an interruption at any moment leaves the estimator
    as it was. If a net has learned something when it is interrupted, that is taken over too.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator, self.before = estimator, dict(vars(estimator))
        self.draft = object.__new__(type(estimator))
        vars(self.draft).update(self.before)
        self.state = OwnTorchState()

    def __enter__(self) -> Any:
        self.state.__enter__()
        return self.draft

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        was_interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        again = insist(self.state.__exit__)
        if again or was_interrupted:
            again |= insist(self._keep_what_was_learned)
        elif kind is None:
            again |= insist(self._take_over)
        if again:
            raise KeyboardInterrupt

    def _keep_what_was_learned(self) -> None:
        for trained in reversed(vars(self.draft).get(_NETS, [])):
            if trained.net.has_learned_:
                trained.publish(self.draft)
                self._take_over()
                return

    def _take_over(self) -> None:
        """Give the estimator what its draft has learned, in one assignment."""
        learned = {name: value for name, value in vars(self.draft).items() if name != _NETS}
        lost = self.before.keys() - learned.keys()
        others = {name: value for name, value in vars(self.estimator).items() if name not in lost}
        new = {name: value for name, value in learned.items() if value is not self.before.get(name, _NETS)}
        self.estimator.__dict__ = {**others, **new}


# Where a draft has the nets that it trains.
_NETS = "_nets_of_this_fit"


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
        The draft of an `Attempt`, whose input it is: learns the number and names of columns, or has them checked.
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
    nets = vars(estimator)[_NETS] = []

    def train(net: KLNet) -> Trained:
        trained = Trained(net, found, training.distill_weight, True, rows, soft_targets)
        nets.append(trained)  # an interruption finds it there
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
    _check_output(net, training)
    return False


# Inputs below this are on a usual scale.
_USUAL = 1e3


def _check_output(net: KLNet, training: Training) -> None:
    """Look at what was learned, as nothing else does where there is no validation part.

    Raises
    ------
    ValueError
        If the network returns NaN or infinity in evaluation mode.

    Warns
    -----
    ConvergenceWarning
        If the network is far worse than one that finds all classes equally probable.
    """
    if training.stream and type(net.module_) is MLP:
        return  # whose weights are known to be finite; one pass over a few rows is short
    batch = next(training.data.train.split([0, min(len(training.data.train), 100)]))
    with torch.no_grad():
        logits = net.infer(batch[0].to(net.device).clone())
    if not bool((logits < math.inf).all()):
        raise ValueError(
            "Training failed: the network's logits are not finite in evaluation mode. The learning rate may be too "
            "high, or the module may compute something else there than in training."
        )
    loss, chance = _data_fit(net), math.log(2) * logits.shape[1] if net.multilabel else math.log(logits.shape[1])
    # where the input is huge, so is the loss from its beginning
    grew = loss > net.history[0].get("train_loss", math.inf) or bool(batch[0].abs().max() < _USUAL)
    if not training.stream and loss > 100 * max(chance, 1.0) and grew:
        warnings.warn(
            f"Training has diverged: the loss is {loss:.3g} nats a row at its end, where equal probabilities have "
            f"{chance:.3g}. The input may need scaling, or the learning rate may be too high.",
            ConvergenceWarning,
            stacklevel=2,
        )


def _data_fit(net: KLNet) -> float:
    """Return the mean loss on the training rows in the epoch whose weights are kept."""
    best = [record for record in net.history if record.get("valid_loss_best")]
    return float((best or net.history)[-1].get("train_data_fit", 0.0)) if net.history else 0.0


def _taught_by(net: KLNet, data: TrainingSet) -> TrainingSet:
    """Return the training set of the next generation, with the soft targets of a net that has learned this one."""
    proba = torch.as_tensor(net.predict_proba(data.train))
    proba = torch.stack([1 - proba, proba], dim=-1) if net.multilabel else proba
    return TrainingSet(data.train.with_columns(teacher_proba=proba.to(data.train.dtype)), data.valid)
