"""The state of a net between two epochs as plain data and tensors, nets put into it, and who keeps such states."""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.plain_file import is_plain
from sklkl._utils.torch_state import insist
from sklkl.callbacks import Progress
from sklkl.data import TrainingSet
from sklkl.net._epoch_tasks import EpochTasks
from sklkl.net._history import EpochRecords
from sklkl.net._weight_average import WeightAverage

# Callbacks that only look on, which another fit of the same kind may have or not.
_LOOK_ON = (Progress, EpochTasks)


class TrainingCheckpoint(Protocol):
    """What keeps the state of a training that may be killed at any moment, and had kept that of one that was.

    Attributes
    ----------
    every : int
        Every how many epochs it wants the state.
    state : dict or None
        Where the training before has come to; None if this one begins.
    """

    every: int
    state: dict[str, Any] | None

    def keep(self, state: dict[str, Any]) -> None:
        """Take a state in place of the one before; it is not used after the call."""


class PartOfCheckpoint:
    """The checkpoint of one of several nets that are trained one after the other.

    Parameters
    ----------
    whole : TrainingCheckpoint
        That of all of them.
    states : list of dict
        Those of the nets so far, which all parts share.
    number : int
        Which net it is.
    """

    def __init__(self, whole: TrainingCheckpoint, states: list[dict[str, Any]], number: int) -> None:
        self.whole, self.every, self.states, self.number = whole, whole.every, states, number
        self.state = states[number] if number < len(states) else None

    @property
    def has_ended(self) -> bool:
        """Whether the training of this net has come to its end."""
        return self.state is not None and self.state.get("ended", False)

    def keep(self, state: dict[str, Any]) -> None:
        """Take the state of this net."""
        self.states[self.number :] = [state]
        self.whole.keep({"one_by_one": self.states})

    def end(self, net: Any) -> None:
        """Take the state of this net at the end of its training."""
        self.keep(ended_state(net))


def state_of(net: Any) -> dict[str, Any]:
    """Return the state of a net after an epoch, whose tensors are the net's own.

    Raises
    ------
    TypeError
        If the state of the optimiser cannot be stored without pickle. What a callback or penalty holds that is neither
        plain nor gives a state of its own is left out.
    """
    average = net._average
    return {
        "module": _plain_only(net.module_.state_dict()),
        "optimizer": net.optimizer_.state_dict(),
        "generator": net.generator_.get_state(),
        "borrowed": [generator.get_state() for generator in net._borrowed],
        "history": [_plain_only(record) for record in net.history],
        "penalty": _attributes(net.penalty_),
        "callbacks": list(map(_attributes, _taking_part(net))),
        "average": None if average is None else [average.n_averaged, average.own, average.mean],
        "lr": float(net.lr_),
    }


def rate_of(rate: Any) -> dict[str, Any]:
    """Return the state of a learning rate, with the rates before those that callbacks have set since."""
    return {"own": rate.state_dict(), "base_rates": getattr(rate, "base_rates", None)}


def put_rate(rate: Any, state: dict[str, Any]) -> None:
    """Put a learning rate into a state."""
    rate.load_state_dict(state["own"])
    if state["base_rates"] is not None:
        rate.base_rates = state["base_rates"]


def ended_state(net: Any) -> dict[str, Any]:
    """Return the state of a net at the end of its training, or of a pass over a part of a stream."""
    rate = net.rate_state_  # that of a stream; its optimiser is the net's
    own = None if rate is None else {name: value for name, value in rate.items() if name != "optimizer"}
    return {**state_of(net), "ended": True, "why_autograd": getattr(net, "why_autograd_", None), "stream_rate": own}


def restore(net: Any, state: dict[str, Any]) -> None:
    """Put a net that was made in the same way into a state, all of it also if that is interrupted.

    Raises
    ------
    ValueError
        If it is that of another net.
    """
    try:
        interrupted = insist(partial(_restore, net, state))
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"What the 'checkpoint' has is not the state of such a network: {error}") from error
    if interrupted:
        raise KeyboardInterrupt


def restore_ended(net: Any, data: TrainingSet, state: dict[str, Any]) -> None:
    """Put a net into the state at the end of its training on a training set."""
    net.get_split_datasets(data)  # it learns of the rows what it did at the beginning
    net._labelled_rows = None
    restore(net, state)
    net.set_mode(training=False)
    net.why_autograd_, net.total_epochs_ = state["why_autograd"], net.max_epochs
    net.has_learned_, net.interrupted_ = True, False
    if state.get("stream_rate") is not None:
        net.rate_state_ = {**state["stream_rate"], "optimizer": net.optimizer}


def _restore(net: Any, state: dict[str, Any]) -> None:
    net.module_.load_state_dict({**net.module_.state_dict(), **state["module"]})
    net.optimizer_.load_state_dict(state["optimizer"])
    net.generator_.set_state(state["generator"])
    for generator, own in zip(net._borrowed, state["borrowed"], strict=False):
        generator.set_state(own)
    net.history = EpochRecords(map(dict, state["history"]))
    _set_attributes(net.penalty_, state["penalty"])
    for callback, attributes in zip(_taking_part(net), state["callbacks"], strict=True):
        _set_attributes(callback, attributes)
    net._average = None
    if state["average"] is not None:
        net._average = WeightAverage(net.averaged_epochs)
        n_averaged, *weights = state["average"]
        on_device = ([values.to(net.device) for values in own] for own in weights)
        net._average.n_averaged, (net._average.own, net._average.mean) = n_averaged, on_device
    net.lr_ = state["lr"]


def _taking_part(net: Any) -> list[Any]:
    return [callback for _, callback in net.callbacks_ if not isinstance(callback, _LOOK_ON)]


def _plain_only(values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if is_plain(value)}


def _attributes(part: Any) -> dict[str, Any]:
    """Return what is plain of a callback or penalty, and the states of what gives one, as torch's schedulers do."""
    values = getattr(part, "__dict__", {})
    states = {name: _plain_only(value.state_dict()) for name, value in values.items() if _gives_state(value)}
    return {"values": _plain_only(values), "states": states}


def _gives_state(value: Any) -> bool:
    methods = all(callable(getattr(value, name, None)) for name in ("state_dict", "load_state_dict"))
    return methods and not isinstance(value, (type, Optimizer))


def _set_attributes(part: Any, attributes: dict[str, Any]) -> None:
    """Set attributes; lists and dicts are filled, as others may hold them too."""
    for name, value in attributes["values"].items():
        before: Any = getattr(part, name, None)
        if type(before) is type(value) is list:
            before[:] = value
        elif type(before) is type(value) is dict:
            before.clear()
            before.update(value)
        else:
            there = isinstance(value, Tensor) and isinstance(before, Tensor)
            setattr(part, name, value.to(before.device) if there else value)
    for name, state in attributes["states"].items():
        inner: Any = getattr(part, name, None)
        if _gives_state(inner):  # some are made in a training only
            inner.load_state_dict({**inner.state_dict(), **state})
