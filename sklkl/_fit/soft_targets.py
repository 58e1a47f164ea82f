"""Where the soft targets of a classifier's rows come from: a teacher or an array, for real, unlabeled and new rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from torch import Tensor

from sklkl._fit.inputs import MIN_ROWS_TO_SPLIT, validated
from sklkl._fit.net_factory import numpy_dtype
from sklkl._utils.frames import column_labels
from sklkl._utils.sklearn_private import _num_samples, _safe_indexing
from sklkl.data import Rows, is_sparse
from sklkl.distillation import (
    EstimatorTeacher,
    aligned,
    augmented,
    best_temperature,
    checked_proba,
    make_teacher,
    soften,
)
from sklkl.distillation._teachers import known_labels
from sklkl.penalties import make_penalty

# torch's own mark of a row without a label
NO_LABEL = -100
# augment="auto" leaves longer tables as they are: there is less to gain, and finding neighbours takes long.
MAX_ROWS_TO_AUGMENT = 20_000


def can_teach_a_stream(estimator: Any) -> bool:
    """Whether an estimator's teacher is ready, so that it can teach one part of the rows after the other.

    Raises
    ------
    AttributeError
        If it would be fitted to every part of the stream anew.
    """
    teacher = estimator.teacher
    if not is_ready(teacher) or estimator.distill_weight == "auto":
        raise AttributeError(
            "partial_fit needs a teacher that is ready, such as a FrozenEstimator, and a number as distill_weight. Got "
            f"teacher={teacher!r} and distill_weight={estimator.distill_weight!r}."
        )
    return True


def is_ready(teacher: Any) -> bool:
    """Whether a teacher need not be fitted."""
    return not hasattr(teacher, "fit") or isinstance(teacher, FrozenEstimator)


def limit_tags(tags: Any, teacher: Any) -> None:
    """Change the tags of a student to what its teacher can do as well, if that is known."""
    model = teacher.estimator if isinstance(teacher, FrozenEstimator) else teacher
    if hasattr(model, "__sklearn_tags__"):
        known = get_tags(model)
        tags.input_tags.sparse &= known.input_tags.sparse
        tags.classifier_tags.multi_label &= bool(known.classifier_tags and known.classifier_tags.multi_label)


class Teaching:
    """What an estimator's rows are to learn from, other than their labels.

    Parameters
    ----------
    estimator : KLClassifier
        For its parameters, and its classes once it knows them.
    X, y, sample_weight, teacher_proba, X_unlabeled
        What was given to ``fit``: a teacher meets its rows in the form in which it knows them.
    teacher : estimator, torch.nn.Module or callable, default=None
        The teacher, in place of the estimator's.
    transform : callable, default=None
        From what the teacher sees to what the network sees, where these are not the same.

    Attributes
    ----------
    taught : bool
        Whether there are soft targets.
    more_classes : ndarray or None
        Labels that the student is to have because its teacher has them.
    calibration : float
        Temperature of the teacher's probabilities, before that of the distillation.

    Raises
    ------
    ValueError
        If there are two teachers, or none where one is needed.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        teacher_proba: Any = None,
        X_unlabeled: Any = None,
        *,
        teacher: Any = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.estimator = estimator
        self.X, self.y, self.sample_weight = indexable_rows(X), indexable_rows(y), indexable_rows(sample_weight)
        self.teacher_proba, self.X_unlabeled = indexable_rows(teacher_proba), _if_any(indexable_rows(X_unlabeled))
        self.transform = transform
        self.given_teacher = estimator.teacher if teacher is None else teacher
        self.teacher: Any = None if self.given_teacher is None else make_teacher(self.given_teacher)
        self.taught = self.teacher is not None or teacher_proba is not None
        self.calibration = 1.0
        self._check()
        self.labelled_too = estimator.distill_rows == "all"
        self.augment = self._augmentation() if estimator.augment == "auto" else estimator.augment
        self._check_distilled_rows()
        self.more_classes = self._known_classes() if estimator.teacher_classes in ("union", "closed") else None

    def _check(self) -> None:
        estimator = self.estimator
        if self.teacher is not None and self.teacher_proba is not None:
            raise ValueError("Pass either the 'teacher' parameter or 'teacher_proba' to fit, not both.")
        if self.teacher_proba is not None and _num_samples(self.teacher_proba) != _num_samples(self.X):
            raise ValueError(
                f"'teacher_proba' has {_num_samples(self.teacher_proba)} rows, X has {_num_samples(self.X)}."
            )
        if estimator.teacher_cv is not None and not isinstance(self.teacher, EstimatorTeacher):
            raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must be an estimator.")
        if estimator.teacher_cv is not None and isinstance(self.given_teacher, FrozenEstimator):
            raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must not be frozen.")
        if estimator.augment not in (None, "auto") and self.teacher is None:
            raise ValueError("'augment' needs a 'teacher' that can label new rows. Got teacher=None.")
        if self.X_unlabeled is not None and self.teacher is None and not self._penalty_uses_unlabeled():
            raise ValueError(
                "'X_unlabeled' needs a 'teacher' that can label it, or a penalty that uses rows without labels. Got "
                f"teacher=None, kl_penalty={estimator.kl_penalty!r} and kl_strength={estimator.kl_strength!r}."
            )

    def _check_distilled_rows(self) -> None:
        taught = self.taught or self.estimator.n_generations > 1
        if taught and not self.labelled_too and self.X_unlabeled is None and self.augment is None:
            raise ValueError(
                "distill_rows='unlabeled' needs rows without a label: pass 'X_unlabeled' to fit, or let 'augment' make "
                f"some. Got X_unlabeled=None and augment={self.estimator.augment!r}, which makes none here."
            )

    def _augmentation(self) -> str | None:
        """Return what suits the rows: neighbours can be found in a dense table that is not too long."""
        X = self.X if self._augments_X else self.X_unlabeled
        table = hasattr(X, "columns") or np.ndim(X) == 2
        suited = table and not is_sparse(X) and 2 <= _num_samples(X) <= MAX_ROWS_TO_AUGMENT
        return "munge" if suited and self.teacher is not None else None

    @property
    def _augments_X(self) -> bool:
        """Whether synthetic rows are near those of X: they should be where the teacher is heard."""
        return self.labelled_too or self.X_unlabeled is None

    def _penalty_uses_unlabeled(self) -> bool:
        return self.estimator.kl_strength > 0 and getattr(
            make_penalty(self.estimator.kl_penalty), "uses_unlabeled", False
        )

    def _known_classes(self) -> np.ndarray | None:
        """Return the labels that a teacher knows before it is fitted."""
        if self.teacher_proba is not None:
            return column_labels(self.teacher_proba)
        # an estimator that is not frozen will be fitted to y
        return known_labels(self.given_teacher) if is_ready(self.given_teacher) else None

    @property
    def fitted_teacher(self) -> Any:
        """The teacher after ``labelled``, as scikit-learn knows it."""
        return self.teacher.estimator_ if isinstance(self.teacher, EstimatorTeacher) else self.given_teacher

    @property
    def adds(self) -> bool:
        """Whether there is anything to add to the rows."""
        return self.taught or self.X_unlabeled is not None

    def labelled(self, rows: Rows, weight: float, random_state: np.random.RandomState) -> tuple[Rows, list[int] | None]:
        """Return rows with soft targets, and more rows, as the estimator's parameters have it.

        Parameters
        ----------
        rows : Rows
            Validated training rows with the column ``number``, their places in X, which is dropped.
        weight : float
            Weight of the distillation term; a teacher without any is not asked.
        random_state : RandomState
            Source of synthetic rows.

        Returns
        -------
        rows : Rows
            With the column ``teacher_proba``, if there is a teacher; rows without a label below the others.
        classes : list of int or None
            Codes of the classes that the teacher knows; None for all.
        """
        asked = self.taught and weight > 0
        more = self._more_rows(rows, asked, random_state)
        inputs = [self._validated(X) for X in more]  # before the teacher is fitted
        soft_targets = self._soft_targets(rows, more) if asked and (self.labelled_too or more) else None
        rows = rows.with_columns(number=None)
        for X in inputs:
            rows = _stacked(rows, X)
        if soft_targets is None:
            return rows, None
        targets, classes = self._aligned(rows, soft_targets)
        return rows.with_columns(teacher_proba=soften(targets, self.calibration).to(rows.dtype)), classes

    def calibrates(self, rows: Rows) -> bool:
        """Whether to correct how sure the teacher is: a temperature can be learned from rows it was not fitted to."""
        if self.estimator.calibrate_teacher == "auto":
            return self.taught and not is_ready(self.given_teacher) and len(rows) >= MIN_ROWS_TO_SPLIT
        return self.taught and self.estimator.calibrate_teacher

    def fit_teacher(self, rows: Rows) -> None:
        """Fit the teacher to numbered rows; one that is ready stays as it is."""
        if self.teacher is not None:
            self.teacher.fit(*self._given(rows))

    def calibrate(self, rows: Rows) -> None:
        """Learn from numbered rows set aside how sure the teacher should be; all soft targets from now on are so."""
        self._calibrate(rows, self._predicted(rows))

    def _calibrate(self, rows: Rows, proba: np.ndarray) -> None:
        targets, classes = self._aligned(rows, proba)
        if classes is None:  # else some labels are unknown to the teacher
            self.calibration = best_temperature(targets, rows.codes.cpu())

    def calibrated(self, rows: Rows) -> Rows:
        """Return rows whose soft targets were made before, corrected."""
        return rows.with_columns(teacher_proba=soften(rows.columns["teacher_proba"], self.calibration))

    def _given(self, rows: Rows) -> list[Any]:
        """Return X and y of numbered rows as they were given, and weights, which class weights are a part of."""
        X, y, weight = (_taken(values, _numbers(rows)) for values in (self.X, self.y, self.sample_weight))
        if self.estimator.class_weight is not None and rows.weight is not None:
            weight = rows.weight.cpu().numpy()
        return [X, y, weight]

    def _soft_targets(self, rows: Rows, more: list[Any]) -> np.ndarray:
        """Return the teacher's probabilities of numbered rows, after fitting it to them, and of further inputs."""
        self.fit_teacher(rows)
        own = self._own_soft_targets(rows)
        multilabel = rows.codes.ndim == 2
        further = [self.teacher.predict_proba(X, multilabel=multilabel) for X in more]
        return np.concatenate([np.zeros((len(rows), *further[0].shape[1:])) if own is None else own, *further])

    def _own_soft_targets(self, rows: Rows) -> np.ndarray | None:
        """Return the teacher's probabilities of numbered rows, None if it is not heard on them."""
        if self.estimator.teacher_cv is not None:  # also how sure the teacher should be is learned from these
            return self._out_of_fold(rows)
        return self._predicted(rows) if self.labelled_too else None

    def _out_of_fold(self, rows: Rows) -> np.ndarray:
        X, y, sample_weight = self._given(rows)
        proba = self.teacher.predict_out_of_fold(X, y, self.estimator.teacher_cv, sample_weight)
        if self.calibrates(rows):
            self._calibrate(rows, proba)
        return proba

    def _predicted(self, rows: Rows) -> np.ndarray:
        """Return the probabilities of numbered rows that were given, or by the fitted teacher."""
        numbers, multilabel = _numbers(rows), rows.codes.ndim == 2
        if self.teacher is not None:
            return self.teacher.predict_proba(_taken(self.X, numbers), multilabel=multilabel, numbers=numbers)
        proba = _taken(self.teacher_proba, numbers)
        return checked_proba(proba, len(rows), "array 'teacher_proba'", multilabel=multilabel, numbers=numbers)

    def _more_rows(self, rows: Rows, asked: bool, random_state: np.random.RandomState) -> list[Any]:
        """Return inputs without labels that somebody wants: those that were given, and synthetic ones."""
        wanted = self.X_unlabeled is not None and (asked or self._penalty_uses_unlabeled())
        extra = [self.X_unlabeled] if wanted else []
        if self.augment is None or not asked:
            return extra
        X = _taken(self.X, _numbers(rows)) if self._augments_X else self.X_unlabeled
        alone = self.estimator.augment == "auto" and _num_samples(X) < 2  # zero weights may leave one row only
        return extra if alone else [*extra, self._synthetic(X, random_state)]

    def _synthetic(self, X: Any, random_state: np.random.RandomState) -> Any:
        if is_sparse(X):
            raise ValueError("The 'augment' parameter must be None for sparse X; pass rows as 'X_unlabeled' instead.")
        return augmented(X, self.augment, self.estimator.augment_factor, random_state)

    def _validated(self, X: Any) -> Any:
        X = X if self.transform is None else self.transform(X)
        return validated(self.estimator, X, dtype=numpy_dtype(self.estimator.dtype), order="C", reset=False)

    def _aligned(self, rows: Rows, proba: np.ndarray) -> tuple[Tensor, list[int] | None]:
        labels = self.estimator.classes_
        if rows.codes.ndim == 2:
            if proba.shape[1:] != (len(labels), 2):
                raise ValueError(f"The teacher gives {proba.shape[1]} labels, y has {len(labels)}.")
            return torch.from_numpy(proba), None
        known = column_labels(self.teacher_proba, labels) if self.teacher is None else self.teacher.classes_
        proba, classes = aligned(proba, known, labels, self._policy())
        return torch.from_numpy(proba), classes

    def _policy(self) -> str:
        """Return what to do about other classes; those that a teacher fitted here has met in no row, it rules out."""
        policy = self.estimator.teacher_classes
        return "closed" if policy == "same" and self.teacher is not None and self.teacher.closed_ else policy


