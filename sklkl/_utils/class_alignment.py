"""Labels among classes, and columns that are named by label in the order of the classes."""

from __future__ import annotations

import numpy as np

from sklkl._utils.checks import invalid_input
from sklkl._utils.columns import is_hashable

__all__ = ["align_columns", "class_codes", "class_positions", "shown"]


def class_positions(labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each label among the classes, -1 for a label that is none of them."""
    position = {label: code for code, label in enumerate(classes.tolist())}
    codes = [position.get(label, -1) if is_hashable(label) else -1 for label in labels.tolist()]
    return np.array(codes, dtype=np.intp)


def class_codes(name: str, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each label among the classes.

    Raises
    ------
    ValueError
        If a label is none of the classes; `name` is the parameter that holds the labels.
    """
    codes = class_positions(labels, classes)
    if (codes < 0).any():
        unknown = labels[codes < 0].tolist()[0]
        raise invalid_input(name, f"the label {unknown!r}", f"labels among the estimator's classes, {shown(classes)}")
    return codes


def align_columns(values: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return one column for each class: that of its label, zeros if there is none. Other labels are left out."""
    position = class_positions(labels, classes)
    known = position >= 0
    aligned = np.zeros((len(values), len(classes)), dtype=values.dtype)
    aligned[:, position[known]] = values[:, known]
    return aligned


def shown(labels: np.ndarray | list[object]) -> str:
    """Return the first few labels for a message."""
    values = np.asarray(labels).tolist() if not isinstance(labels, list) else labels
    return f"[{', '.join(map(repr, values[:8]))}{', ...' if len(values) > 8 else ''}]"
