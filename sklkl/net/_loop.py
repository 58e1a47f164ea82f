"""A training from its first hook to its last: epochs whose losses are read once, who may end it, and interruptions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Any, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len

from sklkl._utils.ranks import active_ranks
from sklkl._utils.seeding import BorrowedState, borrowed_global_state
from sklkl._utils.torch_state import OwnTorchState, insist
from sklkl.callbacks import StopTraining
from sklkl.data import Batches, Rows
from sklkl.losses import TermMeans
from sklkl.modules import MLP
from sklkl.net._datasets import weighted_rows, with_labels_only
from sklkl.net._interrupts import asks_to_stop
from sklkl.net._shares import joint_means, shares
from sklkl.net._skorch import ROUTING, SkorchNet
from sklkl.net._terms import terms_of
from sklkl.net._training_state import TrainingCheckpoint, put_rate, rate_of, restore, state_of
from sklkl.net._weight_average import WeightAverage

# How many records a stream keeps; of those before, only their number.
N_EPOCHS_OF_STREAM = 50
_FORGOTTEN: dict[str, Any] = {"batches": []}


def _overrides(instance: Any, base: type, method: str) -> bool:
    return getattr(type(instance), method, None) is not getattr(base, method)


def _n_batches(iterator: Any) -> int | None:
    """Return the number of batches; None where nobody knows it, as with an ``IterableDataset``."""
    try:
        return len(iterator)
    except TypeError:
        return None


class TrainingLoop(SkorchNet):
    """A net whose train step returns named terms and their mass instead of one loss that is read at once.

    Every interruption is raised, with what was learned in the epochs before in good order.
    """

    generator_: torch.Generator
    # None outside of a training, where the optimiser's own rate is that of a step
    learning_rate_: Any = None
    stream: bool
    averaged_epochs: int
    rate_state_: dict[str, Any] | None = None
    interrupted_: bool
    has_learned_: bool = False
    # what the rule of the KL-adaptive rate is told of the data
    rule_params_: Mapping[str, Any] = MappingProxyType({})
    _is_stopped = _has_looked = False
    _rate_runs = False
    _total_steps: int | None = None
    _average: WeightAverage | None = None
    # torch's global generators, for the time in which they are seeded for this net
    _borrowed: Sequence[torch.Generator] = ()
    _checkpoint: TrainingCheckpoint | None = None
    _goes_on_from: dict[str, Any] | None = None
    _kept_rate: dict[str, Any] | None = None
    # what callbacks see as training data where some rows have no label
    _labelled_rows: Rows | None = None

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        checkpoint: TrainingCheckpoint | None = None,
        **fit_params: Any,
    ) -> Self:
        """Train further, see :meth:`skorch.NeuralNet.partial_fit`.

        Parameters
        ----------
        X, y, classes, **fit_params
            As in skorch.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0 of rows that are held as :class:`sklkl.data.Rows`.
        checkpoint : object or None, default=None
            What keeps the state of the training, which goes on from there if it had kept one.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted from the keyboard, after callbacks have ended it in good order.
        """
        if sample_weight is not None:
            X = weighted_rows(self.dataset, X, y, sample_weight)
        with OwnTorchState():
            if not self.initialized_:
                self.initialize()
            return self.train_on(X, y, checkpoint=checkpoint, **fit_params)

    @torch.enable_grad()
    def train_on(
        self, X: Any, y: Any = None, *, checkpoint: TrainingCheckpoint | None = None, _scaled: Any = None, **params: Any
    ) -> Self:
        """Train further as `partial_fit` does, but in torch's state as it is: for who has made it their own before."""
        self._checkpoint, self._scaled_rows = checkpoint, _scaled
        self._goes_on_from = None if checkpoint is None else checkpoint.state
        try:
            self._train(X, y, **params)
        finally:
            self._labelled_rows = self._checkpoint = self._goes_on_from = self._scaled_rows = None
        return self

    def _train(self, X: Any, y: Any, **fit_params: Any) -> None:
        method = {name: fit_params.pop(name, "partial_fit") for name in ROUTING}
        n_before, interrupted = self._open(), False
        try:
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y, **method, **fit_params)
        except KeyboardInterrupt:
            interrupted = True
        self._close(X, y, n_before, interrupted)

    def _open(self) -> int:
        """Get ready for a training, and return how many epochs there were before."""
        self.interrupted_, self.has_learned_, self._is_stopped, self._has_looked = True, False, False, False
        if self.stream:
            self._forget_old_epochs()
        self._n_before = len(self.history)
        return self._n_before

    def _close(self, X: Any, y: Any, n_before: int, interrupted: bool) -> None:
        """End a training in good order, and raise the interruption that ended it."""
        error = None
        try:
            interrupted |= self._end(X, y)
        except Exception as problem:
            if not interrupted:
                raise
            error = problem
        self.has_learned_ = error is None and len(self.history) > n_before
        if interrupted:
            raise KeyboardInterrupt("training was interrupted; the net keeps what it has learned so far") from error
        self.interrupted_ = False

    def _end(self, X: Any, y: Any) -> bool:
        """End a training in good order; return whether that was interrupted."""
        self._is_stopped = False
        interrupted = insist(self._end_epochs)
        try:
            self.notify("on_train_end", X=X, y=y)
        except KeyboardInterrupt:  # raised after the last of the callbacks
            interrupted = True
        return insist(partial(self.set_mode, False)) or interrupted

    # Epochs

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Self:
        """Run the epochs, see :meth:`skorch.NeuralNet.fit_loop`; none if a callback has stopped training already."""
        borrowed = self._randomness()
        if borrowed is None:
            self._run_epochs(X, y, epochs, **fit_params)
            return self
        try:
            with borrowed:
                self._borrowed = borrowed.generators
                self._run_epochs(X, y, epochs, **fit_params)
        finally:
            self._borrowed = ()
            borrowed.give_back()
        return self

    def _randomness(self) -> BorrowedState | None:
        """Return a context for training: a network or iterator from elsewhere may draw from torch's global state."""
        own = type(self.module_) is MLP and self.iterator_train is Batches and not self.compile
        device = torch.device(self.device or "cpu")
        if own and device.type == "cpu":
            return None
        borrowed = borrowed_global_state(self.generator_, device)
        ranks = active_ranks()
        if ranks is not None:  # other rows, other masks
            borrowed.seed += ranks.rank
        return borrowed

    def _run_epochs(self, X: Any, y: Any, epochs: int | None, **fit_params: Any) -> None:
        if self._is_stopped:
            return
        self.learning_rate_, self._rate_runs = None, True
        self.total_epochs_ = self.max_epochs if epochs is None else epochs
        done = 0 if self._goes_on_from is None else self._goes_on_from["epochs"]
        try:
            super().fit_loop(X, y, epochs=self.total_epochs_ - done, **fit_params)
        except StopTraining:
            pass
        finally:
            self._end_epochs()

    def _end_epochs(self) -> None:
        """Drop an epoch that was not finished, and end the rate; a repetition does nothing more."""
        if self.history and "lr" not in self.history[-1]:
            self.history.pop()
        if self._rate_runs:
            self._end_learning_rate()

    def _start_learning_rate(self, n_batches: int | None) -> None:
        self._total_steps = None if self.stream or not n_batches else self.total_epochs_ * n_batches
        self.learning_rate_ = self.make_learning_rate(self._total_steps)
        state = self.rate_state_ or {}
        if self.stream and self._rate_settings().items() <= state.items():
            self.learning_rate_.load_state_dict(state)
        if self._kept_rate is not None:
            put_rate(self.learning_rate_, self._kept_rate)
            self._kept_rate = None

    def start_rate(self, rate: Any) -> None:
        """Begin with a learning rate that something else steps with."""
        self.learning_rate_, self._rate_runs, self.total_epochs_ = rate, True, self.max_epochs

    def _rate_settings(self) -> dict[str, Any]:
        """Return what the rate of a stream was found for; where it is another, the rate is found anew."""
        return {"learning_rate": self.learning_rate, "kl_target": self.kl_target, "optimizer": self.optimizer}

    def _end_learning_rate(self) -> None:
        rate, state = self.learning_rate_, None
        if rate is not None:
            self.lr_ = float(rate.lr_)
            state = {**self._rate_settings(), **rate.state_dict()} if self.stream else None
            rate.close()  # a cycle ends at no rate at all
        self._stop_by_hand()
        self._average = None
        self.rate_state_, self.learning_rate_, self._rate_runs = state, None, False

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        """Begin a record, and train the weights further that were trained, not their average."""
        if self._goes_on_from is not None:
            state, self._goes_on_from = self._goes_on_from, None
            self._kept_rate = state["rate"]
            restore(self, state)
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        if self.averaged_epochs == 1 or dataset_valid is None:
            return
        if self._average is None:
            self._average = WeightAverage(self.averaged_epochs)
        self._average.take_out(self.module_)

    def average_weights(self) -> None:
        """Let the network have the average of its weights until the next epoch, if there is a validation part."""
        if self._average is not None:
            self._average.put_in(self.module_)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        """Record the rate, and what was measured for it; an epoch that has a rate is finished."""
        report = {} if self.learning_rate_ is None else self.learning_rate_.report()
        for name, value in report.items():
            self.history.record(name, value)
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run one epoch, reading the losses back from the device once at its end."""
        if iterator is None:
            return
        iterator = self._begin_epoch(iterator, training, fit_params)
        if training and self._rate_runs and self.learning_rate_ is None:
            self._start_learning_rate(_n_batches(iterator))
        means = self._run_batches(iterator, training, prefix, step_fn, **fit_params)
        if training:
            self.average_weights()
        if not means.masses:
            raise ValueError(f"The iterator over {prefix} data gave no batch in epoch {len(self.history)}.")
        terms = means.read() if training else joint_means(means)
        self._record(prefix, terms, len(means.masses))

    def _begin_epoch(self, iterator: Any, training: bool, fit_params: dict[str, Any]) -> Any:
        """Get ready for the batches of an epoch, and return what to iterate over."""
        raise NotImplementedError

    def _stop_by_hand(self) -> None:
        """Leave the engine, if that trains the net, at the end of training."""
        raise NotImplementedError

    def _run_batches(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> TermMeans:
        self._grad_hooks = self._has_hooks("on_grad_computed")
        means = TermMeans()
        hooks = self._has_hooks("on_batch_begin") or self._has_hooks("on_batch_end")
        # callbacks that score the validation part want all of it
        for batch in shares(iterator, share=training or not hooks):
            if hooks:
                step = self._run_batch_with_hooks(batch, training, prefix, step_fn, **fit_params)
            else:
                step = step_fn(batch, **fit_params)
            means.add(*terms_of(step, batch))
        return means

    def _run_batch_with_hooks(self, batch: Any, training: bool, prefix: str, step_fn: Any, **params: Any) -> Any:
        self.notify("on_batch_begin", batch=batch, training=training)
        step = step_fn(batch, **params)
        self.history.record_batch(prefix + "_loss", step["loss"].item())
        self.history.record_batch(prefix + "_batch_size", get_len(batch[0]))
        self.notify("on_batch_end", batch=batch, training=training, **step)
        return step

    def _has_hooks(self, name: str) -> bool:
        return _overrides(self, NeuralNet, name) or any(_overrides(cb, Callback, name) for _, cb in self.callbacks_)

    def _record(self, prefix: str, terms: dict[str, float], n_batches: int) -> None:
        """Write the means of an epoch's terms into the history."""
        if not self.history[-1]["batches"]:
            self.history.new_batch()  # an empty row, because skorch's Checkpoint looks at the last one
        loss = sum(terms.values())
        name = prefix + "_loss"
        best = self._best_so_far(name)
        self.history.record(name, loss)
        self.history.record(name + "_best", loss < best)
        if prefix == "train":
            for term, value in terms.items():
                self.history.record(f"{prefix}_{term}", value)
        self.history.record(prefix + "_batch_count", n_batches)

    def _best_so_far(self, name: str) -> float:
        """Return the lowest loss of the epochs before, which is the last one that was the lowest when it came."""
        epochs = islice(reversed(self.history), 1, None)
        known = takewhile(lambda epoch: "epoch" in epoch, epochs)
        return next((epoch[name] for epoch in known if epoch.get(name + "_best")), math.inf)

    def _forget_old_epochs(self) -> None:
        """Empty all but the last records, so that what a stream costs and weighs does not grow with its length."""
        for number in reversed(range(len(self.history) - N_EPOCHS_OF_STREAM + 1)):
            if "epoch" not in list.__getitem__(self.history, number):
                break
            self.history[number] = _FORGOTTEN

    # Hooks

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a hook of the net and every callback, then end training if one has asked for that or was interrupted.

        Rows without a label are not shown to callbacks, which would count them.
        """
        if self._labelled_rows is not None:
            if cb_kwargs.get("dataset_train") is not None:
                cb_kwargs["dataset_train"] = self._labelled_rows
            if method_name == "on_batch_end" and cb_kwargs["training"]:
                cb_kwargs = with_labels_only(cb_kwargs)
                if not len(cb_kwargs["y_pred"]):
                    return
        self._call_hooks(method_name, **cb_kwargs)
        if method_name == "on_epoch_end" and self._checkpoint is not None:
            self._keep(self._checkpoint)

    def _keep(self, checkpoint: TrainingCheckpoint) -> None:
        """Have the state kept after an epoch that is not the last one, once all hooks have seen it."""
        n_done = len(self.history) - self._n_before
        if n_done < self.total_epochs_ and n_done % checkpoint.every == 0:
            checkpoint.keep({**state_of(self), "epochs": n_done, "rate": rate_of(self.learning_rate_)})

    def _call_hooks(self, method_name: str, **cb_kwargs: Any) -> None:
        stopped = interrupted = False
        for owner in (self, *(callback for _, callback in self.callbacks_)):
            try:
                getattr(owner, method_name)(self, **cb_kwargs)
            except StopTraining:
                stopped = True
            except KeyboardInterrupt as error:
                if asks_to_stop(error, owner):
                    stopped = True
                else:
                    interrupted = True
            except Exception as error:
                if not interrupted:
                    raise
                raise KeyboardInterrupt from error
        if interrupted:
            raise KeyboardInterrupt
        if stopped:
            self._stop(method_name)

    def _stop(self, method_name: str) -> None:
        if method_name == "on_train_begin":
            self._is_stopped = True
        elif method_name != "on_train_end":  # there is nothing left to stop
            raise StopTraining
