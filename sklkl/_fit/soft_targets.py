"""Soft targets of a classifier's rows, by a teacher that meets the rows in the form in which they were given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklkl._fit.further_rows import FurtherRows, stacked
from sklkl._fit.given_rows import GivenRows, indexable_rows, numbers
from sklkl._fit.inputs import Inputs
from sklkl._fit.parameters import FitData, FitParams, TeacherParams
from sklkl._fit.teacher_checks import check_teaching, penalises_unlabeled
from sklkl._utils.frames import column_labels
from sklkl.data import Rows
from sklkl.distillation import (
    EstimatorTeacher,
    GivenProba,
    Teacher,
    aligned,
    best_temperature,
    is_ready,
    known_labels,
    make_teacher,
    soften,
)

# Fewer rows are not split, neither to calibrate a teacher nor to stop early: a part of a few rows says little.
MIN_ROWS_TO_SPLIT = 200


def soft_targets_of(params: FitParams, data: FitData, inputs: Inputs, read: Callable[[Any], Any]) -> SoftTargets | None:
    """Return what there is to learn from other than labels, None if there is nothing.

    Parameters
    ----------
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to ``fit``.
    inputs : Inputs
        The same, validated.
    read : callable
        From further inputs as the network sees them to validated ones.

    Raises
    ------
    ValueError
        If parameters and data do not go together.
    """
    X = data.X if data.teacher_X is None else data.teacher_X
    given = GivenRows.of(X, data.y, data.sample_weight, params.inputs.class_weight)
    proba, unlabeled = indexable_rows(data.teacher_proba), indexable_rows(data.X_unlabeled)
    unlabeled = None if unlabeled is not None and unlabeled.shape[:1] == (0,) else unlabeled
    teacher = None if params.teacher.teacher is None else make_teacher(params.teacher.teacher)
    check_teaching(params.teacher, params.net, teacher, given.X, proba, unlabeled)
    classes = inputs.classes if inputs.y.ndim == 2 else student_classes(params.teacher, proba, inputs.classes)
    if proba is not None:
        teacher = GivenProba(proba, classes)
    read_given = read if data.transform is None else lambda X: read(data.transform(X))
    further = FurtherRows(params.teacher, given, unlabeled, read_given, penalises_unlabeled(params.net))
    if teacher is not None or params.teacher.n_generations > 1:
        further.check()
    return (
        None if teacher is None and unlabeled is None else SoftTargets(params.teacher, teacher, given, further, classes)
    )


def student_classes(params: TeacherParams, proba: Any, classes: np.ndarray) -> np.ndarray:
    """Return the student's labels: those of y, and those of the teacher if that is wanted and they are known.

    Raises
    ------
    ValueError
        If one has strings and the other has not.
    """
    if params.teacher_classes not in ("union", "closed"):
        return classes
    # an estimator that is not frozen will be fitted to y
    by_teacher = known_labels(params.teacher) if is_ready(params.teacher) else None
    more = by_teacher if proba is None else column_labels(proba)
    if more is None:
        return classes
    texts = [values.dtype.kind in "OUST" for values in (classes, more)]
    if texts[0] != texts[1]:
        raise ValueError(f"The teacher's classes {more.tolist()} and those of y {classes.tolist()} differ in type.")
    return np.union1d(classes, more)


@dataclass
class SoftTargets:
    """What rows are to learn from, other than their labels.

    Parameters
    ----------
    params : TeacherParams
        Parameters.
    teacher : Teacher or None
        The teacher; None where there are only further rows, for a penalty.
    given : GivenRows
        The rows as the teacher knows them.
    further : FurtherRows
        Rows without labels.
    classes : ndarray of shape (n_classes,)
        The student's labels.

    Attributes
    ----------
    temperature : float
        Temperature of the teacher's probabilities, before that of the distillation.
    """

    params: TeacherParams
    teacher: Teacher | None
    given: GivenRows
    further: FurtherRows
    classes: np.ndarray
    temperature: float = field(default=1.0, init=False)

    @property
    def exist(self) -> bool:
        """Whether there is a teacher."""
        return self.teacher is not None

    def with_soft_targets(
        self, rows: Rows, weight: float, random_state: np.random.RandomState
    ) -> tuple[Rows, list[int] | None]:
        """Return rows with soft targets, and rows without labels, as the parameters have it.

        Parameters
        ----------
        rows : Rows
            Validated training rows with the column ``number``, their places in X, which is dropped.
        weight : float
            Weight of the distillation loss; a teacher without any is not asked.
        random_state : RandomState
            Source of synthetic rows.

        Returns
        -------
        rows : Rows
            With the column ``teacher_proba``, if there is a teacher; rows without a label below the others.
        known_classes : list of int or None
            Codes of the classes that the teacher knows; None for all.
        """
        asked = self.exist and weight > 0
        more = self.further.inputs(rows, asked, random_state)
        inputs = [self.further.read(X) for X in more]  # before the teacher is fitted
        proba = self._proba(rows, more) if asked and (self.params.distill_rows == "all" or more) else None
        rows = rows.with_columns(number=None)
        for X in inputs:
            rows = stacked(rows, X)
        if proba is None:
            return rows, None
        targets, known = self._aligned(proba)
        return rows.with_columns(teacher_proba=soften(targets, self.temperature).to(rows.dtype)), known

    def _proba(self, rows: Rows, more: list[Any]) -> np.ndarray:
        """Return the teacher's probabilities of numbered rows, after fitting it to them, and of further inputs."""
        self.fit_teacher(rows)
        if self.params.teacher_cv is not None:  # its confidence is learned from these too
            own = self._out_of_fold(rows)
        else:
            own = self._predicted(rows) if self.params.distill_rows == "all" else None
        multilabel = rows.codes.ndim == 2
        further = [self._teacher.predict_proba(X, multilabel=multilabel) for X in more]
        return np.concatenate([np.zeros((len(rows), *further[0].shape[1:])) if own is None else own, *further])

    @property
    def _teacher(self) -> Teacher:
        assert self.teacher is not None
        return self.teacher

    def fit_teacher(self, rows: Rows) -> None:
        """Fit the teacher to numbered rows; one that is ready stays as it is."""
        X, y, sample_weight = self.given.taken(rows)
        self._teacher.fit(X, y, sample_weight)

    @property
    def fitted_teacher(self) -> Any:
        """The teacher, once it is fitted, as scikit-learn knows it."""
        return self.teacher.estimator_ if isinstance(self.teacher, EstimatorTeacher) else self.params.teacher

    def _predicted(self, rows: Rows) -> np.ndarray:
        X, multilabel = self.given.inputs(rows), rows.codes.ndim == 2
        return self._teacher.predict_proba(X, multilabel=multilabel, numbers=numbers(rows))

    def _out_of_fold(self, rows: Rows) -> np.ndarray:
        assert isinstance(self.teacher, EstimatorTeacher)
        X, y, sample_weight = self.given.taken(rows)
        proba = self.teacher.predict_out_of_fold(X, y, self.params.teacher_cv, sample_weight)
        if self.calibrates(rows):
            self._calibrate(rows, proba)
        return proba

    # Calibration

    def calibrates(self, rows: Rows) -> bool:
        """Whether to scale the teacher's confidence: a temperature can be learned from rows it was not fitted to."""
        if self.params.calibrate_teacher == "auto":
            return self.exist and not is_ready(self.params.teacher) and len(rows) >= MIN_ROWS_TO_SPLIT
        return self.exist and self.params.calibrate_teacher

    def calibrate(self, rows: Rows) -> None:
        """Learn the temperature of all soft targets from now on, from numbered rows that were set aside."""
        self._calibrate(rows, self._predicted(rows))

    def _calibrate(self, rows: Rows, proba: np.ndarray) -> None:
        targets, known = self._aligned(proba)
        if known is None:  # else some labels are unknown to the teacher
            self.temperature = best_temperature(targets, rows.codes.cpu())

    def calibrated(self, rows: Rows) -> Rows:
        """Return rows whose soft targets were made before, at the temperature."""
        return rows.with_columns(teacher_proba=soften(rows.columns["teacher_proba"], self.temperature))

    def _aligned(self, proba: np.ndarray) -> tuple[Tensor, list[int] | None]:
        if proba.ndim == 3:  # of several labels, each on or off
            if proba.shape[1:] != (len(self.classes), 2):
                raise ValueError(f"The teacher gives {proba.shape[1]} labels, y has {len(self.classes)}.")
            return torch.from_numpy(proba), None
        proba, known = aligned(proba, self._teacher.classes_, self.classes, self._policy())
        return torch.from_numpy(proba), known

    def _policy(self) -> str:
        """Return what to do about other classes; those that a teacher fitted here has not met have probability zero."""
        policy = self.params.teacher_classes
        return "closed" if policy == "same" and self._teacher.closed_ else policy
