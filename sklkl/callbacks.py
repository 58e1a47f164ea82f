"""skorch callbacks: which weights training keeps, when it stops, what it shows."""

from __future__ import annotations

import math
import warnings
from contextlib import suppress
from functools import partial
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from tqdm.auto import tqdm

from sklkl._utils.checks import invalid
from sklkl._utils.torch_state import insist
from sklkl.modules import MLP

__all__ = ["BestWeights", "Progress", "StopTraining"]


class StopTraining(Exception):
    """Raised by a callback to end training.

    Examples
    --------
    >>> from skorch.callbacks import Callback
    >>> from sklkl.callbacks import StopTraining
    >>> class StopAtLoss(Callback):
    ...     def on_epoch_end(self, net, **kwargs):
    ...         if net.history[-1, "train_loss"] < 0.1:
    ...             raise StopTraining
    """


class BestWeights(Callback):
    """Keep the weights of the best epoch, undo epochs that diverge, stop when nothing improves.

    The best epoch is the one of lowest ``valid_loss``; without validation rows it is the last one. An epoch after
    which the loss or a weight is not finite is undone: the best weights so far come back, the optimiser's moments are
    reset (they stay NaN after one NaN gradient) and the learning rate is cut.

    Parameters
    ----------
    patience : int >= 1 or None, default=None
        Stop after this many epochs in a row without a new best ``valid_loss``; None never stops early.
    max_restarts : int >= 0, default=5
        How many epochs may diverge before training ends with the best weights so far.
    cut : float in (0, 1), default=0.1
        Factor on the learning rate after such an epoch.

    Raises
    ------
    ValueError
        Before training, if a parameter is none of these; at its end, if no epoch was finite, or no step was.
    TypeError
        Before training, if the net is not a :class:`sklkl.KLNet`.

    Warns
    -----
    ConvergenceWarning
        At the end of training, if some epochs were not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl import KLNet
    >>> from sklkl.callbacks import BestWeights
    >>> from sklkl.modules import MLP
    >>> X = np.random.RandomState(0).randn(100, 3).astype("float32")
    >>> y = (X[:, 0] > 0).astype("int64")
    >>> net = KLNet(MLP, module__n_features=3, module__n_classes=2, verbose=0)
    >>> net = net.set_params(callbacks=[BestWeights(patience=3)])
    >>> net.fit(X, y).predict(X).shape
    (100,)
    """

    def __init__(self, patience: int | None = None, max_restarts: int = 5, cut: float = 0.1) -> None:
        self.patience = patience
        self.max_restarts = max_restarts
        self.cut = cut

    def on_train_begin(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """Check the parameters and remember the starting weights."""
        self._check(net)
        self.best_loss_: float = math.inf
        self.n_kept_: int = 0
        self.n_waited_: int = 0
        self.n_failed_: int = 0
        self.n_idle_: int = 0
        self.n_before_: int = len(net.history)
        self.n_seen_: int = self.n_before_
        self.weights_: dict[str, Tensor] | None = _copy(_state(net.module_))

    def _check(self, net: Any) -> None:
        name = type(self).__name__
        if not hasattr(net, "learning_rate_"):  # whose rate is cut, and which knows what StopTraining is
            raise TypeError(f"{name} is a callback of KLNet. Got {type(net).__name__} instead.")
        if not (self.patience is None or _is_count(self.patience, 1)):
            raise invalid("patience", self.patience, "an integer >= 1, or None", of=name)
        if not _is_count(self.max_restarts, 0):
            raise invalid("max_restarts", self.max_restarts, "an integer >= 0", of=name)
        if not _is_share(self.cut):
            raise invalid("cut", self.cut, "a number between 0 and 1", of=name)

    def on_epoch_end(
        self, net: Any, dataset_train: object = None, dataset_valid: object = None, **kwargs: object
    ) -> None:
        """Keep the weights, undo the epoch, or count it as one without improvement."""
        record = net.history[-1]
        self.n_idle_ += _took_no_step(record)
        loss, state = record.get("valid_loss", -math.inf), _state(net.module_)
        self.n_seen_ = len(net.history)
        if not (math.isfinite(record["train_loss"]) and loss < math.inf and _is_finite(state)):
            self._step_back(net)
        elif loss < self.best_loss_ or "valid_loss" not in record:
            self.best_loss_, self.weights_ = loss, _copy(state)
            self.n_kept_ += 1
            self.n_waited_ = 0
        else:
            self.n_waited_ += 1
            if self.patience is not None and self.n_waited_ >= self.patience:
                raise StopTraining

    def _step_back(self, net: Any) -> None:
        self.n_failed_ += 1
        net.history.record("event_not_finite", True)
        _load(net.module_, self.weights_)
        net.optimizer_.state.clear()
        net.learning_rate_.cut(self.cut)
        if self.n_failed_ > self.max_restarts:
            raise StopTraining

    def on_train_end(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """Load the best weights; warn if epochs were undone."""
        interrupted = insist(partial(self._finish, net))
        self._tell_of_failures()
        if interrupted:
            raise KeyboardInterrupt

    def _finish(self, net: Any) -> None:
        weights = self.weights_
        if self.n_seen_ < len(net.history):  # interrupted before it saw the last epoch, whose weights are those now
            with suppress(StopTraining):
                self.on_epoch_end(net)
            weights = self.weights_
        _load(net.module_, weights)
        self.weights_ = None

    def _tell_of_failures(self) -> None:
        reasons = "The input may need scaling, the learning rate may be too high, or the module may return non-finite "
        if self.n_failed_ and not self.n_kept_:
            raise ValueError(
                f"Training failed: the loss or the weights were not finite in {self.n_failed_} epochs out of "
                f"{self.n_failed_}. {reasons}logits."
            )
        if self.n_idle_ and self.n_idle_ == self.n_seen_ - self.n_before_:
            raise ValueError(
                "Training failed: no step was taken, because the loss or the gradient was not finite in any batch. "
                f"{reasons}gradients."
            )
        if self.n_failed_:
            warnings.warn(
                f"The loss or the weights were not finite after {self.n_failed_} epochs; they were undone, the "
                "learning rate was cut and the best weights of the other epochs are kept.",
                ConvergenceWarning,
                stacklevel=3,
            )


def _is_count(value: Any, least: int) -> bool:
    return type(value) is not bool and isinstance(value, Integral) and int(value) >= least


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and 0 < float(value) < 1


def _took_no_step(record: dict[str, Any]) -> bool:
    """Whether every step of an epoch was left out, by a rate that tells so."""
    rejected = record.get("rejected_steps", 0)
    return rejected >= record["train_batch_count"] > 0 and math.isnan(record["step_kl"])


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Return what training may change: no extra state of a user's network, nor how the built-in one scales inputs."""
    state = {name: values for name, values in module.state_dict().items() if isinstance(values, Tensor)}
    state = {name: values for name, values in state.items() if not is_lazy(values)}  # which have no values yet
    if isinstance(module, MLP) and module.scaling is not None:
        return {name: values for name, values in state.items() if not name.startswith("scaling.")}
    return state


def _copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: values.clone() for name, values in state.items()}


def _load(module: nn.Module, weights: dict[str, Tensor] | None) -> None:
    if weights is not None:
        module.load_state_dict({**module.state_dict(), **weights})


def _is_finite(state: dict[str, Tensor]) -> bool:
    floats = [values for values in state.values() if values.is_floating_point()]
    if not floats:
        return True
    # an addition takes a part of the time of a look at each value, and only its overflow needs that
    total = torch.stack([values.sum() for values in floats]).sum()
    return math.isfinite(total) or bool(torch.stack([torch.isfinite(values).all() for values in floats]).all())


class Progress(Callback):
    """A progress bar over epochs that shows the losses.

    Examples
    --------
    >>> from sklkl import KLClassifier
    >>> clf = KLClassifier(max_epochs=2, verbose=1)  # the bar is on standard error
    """

    def on_train_begin(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """Open the bar."""
        self.bar_: tqdm[Any] = tqdm(total=net.max_epochs, unit="epoch")
        self.n_before_: int = len(net.history)

    def on_epoch_end(
        self, net: Any, dataset_train: object = None, dataset_valid: object = None, **kwargs: object
    ) -> None:
        """Move the bar by one epoch, or by those of a training that goes on."""
        record = net.history[-1]
        losses = {k: v for k, v in record.items() if k.startswith(("train_", "valid_")) and isinstance(v, float)}
        self.bar_.set_postfix(losses, refresh=False)
        self.bar_.update(len(net.history) - self.n_before_ - self.bar_.n)

    def on_train_end(self, net: Any, X: object = None, y: object = None, **kwargs: object) -> None:
        """Close the bar."""
        self.bar_.close()
        del self.bar_
