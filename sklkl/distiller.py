"""``Distiller``: a teacher and a student that see the rows each in its own way."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklkl._fit.attempt import Attempt, finished
from sklkl._fit.checkpoint import leave_file
from sklkl._fit.fitting import fit_net
from sklkl._fit.inputs import check_given, indexable_rows, label_array
from sklkl._fit.parameters import FitData, checked_params
from sklkl._fit.teaching import limit_tags, uses_unlabeled
from sklkl._fit.validation_rows import without_labels
from sklkl._fit.weights import sample_weights
from sklkl._utils.plain_state import PlainState
from sklkl._utils.progress import CallbackSupportMixin, followed, task
from sklkl._utils.seeding import local_random_state, seeded
from sklkl._utils.sklearn_private import (
    HasMethods,
    Interval,
    RealNotInt,
    _check_y,
    _num_samples,
    _safe_indexing,
    check_params,
)
from sklkl._utils.types import MatrixLike, Weight
from sklkl.classifier import KLClassifier
from sklkl.distillation import TEACHERS, aligned, is_ready, make_teacher
from sklkl.metrics import teacher_agreement

__all__ = ["Distiller"]


class Distiller(PlainState, MetaEstimatorMixin, CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """Distil a teacher into a student that may want the rows preprocessed in another way.

    The teacher sees X as it is given, raw frames included; the student is a :class:`sklkl.KLClassifier`, or a
    pipeline that ends in one. How much of the student's loss is the teacher's, and on which rows, are parameters of
    the student: ``distill_weight``, ``temperature``, ``teacher_cv``, ``augment`` and so on. Synthetic rows are made
    from the raw rows, for the teacher, and preprocessed for the student.

    Parameters
    ----------
    student : KLClassifier or Pipeline whose last step is one
        What is trained; cloned, never changed.
    teacher : estimator with ``predict_proba``, torch.nn.Module or callable
        What it learns from, as the parameter ``teacher`` of :class:`sklkl.KLClassifier`.
    report_fraction : float in (0, 1) or None, default=0.2
        Share of the rows held out for ``report_``, for which teacher and student are trained once more, and a student
        without a teacher. None: no report.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of these rows, and of every part of student and teacher that has no seed of its own.
    verbose : int, default=0
        Greater than 0: what is being done, and how long it took, on standard error.

    Attributes
    ----------
    student_ : KLClassifier or Pipeline
        The student, trained on all rows.
    teacher_ : estimator, torch.nn.Module or callable
        The teacher, fitted to all rows.
    report_ : dict of dict
        For ``"teacher"``, ``"student"`` and ``"student without teacher"``, measured on the rows held out:
        ``log_loss`` (nats), ``accuracy``, ``agreement`` with the teacher (share of rows with the same most probable
        class), ``js`` (mean Jensen-Shannon divergence from the teacher, nats), ``seconds_per_row`` (processor time of
        ``predict_proba``) and ``bytes`` (of a pickle).
    classes_ : ndarray of shape (n_classes,)
        The student's labels.
    n_features_in_ : int
        Number of columns of X, if the student knows it.
    feature_names_in_ : ndarray of str
        Names of the columns, if X is a frame whose column names are all strings.

    Notes
    -----
    ``student_`` predicts the same as the distiller, which also holds the teacher: where size matters, pickle
    ``student_`` alone. :func:`sklkl.save` leaves ``teacher_`` out.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklkl import Distiller, KLClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> student = make_pipeline(StandardScaler(), KLClassifier(max_epochs=10))
    >>> teacher = RandomForestClassifier(n_estimators=10)
    >>> distiller = Distiller(student, teacher, random_state=0).fit(X, y)
    >>> sorted(distiller.report_["student"])
    ['accuracy', 'agreement', 'bytes', 'js', 'log_loss', 'seconds_per_row']
    """

    _parameter_constraints = {
        "student": [HasMethods(["fit", "predict_proba"])],
        "teacher": [*TEACHERS],
        "report_fraction": [Interval(RealNotInt, 0, 1, closed="neither"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        student: Any,
        teacher: Any,
        *,
        report_fraction: float | None = 0.2,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.student = student
        self.teacher = teacher
        self.report_fraction = report_fraction
        self.random_state = random_state
        self.verbose = verbose

    @followed
    def fit(
        self,
        X: MatrixLike,
        y: MatrixLike,
        sample_weight: Weight = None,
        X_unlabeled: MatrixLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: MatrixLike | None = None,
        sample_weight_val: Weight = None,
    ) -> Distiller:
        """Fit the teacher, then the student to the teacher's probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs, as the teacher wants them.
        y : array-like of shape (n_rows,)
            Labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights of the rows, for teacher and student.
        X_unlabeled : array-like, sparse matrix or frame of shape (n_unlabeled, n_features), default=None
            Further inputs for the teacher to label.
        X_val : array-like, sparse matrix or frame of shape (n_val, n_features), default=None
            Inputs of a validation part of your own, as the teacher wants them, with ``y_val``; see
            :meth:`sklkl.KLClassifier.fit`. The report is measured on other rows.
        y_val : array-like of shape (n_val,), default=None
            Their labels, which y must have too.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights >= 0.

        Returns
        -------
        self : Distiller
            The fitted distiller.

        Raises
        ------
        ValueError
            If a parameter is invalid, the student does not end in a :class:`sklkl.KLClassifier` or has a teacher of
            its own, or the data are invalid.
        TypeError
            If y mixes strings with other types.
        KeyboardInterrupt
            If training was interrupted. If that was the student's, on all rows, after an epoch was finished, the model
            so far is kept; else the distiller is as it was.
        """
        check_params(self)
        _check_student(self.student)
        make_teacher(self.teacher)  # or an error
        check_given(self, X, y)
        y = _check_y(label_array(y), estimator=self)
        check_classification_targets(y)
        X = indexable_rows("X", X)
        check_consistent_length(X, y)
        if sample_weight is not None:
            sample_weight = sample_weights(sample_weight, y)
        random_state = local_random_state(self.random_state)
        student, teacher = (seeded(part, random_state) for part in (self.student, self.teacher))
        seed = random_state.randint(2**31 - 1)
        data = FitData(X, y, sample_weight, None, X_unlabeled, X_val, y_val, sample_weight_val)
        report = None
        if self.report_fraction is not None:
            report = self._report(student, teacher, seed, data)
        with task("all rows"):
            self.student_, self.teacher_ = distilled(student, teacher, data)
        self.classes_ = self.student_.classes_
        self.__dict__.pop("report_", None)  # that of an earlier fit
        if report is not None:
            self.report_ = report
        finished(_final(self.student_))
        return self

    def _report(self, student: Any, teacher: Any, seed: int, data: FitData) -> dict[str, dict[str, float]]:
        numbers = _held_out(data.y, data.sample_weight, self.report_fraction, seed)
        train, test = (_part(data, part) for part in numbers)
        train = without_labels(train, np.setdiff1d(data.y, train.y))
        student = clone(student)
        leave_file(_final(student))
        with task("report"):
            taught, teacher = distilled(student, teacher, train)
            finished(_final(taught))
        with task("report: student without teacher"):
            alone, _ = distilled(student, None, train)
            finished(_final(alone))
        models = {"teacher": teacher, "student": taught, "student without teacher": alone}
        return measured(models, test.X, test.y, test.sample_weight)

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the student's most probable label of each row.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows,)
            Labels.
        """
        check_is_fitted(self)
        return self.student_.predict(X)

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the student's probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Probabilities, columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.student_.predict_proba(X)

    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the logarithms of the student's probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows, n_classes)
            Log-probabilities in nats.
        """
        check_is_fitted(self)
        return self.student_.predict_log_proba(X)

    def _plain_state(self, state: dict[str, Any]) -> dict[str, Any]:
        # the teacher does not predict, and may have been made of the rows themselves
        return {name: value for name, value in state.items() if name != "teacher_"}

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        return self.student_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns of X."""
        return self.student_.feature_names_in_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        student = get_tags(self.student)
        tags.input_tags, tags.classifier_tags = student.input_tags, student.classifier_tags
        limit_tags(tags, self.teacher)
        tags.classifier_tags.multi_label = False
        return tags


