"""A fitted net as plain data, and back: what predicts, and what training needs to go on.

Nothing in the data names code: a network of this package is rebuilt from its sizes, one of the user's own from the
class that stands in the data as itself. They may come from a file that anybody wrote, so sizes are checked before
memory is taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from skorch.history import History
from torch import nn

from sklkl._fit.stored_parts import (
    DTYPES,
    module_factory,
    module_state,
    penalty_from,
    penalty_state,
    plain,
    unplain,
    weights_of,
    without_scaling,
)
from sklkl._utils.checks import check_choice
from sklkl._utils.torch_state import usable
from sklkl.callbacks import BestWeights
from sklkl.modules import build_module, uncompiled
from sklkl.net import KLEnsemble, KLNet
from sklkl.net._moments import Remade
from sklkl.optim import OPTIMIZERS

# The number goes up when what is stored is no longer understood by code that knows the one before: the scales
# of format 2 have steps, those of format 1 have none.
FORMAT = 2

_SETTINGS = (
    "learning_rate", "kl_target", "kl_strength", "distill_weight", "distill_rows", "stream", "multilabel", "lr",
    "batch_size", "max_epochs", "averaged_epochs", "random_state", "device", "compile",
)  # fmt: skip
_LEARNED = ("lr_", "has_learned_", "interrupted_", "unlabeled_rows_", "why_autograd_", "total_epochs_")

_WEIGHT_PAIRS = "class_weight, in pairs"

# Where an estimator has how far it has come in a stream with a checkpoint.
POSITION = "_position"

_with_optimizer: ContextVar[bool] = ContextVar("_with_optimizer", default=False)


@contextmanager
def optimizer_kept(kept: bool) -> Iterator[None]:
    """Context in which the plain state of a net has what its optimiser remembers, or has not."""
    token = _with_optimizer.set(kept)
    try:
        yield
    finally:
        _with_optimizer.reset(token)


def estimator_state(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return plain data in place of the attributes of a classifier.

    Raises
    ------
    TypeError
        If one of them cannot be stored without pickle.
    """
    # a stream cannot go on to the bit without what the optimiser remembers
    left_out = {"net_"} if _with_optimizer.get() else {"net_", POSITION}
    state = {name: value for name, value in attributes.items() if name not in left_out}
    kinds = (torch.dtype, torch.device, os.PathLike)
    texts = {name: str(value) for name, value in state.items() if isinstance(value, kinds)}
    if isinstance(state.get("class_weight"), dict):  # as the keys of JSON are texts
        state[_WEIGHT_PAIRS] = list(state.pop("class_weight").items())
    if "net_" in attributes:
        state["net_"] = net_state(attributes["net_"])
    return state | texts


