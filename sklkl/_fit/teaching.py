"""What there is to learn from other than labels, if that goes together, and what a student with a teacher can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, get_tags

from sklkl._fit.inputs import Inputs
from sklkl._fit.parameters import FitData, FitParams, NetParams, TeacherParams
from sklkl._fit.soft_targets import FurtherRows, GivenRows, SoftTargets
from sklkl._fit.weights import ordinary_weights
from sklkl._utils.frames import column_labels
from sklkl._utils.sklearn_private import _num_samples
from sklkl.distillation import EstimatorTeacher, GivenProba, is_ready, known_labels, make_teacher
from sklkl.penalties import adapted, make_penalty


def soft_targets_of(params: FitParams, data: FitData, inputs: Inputs, read: Callable[[Any], Any]) -> SoftTargets | None:
    """Return what there is to learn from other than labels, None if there is nothing.

    Parameters
    ----------
    params : FitParams
        Validated parameters.
    data : FitData
        What was given to ``fit``, indexable.
    inputs : Inputs
        The same, validated.
    read : callable
        From further inputs as the network sees them to validated ones.

    Raises
    ------
    ValueError
        If parameters and data do not go together.
    """
    X, proba, unlabeled, X_val = data.teacher_X, data.teacher_proba, data.X_unlabeled, data.X_val
    weight = None if data.sample_weight is None else ordinary_weights(data.sample_weight, inputs.X)
    given = GivenRows(X, inputs.y, weight, class_weighted=params.inputs.class_weight is not None)
    penalised = _check_data(params, X, proba, unlabeled, X_val)
    classes = inputs.classes if inputs.y.ndim == 2 else _student_classes(params.teacher, proba, inputs.classes)
    teacher = None if params.teacher.teacher is None else make_teacher(params.teacher.teacher)
    if params.teacher.teacher_cv is not None and not isinstance(teacher, EstimatorTeacher):
        raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must be an estimator.")
    further = FurtherRows(params.teacher, X, unlabeled, data.transform, read, penalised)
    distils = teacher is not None or proba is not None or params.teacher.n_generations > 1
    if distils and params.teacher.distill_rows == "unlabeled":
        further.check()
    teacher = teacher if proba is None else GivenProba(proba, classes)
    nothing = teacher is None and unlabeled is None
    if unlabeled is not None and not penalised and (teacher is None or params.teacher.distill_weight == 0):
        further.read(unlabeled)  # to no use, but what is wrong with them is said whatever a strength is
    return None if nothing else SoftTargets(params.teacher, teacher, given, further, classes, X_val)


def uses_unlabeled(net: NetParams) -> bool:
    """Whether rows without a label carry the penalty."""
    return net.kl_strength > 0 and _may_use_unlabeled(net)


def _may_use_unlabeled(net: NetParams) -> bool:
    """Whether they would, if it had a strength: without one a network is what a search compares others with."""
    return adapted(make_penalty(net.kl_penalty)).uses_unlabeled


def _check_data(fit_params: FitParams, X: Any, teacher_proba: Any, X_unlabeled: Any, X_val: Any) -> bool:
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
    if params.teacher_cv is not None and isinstance(params.teacher, FrozenEstimator):
        raise ValueError("'teacher_cv' fits the teacher on parts of the rows: 'teacher' must not be frozen.")
    if params.augment not in (None, "auto") and params.teacher is None:
        raise ValueError("'augment' needs a 'teacher' that can label new rows. Got teacher=None.")
    if X_unlabeled is not None and params.teacher is None and not _may_use_unlabeled(net):
        raise ValueError(
            "'X_unlabeled' needs a 'teacher' that can label it, or a penalty that uses rows without labels. Got "
            f"teacher=None and kl_penalty={net.kl_penalty!r}."
        )
    return penalised


def _student_classes(params: TeacherParams, proba: Any, classes: np.ndarray) -> np.ndarray:
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


def can_teach_a_stream(estimator: BaseEstimator) -> bool:
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


def limit_tags(tags: Tags, teacher: Any) -> None:
    """Change the tags of a student to what its teacher can do as well, if that is known."""
    model = teacher.estimator if isinstance(teacher, FrozenEstimator) else teacher
    if hasattr(model, "__sklearn_tags__") and not isinstance(model, type):
        known = get_tags(model)
        tags.input_tags.sparse &= known.input_tags.sparse
        tags.classifier_tags.multi_label &= bool(known.classifier_tags and known.classifier_tags.multi_label)
