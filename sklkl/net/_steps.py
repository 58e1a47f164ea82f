"""One step of a net: its loss as a sum of named terms, the gradient, and what the rate measures."""

from __future__ import annotations

from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import torch
from skorch.callbacks import EpochTimer, PrintLog
from skorch.utils import TeeGenerator
from torch import Tensor

from sklkl._utils.checks import invalid_input
from sklkl._utils.ranks import drawn
from sklkl._utils.torch_state import OwnTorchState
from sklkl.callbacks import BestWeights, Progress
from sklkl.data import Batch
from sklkl.data._batch import own_copy
from sklkl.losses import row_shares
from sklkl.modules import MLP, label_log_proba, log_softmax, scaling_of, softmax, warn_of_probabilities
from sklkl.net._by_hand import ByHand, ScaledRows, why_autograd
from sklkl.net._datasets import check_labels, check_logits
from sklkl.net._epoch_tasks import EpochTasks
from sklkl.net._log import EpochLog
from sklkl.net._loop import TrainingLoop
from sklkl.net._shares import align, joined, of_all_rows
from sklkl.net._terms import loss_terms
from sklkl.optim import ConstantRate, LearningRate, LearningRateName, make_learning_rate

_OWN_CALLBACKS = (BestWeights, EpochLog, EpochTasks, EpochTimer, PrintLog, Progress)
_EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end")
# Who overrides one of these has a step of their own.
_OVERRIDABLE = ("train_step", "train_step_single", "loss_terms", "infer", "log_proba", "make_learning_rate")