def attributes_from(state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a classifier from plain data, or from its own attributes."""
    attributes = dict(state)
    if _WEIGHT_PAIRS in state:
        attributes["class_weight"] = dict(attributes.pop(_WEIGHT_PAIRS))
    if str(state.get("dtype")).startswith("torch."):
        attributes["dtype"] = next(dtype for dtype in DTYPES.values() if str(dtype) == str(state["dtype"]))
    if isinstance(state.get("net_"), dict):
        attributes["net_"] = net_from_state(state["net_"], len(state["classes_"]))
    return attributes


def net_state(net: KLNet) -> dict[str, Any]:
    """Return a trained net as plain data.

    Raises
    ------
    TypeError
        If a part of it cannot be stored without pickle.
    """
    if isinstance(net, KLEnsemble):
        return {"format": FORMAT, "members": [net_state(member) for member in net.members_]}
    training: dict[str, Any] = {"generator": net.generator_.get_state().cpu().numpy()}
    if net.stream:
        training |= {"rate": plain(_rate_state(net)), "penalty": penalty_state(net.penalty_)}
    if _with_optimizer.get():
        training["moments"] = plain(net.optimizer_.state_dict()["state"])
    return {
        "format": FORMAT,
        "settings": {name: _plain_number(getattr(net, name)) for name in _SETTINGS},
        "learned": {name: _plain_number(getattr(net, name, None)) for name in _LEARNED},
        "module": module_state(net),
        "optimizer": _optimizer_name(net),
        "optimizer_params": {k: v for k, v in vars(net).items() if k.startswith("optimizer__")},
        "weights": weights_of(net.module_),
        "training": training,
        "history": _history_text(net.history),
    }


def net_from_state(state: dict[str, Any], n_classes: int) -> KLNet:
    """Return the net of which `net_state` gave the data, for so many classes.

    Raises
    ------
    ValueError
        If the data are of a format that is not known, or contradict themselves.
    """
    found = state["format"]
    if not isinstance(found, int) or not 1 <= found <= FORMAT:
        raise ValueError(
            f"The network is stored in format {found!r}; this version of sklkl knows formats 1 to {FORMAT}. A newer "
            "one is needed to read it."
        )
    if "members" in state:
        ensemble = KLEnsemble([net_from_state(member, n_classes) for member in state["members"]])
        ensemble._gather()
        ensemble.interrupted_ = any(net.interrupted_ for net in ensemble.members_)
        return ensemble
    if state["module"]["n_classes"] != n_classes:
        raise ValueError(f"The stored network has {state['module']['n_classes']} outputs for {n_classes} classes.")
    net = _bare_net(state)
    _fill(net.module_, state["weights"])
    _resume(net, state["training"])
    net.history = _history_from(state["history"])
    for name in _LEARNED:
        setattr(net, name, state["learned"][name])
    return net


def _bare_net(state: dict[str, Any]) -> KLNet:
    """Return an initialised net of the right make, whose weights are to be replaced."""
    factory, settings = module_factory(state["module"]), {name: state["settings"][name] for name in _SETTINGS}
    if factory.func is build_module:
        with torch.device("meta"):
            _check_shapes(factory(), state["weights"])
    net = KLNet(
        factory,
        **settings | {"device": _device(settings["device"])},
        classes=np.arange(factory.keywords["n_classes"]),
        optimizer=_optimizer(state["optimizer"]),
        callbacks=[("best_weights", BestWeights())],
        callbacks__print_log=None,
        train_split=None,
        verbose=0,
        **{name: value for name, value in state["optimizer_params"].items() if name.startswith("optimizer__")},
    )
    kind = net.optimizer
    if isinstance(state["optimizer"], str):
        net.optimizer = Remade(kind)
    net.initialize()
    net.optimizer = kind
    return net


def _resume(net: KLNet, training: dict[str, Any]) -> None:
    net.generator_.set_state(torch.from_numpy(np.array(training["generator"])))
    if "moments" in training:
        groups = net.optimizer_.state_dict()["param_groups"]
        net.optimizer_.load_state_dict({"state": unplain(training["moments"]), "param_groups": groups})
    if net.stream:
        net.penalty_ = penalty_from(training["penalty"])
        rate: Any = unplain(training["rate"])
        net.rate_state_ = None if rate is None else rate | {"optimizer": net.optimizer}


def _fill(module: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Load weights into the network's own memory, whose alignment decides the last digit of a prediction."""
    loaded = {name: torch.from_numpy(np.array(values)) for name, values in weights.items()}
    scaling = uncompiled(module).state_dict().keys() - without_scaling(module).keys()
    uncompiled(module).load_state_dict(loaded | {name: uncompiled(module).state_dict()[name] for name in scaling})
    module.eval()


def _check_shapes(module: nn.Module, weights: dict[str, np.ndarray]) -> None:
    """Raise a ValueError unless there is an array of the right shape for each parameter and buffer."""
    wanted = {name: tuple(values.shape) for name, values in without_scaling(module).items()}
    found = {name: tuple(np.shape(values)) for name, values in weights.items()}
    if wanted != found:
        raise ValueError(f"The stored weights do not fit the network: {found} instead of {wanted}.")


def _device(name: str) -> str:
    """Return the device of this name, or the CPU where this machine has none."""
    return "cpu" if name == "cpu" else str(usable(name))


def _optimizer_name(net: KLNet) -> Any:
    """Return the name of an optimiser of this package's choice, else its class."""
    return next((name for name, (kind, _) in OPTIMIZERS.items() if kind is net.optimizer), net.optimizer)


def _optimizer(found: Any) -> Any:
    if isinstance(found, str):
        check_choice("optimizer", found, OPTIMIZERS, of="a stored network")
        return OPTIMIZERS[found][0]  # type: ignore[index]
    return found


def _rate_state(net: KLNet) -> dict[str, Any] | None:
    """Return the state of a stream's rate, without the class of the optimiser, which is the net's."""
    state = net.rate_state_
    return None if state is None else {name: value for name, value in state.items() if name != "optimizer"}


def _plain_number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _history_text(history: History) -> str:
    """Return epochs' records as text, their names once; of what a callback wrote numbers and texts only."""
    records = [_record(record) for record in history]
    kinds = list(dict.fromkeys(tuple(record) for record in records))
    rows = [[kinds.index(tuple(record)), *record.values()] for record in records]
    return json.dumps({"names": kinds, "rows": rows}, separators=(",", ":"))


def _history_from(text: str) -> History:
    found = json.loads(text)
    rows = [dict(zip(found["names"][kind], values, strict=True)) for kind, *values in found["rows"]]
    return History([record | {"batches": [{}] if record["batches"] else []} for record in rows])


def _record(record: dict[str, Any]) -> dict[str, Any]:
    values = {name: _plain_number(value) for name, value in record.items() if name != "batches"}
    kept = {name: value for name, value in values.items() if isinstance(value, (bool, int, float, str, type(None)))}
    # of the batches there is one empty record at most
    return {"batches": len(record.get("batches", ())), **kept}
