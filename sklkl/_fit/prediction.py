"""From validated inputs to outputs of a fitted net, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from sklkl._fit.block_scores import ScoresBlocks, of_blocks
from sklkl._fit.inputs import validated
from sklkl._fit.parameters import PassedOnParams
from sklkl._fit.stored import attributes_from, estimator_state
from sklkl._fit.teaching import limit_tags
from sklkl._utils.arrays import as_array
from sklkl._utils.plain_state import PlainState
from sklkl._utils.progress import CallbackSupportMixin
from sklkl._utils.sklearn_private import available_if
from sklkl._utils.torch_state import OwnTorchState
from sklkl._utils.types import MatrixLike
from sklkl.data import RowBlocks
from sklkl.data._batch import is_sparse
from sklkl.divergences import kl_divergence
from sklkl.modules import MLP, is_built_in, log_softmax, takes_wide
from sklkl.net import KLEnsemble, KLNet, TrainingHistory

# Elements of input that one batch may hold: large enough to be fast, small enough for the cache.
_BATCH_ELEMENTS = 2**18
# Up to this many rows the built-in network is faster in numpy.
_FEW_ROWS = 64
_NOT_FINITE = "The network's logits are not finite: values of X may be too large for it."


def per_row(net: KLNet, X: Any, function: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Return ``function(logits)`` of every row; memory is bounded by the batch, not by X.

    Parameters
    ----------
    net : KLNet
        A fitted net.
    X : ndarray or CSR matrix of shape (n_rows, ...)
        Validated inputs, of any numeric type.
    function : callable
        From logits of shape (n_rows, n_classes) to a tensor with one entry a row.

    Raises
    ------
    ValueError
        If a value of X is too large for the type in which the net computes, or the logits are not finite.
    """
    net.set_mode(training=False)
    if X.shape[0] <= _FEW_ROWS and _is_own_on_cpu(net) and not takes_wide(net.module_, X):
        part, forward_numpy = X.toarray() if is_sparse(X) else X, cast(MLP, net.module_).forward_numpy
        with np.errstate(over="ignore", invalid="ignore"):  # torch does not warn either, and the result is checked
            logits = forward_numpy(part.astype(np.float64 if _is_wide(X) else _own_dtype(net)))
        if not np.isfinite(logits).all():
            raise ValueError(_NOT_FINITE)
        return function(torch.from_numpy(logits)).numpy()
    with OwnTorchState(), torch.inference_mode():
        return _gathered((function(_checked(logits)) for logits in _logits(net, X)), X.shape[0])


def _gathered(parts: Iterator[Tensor], n_rows: int) -> np.ndarray:
    """Return the values of all rows in one array that is made beforehand: many small ones would fragment the memory."""
    start, first = 0, next(parts).cpu().numpy()
    values = np.empty((n_rows, *first.shape[1:]), dtype=first.dtype)
    for part in chain([first], (part.cpu().numpy() for part in parts)):
        values[start : start + len(part)] = part
        start += len(part)
    return values


def _logits(net: KLNet, X: Any) -> Iterator[Tensor]:
    """Yield the logits of one batch after the other, all computed in the same floating type.

    On the CPU that is float64 unless X is of a lower precision: in float32 the last digits of a prediction would
    depend on how many rows are predicted at once. A network from elsewhere may be unable to compute in float64; it
    then shows on the first batch, and the network's own type serves for all of them.
    """
    if takes_wide(net.module_, X):
        yield from map(net.module_.forward_sparse, _sparse_inputs(net, X))
        return
    if _is_wide(X) and _is_own_on_cpu(net):
        yield from map(net.module_, _inputs(net, X, np.dtype(np.float64)))
        return
    if _is_wide(X) and _may_widen(net):
        inputs = _inputs(net, X, np.dtype(np.float64))
        try:
            module = _widened(net.module_)
            first = module(next(inputs))
        except Exception:  # whatever a network makes of a type it was not written for
            pass
        else:
            yield first
            yield from map(module, inputs)
            return
    yield from map(net.module_, _inputs(net, X, _own_dtype(net)))


def _may_widen(net: KLNet) -> bool:
    # what is compiled or scripted is bound to its types: float64 would compile it anew, or fail
    fixed = (hasattr(m, "_orig_mod") or isinstance(m, torch.jit.ScriptModule) for m in net.module_.modules())
    return torch.device(net.device).type == "cpu" and _own_dtype(net) != np.float64 and not any(fixed)


