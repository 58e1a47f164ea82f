"""From parameters to a net that is ready to train."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sklkl._fit.parameters import NetParams
from sklkl._fit.part_checks import first_logits, initialized, trainable_module
from sklkl._fit.starting_weights import start_from
from sklkl._fit.training_set import Training
from sklkl._utils.checks import invalid, invalid_input
from sklkl.callbacks import BestWeights, Progress
from sklkl.data import Rows
from sklkl.distillation import Distillation
from sklkl.modules import MLP, accepted, build_module
from sklkl.net import KLNet
from sklkl.optim import OPTIMIZERS

_OWNER = "KLClassifier"


def new_net(params: NetParams, classes: np.ndarray, training: Training, random_state: np.random.RandomState) -> KLNet:
    """Build and initialise a net.

    Parameters
    ----------
    params : NetParams
        Validated parameters.
    classes : ndarray of shape (n_classes,)
        Labels of the logits.
    training : Training
        What it will be trained on, and how.
    random_state : RandomState
        Source of the net's seed.

    Raises
    ------
    ValueError
        If a parameter that is passed on is refused, a parameter of the penalty is invalid, whether it is used or not,
        or the network does not return logits.
    """
    net = initialized(_net(params, training, len(classes), random_state.randint(2**31 - 1)))
    if params.module is not None:
        _check_logits(net, training.data.train)
    if params.init_from is not None:
        start_from(net, params.init_from, classes)
    return net


def resumed_net(net: KLNet, params: NetParams, training: Training) -> KLNet:
    """Return a net that resumes the training of another one, which is left as it is; see `new_net`."""
    return initialized(_net(params, training, len(net.classes_), net.random_state), net)


def _net(params: NetParams, training: Training, n_classes: int, seed: int) -> KLNet:
    data, n_rows = training.data, training.data.train.X.shape[0]
    module, (optimizer, optimizer_params) = _module_factory(params, data.train, n_classes), _optimizer(params)
    callbacks = [*_callbacks(params), ("best_weights", BestWeights(params.n_iter_no_change))]
    distillation = Distillation(params.distill_divergence, params.temperature, data.known_classes)
    return KLNet(
        module,
        classes=np.arange(n_classes),
        multilabel=data.train.y is not None and data.train.y.ndim == 2,
        stream=training.stream,
        lr=params.lr,
        learning_rate=params.learning_rate,
        kl_target=params.kl_target,
        kl_penalty=params.kl_penalty,
        kl_strength=params.kl_strength,
        distill_weight=training.distill_weight,
        distill_rows=params.distill_rows,
        distillation=distillation,
        optimizer=optimizer,
        batch_size=min(128, n_rows) if params.batch_size == "auto" else int(params.batch_size),
        max_epochs=training.epochs,
        callbacks=callbacks,
        callbacks__print_log=None,  # it makes its table even if nothing is printed
        train_split=None,  # what is set aside is a part of the training set
        random_state=seed,
        device=str(params.device),
        compile=params.compile,
        verbose=0,
        **optimizer_params,
    )


def _module_factory(params: NetParams, rows: Rows, n_classes: int) -> partial[nn.Module]:
    common: dict[str, Any] = {"n_features": rows.X.shape[1], "n_classes": n_classes, "dtype": params.dtype}
    module = params.module
    if module is not None:
        receiver = type(module) if isinstance(module, nn.Module) else module
        given = _passed_on(params.passed_on, "module", receiver)
        for name in common.keys() & given.keys():
            raise ValueError(f"'module__{name}' cannot be set: {_OWNER} sets it from the data.")
        return partial(trainable_module, module, **common, **given)
    stray = sorted(name for name in params.passed_on if name.startswith("module__"))
    if stray:
        raise ValueError(f"The {stray[0]!r} parameter of {_OWNER} needs a 'module'. Got None instead.")
    own: dict[str, Any] = {
        "hidden_layer_sizes": _hidden_layer_sizes(params.hidden_layer_sizes),
        "activation": params.activation,
        "dropout": params.dropout,
    }
    return partial(build_module, MLP, **common, **own)


def _hidden_layer_sizes(given: Any) -> tuple[int, ...]:
    sizes = (given,) if isinstance(given, Integral) else tuple(given)
    if not all(isinstance(units, Integral) and int(units) >= 1 for units in sizes):
        raise invalid("hidden_layer_sizes", given, "an int >= 1 or a sequence of them", of=_OWNER)
    return tuple(int(units) for units in sizes)


def _optimizer(params: NetParams) -> tuple[Any, dict[str, Any]]:
    given = params.optimizer
    known = isinstance(given, str)
    if not known and not (isinstance(given, type) and issubclass(given, Optimizer)):
        raise invalid("optimizer", given, f"one of {sorted(OPTIMIZERS)} or a class of torch optimisers", of=_OWNER)
    optimizer, defaults = OPTIMIZERS[given] if known else (given, {})
    decay = {} if params.weight_decay == "auto" else accepted(optimizer, weight_decay=params.weight_decay)
    # skorch's name for layer-wise parameters: [("pattern of names", {"lr": 0.0}), ...]
    passed_on = _passed_on(params.passed_on, "optimizer", optimizer, also=("param_groups",))
    arguments = {**defaults, **decay, **passed_on}
    return optimizer, {f"optimizer__{name}": value for name, value in arguments.items()}


def _passed_on(params: Mapping[str, Any], prefix: str, receiver: Any, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the arguments for one part, checked against what it accepts, or what is accepted for it.

    Raises
    ------
    ValueError
        If the part does not accept one of them.
    """
    start = prefix + "__"
    given = {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}
    refused = set(given) - set(accepted(receiver, **given)) - set(also) if given else set()
    if refused:
        name = getattr(receiver, "__name__", repr(receiver))
        raise ValueError(
            f"The {start + min(refused)!r} parameter of {_OWNER} is passed on to {name}, which does not accept it; its "
            f"signature is {inspect.signature(receiver)}."
        )
    return given


def _callbacks(params: NetParams) -> list[Any]:
    given = params.callbacks or []
    for item in given:
        callback = item[1] if isinstance(item, (list, tuple)) and len(item) == 2 else item
        if not all(hasattr(callback, method) for method in ("initialize", "on_epoch_end", "set_params")):
            allowed = "a list of skorch callbacks, or of pairs of a name and a callback"
            raise invalid("callbacks", given, allowed, of=_OWNER)
    own = [Progress()] if params.verbose else []
    return [*map(_own_callback, given), *own]


def _own_callback(item: Any) -> Any:
    """Return a copy of a callback, as skorch changes what it is given; the user's lists, files and locks are shared."""
    if isinstance(item, (list, tuple)):
        return item[0], _own_callback(item[1])
    if isinstance(item, type) or not hasattr(item, "__dict__"):
        return item
    # not copy.copy, which leaves out what a callback does not pickle
    copied = object.__new__(type(item))
    vars(copied).update(vars(item))
    return copied


def _check_logits(net: KLNet, rows: Rows) -> None:
    """Let the network see two rows before it is trained on all of them."""
    batch = next(rows.split([0, min(2, len(rows))]))
    net.set_mode(training=False)
    with torch.no_grad():
        logits = first_logits(net, batch[0])
    expected = (len(batch[0]), len(net.classes_))
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != expected:
        raise ValueError(
            f"The 'module' parameter must return logits of shape (n_rows, n_classes), here {expected}. Got {shape} "
            "instead."
        )
    if not logits.is_floating_point():
        dtype = str(logits.dtype).removeprefix("torch.")
        raise invalid_input("module", f"logits of type {dtype}", "a network that returns real numbers", of=_OWNER)
