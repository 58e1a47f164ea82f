"""The usual scorers by name."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from sklkl._utils.checks import check_choice
from sklkl._utils.types import Labels
from sklkl.metrics._agreement import top1_agreement
from sklkl.metrics._calibration import calibration_kl, prior_shift_kl
from sklkl.metrics._means import d2_kl_score, mean_js_divergence, mean_kl_divergence, mean_reverse_kl_divergence
from sklkl.metrics._scorer import DivergenceScorer

__all__ = ["get_scorer", "get_scorer_names"]

ScorerName: TypeAlias = Literal[
    "d2_kl",
    "neg_calibration_kl",
    "neg_mean_js",
    "neg_mean_kl",
    "neg_prior_shift_kl",
    "neg_teacher_js",
    "neg_teacher_kl",
    "neg_teacher_reverse_kl",
    "teacher_top1",
]

_TEACHER = {"reference": "teacher_proba"}
_SCORERS: dict[str, dict[str, Any]] = {
    "d2_kl": {"metric": d2_kl_score, "greater_is_better": True},
    "neg_calibration_kl": {"metric": calibration_kl},
    "neg_mean_js": {"metric": mean_js_divergence},
    "neg_mean_kl": {"metric": mean_kl_divergence},
    "neg_prior_shift_kl": {"metric": prior_shift_kl},
    "neg_teacher_js": {"metric": mean_js_divergence, **_TEACHER},
    "neg_teacher_kl": {"metric": mean_kl_divergence, **_TEACHER},
    "neg_teacher_reverse_kl": {"metric": mean_reverse_kl_divergence, **_TEACHER},
    "teacher_top1": {"metric": top1_agreement, "greater_is_better": True, **_TEACHER},
}


def get_scorer_names() -> list[str]:
    """Return the names that `get_scorer` accepts.

    Those with ``teacher`` compare with a teacher's probabilities, the others with `y`; of those with ``neg_`` the
    metric is negated, so that higher is better. To choose a model for its probabilities take ``neg_mean_kl`` or, the
    same on a scale from 0 to 1, ``d2_kl``: they are proper scores, which ``neg_mean_js`` with labels is not, and an
    uninformative model may be perfect by ``neg_calibration_kl`` and ``neg_prior_shift_kl``. There is no
    ``neg_mean_reverse_kl``, because it is ``-inf`` with labels.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer_names
    >>> get_scorer_names()[:3]
    ['d2_kl', 'neg_calibration_kl', 'neg_mean_js']
    """
    return sorted(_SCORERS)


def get_scorer(name: ScorerName, *, labels: Labels = None, **metric_params: Any) -> DivergenceScorer:
    """Return a new scorer of the given name, to be passed as ``scoring``.

    Parameters
    ----------
    name : str
        One of `get_scorer_names`. They are not registered with scikit-learn: pass the scorer, not the name.
    labels : array-like of shape (n_classes,), default=None
        All classes, as in `DivergenceScorer`.
    **metric_params : dict
        Passed on to the metric, such as ``smoothing=0.01``.

    Returns
    -------
    DivergenceScorer
        ``scorer(estimator, X, y, *, sample_weight=None, teacher_proba=None) -> float``.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If the metric does not accept a parameter.

    Examples
    --------
    >>> from sklkl.metrics import get_scorer
    >>> get_scorer("neg_mean_kl")
    DivergenceScorer(mean_kl_divergence)
    >>> get_scorer("neg_teacher_kl", smoothing=0.01)
    DivergenceScorer(mean_kl_divergence, reference='teacher_proba', smoothing=0.01)
    """
    check_choice("name", name, get_scorer_names(), of="get_scorer")
    return DivergenceScorer(**_SCORERS[name], labels=labels, **metric_params)