def _widened(module: nn.Module) -> nn.Module:
    """Return a network in float64 that shares all but floating parameters and buffers with another, hooks included.

    ``torch.func.functional_call`` would put the new values into the module itself for the time of the call, in the
    sight of other threads. Here each submodule is a new object around the same attributes, and the module is only read.
    """
    made: dict[int, Any] = {}  # what is shared within the module is shared within the new one

    def double(values: Tensor) -> Tensor:
        return values.detach().double() if values.is_floating_point() else values

    def parameter(old: nn.Parameter) -> nn.Parameter:
        if id(old) not in made:
            made[id(old)] = nn.Parameter(double(old), requires_grad=False)
        return made[id(old)]

    def shell(old: nn.Module) -> nn.Module:
        if id(old) not in made:
            new = made[id(old)] = object.__new__(type(old))
            vars(new).update(
                vars(old),
                _parameters={name: p if p is None else parameter(p) for name, p in old._parameters.items()},
                _buffers={name: b if b is None else double(b) for name, b in old._buffers.items()},
                _modules={name: m if m is None else shell(m) for name, m in old._modules.items()},
            )
        return made[id(old)]

    return shell(module)


def _checked(logits: Tensor) -> Tensor:
    # false for NaN too; -inf gives a class probability zero
    if not (logits < math.inf).all():
        raise ValueError(_NOT_FINITE)
    return logits


def _inputs(net: KLNet, X: Any, dtype: np.dtype) -> Iterator[Tensor]:
    n_rows = _most_rows(net, math.prod(X.shape[1:]))
    for start in range(0, X.shape[0], n_rows):
        part = X[start : start + n_rows]
        part = part.toarray() if is_sparse(part) else part
        # a network from elsewhere might write to its input
        yield _tensor(part, dtype, copy=not _is_own_on_cpu(net)).to(net.device)