class TrainStep(TrainingLoop):
    """A net whose loss is a sum of named terms, each a weighted mean over rows."""

    criterion_: Any
    learning_rate: LearningRateName
    kl_target: float | None
    kl_strength: float
    distill_weight: float
    distill_rows: str
    distillation: Any
    multilabel: bool
    penalty_: Any
    unlabeled_rows_: bool
    _needs_closure: bool
    _by_hand: ByHand | None = None
    # where rows are kept as the engine has scaled them, for who wants them after the training
    _scaled_rows: ScaledRows | None = None
    why_autograd_: str | None

    def loss_terms(self, logits: Tensor, batch: Any, training: bool = True) -> dict[str, Tensor]:
        """Return the named terms of the loss, one value a row each; the loss is the mean over rows of their sum.

        Parameters
        ----------
        logits : Tensor of shape (n_rows, n_classes)
            Output of the module.
        batch : Batch or pair
            The rows ``(x, y)``.
        training : bool, default=True
            Whether to include what only training needs, such as the penalty.

        Returns
        -------
        dict of str to Tensor of shape (n_rows,)
            ``data_fit``; ``distillation`` where the rows have a teacher and ``kl_penalty`` where ``kl_strength`` is
            not 0, each with its weight as a factor.
        """
        return loss_terms(self, logits, batch, training)

    def get_loss(self, y_pred: Tensor, y_true: Tensor, X: Any = None, training: bool = False) -> Tensor:
        """Return the mean over rows of the sum of `loss_terms`, for steps of a subclass written as skorch has them.

        It is not called otherwise: a subclass with a loss of its own overrides `loss_terms`.
        """
        terms = self.loss_terms(y_pred, (X, y_true), training)
        return reduce(add, terms.values()).mean()

    @property
    def is_penalised(self) -> bool:
        """Whether the penalty has any weight."""
        return bool(self.kl_strength)

    def log_proba(self, x: Tensor, training: bool, **fit_params: Any) -> Tensor:
        """Return log-probabilities of a batch, in training or evaluation mode, which the network is left in.

        Parameters
        ----------
        x : Tensor of shape (n_rows, ...)
            Inputs, on the device.
        training : bool
            Which mode.
        **fit_params : dict
            Further inputs of the module.

        Returns
        -------
        Tensor of shape (n_rows, n_classes), or (n_rows, n_labels, 2) for a multilabel target
            Log-probabilities in nats.
        """
        self.set_mode(training)
        logits = self.infer(x, **fit_params)
        return label_log_proba(logits) if self.multilabel else log_softmax(logits)

    def noise(self, x: Tensor) -> Tensor:
        """Return standard normal numbers, of the shape and type of inputs, from the net's random state."""
        return drawn(x.shape, partial(torch.randn, generator=self.generator_, dtype=x.dtype)).to(x.device)

    def units(self, x: Tensor) -> Tensor | float:
        """Return what is a moderate change of each column of inputs; 1 where the network does not scale them."""
        scaling = scaling_of(self.module_)
        return 1.0 if scaling is None else scaling.unit().to(x.dtype)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        """Return the network's output, see :meth:`skorch.NeuralNet.infer`; a network that writes to x gets a copy."""
        return super().infer(x if type(self.module_) is MLP else own_copy(x), **fit_params)

    def _step(self, batch: Any, training: bool, **fit_params: Any) -> tuple[dict[str, Any], Tensor, Tensor]:
        """Return what skorch's callbacks see of a step, the loss of each row, and each row's share in the mean."""
        logits = self._logits(batch, training, fit_params)
        try:
            terms = self.loss_terms(logits, batch, training)
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            check_logits(logits, batch[1], self.multilabel)
            check_labels(batch[1], logits)
            raise
        weight = getattr(batch, "weight", None)
        shares = row_shares(logits, weight)
        means = {name: values.detach() @ shares.to(values.dtype) for name, values in terms.items()}
        mass = len(logits) if weight is None else weight.sum()
        step = {"loss": reduce(add, means.values()), "y_pred": logits, "terms": means, "mass": mass}
        return step, reduce(add, terms.values()), shares

    def _logits(self, batch: Any, training: bool, fit_params: dict[str, Any]) -> Tensor:
        on_device = isinstance(batch, Batch) and not fit_params
        if on_device and self._by_hand is not None and batch[0].dtype is self._by_hand.stack.flat.dtype:
            return self._by_hand.logits(batch)
        simple = on_device and type(self.module_) is MLP
        return self.module_(batch[0]) if simple else self.infer(batch[0], **fit_params)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the loss of a batch and its gradient, see :meth:`skorch.NeuralNet.train_step_single`."""
        self.set_mode(True)
        step, row_losses, shares = self._step(batch, training=True, **fit_params)
        if not self._has_looked:
            self._has_looked = True
            if type(self.module_) is not MLP and not self.multilabel:
                warn_of_probabilities(step["y_pred"], "module")
        if not row_losses.requires_grad:
            raise invalid_input("module", "one without", "a network whose logits have a gradient", of="KLNet")
        # the gradient of the mean, without a node in the graph for it
        torch.autograd.backward((row_losses,), (shares.to(row_losses.dtype),))
        return step

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Set the learning rate and take one step, see :meth:`skorch.NeuralNet.train_step`."""
        if self._by_hand is not None:
            return self._by_hand.step(self, batch)
        if self._needs_closure:
            if self.learning_rate_ is not None:
                self.learning_rate_.before_step()
            return super().train_step(batch, **fit_params)
        self._zero_grad_optimizer()
        step = self.train_step_single(batch, **fit_params)
        weight = joined(step, self._gradients(), batch)
        if self._grad_hooks:
            parameters = TeeGenerator(self.get_all_learnable_params())
            self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.take_step(step["loss"], (batch[0], fit_params), weight)
        return step

    def take_step(self, loss: Tensor, inputs: Any, weight: Tensor | None) -> None:
        """Take the step of the rate under way; outside of a training one of the optimiser's own rate."""
        rate = self.learning_rate_
        if rate is None:
            rate = ConstantRate(self._stepping(), None)
        rate.step(loss, inputs, weight)

    def _stepping(self) -> Any:
        """Return what takes the steps: the optimiser, or the engine in its place."""
        return self.optimizer_ if self._by_hand is None else self._by_hand.optimizer

    def _gradients(self) -> list[Tensor]:
        parameters = (parameter for group in self.optimizer_.param_groups for parameter in group["params"])
        return [parameter.grad for parameter in parameters if parameter.grad is not None]

    def make_learning_rate(self, total_steps: int | None) -> LearningRate:
        """Return the rule that ``learning_rate`` names, for a training of so many steps."""
        by_hand, predict = self._by_hand, of_all_rows(self._measured)
        if by_hand is not None:
            predict = of_all_rows(partial(by_hand.predict, self.multilabel))
        settings = total_steps, predict, self.kl_target
        return make_learning_rate(self.learning_rate, self._stepping(), *settings, **self.rule_params_)

    def _renew_learning_rate(self) -> None:
        """Go on with the rate under way where something else takes its steps."""
        if self.learning_rate_ is not None:
            state = self.learning_rate_.state_dict()
            self.learning_rate_ = self.make_learning_rate(self._total_steps)
            self.learning_rate_.load_state_dict(state)

    def _measured(self, inputs: tuple[Any, dict[str, Any]]) -> Tensor:
        x, fit_params = inputs
        return self.log_proba(x, training=False, **fit_params)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Compute the log-loss of a batch, without penalties."""
        self.set_mode(False)
        with torch.no_grad():
            return self._step(batch, training=False, **fit_params)[0]

    # By the engine

    def _begin_epoch(self, iterator: Any, training: bool, fit_params: dict[str, Any]) -> Any:
        """Choose between the engine and autograd, which give the same training."""
        watched = self.is_watched()
        if training and (self._by_hand is None or watched):
            self._choose(iterator, fit_params)
        if self._by_hand is None or watched:  # the engine has no modes
            self.set_mode(training)
        if self._by_hand is None:
            if training:
                align(self)
            return iterator
        if watched:
            self._by_hand.forget_rows()
        if training:
            self._by_hand.begin_epoch(self, iterator.rows)
            align(self)
        return self._by_hand.batches(self, iterator)

    def is_watched(self) -> bool:
        """Whether code from elsewhere, in a callback or a hook of the net, may change the net between epochs."""
        own = all(getattr(type(self), name) is getattr(TrainStep, name) for name in _EPOCH_HOOKS)
        return not own or any(type(callback) not in _OWN_CALLBACKS for _, callback in self.callbacks_)

    def _choose(self, iterator: Any, fit_params: dict[str, Any]) -> None:
        own = self.has_own_step() or bool(fit_params)
        why = "the net has a step of its own" if own else why_autograd(self, iterator)
        self.why_autograd_ = why
        if self._by_hand is None if why else self._by_hand is not None and self._by_hand.is_of(self):
            return
        self._stop_by_hand()
        if why is None:
            self._by_hand = ByHand(self)
        self._renew_learning_rate()

    def has_own_step(self) -> bool:
        """Whether this is a net of a class that computes or takes its steps in another way."""
        return any(getattr(type(self), name) is not getattr(TrainStep, name) for name in _OVERRIDABLE)

    def _stop_by_hand(self) -> None:
        if self._by_hand is not None:
            self._by_hand.release()
        self._by_hand = None

    # Prediction

    def proba(self, logits: Tensor) -> Tensor:
        """Return probabilities in float64 from logits."""
        return torch.sigmoid(logits.double()) if self.multilabel else softmax(logits)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return probabilities in float64, of classes or, for a multilabel target, of labels; see skorch."""
        with OwnTorchState():
            return super().predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, or the indicator of labels more probable than not; see skorch."""
        return (self.predict_proba(X) > 0.5).astype(np.int64) if self.multilabel else super().predict(X)
