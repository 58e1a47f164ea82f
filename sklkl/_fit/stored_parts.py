"""The parts of a stored net: networks, scalings of inputs, penalties, tensors in any nesting."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklkl import penalties
from sklkl._fit.net_factory import trainable_module
from sklkl._utils.checks import check_choice
from sklkl._utils.plain_state import check_plain
from sklkl.modules import ACTIVATIONS, MLP, DenseScaling, Scaling, SparseScaling, build_module, scaling_of, uncompiled
from sklkl.net import KLNet

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float16, torch.float32, torch.float64)}
_SCALINGS: dict[str, type[Any]] = {"DenseScaling": DenseScaling, "SparseScaling": SparseScaling}
_OWN_PENALTIES = {kind.__name__: kind for kind in penalties.PENALTIES.values()}


# Networks


def module_state(net: KLNet) -> dict[str, Any]:
    """Return what a network is made of; one of the user's own is made of its class.

    Raises
    ------
    TypeError
        If it is of no class that can be named, or was changed since it was made.
    """
    factory: Any = net.module
    params = dict(factory.keywords)
    made = {name: params.pop(name) for name in ("n_features", "n_classes")}
    made["dtype"] = str(params.pop("dtype")).removeprefix("torch.")
    if factory.func is not build_module:
        check_plain("module", factory.args[0], of="KLClassifier")
        return made | {"module": factory.args[0], "params": params}
    if not _is_as_made(net.module_):
        raise TypeError("The built-in network was changed since it was made; it cannot be stored without pickle.")
    scaling = scaling_of(net.module_)
    params["hidden_layer_sizes"] = list(params["hidden_layer_sizes"])
    return made | {"params": params | {"scaling": None if scaling is None else _scaling_state(scaling)}}


def module_factory(state: dict[str, Any]) -> partial[nn.Module]:
    """Return what makes the network, as `net_factory` has it."""
    check_choice("dtype", state["dtype"], DTYPES, of="a stored network")
    made: dict[str, Any] = {name: int(state[name]) for name in ("n_features", "n_classes")}
    made["dtype"] = DTYPES[state["dtype"]]
    params = dict(state["params"])
    if "module" in state:
        return partial(trainable_module, state["module"], **made, **params)
    check_choice("activation", params["activation"], ACTIVATIONS, of="a stored network")
    scaling = params.pop("scaling")
    if scaling is not None:
        params["scaling"] = _scaling_from(scaling)
    params["hidden_layer_sizes"] = tuple(map(int, params["hidden_layer_sizes"]))
    return partial(build_module, MLP, **made, **params)


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return parameters and buffers by name, without those of the scaling of the inputs.

    Raises
    ------
    TypeError
        If the network has a state of another kind.
    """
    state: dict[str, Any] = without_scaling(module)
    others = [name for name, values in state.items() if not isinstance(values, Tensor)]
    if others:
        found = f"{others[0]!r} of {type(uncompiled(module)).__name__} is no tensor"
        raise TypeError(f"{found}; it cannot be stored without pickle.")
    return {name: _array(values) for name, values in state.items()}


def without_scaling(module: nn.Module) -> dict[str, Tensor]:
    """Return the state of a network, without that of the built-in network's first layer, which is made with it."""
    own, state = scaling_of(module) is not None, uncompiled(module).state_dict()
    return {name: values for name, values in state.items() if not (own and name.startswith("scaling."))}


def _is_as_made(module: nn.Module) -> bool:
    module = uncompiled(module)
    return isinstance(module, MLP) and module.is_as_made()


def _scaling_state(scaling: Scaling) -> dict[str, Any]:
    state: dict[str, Any] = {"kind": type(scaling).__name__}
    if isinstance(scaling, DenseScaling):
        state |= {"eps": scaling.eps, "stream": scaling.stream}
    return state | {"buffers": {name: _array(values) for name, values in scaling.named_buffers()}}


def _scaling_from(state: dict[str, Any]) -> Scaling:
    check_choice("kind", state["kind"], _SCALINGS, of="a stored scaling")
    kind = _SCALINGS[state["kind"]]
    buffers = {name: _tensor(values) for name, values in state["buffers"].items()}
    if kind is SparseScaling:
        return SparseScaling.from_buffers(buffers)
    return DenseScaling.from_buffers(buffers, float(state["eps"]), bool(state["stream"]))


# Penalties


def penalty_state(penalty: Any) -> dict[str, Any] | None:
    """Return a fitted penalty of this package; None for any other, which the rows to come are to fit anew."""
    if type(penalty).__name__ not in _OWN_PENALTIES or type(penalty) is not _OWN_PENALTIES[type(penalty).__name__]:
        return None
    return {"kind": type(penalty).__name__, "state": plain(vars(penalty))}


def penalty_from(state: dict[str, Any] | None) -> Any:
    """Return the penalty of which `penalty_state` gave the data."""
    if state is None:
        return None
    check_choice("kind", state["kind"], _OWN_PENALTIES, of="a stored penalty")
    penalty = _OWN_PENALTIES[state["kind"]]()
    penalty.__dict__.update(unplain(state["state"]))
    return penalty


# Tensors


def plain(value: Any) -> Any:
    """Return nested containers with arrays in place of tensors."""
    if isinstance(value, Tensor):
        return _array(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def unplain(value: Any) -> Any:
    """Return nested containers with tensors in place of arrays."""
    if isinstance(value, np.ndarray):
        return _tensor(value)
    if isinstance(value, dict):
        return {key: unplain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(unplain, value))
    return value


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().copy()


def _tensor(values: np.ndarray) -> Tensor:
    """Return an array in memory of torch's own, whose alignment decides the last digit of a prediction."""
    return torch.from_numpy(np.array(values)).clone()
