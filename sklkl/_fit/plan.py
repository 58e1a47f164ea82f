"""What a search is about to fit: the first fit on some data trains all candidates for them, the others find theirs.

A plan is active in its process, in all threads; what belongs to it is known by its parameters and data alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from threading import Lock, get_ident
from typing import Any, Literal, NamedTuple

import joblib
from sklearn.base import clone

from sklkl._fit.parameters import FitData
from sklkl._fit.prediction import NetClassifier
from sklkl._fit.together import fit_together

active_plans: list[Plan] = []


# So many fits with rows that the first candidate has not seen end the plan of a group.
_MOST_STRANGE = 2


class Candidate(NamedTuple):
    """A classifier that a search will fit."""

    number: int
    estimator: NetClassifier
    group: str  # those of one group get the same data


# From unfitted classifiers and their data to fitted ones, or None where a fit failed.
Train = Callable[[list[NetClassifier], FitData], Sequence[NetClassifier | None]]


def planned(estimator: NetClassifier, data: FitData) -> bool:
    """Let an estimator take over what an active plan has trained for it; return whether there was such."""
    return any(plan.fit(estimator, data) for plan in active_plans[::-1])


def train_here(
    estimators: list[NetClassifier],
    data: FitData,
    largest: int | Literal["auto"] = "auto",
    halve_after: int | None = None,
) -> list[NetClassifier | None]:
    """Fit estimators to the same data; return None in place of one whose fit failed."""
    errors = fit_together(estimators, data, largest, halve_after)
    return [estimator if error is None else None for estimator, error in zip(estimators, errors, strict=True)]


class Plan:
    """Candidates of a search that are trained together.

    Parameters
    ----------
    candidates : sequence of Candidate
        Each is fitted once to the data of each fold.
    n_candidates : int
        Number of candidates, with those that are not planned.
    train : callable
        As `train_here`, which fits them in this process.

    Attributes
    ----------
    stacked : list of int
        With how many networks each candidate was trained, itself included; 1 as long as it was not.
    compared_until : int
        The largest ``max_epochs`` of candidates that were trained together, with validation parts to compare them by;
        0 if there are none.
    """

    def __init__(self, candidates: Sequence[Candidate], n_candidates: int, train: Train = train_here) -> None:
        self.train = train
        self.stacked, self.compared_until = [1] * n_candidates, 0
        self._groups = _by_group(candidates)
        # the same classifier may be a candidate of several groups, behind other steps of a pipeline
        self._numbers: defaultdict[str | None, list[int]] = defaultdict(list)
        for candidate in candidates:
            self._numbers[_name(candidate.estimator)].append(candidate.number)
        self._lock, self._training = Lock(), set[int]()
        self._folds: defaultdict[str, _Fold] = defaultdict(_Fold)
        self._first: dict[str, str] = {}
        self._n_strange: Counter[str] = Counter()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Return a context in which fits are asked for by `planned`; what nobody fetched is dropped at its end."""
        try:
            active_plans.append(self)
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        if self in active_plans:
            active_plans.remove(self)
        self._folds.clear()

    def fit(self, estimator: NetClassifier, data: FitData) -> bool:
        """Let an estimator take over what was trained for it, or is now; return whether there is such."""
        if get_ident() in self._training:  # this is one of the plan's own fits
            return False
        name = _name(estimator)
        group = next((group for group, members in self._groups.items() if name in members), None)
        rows = None if group is None else _hash_of([getattr(data, field.name) for field in fields(data)])
        if group is None or name is None or rows is None:
            return False
        with self._lock:
            if group + rows not in self._folds and not self._may_begin(group, name):
                return False
            fold = self._folds[group + rows]
        with fold.lock:
            if not fold.trained[name]:
                self._train(group, data, fold)
            fitted = fold.trained[name].pop()
        if fitted is not None:
            _take_over(estimator, fitted)
        return fitted is not None

    def _may_begin(self, group: str, name: str) -> bool:
        """Whether rows that are seen for the first time make a fold: of a group the first candidate sees all of them.

        Where others bring new ones, the steps before the classifier do not give the same rows twice, and nothing that
        is trained for a fold would be found again.
        """
        if self._first.setdefault(group, name) == name:
            return True
        self._n_strange[group] += 1
        if self._n_strange[group] > _MOST_STRANGE:
            self._groups.pop(group, None)
            for key in [key for key in self._folds if key.startswith(group)]:
                del self._folds[key]
        return False

    def _train(self, group: str, data: FitData, fold: _Fold) -> None:
        members = [(name, candidate) for name, same in self._groups[group].items() for candidate in same]
        estimators = [clone(candidate.estimator) for _, candidate in members]
        self._training.add(get_ident())
        try:
            fitted = self.train(estimators, data)
        except Exception:  # each then fails, or does not, by itself
            if self not in active_plans:  # the search was interrupted, and nobody waits
                raise
            fitted = [None] * len(members)
        finally:
            self._training.remove(get_ident())
        for (name, _), one in zip(members, fitted, strict=True):
            fold.trained[name].append(one)
            size = getattr(one, "stacked_", 1)  # what cannot be in a stack, as several members, does not say
            for number in self._numbers[name]:
                self.stacked[number] = max(size, self.stacked[number])  # of the folds where it could be
            if one is not None and size > 1 and "valid_loss" in one.history_[-1]:
                self.compared_until = max(self.compared_until, one.max_epochs)


class _Fold:
    """What was trained on one set of rows and not fetched yet, by the names of candidates."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.trained: defaultdict[str, list[NetClassifier | None]] = defaultdict(list)


def _by_group(candidates: Sequence[Candidate]) -> dict[str, dict[str, list[Candidate]]]:
    """Return the candidates of each group by name, without those that have no company."""
    groups: dict[str, dict[str, list[Candidate]]] = {}
    for candidate in candidates:
        name = _name(candidate.estimator)
        if name is not None:
            groups.setdefault(candidate.group, {}).setdefault(name, []).append(candidate)
    return {group: members for group, members in groups.items() if sum(map(len, members.values())) > 1}


def _name(estimator: NetClassifier) -> str | None:
    """Return what tells an estimator from others of other parameters; None if nothing does."""
    return _hash_of((type(estimator), estimator.get_params(deep=False)))


def _hash_of(value: Any) -> str | None:
    try:
        name: str = joblib.hash(value)
    except Exception:  # whatever an object raises that cannot be pickled
        return None
    return name


def _take_over(estimator: NetClassifier, fitted: NetClassifier) -> None:
    """Give an estimator what another one of the same parameters has learned, in one assignment."""
    learned = {name: value for name, value in vars(fitted).items() if name.endswith("_") and "__" not in name}
    estimator.__dict__ = {**vars(estimator), **learned}
