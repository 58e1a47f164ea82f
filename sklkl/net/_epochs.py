"""skorch's epochs with losses that are read once an epoch, and interruptions that are told to the caller."""

from __future__ import annotations

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len

from sklkl.callbacks import StopTraining
from sklkl.losses import TermMeans
from sklkl.net._skorch import SkorchNet
from sklkl.optim import ConstantRate


def _overrides(instance: Any, base: type, method: str) -> bool:
    return getattr(type(instance), method, None) is not getattr(base, method)


class EpochLoop(SkorchNet):
    """A skorch net whose train step returns named terms and their mass instead of one loss that is read at once."""

    learning_rate_: Any
    stream: bool
    rate_state_: dict[str, Any] | None = None

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> EpochLoop:
        """Train further, see :meth:`skorch.NeuralNet.partial_fit`.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted from the keyboard, after callbacks have ended it in good order.
        """
        super().partial_fit(X, y, classes=classes, **fit_params)
        if self.interrupted_:  # skorch swallows it
            raise KeyboardInterrupt("training was interrupted; the net keeps what it has learned so far")
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> EpochLoop:
        """Run the epochs, see :meth:`skorch.NeuralNet.fit_loop`."""
        self.interrupted_ = False
        self.learning_rate_ = None
        self.total_epochs_ = self.max_epochs if epochs is None else epochs
        try:
            super().fit_loop(X, y, epochs=epochs, **fit_params)
        except StopTraining:
            pass
        except KeyboardInterrupt:
            self.interrupted_ = True
        finally:
            self._drop_unfinished_epoch()
            self._end_learning_rate()
        return self

    def _start_learning_rate(self, n_batches: int) -> None:
        total_steps = None if self.stream else self.total_epochs_ * n_batches
        self.learning_rate_ = self.make_learning_rate(total_steps)
        state = self.rate_state_ or {}
        if self.stream and state.get("learning_rate") == self.learning_rate:
            self.learning_rate_.load_state_dict(state)

    def _end_learning_rate(self) -> None:
        self.rate_state_ = None
        if self.learning_rate_ is not None:
            self.lr_ = float(self.learning_rate_.lr_)
            if self.stream:
                self.rate_state_ = {"learning_rate": self.learning_rate, **self.learning_rate_.state_dict()}
            self.learning_rate_.close()  # a cycle ends at no rate at all
        self.learning_rate_ = ConstantRate(self.optimizer_, None)

    def _drop_unfinished_epoch(self) -> None:
        if self.history and "lr" not in self.history[-1]:
            self.history.pop()

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a hook of every callback; one that raises KeyboardInterrupt asks for the end of training."""
        getattr(self, method_name)(self, **cb_kwargs)
        stopped = None
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except (KeyboardInterrupt, StopTraining) as stop:  # skorch's EarlyStopping raises the first
                stopped = stop
        if stopped is not None:
            raise StopTraining from stopped

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        """Record the rate, and what was measured for it; an epoch that has a rate is finished."""
        for name, value in self.learning_rate_.report().items():
            self.history.record(name, value)
        self.history.record("lr", self.optimizer_.param_groups[0]["lr"])

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Run one epoch, reading the losses back from the device once at its end."""
        if iterator is None:
            return
        if training and self.learning_rate_ is None:
            self._start_learning_rate(len(iterator))
        self._grad_hooks = self._has_hooks("on_grad_computed")
        means = TermMeans()
        hooks = self._has_hooks("on_batch_begin") or self._has_hooks("on_batch_end")
        for batch in iterator:
            if hooks:
                step = self._run_batch_with_hooks(batch, training, prefix, step_fn, **fit_params)
            else:
                step = step_fn(batch, **fit_params)
            means.add(step["terms"], step["mass"])
        if not self.history[-1]["batches"]:
            self.history.new_batch()  # an empty row, because skorch's Checkpoint looks at the last one
        self._record(prefix, means)
        self.history.record(prefix + "_batch_count", len(iterator))

    def _run_batch_with_hooks(self, batch: Any, training: bool, prefix: str, step_fn: Any, **params: Any) -> Any:
        self.notify("on_batch_begin", batch=batch, training=training)
        step = step_fn(batch, **params)
        self.history.record_batch(prefix + "_loss", step["loss"].item())
        self.history.record_batch(prefix + "_batch_size", get_len(batch[0]))
        self.notify("on_batch_end", batch=batch, training=training, **step)
        return step

    def _has_hooks(self, name: str) -> bool:
        return _overrides(self, NeuralNet, name) or any(_overrides(cb, Callback, name) for _, cb in self.callbacks_)

    def _record(self, prefix: str, means: TermMeans) -> None:
        terms = means.read()
        loss = sum(terms.values())
        name = prefix + "_loss"
        best = min((epoch[name] for epoch in self.history[:-1] if name in epoch), default=math.inf)
        self.history.record(name, loss)
        self.history.record(name + "_best", loss < best)
        if prefix == "train":
            for term, value in terms.items():
                self.history.record(f"{prefix}_{term}", value)