def _final(student: Any) -> Any:
    return student.steps[-1][1] if isinstance(student, Pipeline) else student


def _steps(pipeline: Any) -> list[tuple[str, Any]]:
    """Return the steps of a pipeline with their names, each before its own if it is a pipeline too."""
    own = pipeline.steps if isinstance(pipeline, Pipeline) else []
    return [inner for name, step in own for inner in ((name, step), *_steps(step))]


def _check_student(student: Any) -> None:
    if not isinstance(_final(student), KLClassifier):
        raise ValueError(
            "The 'student' parameter must be a KLClassifier or a Pipeline whose last step is one, itself. "
            f"Got {student!r} instead."
        )
    if _final(student).teacher is not None:
        raise ValueError("The student of a Distiller must not have a 'teacher' of its own.")
    for name, step in _steps(student)[:-1]:
        if hasattr(step, "fit_resample"):
            raise ValueError(
                f"The 'student' parameter of Distiller must be a Pipeline that leaves rows as they are. Got {step!r} "
                f"as its step {name!r}, which resamples them: their labels and soft targets would be those of others."
            )


def _part(data: FitData, numbers: np.ndarray) -> FitData:
    """Return what was given, with some of the rows only."""
    X, y = _safe_indexing(data.X, numbers), _safe_indexing(data.y, numbers)
    weight = None if data.sample_weight is None else _safe_indexing(data.sample_weight, numbers)
    return replace(data, X=X, y=y, sample_weight=weight)


