"""Callbacks that look at a validation part: some only want one, others fail without."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

from skorch.callbacks import BatchScoring, Callback, EpochScoring, PassthroughScoring
from skorch.history import History

_SCORING = (EpochScoring, BatchScoring, PassthroughScoring)
# What every epoch records, also one without a validation part.
_RECORDED = ("epoch", "train_loss", "train_loss_best", "train_data_fit", "train_batch_count", "lr", "dur")


def wants_validation_part(callbacks: Any) -> bool:
    """Whether a callback has something to do only where there is a validation part: it scores one, or monitors it."""
    return bool(_scores(_bare(callbacks))) or validation_monitor(callbacks) is not None


def validation_monitor(callbacks: Any) -> str | None:
    """Return which callback cannot do without a validation part, in words; None if all can.

    It is one whose ``monitor`` is, or asks for, a ``valid_...`` entry of the history or a score of the validation part.
    """
    callbacks = _bare(callbacks)
    scores = _scores(callbacks)
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if _monitors_validation(monitor, scores):
            shown = repr(monitor) if isinstance(monitor, str) else "a value of the validation part"
            return f"{type(callback).__name__} monitors {shown}"
    return None


def asks_for_validation(error: KeyError, scores: tuple[str, ...] = ()) -> bool:
    """Whether an entry of the history that was not found is one of a validation part."""
    return any(name in str(error) for name in ("valid_", *scores))


def _bare(callbacks: Any) -> list[Any]:
    """Return callbacks without their names, and classes as what skorch makes of them."""
    bare = [item[1] if isinstance(item, (list, tuple)) and len(item) == 2 else item for item in callbacks or []]
    return [item() if isinstance(item, type) and issubclass(item, Callback) else item for item in bare]


def _scores(callbacks: list[Any]) -> tuple[str, ...]:
    """Return the names of scores of the validation part."""
    scoring = (callback for callback in callbacks if isinstance(callback, _SCORING) and not callback.on_train)
    # the name is settled by `initialize`, which is for skorch to call
    return tuple(getattr(copy.copy(callback).initialize(), "name_", callback.name) for callback in scoring)


def _monitors_validation(monitor: Any, scores: tuple[str, ...]) -> bool:
    if isinstance(monitor, str):
        return monitor.startswith("valid_") or monitor.removesuffix("_best") in scores
    return callable(monitor) and _asks_for_validation(monitor, scores)


def _asks_for_validation(monitor: Any, scores: tuple[str, ...]) -> bool:
    """Whether a function fails on an epoch without a validation part; it is shown one."""
    history = History()
    history.new_epoch()
    history.new_batch()
    for name in _RECORDED:
        history.record(name, 1)
    try:
        monitor(SimpleNamespace(history=history))
    except KeyError as error:
        return asks_for_validation(error, scores)
    except Exception:  # it looks at more than the history
        return False
    return False
