"""From what a user passes to the rows and batches of a training."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import torch
from skorch.dataset import ValidSplit
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from sklkl._utils.checks import invalid_input
from sklkl.data import Batch, Batches, Rows, TrainingSet, has_label
from sklkl.net._penalty import fitted_penalty
from sklkl.net._steps import TrainStep
from sklkl.penalties import adapted


class NetData(TrainStep):
    """A net that holds its rows as whole tensors."""

    classes_: Any
    penalty_: Any
    train_split: Any
    generator_: torch.Generator
    kl_penalty: Any
    unlabeled_rows_: bool
    # what callbacks see as training data where some rows have no label
    _labelled_rows: Rows | None = None

    def partial_fit(
        self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None, **fit_params: Any
    ) -> Self:
        """Train further, see :meth:`skorch.NeuralNet.partial_fit`.

        Parameters
        ----------
        X, y, classes, **fit_params
            As in skorch.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0 of rows that are held as :class:`sklkl.data.Rows`.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted from the keyboard, after callbacks have ended it in good order.
        """
        if sample_weight is not None:
            X = self._weighted(X, y, sample_weight)
        try:
            return super().partial_fit(X, y, classes=classes, **fit_params)
        finally:
            self._labelled_rows = None

    def _weighted(self, X: Any, y: Any, sample_weight: Any) -> Rows:
        if not (isinstance(X, Rows) or self.dataset is Rows):
            found = f"weights beside a {type(X).__name__}"
            raise invalid_input("sample_weight", found, "None unless the data are held as Rows", of="KLNet")
        rows = X if isinstance(X, Rows) else Rows(X, y)
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != (len(rows),) or not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
            allowed = f"{len(rows)} finite numbers >= 0, one for each row and not all 0"
            raise invalid_input("sample_weight", f"an array of shape {weight.shape}", allowed, of="KLNet")
        return rows.with_columns(weight=torch.from_numpy(weight / weight.mean()).to(_floating(rows.dtype)))

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split the data, unless X is a ``TrainingSet``; parts of ``Rows`` become rows of their own, on the device."""
        parts = (X.train, X.valid) if isinstance(X, TrainingSet) else self._split(X, y, **fit_params)
        train, valid = map(self._own_rows, parts)
        self.unlabeled_rows_ = isinstance(train, Rows) and train.y is not None and not bool(train.has_label.all())
        self._labelled_rows = train.labelled() if self.unlabeled_rows_ else None
        if self.kl_strength or isinstance(train, Rows):
            n_classes = 2 if self.multilabel else len(self.classes_)
            self.penalty_ = fitted_penalty(self.kl_penalty, self.penalty_, train, n_classes)
        if self.kl_strength:
            adapted(self.penalty_).check_net(self)
        return train, valid

    def _split(self, X: Any, y: Any, **fit_params: Any) -> tuple[Any, Any]:
        given = self.train_split
        if self.multilabel and isinstance(given, ValidSplit) and given.stratified:
            # skorch's own choice, which is made for one label a row
            self.train_split = copy.copy(given)
            self.train_split.stratified = False
        try:
            train, valid = super().get_split_datasets(X, y, **fit_params)
        finally:
            self.train_split = given
        return train, valid

    def _own_rows(self, part: Any) -> Any:
        if isinstance(part, Subset) and isinstance(part.dataset, Rows):
            part = part.dataset.take(torch.as_tensor(part.indices))
        return trainable(part).to(self.device) if isinstance(part, Rows) else part

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Return an iterator over batches; shuffled ``Batches`` draw from this net's generator."""
        shuffle = vars(self).get("iterator_train__shuffle")
        if isinstance(dataset, IterableDataset):  # it has an order of its own
            self.__dict__.pop("iterator_train__shuffle", None)
        try:
            iterator = super().get_iterator(dataset, training=training)
        finally:
            if shuffle is not None:
                self.iterator_train__shuffle = shuffle
        if isinstance(iterator, Batches):
            iterator.generator = iterator.generator or self.generator_
        elif isinstance(dataset, Rows) and dataset.columns:
            raise ValueError(
                f"{type(iterator).__name__} would lose {sorted(dataset.columns)} of the rows; use Batches."
            )
        return iterator

    # What callbacks see

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a hook of the net and every callback; rows without a label are not shown to those that count them."""
        if self._labelled_rows is not None:
            if cb_kwargs.get("dataset_train") is not None:
                cb_kwargs["dataset_train"] = self._labelled_rows
            if method_name == "on_batch_end" and cb_kwargs["training"]:
                cb_kwargs = _with_labels_only(cb_kwargs)
                if not len(cb_kwargs["y_pred"]):
                    return
        super().notify(method_name, **cb_kwargs)


def _with_labels_only(cb_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what a hook is told of a batch, for the rows that have a label."""
    batch, known = cb_kwargs["batch"], has_label(cb_kwargs["batch"][1])
    columns = {name: values[known] for name, values in batch.columns.items()}
    shown = Batch(batch[0][known], batch[1][known], **columns)
    return {**cb_kwargs, "batch": shown, "y_pred": cb_kwargs["y_pred"][known]}


def _floating(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype.is_floating_point else torch.float32


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
        rows = Rows(rows.X, y.long(), **rows.columns)
    if any(isinstance(part, Tensor) and part.is_inference() for part in (rows.X, rows.y, *rows.columns.values())):
        rows = rows.take(torch.arange(len(rows)))
    return rows
