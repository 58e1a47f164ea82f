"""Soft targets of a classifier's rows, and of rows without labels, by a teacher that meets them as they were given."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sklkl._fit.inputs import called
from sklkl._fit.parameters import TeacherParams
from sklkl._fit.teacher_share import mixed, net_proba
from sklkl._utils.sklearn_private import _num_samples, _safe_indexing
from sklkl.data import Rows
from sklkl.distillation import (
    EstimatorTeacher,
    Teacher,
    aligned,
    augmented,
    best_temperature,
    check_table,
    soften,
)
from sklkl.net import KLNet

# Fewer rows are not split to calibrate a teacher, which is fitted twice then: a part of a few rows says little.
MIN_ROWS_TO_SPLIT = 200

# augment="auto" leaves longer tables as they are: there is less to gain, and finding neighbours takes long.
MAX_ROWS_TO_AUGMENT = 20_000


class Part(NamedTuple):
    """Some of the rows that were given to ``fit``, as a teacher is to see them."""

    X: Any
    y: Any
    sample_weight: Any
    numbers: np.ndarray
    codes: Tensor
    multilabel: bool


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


@dataclass(frozen=True)
class FurtherRows:
    """Where rows without labels come from.

    Parameters
    ----------
    params : TeacherParams
        Parameters.
    X : array, sparse matrix or frame
        Rows that have labels, as they were given.
    X_unlabeled : array, sparse matrix, frame or None
        Rows that were given without.
    transform : callable or None
        From inputs as the teacher sees them to those that the network sees, where these are not the same.
    validate : callable
        From these to validated ones.
    penalised : bool
        Whether a penalty uses rows without labels.
    """

    params: TeacherParams
    X: Any
    X_unlabeled: Any
    transform: Callable[[Any], Any] | None
    validate: Callable[[Any], Any]
    penalised: bool

    def check(self) -> None:
        """Raise a ValueError if there are no rows without a label, which shall carry the distillation loss."""
        if self.X_unlabeled is None and self.augment is None:
            raise ValueError(
                "distill_rows='unlabeled' needs rows without a label: pass 'X_unlabeled' to fit, or let 'augment' make "
                f"some. Got X_unlabeled=None and augment={self.params.augment!r}, which makes none here."
            )

    @property
    def augment(self) -> Any:
        """How synthetic rows are made; ``"auto"`` does so in a dense table that is not too long."""
        if self.params.augment != "auto":
            return self.params.augment
        X = self.X if self._near_X else self.X_unlabeled
        table = hasattr(X, "columns") or np.ndim(X) == 2
        suited = table and not sparse.issparse(X) and 2 <= _num_samples(X) <= MAX_ROWS_TO_AUGMENT
        return "munge" if suited and self.params.teacher is not None else None

    @property
    def _near_X(self) -> bool:
        """Whether synthetic rows are near those of X: they should be where the distillation loss is."""
        return self.params.distill_rows == "all" or self.X_unlabeled is None

    def inputs(self, X: Any, for_teacher: bool, random_state: np.random.RandomState) -> list[Any]:
        """Return inputs that are wanted beside the rows X, as they were given or made."""
        wanted = self.X_unlabeled is not None and (for_teacher or self.penalised)
        given = [self.X_unlabeled] if wanted else []
        augment = self.augment if for_teacher else None
        if augment is None:
            return given
        X = X if self._near_X else self.X_unlabeled
        if self.params.augment == "auto" and _num_samples(X) < 2:  # zero weights may leave one row only
            return given
        return [*given, augmented(X, augment, self.params.augment_factor, random_state)]

    def read(self, X: Any) -> Any:
        """Return inputs as the network is to see them; an error calls them by their own name."""
        with called("X_unlabeled" if X is self.X_unlabeled else "A synthetic row of 'augment'"):
            return self.validate(X if self.transform is None else self.transform(X))


class Settled(NamedTuple):
    """What was found out before a training, with a teacher's help, and is not to be found out again.

    Parameters
    ----------
    weight, share : float
        The teacher's weight in the loss, and its share in the soft targets.
    random_state : tuple
        State of the random numbers after that.
    rows : str
        Fingerprint of the training rows, of which some may be synthetic.
    teacher_proba : Tensor of shape (n_rows, ..., n_classes) or None
        The soft targets.
    known_classes : list of int or None
        Codes of the classes that the teacher knows.
    """

    weight: float
    share: float
    random_state: tuple[Any, ...]
    rows: str
    teacher_proba: Tensor | None
    known_classes: list[int] | None


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
    X_val : array, sparse matrix, frame or None
        Inputs of a validation part that was given, as the teacher knows them; None if rows are set aside.

    Attributes
    ----------
    temperature : float
        Temperature of the teacher's probabilities, before that of the distillation.
    share : float
        Share of the teacher in the soft targets.
    alone : KLNet or None
        Whose probabilities are the rest: a net that learned the labels alone.
    settled : Settled or None
        What was found out by a fit that is gone on with; the teacher is then not asked.
    random_state_after : tuple
        State of the random numbers after the teacher's weight was found.
    """

    params: TeacherParams
    teacher: Teacher | None
    given: GivenRows
    further: FurtherRows
    classes: np.ndarray
    X_val: Any = None
    temperature: float = field(default=1.0, init=False)
    share: float = field(default=1.0, init=False)
    alone: KLNet | None = field(default=None, init=False)
    settled: Settled | None = field(default=None, init=False)
    random_state_after: Any = field(default=(), init=False)
    _not_fitted_to: Rows | None = field(default=None, init=False)

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
        part, teacher, numbered = self.given.part(rows), self.teacher if weight > 0 else None, rows
        more = self.further.inputs(part.X, teacher is not None, random_state)
        inputs = list(map(self.further.read, more))  # before the teacher is fitted
        proba = None if teacher is None or self.settled is not None else self._proba(teacher, part, more)
        targets, known = (None, None) if proba is None else self._aligned(proba)
        rows = rows.with_columns(number=None)
        for X in inputs:
            rows = rows.with_unlabeled(X)
        if self.settled is not None:
            self._not_fitted_to = numbered if teacher is not None else None
            return rows.with_columns(teacher_proba=self.settled.teacher_proba), self.settled.known_classes
        if targets is None:
            return rows, None
        targets = targets if self.temperature == 1 else soften(targets, self.temperature)
        if self.alone is not None:
            targets = mixed(net_proba(self.alone, rows), targets, self.share)
        return rows.with_columns(teacher_proba=targets.to(rows.dtype)), known

    def check_rows(self, rows: Rows, random_state: np.random.RandomState) -> None:
        """Raise a ValueError for further rows that the network cannot read, or for splits, before any training."""
        part = self.given.part(rows)
        if callable(self.params.augment):  # this package's own synthetic rows are like those of X
            for X in self.further.inputs(part.X, True, copy.deepcopy(random_state)):
                self.further.read(X)
        else:
            if self.further.augment is not None:
                check_table(part.X)
            if self.further.X_unlabeled is not None:
                self.further.read(self.further.X_unlabeled)
        if self.params.teacher_cv is not None and isinstance(self.teacher, EstimatorTeacher):
            self.teacher.check_splits(part.X, part.y, self.params.teacher_cv)

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
            weight = part.sample_weight
            weight = None if weight is None else torch.from_numpy(np.array(weight, dtype=np.float64))
            self._calibrate(proba, part.codes, weight)
        return proba

    def calibrates(self, n_rows: int) -> bool:
        """Whether to scale the teacher's confidence: a temperature can be learned from rows it was not fitted to."""
        if self.params.calibrate_teacher == "auto":
            return self.teacher is not None and not self.may_know_all_rows and n_rows >= MIN_ROWS_TO_SPLIT
        return self.teacher is not None and self.params.calibrate_teacher

    def calibrates_aside(self, n_rows: int) -> bool:
        """Whether to do so on rows that are set aside."""
        return self.params.teacher_cv is None and self.calibrates(n_rows)

    def unseen_proba(self, train: Rows, valid: Rows) -> Tensor:
        """Return the teacher's probabilities of rows to which it was not fitted here, calibrated if that is wanted.

        The temperature is then that of all soft targets from now on.

        Parameters
        ----------
        train : Rows
            Numbered rows to which it is fitted, unless it is ready.
        valid : Rows
            Numbered rows that were set aside, or those of the validation part that was given.
        """
        assert self.teacher is not None
        self.fit_teacher(train)
        assert train.y is not None
        assert valid.y is not None
        numbers, codes = valid.columns["number"].cpu().numpy(), valid.y
        X = _safe_indexing(self.given.X if self.X_val is None else self.X_val, numbers)
        proba = self.teacher.predict_proba(X, multilabel=codes.ndim == 2, numbers=numbers)
        if self.calibrates(len(train.y) + len(codes)):
            self._calibrate(proba, codes, valid.weight)
        return self._softened(proba)

    def proba_of(self, rows: Rows) -> Tensor:
        """Return the teacher's probabilities of numbered rows that ``fit`` was given, calibrated like all others."""
        assert self.teacher is not None
        part = self.given.part(rows)
        return self._softened(self.teacher.predict_proba(part.X, multilabel=part.multilabel, numbers=part.numbers))

    def _softened(self, proba: np.ndarray) -> Tensor:
        targets, _ = self._aligned(proba)
        return targets if self.temperature == 1 else soften(targets, self.temperature)

    @property
    def may_know_all_rows(self) -> bool:
        """Whether the teacher may have been fitted to rows that are set aside here, as it came ready."""
        return self.teacher is not None and self.teacher.ready

    @property
    def asks_of_known_rows(self) -> bool:
        """Whether the teacher is asked about rows that it was fitted to, or about synthetic ones near them."""
        return self.params.teacher_cv is None or self.further.augment is not None

    def mix_with(self, alone: KLNet, share: float) -> None:
        """Let only a share of all soft targets from now on be the teacher's, and the rest those of a net."""
        self.alone, self.share = alone, share

    def weight_as_settled(self, random_state: np.random.RandomState) -> float:
        """Return the teacher's weight as it was found before, with the share and the random numbers after that."""
        assert self.settled is not None
        self.share = self.settled.share
        random_state.set_state(self.settled.random_state)
        return self.settled.weight

    def _calibrate(self, proba: np.ndarray, codes: Tensor, weight: Tensor | None) -> None:
        targets, known = self._aligned(proba)
        if known is None:  # else some labels are unknown to the teacher
            self.temperature = best_temperature(targets, codes.cpu(), None if weight is None else weight.cpu())

    def fit_teacher(self, rows: Rows) -> None:
        """Fit the teacher to numbered rows; one that is ready stays as it is."""
        assert self.teacher is not None
        part = self.given.part(rows)
        self.teacher.fit(part.X, part.y, part.sample_weight)

    @property
    def fitted_teacher(self) -> Any:
        """The teacher, once it is fitted, as scikit-learn knows it; one that was not asked again is fitted now."""
        rows, self._not_fitted_to = self._not_fitted_to, None
        if rows is not None:
            self.fit_teacher(rows)
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
