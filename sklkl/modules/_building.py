"""Networks from what a user gives for one: a class, a factory, or an instance."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from sklkl._utils.checks import invalid_input

__all__ = ["accepted", "build_module", "uncompiled"]


def accepted(factory: Callable[..., object], **arguments: object) -> dict[str, object]:
    """Return those keyword ``arguments`` that a class or factory accepts by name.

    Parameters
    ----------
    factory : callable
        A class or function.
    **arguments : object
        What could be passed to it.

    Returns
    -------
    dict
        The arguments that appear in its signature; all of them if it takes ``**kwargs``.

    Examples
    --------
    >>> from sklkl.modules import accepted
    >>> accepted(lambda n_classes: None, n_features=3, n_classes=2)
    {'n_classes': 2}
    """
    try:
        parameters = _of_class(factory) if isinstance(factory, type) else _parameters(factory)
    except ValueError:  # a built-in class that has no signature
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return arguments
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {name: value for name, value in arguments.items() if name in named}


def _parameters(factory: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(factory).parameters.values())


_of_class = lru_cache(maxsize=32)(_parameters)  # to look at a class takes a noticeable part of a short fit


def build_module(
    module: nn.Module | Callable[..., nn.Module], n_features: int, n_classes: int, dtype: torch.dtype, **params: Any
) -> nn.Module:
    """Build a network from a class or factory, or copy an instance, in the given floating type.

    Parameters
    ----------
    module : torch.nn.Module class, factory or instance
        A class or factory is called with ``params`` and, where it accepts them, ``n_features`` and ``n_classes``.
        An instance is copied, weights and all.
    n_features, n_classes : int
        Number of input columns (the size of the second axis) and of logits.
    dtype : torch.dtype
        Floating type of its parameters and buffers.
    **params : Any
        Further arguments.

    Raises
    ------
    ValueError
        If the factory returns no network, or arguments are given for an instance.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import MLP, build_module
    >>> build_module(MLP, 4, 3, torch.float64, hidden_layer_sizes=())
    MLP(
      (0): _Linear(in_features=4, out_features=3, bias=True)
    )
    """
    if isinstance(module, nn.Module):
        if params:
            name = type(module).__name__
            raise ValueError(
                f"The 'module' parameter must be a class if {sorted(params)} are passed to it. Got an instance of "
                f"{name} instead."
            )
        return _copied(module).to(dtype)
    built = _in_float32(module, **{**accepted(module, n_features=n_features, n_classes=n_classes), **params})
    if not isinstance(built, nn.Module):
        raise ValueError(f"The 'module' parameter must make a torch.nn.Module. Got {built!r} from {module!r} instead.")
    return built.to(dtype)


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:  # such as buffers that wait for their first input
        found = f"an instance that cannot be ({type(error).__name__}: {error})"
        raise invalid_input("module", found, "copied: pass a class or a function that makes it") from error


def _in_float32(factory: Callable[..., object], **arguments: Any) -> object:
    """Call a factory with torch's own default type, on which the random weights depend, whatever the caller has set."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        return factory(**arguments)
    finally:
        torch.set_default_dtype(before)


def uncompiled(module: nn.Module) -> nn.Module:
    """Return the network itself where it is the result of :func:`torch.compile`, whose layers have other names.

    Examples
    --------
    >>> import torch
    >>> from sklkl.modules import uncompiled
    >>> uncompiled(torch.nn.Linear(3, 2))
    Linear(in_features=3, out_features=2, bias=True)
    """
    original = getattr(module, "_orig_mod", module)
    assert isinstance(original, nn.Module)
    return original
