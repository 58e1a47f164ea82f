"""The first pass over blocks, which reads no inputs: labels, weights, and how many rows there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sklkl._fit.inputs import label_array, target_of
from sklkl._fit.parameters import InputParams
from sklkl._fit.weights import class_weights
from sklkl._utils.arrays import to_numpy
from sklkl._utils.checks import invalid_input
from sklkl.data import RowBlocks
from sklkl.data._row_blocks import told_of

_LARGEST, _SMALLEST = 2.0**30, 2.0**-30


@dataclass
class Survey:
    """What is known of the rows of all blocks.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels.
    n_rows : dict of int to int
        How many rows of positive weight each block has.
    n_blocks : int
        How many blocks there are, those without such rows too.
    multilabel : bool
        Whether y is an indicator.
    weighted : bool
        Whether rows have weights.
    by_class : ndarray of shape (n_classes,) or None
        Weights of the classes; None where all count the same.
    """

    classes: np.ndarray
    n_rows: dict[int, int]
    n_blocks: int
    multilabel: bool
    weighted: bool
    by_class: np.ndarray | None = None

    @property
    def total(self) -> int:
        """How many rows there are."""
        return sum(self.n_rows.values())


def surveyed(source: RowBlocks, params: InputParams, previous: Any) -> Survey:
    """Read all labels and weights.

    Parameters
    ----------
    source : RowBlocks
        What was given to ``fit``.
    params : InputParams
        Parameters.
    previous : Previous or None
        A net whose training is to be resumed.

    Raises
    ------
    TypeError, ValueError
        If the labels or weights of a block are invalid, or there are no rows.
    """
    known = None if source.classes is None else np.unique(label_array(source.classes))
    if known is not None and not len(known):
        raise invalid_input("classes", "none", "labels, or None", of="RowBlocks")
    labels = _Labels(known, None if previous is None else previous.net.multilabel)
    for number, block in source.blocks(labels_only=True):
        with told_of(number):
            if block.y is None:
                raise invalid_input("y", "None", "labels in each block that is trained on", of="RowBlocks")
            labels.add(number, label_array(block.y), block.sample_weight)
    if not labels.n_rows:
        raise ValueError("The 'X' parameter must be RowBlocks with rows of positive weight. Got none instead.")
    survey = Survey(labels.classes(), labels.n_rows, labels.n_blocks, bool(labels.multilabel), labels.weighted)
    return replace(survey, by_class=_by_class(params, survey, labels.masses))


class _Labels:
    """What is found in the labels and weights of one block after the other.

    Parameters
    ----------
    known : ndarray or None
        All labels, where they were given.
    multilabel : bool or None
        Whether y must be an indicator; None for either.
    """

    def __init__(self, known: np.ndarray | None, multilabel: bool | None) -> None:
        self.known, self.multilabel, self.weighted = known, multilabel, False
        self.n_rows: dict[int, int] = {}
        self.n_blocks = 0
        self.masses: dict[Any, float] = {}
        self._found: list[np.ndarray] = []

    def add(self, number: int, y: Any, given: Any) -> None:
        """Look at a block; one without rows of positive weight is left out."""
        self.n_blocks += 1
        weight = block_weights(given, len(y))
        if len(y) == 0 or (weight is not None and not weight.any()):
            return
        y, classes = target_of(y, self.known, self.multilabel, "that of the blocks before")
        self.multilabel, self.weighted = y.ndim == 2, self.weighted or weight is not None
        self.n_rows[number] = len(y) if weight is None else int((weight > 0).sum())
        if not self.multilabel:
            self._count(y, weight)
        self._found = [self._joined([*self._found, classes])]

    def _count(self, y: np.ndarray, weight: np.ndarray | None) -> None:
        labels, places = np.unique(y, return_inverse=True)
        for label, mass in zip(labels.tolist(), np.bincount(places, weight).tolist(), strict=True):
            self.masses[label] = self.masses.get(label, 0.0) + mass

    def _joined(self, found: list[np.ndarray]) -> np.ndarray:
        if self.multilabel and len({len(labels) for labels in found}) > 1:
            raise invalid_input("y", f"{len(found[-1])} labels", f"an indicator of {len(found[0])}, as in other blocks")
        if len({labels.dtype.kind in "OUS" for labels in found}) > 1:
            allowed = "labels that are uniformly strings or numbers, in all blocks"
            raise invalid_input("y", "both", allowed)
        return np.unique(np.concatenate(found))

    def classes(self) -> np.ndarray:
        """Return the sorted labels."""
        return self._found[0] if self.known is None else self.known


def _by_class(params: InputParams, survey: Survey, masses: dict[Any, float]) -> np.ndarray | None:
    if params.class_weight is None:
        return None
    if survey.multilabel:
        raise ValueError("The 'class_weight' parameter must be None for multilabel targets; use 'sample_weight'.")
    mass = np.array([masses.get(label, 0.0) for label in survey.classes.tolist()])
    return class_weights(params.class_weight, mass / mass.max(), np.arange(len(mass)), survey.classes)


def block_weights(given: Any, n_rows: int) -> np.ndarray | None:
    """Return the weights of the rows of a block.

    Raises
    ------
    ValueError
        If they are not as many finite numbers, each 0 or such as can be added to those of other blocks.
    """
    if given is None:
        return None
    try:
        weight = np.asarray(to_numpy("sample_weight", given), dtype=np.float64)
        # every comparison with NaN is false
        valid = (weight == 0) | ((weight >= _SMALLEST) & (weight <= _LARGEST))
    except (TypeError, ValueError):
        weight, valid = np.empty(0), np.array(False)
    if weight.shape != (n_rows,) or not valid.all():
        raise ValueError(
            f"The 'sample_weight' parameter must be {n_rows} numbers, one for each row of the block, that are 0 or "
            f"from 2**-30 to 2**30."
        )
    return weight
