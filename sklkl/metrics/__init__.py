"""Divergences of predicted from true probabilities as metrics, and as scorers for scikit-learn's model selection.

A metric is ``f(y_true, y_proba, *, sample_weight=None, labels=None, ...) -> float``, in nats and lower is better unless
it is a score. ``y_true`` holds labels or soft labels. Nothing is clipped: a class that occurs although its predicted
probability is zero gives ``inf``, and NaN stays NaN. A scorer wraps a metric for `GridSearchCV` and its relatives: see
`get_scorer_names`.

The metrics, their scorers, and what a teacher and a student have in common (`teacher_agreement`). The inputs of all
are checked in `_validation`, columns matched by class in `_alignment`. May import: `sklkl._utils`,
`sklkl.divergences`, numpy and scikit-learn.
"""

from sklkl.metrics._agreement import TeacherAgreement, teacher_agreement
from sklkl.metrics._calibration import calibration_kl, prior_shift_kl
from sklkl.metrics._generation import inception_score, mode_coverage_kl
from sklkl.metrics._means import (
    d2_kl_score,
    mean_js_divergence,
    mean_kl_divergence,
    mean_reverse_kl_divergence,
)
from sklkl.metrics._registry import get_scorer, get_scorer_names
from sklkl.metrics._scorer import DivergenceScorer

__all__ = [
    "DivergenceScorer",
    "TeacherAgreement",
    "calibration_kl",
    "d2_kl_score",
    "get_scorer",
    "get_scorer_names",
    "inception_score",
    "mean_js_divergence",
    "mean_kl_divergence",
    "mean_reverse_kl_divergence",
    "mode_coverage_kl",
    "prior_shift_kl",
    "teacher_agreement",
]