def _most_rows(net: KLNet, width: int) -> int:
    """Return how many rows to predict at once: inputs, views and, by four, layers then take little memory."""
    shapes = [p.shape for p in net.module_.parameters()] if is_built_in(net.module_) else [(1, 1)]
    return max(1, _BATCH_ELEMENTS // max(width, shapes[0][1], max(shape[0] for shape in shapes) // 4, 1))


def _sparse_inputs(net: KLNet, X: Any) -> Iterator[Any]:
    """Yield so many rows at a time that neither their entries nor what the layers make of them takes much memory."""
    dtype = np.dtype(np.float64) if _is_wide(X) and _is_own_on_cpu(net) else _own_dtype(net)
    n_rows = max(1, _BATCH_ELEMENTS // max(*map(len, net.module_.parameters()), X.nnz // X.shape[0]))
    for start in range(0, X.shape[0], n_rows):
        part = X[start : start + n_rows]
        values = _tensor(part.data, dtype, copy=False).numpy()
        yield type(part)((values, part.indices, part.indptr), shape=part.shape)


def _tensor(part: np.ndarray, dtype: np.dtype, copy: bool) -> Tensor:
    """Return rows as a tensor of a floating type; memory that torch cannot use (read-only, byte-swapped) is copied."""
    # numpy takes one row or column for contiguous, whatever the strides
    copy = copy or min(part.strides, default=0) < 0
    convert = partial(np.array, order="C") if copy else partial(np.require, requirements=["C", "W"])
    if part.dtype.itemsize <= dtype.itemsize:
        return torch.from_numpy(convert(part, dtype))
    with np.errstate(over="ignore"):
        x = torch.from_numpy(convert(part, dtype))
    if not torch.isfinite(x).all():
        raise ValueError(f"Input X contains infinity or a value too large for {dtype!r}.")
    return x


def _is_finite(X: np.ndarray) -> bool:
    """Whether all numbers of a table are finite, found for a part of them at a time."""
    n_rows = max(1, _BATCH_ELEMENTS // max(1, X.shape[1]))
    return all(bool(np.isfinite(X[start : start + n_rows]).all()) for start in range(0, len(X), n_rows))


def _is_own_on_cpu(net: KLNet) -> bool:
    return is_built_in(net.module_) and torch.device(net.device).type == "cpu"


def _is_wide(X: Any) -> bool:
    """Whether float32 would lose digits of X."""
    return X.dtype.itemsize >= 8


def _own_dtype(net: KLNet) -> np.dtype:
    """Return the floating type of the network."""
    parameter = next((p for p in net.module_.parameters() if p.is_floating_point()), torch.empty(0))
    return np.dtype(str(parameter.dtype).removeprefix("torch."))


def _has_members(estimator: Any) -> bool:
    """Return that an estimator is, or will be, of several networks, or raise an AttributeError."""
    has_learned = hasattr(estimator, "net_")  # the parameter may have been set since
    if isinstance(estimator.net_, KLEnsemble) if has_learned else estimator.n_members > 1:
        return True
    found = "a classifier fitted with n_members=1" if has_learned else "n_members=1"
    raise AttributeError(f"predict_uncertainty needs several networks, which differ. Got {found}.")


class NetClassifier(PlainState, PassedOnParams, CallbackSupportMixin, ScoresBlocks, BaseEstimator):
    """A classifier with a fitted ``net_``: what it predicts, and what it shows of its training."""

    _passed_on_prefixes = ("module", "optimizer")

    module: Any
    teacher: Any
    classes_: np.ndarray
    n_features_in_: int
    net_: KLNet
    distill_weight_: float
    lr_: float
    interrupted_: bool

    def _take_over(self, net: KLNet, classes: np.ndarray, distill_weight: float, interrupted: bool) -> None:
        self.net_, self.classes_, self.lr_ = net, classes, net.lr_
        self.distill_weight_, self.interrupted_ = distill_weight, interrupted

    def _fitted_net(self) -> KLNet:
        if not hasattr(self, "net_"):  # the full check is slow beside one row's prediction
            check_is_fitted(self)
        return self.net_

    def _per_row(self, X: Any, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        if isinstance(X, RowBlocks):
            return of_blocks(X, lambda part: per_row(self.net_, self._validated(part), function))
        return per_row(self.net_, self._validated(X), function)

    def _validated(self, X: Any) -> Any:
        module_dtype = None if is_built_in(self.net_.module_) else _own_dtype(self.net_)
        if module_dtype is None and self._is_valid_table(X):
            return X
        X = as_array("X", X) if isinstance(X, (list, tuple)) else X
        # texts of numbers, which fit takes too
        dtype = np.float64 if getattr(getattr(X, "dtype", None), "kind", None) in ("S", "U") else "numeric"
        return validated(self, X, module_dtype=module_dtype, dtype=dtype, reset=False)

    def _is_valid_table(self, X: Any) -> bool:
        """Whether scikit-learn's checks would find nothing, which take longer than to predict a row."""
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float64, np.float32)
            and X.ndim == 2
            and X.shape[0] > 0
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")
            and _is_finite(X)
        )

    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
            Rows that sum to 1, columns in the order of ``classes_``; for multilabel targets the probability of each
            label.

        Notes
        -----
        Of X of 64-bit numbers on a CPU a row gets the same to 1e-7 alone and among many: it is predicted in float64.
        That cannot be had for X of float32 or shorter, on other devices, and for a ``module`` that is compiled or can
        compute in its own type only.
        """
        return self._per_row(X, self._fitted_net().proba)

    def predict_log_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the logarithm of :meth:`predict_proba` in nats, finite where a probability rounds to zero.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
            Log-probabilities.
        """
        if self._fitted_net().multilabel:
            return self._per_row(X, lambda logits: logsigmoid(logits.double()))
        return self._per_row(X, lambda logits: log_softmax(logits.double()))

    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the most probable label of each row.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_labels)
            Labels in their original type, or an indicator of the labels more probable than not.
        """
        if self._fitted_net().multilabel:
            return self._per_row(X, lambda logits: (logits > 0).long())
        return self.classes_[self._per_row(X, lambda logits: logits.argmax(-1))]

    @available_if(_has_members)
    def predict_uncertainty(self, X: MatrixLike) -> np.ndarray:
        """Return how far the members of an ensemble differ: the mean of KL(member‖mean of members), in nats.

        That is the mutual information between a row's label and the member that predicts it: what the members, and so
        the training rows, leave open about the row. What they agree is open, such as a coin's fall, does not count.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            Numbers from 0 to log ``n_members``; for multilabel targets the sum over labels.

        References
        ----------
        Lakshminarayanan, Pritzel and Blundell (2017), Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, arXiv:1612.01474; the mutual information is that of Houlsby et al. (2011), Bayesian Active Learning
        for Classification and Preference Learning, arXiv:1112.5745.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklkl import KLClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = KLClassifier((16,), n_members=4, max_epochs=20, random_state=0)
        >>> near, far = map(clf.fit(X, y).predict_uncertainty, (X, X[:, ::-1]))
        >>> bool(near.mean() < far.mean())
        True
        """
        net = self._fitted_net()
        nets = net.learned() if isinstance(net, KLEnsemble) else [net]
        X = self._validated(X)
        proba = np.stack([per_row(member, X, member.proba) for member in nets])
        if net.multilabel:
            proba = np.stack([1 - proba, proba], axis=-1)
        differences = kl_divergence(proba, proba.mean(axis=0), axis=-1).mean(axis=0)
        return differences.reshape(len(differences), -1).sum(axis=1)

    def _plain_state(self, state: dict[str, Any]) -> dict[str, Any]:
        return estimator_state(state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(attributes_from(state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = True
        tags.input_tags.three_d_array = self.module is not None
        if self.teacher is not None:
            limit_tags(tags, self.teacher)
        return tags

    @property
    def module_(self) -> nn.Module:
        """The network with its best weights."""
        return self.net_.module_

    @property
    def history_(self) -> TrainingHistory:
        """What each epoch recorded."""
        return self.net_.history

    @property
    def n_iter_(self) -> int:
        """Number of epochs."""
        return len(self.net_.history)
