"""From what a user passes to the rows of a training, and what callbacks see of them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from sklkl._utils.checks import invalid_input
from sklkl._utils.probabilities import unit_rows
from sklkl.callbacks import BestWeights
from sklkl.data import NO_LABEL, Batch, Rows
from sklkl.data._batch import has_label


def weighted_rows(dataset: Any, X: Any, y: Any, sample_weight: Any) -> Rows:
    """Return rows with weights of mean 1, of data that a net with this class of data set would hold as ``Rows``.

    Raises
    ------
    ValueError
        If it would not, or if the weights are invalid.
    """
    if not (isinstance(X, Rows) or dataset is Rows):
        found = f"weights beside a {type(X).__name__}"
        raise invalid_input("sample_weight", found, "None unless the data are held as Rows", of="KLNet")
    rows = X if isinstance(X, Rows) else Rows(X, y)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (len(rows),) or not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        allowed = f"{len(rows)} finite numbers >= 0, one for each row and not all 0"
        raise invalid_input("sample_weight", f"an array of shape {weight.shape}", allowed, of="KLNet")
    return rows.with_columns(weight=torch.from_numpy(weight / weight.mean()).to(_floating(rows.dtype)))


def _floating(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32


def check_columns(part: Any) -> None:
    """Raise a ValueError if rows that a user made have weights or a teacher's probabilities that are none."""
    rows: Any = part.dataset if isinstance(part, Subset) else part
    columns = rows.columns if isinstance(rows, Rows) else {}
    weight, proba = (columns.get(name) for name in ("weight", "teacher_proba"))
    if weight is not None and not _are_weights(weight):
        allowed = f"{len(rows)} finite numbers >= 0, one for each row and not all 0"
        raise invalid_input("weight", f"a column of shape {tuple(weight.shape)}", allowed, of="Rows")
    if proba is not None and not _are_probabilities(proba):
        allowed = "a row of probabilities, which sum to 1, for each row of X, or zeros where there are none"
        raise invalid_input("teacher_proba", f"a column of shape {tuple(proba.shape)}", allowed, of="Rows")


def _are_weights(weight: Tensor) -> bool:
    return weight.ndim == 1 and bool((torch.isfinite(weight) & (weight >= 0)).all()) and bool(weight.any())


def _are_probabilities(proba: Tensor) -> bool:
    values = proba.double().numpy(force=True)
    return proba.ndim > 1 and not (unit_rows(values)[1] & values.any(-1)).any()


def own_rows(part: Any, device: Any) -> Any:
    """Return a part of ``Rows`` as rows of its own to train on, on the device; all else as it is."""
    if isinstance(part, Subset) and isinstance(part.dataset, Rows):
        part = trainable(part.dataset).part(torch.as_tensor(part.indices))
    return trainable(part).to(device) if isinstance(part, Rows) else part


def trainable(rows: Rows) -> Rows:
    """Return rows whose labels are class codes as torch's losses want them, and which a gradient can be taken of.

    Raises
    ------
    ValueError
        If the labels are no whole numbers.
    """
    y = rows.y
    if y is not None and y.dtype is not torch.int64:
        if y.dtype.is_complex or (y.dtype.is_floating_point and not bool((y == y.round()).all())):
            raise invalid_input("y", f"values of {y.dtype}", "class codes, whole numbers from 0", of="KLNet")
        rows, rows.y = copy.copy(rows), y.long()  # X may be a table in a file
    held = [part for part in _held(rows) if isinstance(part, Tensor)]
    if any(part.requires_grad for part in held):  # as a teacher's answers may, to which nothing is to be passed back
        rows = _detached(rows)
    if any(part.is_inference() for part in held):
        rows = rows.take(torch.arange(len(rows)))
    return rows


def _held(rows: Rows) -> tuple[Any, ...]:
    """Return what rows hold, if not block by block."""
    return rows.X if rows.is_whole else getattr(rows, "table", None), rows.y, *rows.columns.values()


def _detached(rows: Rows) -> Rows:
    """Return the same rows without the computation that made them."""
    found = copy.copy(rows)
    for name, value in vars(found).items():
        if isinstance(value, Tensor):
            setattr(found, name, value.detach())
    found.columns = {name: values.detach() for name, values in rows.columns.items()}
    return found


def rule_params(net: Any, train: Any, valid: Any) -> dict[str, Any]:
    """Return what the rule of the KL-adaptive rate is told of the data, see :class:`sklkl.optim.Lock`."""
    if valid is None or not any(isinstance(callback, BestWeights) for _, callback in net.callbacks_):
        return {}
    size = getattr(net, "iterator_train__batch_size", net.batch_size)
    if size is None:  # the data come in batches
        return {"keeps_best": True}
    return {"keeps_best": True, "batch_size": size if size > 0 else len(train)}


def with_labels_only(cb_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what a hook is told of a batch, for the rows that have a label."""
    batch, known = cb_kwargs["batch"], has_label(cb_kwargs["batch"][1])
    columns = {name: values[known] for name, values in batch.columns.items()}
    shown = Batch(batch[0][known], batch[1][known], **columns)
    return {**cb_kwargs, "batch": shown, "y_pred": cb_kwargs["y_pred"][known]}


def check_logits(logits: Any, y: Any, multilabel: bool) -> None:
    """Raise a ValueError if what a network has returned for labelled rows are no logits of these."""
    n_rows = len(y) if isinstance(y, Tensor) and y.ndim else "n_rows"
    if isinstance(logits, Tensor):
        known = logits.ndim == 2 and n_rows in (len(logits), "n_rows")
        if known and logits.is_floating_point():
            return
        found = f"{logits.dtype} of shape {tuple(logits.shape)}"
    else:
        found = type(logits).__name__
    shape = f"({n_rows}, {'n_labels' if multilabel else 'n_classes'})"
    raise invalid_input(
        "module", f"one that returns {found}", f"a network that returns logits of shape {shape}", "KLNet"
    )


def check_labels(y: Any, logits: Tensor) -> None:
    """Raise a ValueError if labels are no class codes of this network."""
    if not isinstance(y, Tensor) or logits.ndim != 2 or y.ndim != 1 or y.is_floating_point():
        return
    codes, n_classes = y[y != NO_LABEL], logits.shape[-1]
    if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < n_classes:
        allowed = f"class codes from 0 to {n_classes - 1}, as the module returns {n_classes} logits"
        found = f"codes from {int(codes.min())} to {int(codes.max())}"
        raise invalid_input("y", found, allowed, of="KLNet")
