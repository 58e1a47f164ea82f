"""Candidates that are trained several times, with other seeds, and scored by the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from sklkl._utils.checks import invalid
from sklkl.model_selection._candidates import Params, final_classifier

Result = dict[str, Any]


def with_seeds(estimator: Any, params: Sequence[Params], n_repeats: int, owner: str) -> list[Params]:
    """Return each candidate as often as it is to be trained: first as it is, then with seeds derived from its own."""
    return [repeat for one in params for repeat in (one, *_repeats(estimator, one, n_repeats - 1, owner))]


def _repeats(estimator: Any, params: Params, n_more: int, owner: str) -> list[Params]:
    if n_more == 0:
        return []
    classifier, name = final_classifier(clone(estimator).set_params(**clone(params, safe=False)))
    if classifier is None:
        raise invalid("n_repeats", n_more + 1, "1 for what is no KLClassifier and ends in none", owner)
    seed = classifier.random_state
    if seed is None:  # every clone draws its own
        return [params] * n_more
    if not isinstance(seed, int | np.integer):
        raise invalid("random_state", seed, "an integer or None where n_repeats > 1", of="KLClassifier")
    key = f"{name}__random_state" if name else "random_state"
    seeds = np.random.SeedSequence(int(seed)).generate_state(n_more) >> 1  # of 31 bits, as scikit-learn wants them
    return [{**params, key: int(one)} for one in seeds]


def means_of(results: Sequence[Result], n_repeats: int, n_splits: int) -> list[Result]:
    """Return one result for each candidate and split, of results in the order of candidates, repeats and splits."""
    return [
        _mean([results[start + repeat * n_splits + split] for repeat in range(n_repeats)])
        for start in range(0, len(results), n_repeats * n_splits)
        for split in range(n_splits)
    ]


def spread_of(results: Sequence[Result], n_repeats: int, n_splits: int) -> dict[str, np.ndarray]:
    """Return the standard deviation over repeats of each candidate's mean test scores, by column of ``cv_results_``."""
    scores = [_by_name(result["test_scores"]) for result in results]
    values = {name: np.array([one[name] for one in scores], dtype=float) for name in scores[0]}
    return {
        f"std_repeat_test_{name}": array.reshape(-1, n_repeats, n_splits).mean(axis=2).std(axis=1)
        for name, array in values.items()
    }


def _mean(repeats: Sequence[Result]) -> Result:
    merged = dict(repeats[0])
    for key in ("fit_time", "score_time"):
        merged[key] = sum(result[key] for result in repeats)
    for key in merged.keys() & {"test_scores", "train_scores"}:
        parts = [_by_name(result[key]) for result in repeats]
        means = {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
        merged[key] = means if isinstance(merged[key], Mapping) else means["score"]
    return merged


def _by_name(scores: Any) -> Mapping[str, float]:
    return scores if isinstance(scores, Mapping) else {"score": scores}