def distilled(student: Any, teacher: Any, data: FitData) -> tuple[Any, Any]:
    """Return a fitted clone of the student, which may have been interrupted, and of the teacher."""
    student = clone(student)
    final = _final(student)
    steps = student[:-1] if isinstance(student, Pipeline) and len(student) > 1 else None
    seen = data.X if steps is None else steps.fit_transform(data.X, data.y)
    transform = None if steps is None else steps.transform
    alone = {"augment": None, "teacher_cv": None, "distill_rows": "all"} if teacher is None else {}
    final.set_params(**alone)
    with Attempt(final) as attempt:
        params = checked_params(final)
        params = replace(params, teacher=replace(params.teacher, teacher=teacher))
        data = replace(data, X=seen, teacher_X=data.X, transform=transform)
        if teacher is None and not uses_unlabeled(params.net):
            data = replace(data, X_unlabeled=None)
        trained = fit_net(attempt, params, data, tells=teacher is not None)
        trained.publish(attempt.draft)
    if steps is not None:
        student.steps[:-1] = steps.steps  # a pipeline with a memory fits copies
    return student, trained.fitted_teacher()


def _held_out(y: np.ndarray, sample_weight: Any, fraction: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of rows to train on and to measure with, which have no class that the others lack, and weight."""
    used = np.ones(len(y), dtype=bool) if sample_weight is None else sample_weight > 0
    few = ValueError(f"There are too few rows for a report (n_samples={used.sum()}); set report_fraction=None.")
    if len(y) < 2:
        raise few
    counts = np.unique(y, return_counts=True)[1]
    n_test = math.ceil(fraction * len(y))
    enough = counts.min() > 1 and min(n_test, len(y) - n_test) >= len(counts)
    split = partial(train_test_split, np.arange(len(y)), test_size=fraction, random_state=seed)
    train, test = split(stratify=y if enough else None)
    test = test[np.isin(y[test], y[train]) & used[test]]
    if len(test) == 0 or not used[train].any():
        raise few
    return train, test


def measured(models: dict[str, Any], X: Any, y: Any, sample_weight: Any) -> dict[str, dict[str, float]]:
    """Return the figures of ``report_`` for a teacher and others with the student's classes."""
    classes = models["student"].classes_
    timed = {name: _timed_proba(model, X, classes) for name, model in models.items()}
    truth = (y[:, None] == classes).astype(np.float64)  # KL from it is the log-loss, also of a single class
    figures = {}
    for name, (proba, seconds) in timed.items():
        agreement = teacher_agreement(timed["teacher"][0], proba, sample_weight=sample_weight)
        figures[name] = {
            "log_loss": teacher_agreement(truth, proba, sample_weight=sample_weight).kl,
            "accuracy": accuracy_score(y, classes[proba.argmax(axis=1)], sample_weight=sample_weight),
            "agreement": agreement.top1,
            "js": agreement.js,
            "seconds_per_row": seconds / _num_samples(X),
            "bytes": _size(models[name]),
        }
    return figures


def _timed_proba(model: Any, X: Any, classes: np.ndarray) -> tuple[np.ndarray, float]:
    """Return probabilities of the classes, zero where the model does not know one, and the processor time."""
    teacher = make_teacher(model if is_ready(model) else FrozenEstimator(model)).fit(X, None)
    start = time.process_time()
    proba = teacher.predict_proba(X)
    seconds = time.process_time() - start
    return aligned(proba, teacher.classes_, classes, "closed")[0], seconds


def _size(model: Any) -> float:
    """Return the bytes of a pickle; NaN for what cannot be pickled, such as a lambda."""
    try:
        return len(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError):
        return float("nan")
