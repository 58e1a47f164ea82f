"""A fit that an estimator takes over as a whole or not at all, and what was trained in it."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np

from sklkl._fit.prediction import NetClassifier
from sklkl._fit.soft_targets import SoftTargets
from sklkl._fit.training_set import Training
from sklkl._utils.torch_state import OwnTorchState, insist
from sklkl.data import Rows
from sklkl.net import KLNet

Classifier = TypeVar("Classifier", bound=NetClassifier)


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


class Task(NamedTuple):
    """What a net is to learn."""

    classes: np.ndarray
    rows: Rows
    soft_targets: SoftTargets | None
    training: Training
    random_state: np.random.RandomState


class Trained(NamedTuple):
    """A net that was trained, and on what."""

    net: KLNet
    task: Task
    interrupted: bool = True

    def publish(self, estimator: NetClassifier) -> None:
        """Give an estimator what it has learned."""
        soft_targets, weight = self.task.soft_targets, self.task.training.distill_weight
        share = 1.0 if soft_targets is None else soft_targets.share
        estimator._take_over(self.net, self.task.classes, share * weight, self.interrupted)

    def fitted_teacher(self) -> Any:
        """Return the teacher, fitted even if the student learned nothing from it; None if there is none."""
        soft_targets = self.task.soft_targets
        if soft_targets is None or soft_targets.teacher is None:
            return None
        if self.task.training.distill_weight == 0:
            soft_targets.fit_teacher(self.task.rows)
        return soft_targets.fitted_teacher


class Attempt:
    """Context of a fit that an estimator takes over all at once at its end, or not at all.

    What learns is a draft, a copy of the estimator, so an error or an interruption at any moment leaves the estimator
    as it was. If a net has learned something when it is interrupted, that is taken over too.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.

    Attributes
    ----------
    draft : estimator
        The copy.
    trainings : list of Trained
        Every net whose training was begun; an interruption finds them here.
    """

    def __init__(self, estimator: NetClassifier) -> None:
        self.estimator, self.before = estimator, dict(vars(estimator))
        # not copy.copy: an estimator's __getstate__ is for storing it
        self.draft = object.__new__(type(estimator))
        self.draft.__dict__.update(self.before)
        self.trainings: list[Trained] = []
        self.state = OwnTorchState()

    def __enter__(self) -> Attempt:
        self.state.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        was_interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        again = insist(self.state.__exit__)
        if again or was_interrupted:
            again |= insist(self._keep_what_was_learned)
        elif kind is None:
            again |= insist(self.take_over)
        if again:
            raise KeyboardInterrupt

    def _keep_what_was_learned(self) -> None:
        for trained in reversed(self.trainings):
            if trained.net.has_learned_:
                trained.publish(self.draft)
                self.take_over()
                return

    def take_over(self) -> None:
        """Give the estimator what its draft has learned, in one assignment."""
        learned, missing = vars(self.draft), object()
        lost = self.before.keys() - learned.keys()
        others = {name: value for name, value in vars(self.estimator).items() if name not in lost}
        new = {name: value for name, value in learned.items() if value is not self.before.get(name, missing)}
        self.estimator.__dict__ = {**others, **new}


def finished(estimator: Classifier) -> Classifier:
    """Return a fitted estimator; raise the interruption that ended its training, if one did."""
    if estimator.interrupted_:
        raise KeyboardInterrupt("training was interrupted; the classifier keeps what it has learned so far")
    return estimator
