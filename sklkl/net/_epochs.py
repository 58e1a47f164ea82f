"""skorch's epochs with losses that are read once an epoch."""

from __future__ import annotations

import math
from itertools import islice, takewhile
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.dataset import get_len

from sklkl.callbacks import StopTraining
from sklkl.losses import TermMeans
from sklkl.net._copies import CopiedNet
from sklkl.optim import ConstantRate

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


class EpochLoop(CopiedNet):
    """A skorch net whose train step returns named terms and their mass instead of one loss that is read at once."""

    learning_rate_: Any
    stream: bool
    rate_state_: dict[str, Any] | None = None
    _rate_runs = False

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> EpochLoop:
        """Run the epochs, see :meth:`skorch.NeuralNet.fit_loop`."""
        self.learning_rate_, self._rate_runs = None, True
        self.total_epochs_ = self.max_epochs if epochs is None else epochs
        try:
            super().fit_loop(X, y, epochs=epochs, **fit_params)
        except StopTraining:
            pass
        finally:
            self._end_epochs()
        return self

    def _end_epochs(self) -> None:
        """Drop an epoch that was not finished, and end the rate; a repetition does nothing more."""
        if self.history and "lr" not in self.history[-1]:
            self.history.pop()
        if self._rate_runs:
            self._end_learning_rate()

    def _start_learning_rate(self, n_batches: int | None) -> None:
        total_steps = None if self.stream or n_batches is None else self.total_epochs_ * n_batches
        self.learning_rate_ = self.make_learning_rate(total_steps)
        state = self.rate_state_ or {}
        if self.stream and self._rate_settings().items() <= state.items():
            self.learning_rate_.load_state_dict(state)

    def _rate_settings(self) -> dict[str, Any]:
        """Return what the rate of a stream was found for; where it is another, the rate is found anew."""
        return {"learning_rate": self.learning_rate, "kl_target": self.kl_target, "optimizer": self.optimizer}

    def _end_learning_rate(self) -> None:
        rate, state = self.learning_rate_, None
        if rate is not None:
            self.lr_ = float(rate.lr_)
            state = {**self._rate_settings(), **rate.state_dict()} if self.stream else None
            rate.close()  # a cycle ends at no rate at all
        constant = ConstantRate(self.optimizer_, None)
        self.rate_state_, self.learning_rate_, self._rate_runs = state, constant, False

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
            self._start_learning_rate(_n_batches(iterator))
        self._grad_hooks = self._has_hooks("on_grad_computed")
        means = TermMeans()
        hooks = self._has_hooks("on_batch_begin") or self._has_hooks("on_batch_end")
        for batch in iterator:
            if hooks:
                step = self._run_batch_with_hooks(batch, training, prefix, step_fn, **fit_params)
            else:
                step = step_fn(batch, **fit_params)
            means.add(step["terms"], step["mass"])
        if not means.masses:
            raise ValueError(f"The iterator over {prefix} data gave no batch in epoch {len(self.history)}.")
        if not self.history[-1]["batches"]:
            self.history.new_batch()  # an empty row, because skorch's Checkpoint looks at the last one
        self._record(prefix, means)
        self.history.record(prefix + "_batch_count", len(means.masses))

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
        best = self._best_so_far(name)
        self.history.record(name, loss)
        self.history.record(name + "_best", loss < best)
        if prefix == "train":
            for term, value in terms.items():
                self.history.record(f"{prefix}_{term}", value)

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
