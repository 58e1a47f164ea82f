"""The classifiers among the candidates of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import joblib
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklkl._fit.plan import Candidate
from sklkl.classifier import KLClassifier

Params = Mapping[str, Any]


def final_classifier(estimator: Any) -> tuple[KLClassifier | None, str]:
    """Return the classifier that an estimator is or ends in, None if it is another, and its name as a parameter."""
    path = []
    while isinstance(estimator, Pipeline) and estimator.steps:
        name, estimator = estimator.steps[-1]
        path.append(name)
    # what has a fit of its own is not trained by ours
    is_ours = isinstance(estimator, KLClassifier) and type(estimator).fit is KLClassifier.fit
    return estimator if is_ours else None, "__".join(path)


def candidates_of(estimator: Any, params: Sequence[Params]) -> list[Candidate]:
    """Return the classifiers that a search fits, grouped by the rows that reach them."""
    found = (_candidate(number, estimator, one) for number, one in enumerate(params))
    return [candidate for candidate in found if candidate is not None]


def _candidate(number: int, estimator: Any, params: Params) -> Candidate | None:
    try:
        classifier, name = final_classifier(clone(estimator).set_params(**clone(params, safe=False)))
        # parameters of the steps before decide which rows reach the last one
        start = f"{name}__" if name else ""
        group = joblib.hash({key: value for key, value in params.items() if key != name and not key.startswith(start)})
    except Exception:  # what is wrong with it the search's own fit will say
        return None
    return None if classifier is None else Candidate(number, classifier, group)
