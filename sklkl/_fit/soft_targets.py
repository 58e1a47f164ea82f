"""Soft targets of a classifier's rows, by a teacher that meets the rows in the form in which they were given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklkl._fit.further_rows import FurtherRows
from sklkl._fit.inputs import Inputs, check_container, ordinary_weights
from sklkl._fit.parameters import FitData, FitParams, TeacherParams
from sklkl._fit.teacher_checks import check_teaching, student_classes
from sklkl._fit.teacher_share import mixed, net_proba
from sklkl._utils.sklearn_private import _safe_indexing
from sklkl.data import Rows
from sklkl.distillation import EstimatorTeacher, GivenProba, Teacher, aligned, best_temperature, make_teacher, soften
from sklkl.net import KLNet

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
    check_container(data.X_unlabeled, "X_unlabeled")
    check_container(data.teacher_proba, "teacher_proba", "an array or a frame of probabilities")
    X, y, weight, proba, unlabeled = map(
        indexable_rows, (X, inputs.y, data.sample_weight, data.teacher_proba, data.X_unlabeled)
    )
    unlabeled = None if unlabeled is not None and unlabeled.shape[:1] == (0,) else unlabeled
    weight = ordinary_weights(weight, inputs.X)
    given = GivenRows(X, y, weight, class_weighted=params.inputs.class_weight is not None)
    teacher = None if params.teacher.teacher is None else make_teacher(params.teacher.teacher)
    penalised = check_teaching(params, teacher, X, proba, unlabeled)
    classes = inputs.classes if inputs.y.ndim == 2 else student_classes(params.teacher, teacher, proba, inputs.classes)
    further = FurtherRows(params.teacher, X, unlabeled, data.transform, read, penalised)
    if teacher is not None or proba is not None or params.teacher.n_generations > 1:
        further.check()
    teacher = teacher if proba is None else GivenProba(proba, classes)
    nothing = teacher is None and unlabeled is None
    return None if nothing else SoftTargets(params.teacher, teacher, given, further, classes)


class Part(NamedTuple):
    """Some of the rows that were given to ``fit``, as a teacher is to see them."""

    X: Any
    y: Any
    sample_weight: Any
    numbers: np.ndarray
    codes: Tensor
    multilabel: bool

    @property
    def weight(self) -> Tensor | None:
        """Weights of the rows, or None where every row counts the same."""
        return None if self.sample_weight is None else torch.from_numpy(np.array(self.sample_weight, dtype=np.float64))


@dataclass(frozen=True)
class GivenRows:
    """What was given to ``fit``, to be taken by the numbers of rows.

    Parameters
    ----------
    X, y : array, sparse matrix or frame
        Inputs and labels.
    sample_weight : array, number or None
        Weights.
    class_weighted : bool
        Whether class weights are a part of the weights.
    """

    X: Any
    y: Any
    sample_weight: Any
    class_weighted: bool

    def part(self, rows: Rows) -> Part:
        """Return what was given for numbered rows."""
        assert rows.y is not None
        numbers = rows.columns["number"].cpu().numpy()
        X, y = _safe_indexing(self.X, numbers), _safe_indexing(self.y, numbers)
        return Part(X, y, self._weight(rows, numbers), numbers, rows.y, multilabel=rows.y.ndim == 2)

    def _weight(self, rows: Rows, numbers: np.ndarray) -> Any:
        if self.class_weighted and "weight" in rows.columns:
            return rows.columns["weight"].cpu().numpy()
        if self.sample_weight is None:
            return None
        if self.sample_weight.shape == ():  # a number is the weight of each
            return np.full(len(numbers), self.sample_weight)
        return _safe_indexing(self.sample_weight, numbers)


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
    share : float
        Share of the teacher in the soft targets.
    alone : KLNet or None
        Whose probabilities are the rest: a net that learned the labels alone.
    """

    params: TeacherParams
    teacher: Teacher | None
    given: GivenRows
    further: FurtherRows
    classes: np.ndarray
    temperature: float = field(default=1.0, init=False)
    share: float = field(default=1.0, init=False)
    alone: KLNet | None = field(default=None, init=False)

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
        part, teacher = self.given.part(rows), self.teacher if weight > 0 else None
        more = self.further.inputs(part.X, teacher is not None, random_state)
        inputs = list(map(self.further.read, more))  # before the teacher is fitted
        proba = None if teacher is None else self._proba(teacher, part, more)
        rows = rows.with_columns(number=None)
        for X in inputs:
            rows = rows.with_unlabeled(X)
        if proba is None:
            return rows, None
        targets, known = self._aligned(proba)
        targets = soften(targets, self.temperature)
        if self.alone is not None:
            targets = mixed(net_proba(self.alone, rows), targets, self.share)
        return rows.with_columns(teacher_proba=targets.to(rows.dtype)), known

    def _proba(self, teacher: Teacher, part: Part, more: list[Any]) -> np.ndarray | None:
        """Return the teacher's probabilities of rows, after fitting it to them, and of further inputs."""
        labelled_too = self.params.distill_rows == "all"
        if not (labelled_too or more):
            return None
        teacher.fit(part.X, part.y, part.sample_weight)
        own = None
        if self.params.teacher_cv is not None:  # the temperature is learned from these too
            own = self._out_of_fold(teacher, part)
        elif labelled_too:
            own = teacher.predict_proba(part.X, multilabel=part.multilabel, numbers=part.numbers)
        further = list(map(partial(teacher.predict_proba, multilabel=part.multilabel), more))
        return np.concatenate([np.zeros((len(part.codes), *further[0].shape[1:])) if own is None else own, *further])

    def _out_of_fold(self, teacher: Teacher, part: Part) -> np.ndarray:
        assert isinstance(teacher, EstimatorTeacher)
        proba = teacher.predict_out_of_fold(part.X, part.y, self.params.teacher_cv, part.sample_weight)
        if self.calibrates(len(part.codes)):
            self._calibrate(proba, part)
        return proba

    def calibrates(self, n_rows: int) -> bool:
        """Whether to scale the teacher's confidence: a temperature can be learned from rows it was not fitted to."""
        if self.params.calibrate_teacher == "auto":
            return self.teacher is not None and not self.may_know_all_rows and n_rows >= MIN_ROWS_TO_SPLIT
        return self.teacher is not None and self.params.calibrate_teacher

    def unseen_proba(self, train: Rows, valid: Rows) -> Tensor:
        """Return the teacher's probabilities of rows to which it was not fitted here, calibrated if that is wanted.

        The temperature is then that of all soft targets from now on.

        Parameters
        ----------
        train : Rows
            Numbered rows to which it is fitted, unless it is ready.
        valid : Rows
            Numbered rows that were set aside.
        """
        assert self.teacher is not None
        self.fit_teacher(train)
        part = self.given.part(valid)
        proba = self.teacher.predict_proba(part.X, multilabel=part.multilabel, numbers=part.numbers)
        if self.calibrates(len(train) + len(valid)):
            self._calibrate(proba, part)
        return soften(self._aligned(proba)[0], self.temperature)

    @property
    def may_know_all_rows(self) -> bool:
        """Whether the teacher may have been fitted to rows that are set aside here, as it came ready."""
        return self.teacher is not None and self.teacher.ready

    def mix_with(self, alone: KLNet, share: float) -> None:
        """Let only a share of all soft targets from now on be the teacher's, and the rest those of a net."""
        self.alone, self.share = alone, share

    def _calibrate(self, proba: np.ndarray, part: Part) -> None:
        targets, known = self._aligned(proba)
        if known is None:  # else some labels are unknown to the teacher
            self.temperature = best_temperature(targets, part.codes.cpu(), part.weight)

    def fit_teacher(self, rows: Rows) -> None:
        """Fit the teacher to numbered rows; one that is ready stays as it is."""
        assert self.teacher is not None
        part = self.given.part(rows)
        self.teacher.fit(part.X, part.y, part.sample_weight)

    @property
    def fitted_teacher(self) -> Any:
        """The teacher, once it is fitted, as scikit-learn knows it."""
        return self.teacher.estimator_ if isinstance(self.teacher, EstimatorTeacher) else self.params.teacher

    def _aligned(self, proba: np.ndarray) -> tuple[Tensor, list[int] | None]:
        """Return probabilities of the student's classes, and the codes of those that the teacher knows."""
        assert self.teacher is not None
        if proba.ndim == 3:  # of several labels, each on or off
            if proba.shape[1:] != (len(self.classes), 2):
                raise ValueError(f"The teacher gives {proba.shape[1]} labels, y has {len(self.classes)}.")
            return torch.from_numpy(proba), None
        policy = self.params.teacher_classes
        if policy == "same" and self.teacher.closed_:  # other classes were in no row that it was fitted to
            policy = "closed"
        proba, known = aligned(proba, self.teacher.classes_, self.classes, policy)
        return torch.from_numpy(proba), known


def indexable_rows(values: Any) -> Any:
    """Return rows that can be taken by number: sparse matrices as CSR, what is no array or frame as an array."""
    if hasattr(values, "tocsr"):
        return values.tocsr()
    by_number = hasattr(values, "shape") and hasattr(values, "__getitem__")
    return values if values is None or by_number else np.asarray(values)
