"""Starting from the weights of a network that was trained before."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklkl._utils.checks import invalid_input
from sklkl._utils.class_alignment import class_positions
from sklkl.modules import MLP, Ensemble, Scaling, scaling_of, uncompiled
from sklkl.net import KLNet


def start_from(net: KLNet, init_from: Any, classes: np.ndarray) -> None:
    """Copy weights into a net, where names and shapes agree; of the output layer those of the classes both know.

    Parameters
    ----------
    net : KLNet
        An initialised net.
    init_from : FrozenEstimator around a fitted KLClassifier, or torch.nn.Module
        Where the weights come from.
    classes : ndarray of shape (n_classes,)
        Labels of the net's outputs.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError
        If there is no network in ``init_from``, or there are several, or nothing in it agrees with the new one.
    """
    module, old_classes = _origin(init_from)
    target, source = _state(uncompiled(net.module_)), _state(module)
    output = _output_names(module) if old_classes is not None else set()
    copied = [name for name in source.keys() & target.keys() if name not in output]
    copied = [name for name in copied if source[name].shape == target[name].shape]
    with torch.no_grad():
        for name in copied:
            target[name].copy_(source[name])
        known = [_copy_rows(target[name], source[name], old_classes, classes) for name in output & target.keys()]
    if not copied and not any(known):
        raise ValueError(
            "The 'init_from' parameter must be a network that has a layer of the same name and shape. Got "
            f"{ {name: tuple(values.shape) for name, values in source.items()} } instead of "
            f"{ {name: tuple(values.shape) for name, values in target.items()} }."
        )


def scaling_to_start_from(init_from: Any) -> Scaling | None:
    """Return the layer that scales the inputs of the network to start from: its weights know no other inputs."""
    return scaling_of(_origin(init_from)[0])


def _origin(init_from: Any) -> tuple[nn.Module, np.ndarray | None]:
    """Return the network and the labels of its outputs, None where they are not known."""
    if isinstance(init_from, nn.Module):
        return uncompiled(init_from), None
    estimator = init_from.estimator if isinstance(init_from, FrozenEstimator) else init_from
    if not hasattr(type(estimator), "module_") and not hasattr(estimator, "module_"):
        raise ValueError(
            "The 'init_from' parameter must be a FrozenEstimator around a fitted KLClassifier, or a torch.nn.Module. "
            f"Got {init_from!r} instead."
        )
    hint = "The 'init_from' parameter is not fitted; put a fitted classifier into a FrozenEstimator."
    check_is_fitted(estimator, msg=hint)
    if isinstance(estimator.module_, Ensemble):
        found, n_members = "a classifier of several networks", len(estimator.module_.members)
        raise invalid_input("init_from", found, f"one network, such as one of its {n_members} 'module_.members'")
    return uncompiled(estimator.module_), getattr(estimator, "classes_", None)


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name; of the built-in network its linear layers', by their order."""
    if type(module) is not MLP:
        return module.state_dict()
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    return {
        f"{place}.{name}": values for place, layer in enumerate(layers) for name, values in layer.state_dict().items()
    }


def _output_names(module: nn.Module) -> set[str]:
    """Return the names of the last layer's parameters."""
    if type(module) is MLP:
        *_, weight, bias = _state(module)
        return {weight, bias}
    layers = [(name, layer) for name, layer in module.named_modules() if list(layer.parameters(recurse=False))]
    if not layers:
        return set()
    prefix, last = layers[-1]
    return {f"{prefix}.{name}" if prefix else name for name, _ in last.named_parameters(recurse=False)}


def _copy_rows(target: Tensor, source: Tensor, old_classes: Any, classes: np.ndarray) -> bool:
    """Copy the rows of the labels both know; return whether there are any."""
    fits = len(source) == len(old_classes) and len(target) == len(classes) and source.shape[1:] == target.shape[1:]
    if not fits:
        return False
    old = torch.from_numpy(class_positions(classes, old_classes))
    target[old >= 0] = source[old[old >= 0]].to(target)
    return bool((old >= 0).any())