def indexable_rows(values: Any) -> Any:
    """Return rows that can be taken by number: sparse matrices as CSR, what is no array or frame as an array."""
    if is_sparse(values):
        return values.tocsr()
    by_number = hasattr(values, "shape") and hasattr(values, "__getitem__")
    return values if values is None or by_number else np.asarray(values)


def _if_any(rows: Any) -> Any:
    """Return the rows, or None if there are none."""
    return None if rows is None or rows.shape[:1] == (0,) else rows


def _numbers(rows: Rows) -> np.ndarray:
    """Return the places of rows in X."""
    return rows.columns["number"].cpu().numpy()


def _taken(values: Any, index: np.ndarray) -> Any:
    """Return the values of some rows; a number is the value of each."""
    if values is None:
        return None
    return np.full(len(index), values) if values.shape == () else _safe_indexing(values, index)


def _stacked(rows: Rows, X: Any) -> Rows:
    """Return the rows and, below them, rows of average weight without labels."""
    n_extra = X.shape[0]
    y = torch.full((n_extra, *rows.codes.shape[1:]), NO_LABEL, dtype=rows.codes.dtype, device=rows.codes.device)
    old: Any = rows.X
    if is_sparse(old):
        joined = sparse.vstack([old, sparse.csr_array(X)])
    else:
        joined = torch.cat([old, Rows(X.toarray() if is_sparse(X) else X).to(rows.device).X])
    weight = None if rows.weight is None else torch.cat([rows.weight, rows.weight.mean().expand(n_extra)])
    return Rows(joined, torch.cat([rows.codes, y]), weight=weight)
