"""What a search's scores are of: their name, their unit, and whether less is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklkl._utils.checks import invalid
from sklkl.metrics import DivergenceScorer

__all__ = ["fold_scores", "metric_label", "metrics_of", "scorer_name"]

# Words that say that a metric is measured in nats; the shares of a divergence that are explained have no unit.
_IN_NATS = {"kl", "js", "log"}
_NO_UNIT = {"d2"}


def scorer_name(scoring: Any) -> str:
    """Return the name of the scores of a search with a single scorer, ``"neg_..."`` where they are negated losses."""
    if isinstance(scoring, DivergenceScorer):
        return f"{'' if scoring.greater_is_better else 'neg_'}{scoring.metric.__name__}"
    return scoring if isinstance(scoring, str) else "score"


def metric_label(name: str) -> str:
    """Return what an axis of these scores is called, with the unit.

    Examples
    --------
    >>> metric_label("neg_log_loss"), metric_label("accuracy")
    ('log-loss, nats', 'accuracy')
    """
    words = name.removeprefix("neg_").split("_")
    text = " ".join(words).replace("log loss", "log-loss")
    return f"{text}, nats" if _IN_NATS & set(words) and not _NO_UNIT & set(words) else text


def metrics_of(cv_results: Mapping[str, Any]) -> list[str]:
    """Return the names of the scores in ``cv_results_``, in the order in which they were asked for."""
    start = "mean_test_"
    return [name.removeprefix(start) for name in cv_results if name.startswith(start)]


def fold_scores(cv_results: Mapping[str, Any], metric: str, of: str) -> np.ndarray:
    """Return the test scores of shape (n_candidates, n_folds).

    Raises
    ------
    ValueError
        If there are none of that name.
    """
    known = metrics_of(cv_results)
    if metric not in known:
        raise invalid("metrics", metric, f"among the scores of the search, which are {known}", of)
    folds = [name for name in cv_results if name.startswith("split") and name.endswith(f"_test_{metric}")]
    # "split0_test_log" does not end as "split0_test_neg_log" does: what is between is a number
    folds = [name for name in folds if name.removeprefix("split").removesuffix(f"_test_{metric}").isdigit()]
    return np.column_stack([np.asarray(cv_results[name], dtype=float) for name in folds])
