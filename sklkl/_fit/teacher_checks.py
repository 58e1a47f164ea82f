"""Which parameters go together where there is a teacher, and what a student with a teacher can do."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from sklkl._fit.parameters import FitParams, NetParams, TeacherParams
from sklkl._utils.frames import column_labels
from sklkl._utils.sklearn_private import _num_samples
from sklkl.distillation import EstimatorTeacher, Teacher, is_ready, known_labels
from sklkl.penalties import adapted, make_penalty


def uses_unlabeled(net: NetParams) -> bool:
    """Whether rows without a label carry the penalty."""
    return net.kl_strength > 0 and adapted(make_penalty(net.kl_penalty)).uses_unlabeled


def check_teaching(
    fit_params: FitParams, teacher: Teacher | None, X: Any, teacher_proba: Any, X_unlabeled: Any, X_val: Any
) -> bool:
    """Return whether rows without a label carry the penalty; see that data and parameters go together.

    Raises
    ------
    ValueError
        If they do not.
    """
    params, net = fit_params.teacher, fit_params.net
    penalised = uses_unlabeled(net)
    if params.teacher is not None and teacher_proba is not None:
        raise ValueError("Pass either the 'teacher' parameter or 'teacher_proba' to fit, not both.")
    if teacher_proba is not None and _num_samples(teacher_proba) != _num_samples(X):
        raise ValueError(f"'teacher_proba' has {_num_samples(teacher_proba)} rows, X has {_num_samples(X)}.")
    if teacher_proba is not None and X_val is not None and params.calibrate_teacher is True:
        raise ValueError("'calibrate_teacher' cannot be True with 'teacher_proba', which has no rows for 'X_val'.")
    if params.teacher_cv is not None and not isinstance(teacher, EstimatorTeacher):
        raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must be an estimator.")
    if params.teacher_cv is not None and isinstance(params.teacher, FrozenEstimator):
        raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must not be frozen.")
    if params.augment not in (None, "auto") and params.teacher is None:
        raise ValueError("'augment' needs a 'teacher' that can label new rows. Got teacher=None.")
    if X_unlabeled is not None and params.teacher is None and not penalised:
        raise ValueError(
            "'X_unlabeled' needs a 'teacher' that can label it, or a penalty that uses rows without labels. Got "
            f"teacher=None, kl_penalty={net.kl_penalty!r} and kl_strength={net.kl_strength!r}."
        )
    return penalised


def can_teach_a_stream(estimator: Any) -> bool:
    """Whether an estimator's teacher is ready, so that it can teach one part of the rows after the other.

    Raises
    ------
    AttributeError
        If it would be fitted to every part of the stream anew.
    """
    if not is_ready(estimator.teacher):
        raise AttributeError(
            f"partial_fit needs a teacher that is ready, such as a FrozenEstimator. Got teacher={estimator.teacher!r}."
        )
    return True


def limit_tags(tags: Any, teacher: Any) -> None:
    """Change the tags of a student to what its teacher can do as well, if that is known."""
    model = teacher.estimator if isinstance(teacher, FrozenEstimator) else teacher
    if hasattr(model, "__sklearn_tags__") and not isinstance(model, type):
        known = get_tags(model)
        tags.input_tags.sparse &= known.input_tags.sparse
        tags.classifier_tags.multi_label &= bool(known.classifier_tags and known.classifier_tags.multi_label)


def student_classes(params: TeacherParams, teacher: Teacher | None, proba: Any, classes: np.ndarray) -> np.ndarray:
    """Return the student's labels: those of y, and those of the teacher if that is wanted and they are known.

    Raises
    ------
    ValueError
        If one has strings and the other has not.
    """
    if params.teacher_classes not in ("union", "closed"):
        return classes
    # an estimator that is not frozen will be fitted to y
    by_teacher = known_labels(params.teacher) if teacher is not None and teacher.ready else None
    more = by_teacher if proba is None else column_labels(proba)
    if more is None:
        return classes
    texts = [values.dtype.kind in "OUST" for values in (classes, more)]
    if texts[0] != texts[1]:
        raise ValueError(f"The teacher's classes {more.tolist()} and those of y {classes.tolist()} differ in type.")
    return np.union1d(classes, more)
