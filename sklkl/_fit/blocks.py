"""From a source of blocks to a training set whose rows are read again in each epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator

from sklkl._fit.attempt import Previous, Task
from sklkl._fit.block_aside import RowsAside
from sklkl._fit.block_survey import Survey, block_weights, surveyed
from sklkl._fit.inputs import Inputs, class_codes, read_inputs
from sklkl._fit.parameters import FitData, FitParams, InputParams
from sklkl._fit.training_set import Training, checked_monitor, number_of, stops_early, validation_split
from sklkl._fit.validation_rows import validation_rows
from sklkl._utils.checks import invalid_input
from sklkl._utils.seeding import local_random_state
from sklkl.data import RowBlocks, Rows, StreamedRows, TrainingSet
from sklkl.data._joined import joined
from sklkl.data._row_blocks import told_of
from sklkl.modules._input_scaling import MOST_ROWS, drawn_rows

# Of which the parameters of ``fit`` must be None.
_IN_BLOCKS = {"y": "y is", "sample_weight": "weights are"}

# So many elements (4 MiB of float32) a validation part may have, or as many as the largest block.
_VALIDATED = 2**20


def task_of_blocks(
    estimator: BaseEstimator, params: FitParams, data: FitData, previous: Previous | None, gives_valid: bool
) -> Task:
    """Return what is to be learned from blocks: of a validation part no more is in memory than of a block.

    Raises
    ------
    TypeError, ValueError
        If a parameter needs all rows at once, or a block is invalid.
    """
    _check(params, data)
    random_state = local_random_state(params.random_state)
    survey = surveyed(data.X, params.inputs, previous)
    if previous is not None:
        previous.check(survey.classes)
    monitor = checked_monitor(params, gives_valid)
    reader = BlockReader(estimator, params.inputs, data.X, survey, reset=previous is None)
    n_classes = 1 if survey.multilabel else len(survey.classes)
    aside = not gives_valid and stops_early(params, survey.total, n_classes, distilled=False)
    share = _share(params, survey, reader) if aside else 0.0
    train, valid = _learned(reader, share, random_state)
    if gives_valid:
        valid = _given_rows(estimator, params, data, train, survey)
    if valid is None and monitor is not None:
        raise ValueError(f"The callback {monitor}, but no row can be set aside. Pass 'X_val' and 'y_val' to fit.")
    device = params.inputs.device
    data_set = TrainingSet(train.to(device), None if valid is None else valid.to(device))
    training = Training(data_set, number_of(params.teacher), params.net.max_epochs)
    return Task(survey.classes, data_set.train, None, training, random_state)


def _check(params: FitParams, data: FitData) -> None:
    """Raise a ValueError for what cannot be done with blocks, before anything is read."""
    for name, words in _IN_BLOCKS.items():
        if getattr(data, name) is not None:
            raise invalid_input(name, "an array", f"None where X is RowBlocks, as {words} in its blocks", of="fit")
    teacher, alone = params.teacher, "where X is RowBlocks, as it needs all rows at once"
    refused = {
        "teacher": (teacher.teacher, None),
        "teacher_cv": (teacher.teacher_cv, None),
        "teacher_proba": (data.teacher_proba, None),
        "X_unlabeled": (data.X_unlabeled, None),
        "checkpoint": (params.checkpoint.checkpoint, None),
        "n_members": (params.net.n_members, 1),
        "n_generations": (teacher.n_generations, 1),
    }
    for name, (value, allowed) in refused.items():
        if value is not allowed and not (isinstance(allowed, int) and value == allowed):
            found = type(value).__name__ if allowed is None else str(value)
            raise invalid_input(name, found, f"{allowed} {alone}", of="KLClassifier")


class BlockReader:
    """Reads blocks as validated rows, those of validation parts left out.

    Parameters
    ----------
    estimator : estimator
        Learns the columns from the first block if ``reset`` is true; those of all others are checked.
    params : InputParams
        Parameters.
    source : RowBlocks
        Where they are.
    survey : Survey
        What is known of them.
    reset : bool
        Whether the columns are not known yet.
    """

    def __init__(
        self, estimator: BaseEstimator, params: InputParams, source: RowBlocks, survey: Survey, reset: bool
    ) -> None:
        self.estimator, self.params, self.source, self.survey, self.reset = estimator, params, source, survey, reset
        # the numbers of the rows of each block that are set aside: few, unlike those of the others
        self.aside: dict[int, np.ndarray] = {}

    def train(self, order: Sequence[int] | None) -> Iterator[Rows]:
        """Yield the training rows of the blocks, in an order of places among those that have rows."""
        numbers = list(self.survey.n_rows)
        for number, rows in self.rows(None if order is None else [numbers[place] for place in order]):
            yield self.without_aside(number, rows)

    def without_aside(self, number: int, rows: Rows) -> Rows:
        """Return the rows of a block that are trained on."""
        if number not in self.aside:
            return rows
        kept = np.ones(len(rows), dtype=bool)
        kept[self.aside[number]] = False
        return rows.part(torch.from_numpy(np.flatnonzero(kept)))

    def rows(self, order: Sequence[int] | None) -> Iterator[tuple[int, Rows]]:
        """Yield the numbers of blocks, and their rows of positive weight."""
        chosen, n_blocks = list(self.survey.n_rows) if order is None else order, 0
        for number, block in self.source.blocks(chosen):
            n_blocks += 1
            with told_of(number):
                rows = self._rows(block) if number in self.survey.n_rows else None
                if (0 if rows is None else len(rows)) != self.survey.n_rows.get(number, 0):
                    raise ValueError("The blocks must have the same rows in each pass over them.")
            if rows is not None:
                yield number, rows
        if self.source.n_blocks is None and n_blocks != self.survey.n_blocks:
            raise ValueError(
                f"The blocks must be the same in each pass over them: {self.survey.n_blocks}. Got {n_blocks} instead. "
                "A function that returns all must make them anew in each call."
            )

    def _rows(self, block: Any) -> Rows:
        if hasattr(block.X, "tocsr"):
            raise invalid_input("X", "a sparse matrix", "dense in each block of RowBlocks")
        classes, kind = self.survey.classes, self.survey.multilabel
        X, y, *_ = read_inputs(
            self.estimator, self.params, block.X, block.y, classes=classes, reset=self.reset, multilabel=kind
        )
        self.reset = False
        codes = y if kind else class_codes(y, classes)
        weight = self._weights(block_weights(block.sample_weight, len(codes)), codes)
        rows = Rows(X, codes, weight=weight)
        if weight is None or weight.all():
            return rows
        return rows.part(torch.from_numpy(np.flatnonzero(weight)))

    def _weights(self, weight: np.ndarray | None, codes: np.ndarray) -> np.ndarray | None:
        by_class = self.survey.by_class
        if not self.survey.weighted and by_class is None:
            return None
        weight = np.ones(len(codes)) if weight is None else weight
        product = weight if by_class is None else weight * by_class[codes]
        return product.astype(self.params.numpy_dtype)


def _share(params: FitParams, survey: Survey, reader: BlockReader) -> float:
    """Return the share of the rows to set aside: no more rows than a block has, or than take little memory."""
    _, rows = next(iter(reader.rows(None)))
    most = max(_VALIDATED // max(1, math.prod(rows.shape[1:])), *survey.n_rows.values())
    return min(params.split.validation_fraction, most / survey.total)


def _learned(
    reader: BlockReader, share: float, random_state: np.random.RandomState
) -> tuple[StreamedRows, Rows | None]:
    """Read all blocks: set a validation part aside, draw rows to learn scales from, and count labels."""
    survey = reader.survey
    aside_of = _chooser(share, survey, random_state)
    valid: list[Rows] = []
    shown: list[Rows] = []
    counts, n_train = _Counts(len(survey.classes), survey.multilabel), 0
    for number, rows in reader.rows(None):
        aside = aside_of(number, rows.codes.numpy())
        if len(aside):
            reader.aside[number] = aside
            valid.append(rows.take(torch.from_numpy(aside)))
            rows = reader.without_aside(number, rows)
        if len(rows):
            shown.append(rows.take(torch.from_numpy(_drawn(rows, number, survey))))
        counts.add(rows)
        n_train += len(rows)
    some = joined(shown)
    n_blocks = None if reader.source.n_blocks is None else len(survey.n_rows)
    train = StreamedRows(reader.train, n_train, n_blocks, some, counts.rows(some))
    return train, joined(valid) if valid else None


def _chooser(
    share: float, survey: Survey, random_state: np.random.RandomState
) -> Callable[[int, np.ndarray], np.ndarray]:
    """Return what chooses, by a block's number and its class codes, the rows that are set aside.

    Of one block they are those of rows in memory.
    """
    if not share:
        return lambda number, codes: np.empty(0, dtype=np.intp)
    if len(survey.n_rows) == 1:
        return lambda number, codes: validation_split(codes, share, random_state)[1]
    seed = random_state.randint(2**31 - 1)
    aside = RowsAside(share, 1 if survey.multilabel else len(survey.classes), np.random.RandomState(seed))
    return lambda number, codes: aside.choose(codes, np.random.RandomState([seed, number]))


def _drawn(rows: Rows, number: int, survey: Survey) -> np.ndarray:
    """Return numbers of rows to look at: of one block as many as of a table in memory, of several their share."""
    if len(survey.n_rows) == 1:
        return drawn_rows(len(rows))
    wanted = max(1, round(MOST_ROWS * len(rows) / survey.total))
    return np.random.RandomState(number).choice(len(rows), min(wanted, len(rows)), replace=False)


class _Counts:
    """The total weight of the rows of each class; of each label, and of all rows, for a multilabel indicator."""

    def __init__(self, n_classes: int, multilabel: bool) -> None:
        self.of_class, self.total, self.multilabel = np.zeros(n_classes), 0.0, multilabel

    def add(self, rows: Rows) -> None:
        codes, n_classes = rows.codes.numpy(), len(self.of_class)
        weight = np.ones(len(codes)) if rows.weight is None else rows.weight.double().numpy()
        self.of_class += weight @ codes if self.multilabel else np.bincount(codes, weight, n_classes)
        self.total += float(weight.sum())

    def rows(self, like: Rows) -> Rows:
        """Return few rows with these counts: one of each class, or indicators of ever fewer of the labels."""
        n_classes = len(self.of_class)
        if self.multilabel:
            order = np.argsort(self.of_class)
            steps = np.diff(self.of_class[order], prepend=0.0, append=self.total)
            codes = np.array([np.isin(np.arange(n_classes), order[first:]) for first in range(n_classes + 1)])
            y, weight = codes.astype(np.int64), np.maximum(steps, 0.0)
        else:
            y, weight = np.arange(n_classes), self.of_class
        there = weight > 0
        X = torch.zeros((int(there.sum()), *like.shape[1:]), dtype=like.dtype)
        return Rows(X, y[there], weight=weight[there])


def _given_rows(
    estimator: BaseEstimator, params: FitParams, data: FitData, train: StreamedRows, survey: Survey
) -> Rows:
    """Return the validation part that was given; class weights are those of the blocks."""
    by_class = None if survey.by_class is None else dict(zip(survey.classes.tolist(), survey.by_class, strict=True))
    own = replace(params, inputs=replace(params.inputs, class_weight=by_class))
    inputs = Inputs(train.shown.X.numpy(), train.codes.numpy(), survey.classes)
    return validation_rows(estimator, own, data, inputs, survey.classes)
