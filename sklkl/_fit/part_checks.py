"""Networks and optimisers of the user's own that cannot be trained: found before training, and named."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sklkl._utils.checks import invalid_input
from sklkl._utils.seeding import borrowed_global_state
from sklkl.modules import build_module
from sklkl.net import KLNet

_OWNER = "KLClassifier"


def trainable_module(module: Any, **params: Any) -> nn.Module:
    """Return the network that :func:`sklkl.modules.build_module` makes.

    Raises
    ------
    ValueError
        If it cannot be made, or has nothing to train.
    """
    bare = isinstance(module, type) and issubclass(module, nn.Module) and module.__init__ is nn.Module.__init__
    try:
        # nn.Module's own would take arguments, then refuse
        built = module() if bare else build_module(module, **params)
    except ValueError:  # says what is wrong
        raise
    except Exception as error:  # whatever a class or factory from elsewhere says
        allowed = "what makes a network of 'n_features', 'n_classes' and the 'module__...' parameters"
        raise invalid_input("module", f"{type(error).__name__}: {error}", allowed, of=_OWNER) from error
    if not any(parameter.requires_grad for parameter in built.parameters()):
        frozen = "all of them frozen" if any(True for _ in built.parameters()) else "none"
        raise invalid_input("module", frozen, "a network with parameters that require a gradient", of=_OWNER)
    return built


def first_logits(net: KLNet, x: Tensor) -> Any:
    """Return what a network makes of its first rows.

    Raises
    ------
    ValueError
        If it fails on them.
    """
    try:
        return _drawn(net, x) if any(map(is_lazy, net.module_.parameters())) else net.infer(x)
    except Exception as error:  # whatever a network makes of inputs that it was not written for
        shape = ", ".join(["n_rows", *map(str, x.shape[1:])])
        dtype = str(x.dtype).removeprefix("torch.")
        hint = ", of which an Embedding needs x.long()" if "embedding" in str(error) else ""
        raise invalid_input(
            "module",
            f"{type(error).__name__}: {error}",
            f"a network that takes inputs of shape ({shape}) and type {dtype}{hint}",
            of=_OWNER,
        ) from error


def _drawn(net: KLNet, x: Tensor) -> Any:
    """Return what a network makes of its first rows if it draws weights for them, from torch's global state."""
    borrowed = borrowed_global_state(net.generator_, torch.device(net.device))
    try:
        with borrowed:
            return net.infer(x)
    finally:
        borrowed.give_back()


def initialized(net: KLNet, old: KLNet | None = None) -> KLNet:
    """Return a net made afresh, or the training of an old one resumed.

    Raises
    ------
    ValueError
        If the optimiser cannot be made for this network, or cannot take a step.
    """
    try:
        net = net.initialize() if old is None else net.resume(old)
    except Exception as error:
        if hasattr(net, "module_") and not hasattr(net, "optimizer_"):
            raise _unsuited(net.optimizer, error) from error
        raise
    try:
        _take_a_step(net)
    except Exception as error:  # whatever an optimiser from elsewhere says
        raise _unsuited(net.optimizer, error) from error
    return net


def _unsuited(optimizer: Any, error: Exception) -> ValueError:
    found = f"{optimizer.__name__}, which says {type(error).__name__}: {error}"
    allowed = "an optimiser for this network, whose gradients are dense, and for the 'optimizer__...' parameters"
    return invalid_input("optimizer", found, allowed, of=_OWNER)


def _take_a_step(net: KLNet) -> None:
    """Let an optimiser of the net's kind take a step with a parameter that is not the net's."""
    sparse = any(getattr(layer, "sparse", False) for layer in net.module_.modules())
    if net._needs_closure or sparse:
        return
    like = next(net.module_.parameters())
    parameter = nn.Parameter(torch.zeros(2, 2, dtype=like.dtype, device=like.device))
    parameter.grad = torch.zeros_like(parameter)
    _, params = net.get_params_for_optimizer("optimizer", [("", parameter)])
    net.optimizer([parameter], **params).step()
