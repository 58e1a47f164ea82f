"""A metric as a scorer: predicts, aligns columns by class, and takes its share of routed metadata."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn import get_config
from sklearn.utils.metadata_routing import UNCHANGED, MetadataRequest

from sklkl._utils.arrays import as_array
from sklkl._utils.checks import check_choice, invalid, invalid_input, refusal
from sklkl._utils.class_alignment import shown
from sklkl._utils.frames import column_labels
from sklkl._utils.types import ArrayLike, Labels, MatrixLike, Weight
from sklkl.metrics._alignment import align, class_probabilities, match_truth
from sklkl.metrics._validation import check_labels, check_probabilities

__all__ = ["DivergenceScorer"]

_REFERENCES = ("y", "teacher_proba")
_TEACHER_PROBA = (
    "the teacher's probabilities, which the scorer compares with: in a search or cross-validation call "
    "sklearn.set_config(enable_metadata_routing=True) and pass them to fit(X, y, teacher_proba=...) or as "
    "params={'teacher_proba': ...}"
)


class DivergenceScorer:
    """Scorer ``scorer(estimator, X, y, *, sample_weight=None, teacher_proba=None) -> float``, higher is better.

    To be passed as ``scoring`` to `GridSearchCV`, `cross_validate` and their relatives; `get_scorer` makes the usual
    ones. Unlike one of `sklearn.metrics.make_scorer` it matches columns by ``estimator.classes_``: a class of `y` that
    the estimator has not seen has probability 0, hence an infinite divergence unless there is `smoothing`.

    `sample_weight` and `teacher_proba` are routed and cut to folds under
    ``sklearn.set_config(enable_metadata_routing=True)``.

    Parameters
    ----------
    metric : callable
        ``metric(y_true, y_proba, *, sample_weight, labels, **metric_params) -> float``, such as
        `mean_kl_divergence`.
    greater_is_better : bool, default=False
        Whether the score is the metric itself and not its negative.
    reference : {"y", "teacher_proba"}, default="y"
        What predictions are compared with: the target, labels or soft labels, or the probabilities of a teacher.
    labels : array-like of shape (n_classes,), default=None
        All classes, also those a fold may lack; the order of the columns of `teacher_proba` and of soft labels, unless
        these are a data frame whose columns are named by class. By default ``estimator.classes_``, then classes that
        only occur in `y` or among such names.
    **metric_params : dict
        Passed on to the metric, such as ``smoothing=0.01``.

    Raises
    ------
    TypeError
        If `metric` does not accept the arguments.
    ValueError
        If another parameter is outside its range.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklkl.metrics import DivergenceScorer, mean_kl_divergence
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = DivergenceScorer(mean_kl_divergence, smoothing=0.01)
    >>> scorer
    DivergenceScorer(mean_kl_divergence, smoothing=0.01)
    >>> cross_val_score(GaussianNB(), X, y, scoring=scorer).round(2)
    array([-0.21, -0.12, -0.2 , -0.11, -0.01])
    """

    def __init__(
        self,
        metric: Callable[..., float],
        *,
        greater_is_better: bool = False,
        reference: Literal["y", "teacher_proba"] = "y",
        labels: Labels = None,
        **metric_params: Any,
    ) -> None:
        check_choice("reference", reference, _REFERENCES, of="DivergenceScorer")
        inspect.signature(metric).bind(None, None, sample_weight=None, labels=None, **metric_params)
        self.metric = metric
        self.greater_is_better = greater_is_better
        self.reference = reference
        self.labels = None if labels is None else check_labels(labels)
        self.metric_params = metric_params
        # None: an error if passed; True: wanted. Without its teacher such a scorer cannot work, so it asks for it.
        self._requests: dict[str, Any] = {"sample_weight": None}
        if self._needs_teacher:
            self._requests["teacher_proba"] = True

    @property
    def _needs_teacher(self) -> bool:
        return self.reference == "teacher_proba"

    def __call__(
        self,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        sample_weight: Weight = None,
        teacher_proba: ArrayLike | None = None,
    ) -> float:
        """Score the predictions of an estimator.

        Parameters
        ----------
        estimator : object
            A fitted classifier with ``predict_proba``, or with ``predict_log_proba`` only.
        X : array-like
            Its input.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels or soft labels. Not used by teacher scorers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        teacher_proba : array-like of shape (n_samples, n_classes), default=None
            The teacher's probabilities, for teacher scorers only.

        Returns
        -------
        float
            The metric, negative unless `greater_is_better`.

        Raises
        ------
        AttributeError
            If the estimator predicts no probabilities.
        ValueError
            If classes cannot be matched, or the metric refuses its input.
        """
        truth = self._truth(y, teacher_proba)
        proba, classes = class_probabilities(estimator, X, self.labels)
        known = classes if self.labels is None else self.labels
        names = column_labels(teacher_proba if self._needs_teacher else y, known)
        truth, labels = match_truth(truth, names, classes, self.labels, self.reference)
        proba = align(proba, classes, labels)
        value = float(self.metric(truth, proba, sample_weight=sample_weight, labels=labels, **self.metric_params))
        return value if self.greater_is_better else 0.0 - value  # not -value: 0.0 instead of -0.0

    def _truth(self, y: ArrayLike | None, teacher_proba: ArrayLike | None) -> np.ndarray:
        """Return labels of shape (n_samples,), or distributions."""
        if self._needs_teacher:
            if teacher_proba is None:
                raise invalid("teacher_proba", None, _TEACHER_PROBA, "a scorer")
            return check_probabilities("teacher_proba", teacher_proba)
        if teacher_proba is not None:
            raise invalid_input(
                "teacher_proba", "probabilities", "None, because the scorer compares with y", "a scorer"
            )
        if y is None:
            raise invalid("y", None, "labels or soft labels, because the scorer compares with them", "a scorer")
        y = as_array("y", y)
        if y.ndim not in (1, 2):
            raise invalid_input("y", f"the shape {y.shape}", "dense, of shape (n_samples,) or (n_samples, n_classes)")
        return check_probabilities("y", y) if y.ndim == 2 and y.shape[1] > 1 else y.ravel()

    def set_score_request(
        self, *, sample_weight: bool | str | None = UNCHANGED, teacher_proba: bool | str | None = UNCHANGED
    ) -> DivergenceScorer:
        """Choose which metadata searches and cross-validation pass on to the scorer.

        Parameters
        ----------
        sample_weight, teacher_proba : bool, None or str, default=UNCHANGED
            True: pass it on; False: do not; None: raise an error if it is given; str: pass on what has this name.
            At first None for `sample_weight`, True for `teacher_proba` of a teacher scorer, which needs it.

        Returns
        -------
        DivergenceScorer
            The scorer itself.

        Raises
        ------
        RuntimeError
            If metadata routing is not enabled.
        TypeError
            If `teacher_proba` is set for a scorer that has no teacher.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "This method is only available when metadata routing is enabled. You can enable it using "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        if teacher_proba is not UNCHANGED and not self._needs_teacher:
            allowed = f"left out, because {self!r} has no teacher"
            raise TypeError(refusal("teacher_proba", repr(teacher_proba), allowed, "set_score_request"))
        given = {"sample_weight": sample_weight, "teacher_proba": teacher_proba}
        requests = self._requests | {name: alias for name, alias in given.items() if alias is not UNCHANGED}
        _as_request("", requests)  # raises if an alias is none
        self._requests = requests
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what `set_score_request` chose, in scikit-learn's form."""
        return _as_request(repr(self), self._requests)

    def _accept_sample_weight(self) -> bool:
        """Tell scikit-learn's searches without routing to pass ``fit(..., sample_weight=...)`` on."""
        return True

    def __repr__(self) -> str:
        options: dict[str, Any] = {"greater_is_better": True} if self.greater_is_better else {}
        if self._needs_teacher:
            options["reference"] = self.reference
        options |= self.metric_params
        parts = [getattr(self.metric, "__name__", repr(self.metric)), *(f"{k}={v!r}" for k, v in options.items())]
        parts += [] if self.labels is None else [f"labels={shown(self.labels)}"]
        return f"{type(self).__name__}({', '.join(parts)})"


def _as_request(owner: str, requests: dict[str, Any]) -> MetadataRequest:
    request = MetadataRequest(owner=owner)
    for param, alias in requests.items():
        request.score.add_request(param=param, alias=alias)
    return request
