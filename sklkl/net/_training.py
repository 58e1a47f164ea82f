"""A training from its first hook to its last: who may end it, and what holds when it is interrupted."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, Self

from skorch import NeuralNet

from sklkl._utils.interrupts import insist
from sklkl._utils.torch_state import OwnTorchState
from sklkl.callbacks import StopTraining
from sklkl.net._epochs import EpochLoop
from sklkl.net._interrupts import asks_to_stop

# later versions of skorch tell their loop which method routes metadata
_ROUTED = "_routing_method" in inspect.signature(NeuralNet.fit_loop).parameters


class Training(EpochLoop):
    """A net that raises every interruption, with what it has learned in the epochs before in good order."""

    interrupted_: bool
    has_learned_: bool = False
    _is_stopped = False

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Self:
        """Train further, see :meth:`skorch.NeuralNet.partial_fit`.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted from the keyboard, after callbacks have ended it in good order.
        """
        with OwnTorchState():
            if not self.initialized_:
                self.initialize()
            self._train(X, y, **fit_params)
        return self

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Self:
        """Run the epochs, see :meth:`skorch.NeuralNet.fit_loop`; none if a callback has stopped training already."""
        if not self._is_stopped:
            super().fit_loop(X, y, epochs=epochs, **fit_params)
        return self

    def _train(self, X: Any, y: Any, **fit_params: Any) -> None:
        method = {"_routing_method": fit_params.pop("_routing_method", "partial_fit")} if _ROUTED else {}
        self.interrupted_, self.has_learned_, self._is_stopped = True, False, False
        if self.stream:
            self._forget_old_epochs()
        n_before, interrupted = len(self.history), False
        try:
            self.notify("on_train_begin", X=X, y=y)
            self.fit_loop(X, y, **method, **fit_params)
        except KeyboardInterrupt:
            interrupted = True
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

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call a hook of the net and every callback, then end training if one has asked for that or was interrupted."""
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
