"""How closely a student follows its teacher."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklkl._utils.frames import column_labels
from sklkl._utils.types import ArrayLike, Labels, Proba, Weight
from sklkl.divergences import js_divergence, kl_divergence
from sklkl.metrics._docs import document
from sklkl.metrics._means import mean_divergence
from sklkl.metrics._validation import Comparison, check_probabilities, compare, in_order

__all__ = ["TeacherAgreement", "teacher_agreement", "top1_agreement"]


class TeacherAgreement(NamedTuple):
    """What `teacher_agreement` returns.

    Attributes
    ----------
    kl : float
        Mean KL(teacher‖student) in nats, in [0, inf].
    js : float
        Mean Jensen-Shannon divergence in nats, in [0, log 2].
    top1 : float
        Share of rows with the same top class, in [0, 1].

    Examples
    --------
    >>> from sklkl.metrics import TeacherAgreement
    >>> TeacherAgreement(kl=0.0, js=0.0, top1=1.0)
    TeacherAgreement(kl=0.0, js=0.0, top1=1.0)
    """

    kl: float
    js: float
    top1: float


@document
def teacher_agreement(
    teacher_proba: Proba, y_proba: Proba, *, sample_weight: Weight = None, smoothing: float = 0.0
) -> TeacherAgreement:
    """How closely a student's probabilities follow a teacher's.

    The top class of a row is the first of those with the highest probability, as in scikit-learn's ``predict``.

    Parameters
    ----------
    teacher_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        The teacher's probabilities, columns as in `y_proba`; of two frames, columns of the same
        name.
    {proba}
    {smoothing}

    Returns
    -------
    TeacherAgreement
        The named tuple ``(kl, js, top1)``.

    {raises}

    Examples
    --------
    >>> from sklkl.metrics import teacher_agreement
    >>> teacher, student = [[0.9, 0.1], [0.6, 0.4]], [[0.9, 0.1], [0.4, 0.6]]
    >>> agreement = teacher_agreement(teacher, student)
    >>> round(agreement.kl, 6), agreement.top1
    (0.040547, 0.5)
    """
    teacher, student = check_probabilities("teacher_proba", teacher_proba), check_probabilities("y_proba", y_proba)
    names = column_labels(teacher_proba)
    if names is not None and len(names) == teacher.shape[1]:
        student = in_order("y_proba", student, y_proba, names)
    rows = compare(teacher, student, sample_weight, truth_name="teacher_proba")
    return TeacherAgreement(
        kl=mean_divergence(kl_divergence, rows, smoothing),
        js=mean_divergence(js_divergence, rows, smoothing),
        top1=_same_top(rows),
    )


def top1_agreement(y_true: ArrayLike, y_proba: Proba, *, sample_weight: Weight = None, labels: Labels = None) -> float:
    """Return the weighted share of rows whose first most probable class is that of the truth; NaN if any is NaN."""
    return _same_top(compare(y_true, y_proba, sample_weight, labels))


def _same_top(rows: Comparison) -> float:
    same = rows.truth.argmax(axis=1) == rows.proba.argmax(axis=1)
    unknown = np.isnan(rows.truth + rows.proba).any(axis=1)
    return float(rows.mean(np.where(unknown, np.nan, same)))
