"""From the parameters of an estimator to a net that is ready to train."""

from __future__ import annotations

import copy
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sklkl._fit.starting_weights import start_from
from sklkl.callbacks import BestWeights, Progress
from sklkl.data import Rows
from sklkl.distillation import Distillation
from sklkl.modules import MLP, accepted, build_module
from sklkl.net import KLNet
from sklkl.optim import OPTIMIZERS
from sklkl.penalties import make_penalty

FLOATS = {"float32": torch.float32, "float64": torch.float64}


def make_net(estimator: Any, rows: Rows, random_state: np.random.RandomState) -> KLNet:
    """Build and initialise the net of an estimator that knows its classes and has validated parameters.

    Raises
    ------
    ValueError
        If a parameter that is passed on is refused, or the network does not return logits.
    """
    optimizer, optimizer_params = _optimizer(estimator)
    callbacks = _callbacks(estimator)
    net = KLNet(
        _module_factory(estimator),
        classes=np.arange(len(estimator.classes_)),
        multilabel=rows.y is not None and rows.y.ndim == 2,
        lr=estimator.lr,
        optimizer=optimizer,
        callbacks=callbacks,
        callbacks__print_log=None,  # it makes its table even if nothing is printed
        random_state=random_state.randint(2**31 - 1),
        device=str(torch_device(estimator.device)),
        compile=estimator.compile,
        verbose=0,
        **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
    ).initialize()
    _check_logits(net, rows)
    if estimator.init_from is not None:
        start_from(net, estimator.init_from, estimator.classes_)
    return net


def copy_net(net: KLNet, estimator: Any) -> KLNet:
    """Copy a net that is to be trained further, so that the old one is there if that fails; renew its callbacks."""
    net = copy.deepcopy(net)
    net.callbacks = _callbacks(estimator)
    return net._initialize_callbacks()


def update_net(
    net: KLNet, estimator: Any, rows: Rows, distill_weight: float = 0.0, known: list[int] | None = None
) -> None:
    """Give a net, old or new, those parameters that may change between two trainings.

    Parameters
    ----------
    net : KLNet
        The net.
    estimator : KLClassifier
        For its parameters and classes.
    rows : Rows
        Training rows.
    distill_weight : float
        Weight of the distillation term.
    known : list of int or None
        Codes of the classes that the teacher knows; None for all.

    Raises
    ------
    ValueError
        If a parameter of the penalty is invalid, whether it is used or not.
    """
    make_penalty(estimator.kl_penalty).fit(rows, 2 if net.multilabel else len(estimator.classes_))
    net.kl_penalty, net.kl_strength = estimator.kl_penalty, estimator.kl_strength
    net.distill_weight, net.distill_rows = distill_weight, estimator.distill_rows
    net.learning_rate, net.kl_target = estimator.learning_rate, estimator.kl_target
    net.distillation = Distillation(estimator.distill_divergence, estimator.temperature, known)
    net.batch_size = min(128, len(rows)) if estimator.batch_size == "auto" else int(estimator.batch_size)
    if net.lr != estimator.lr:
        net.set_params(lr=estimator.lr)


def numpy_dtype(dtype: Any) -> np.dtype:
    """Return numpy's name for a floating type of torch."""
    return np.dtype(str(FLOATS.get(dtype, dtype)).removeprefix("torch."))


def torch_device(device: Any) -> torch.device:
    """Return the device that a parameter names.

    Raises
    ------
    ValueError
        If there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"The 'device' parameter must be 'auto' or a device of torch. Got {device!r}.") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"The 'device' parameter is {device!r}, but torch finds no CUDA device.")
    return found


def _module_factory(estimator: Any) -> partial[nn.Module]:
    common = {
        "n_features": estimator.n_features_in_,
        "n_classes": len(estimator.classes_),
        "dtype": FLOATS.get(estimator.dtype, estimator.dtype),
    }
    module = estimator.module
    if module is not None:
        receiver = type(module) if isinstance(module, nn.Module) else module
        params = estimator._passed_on("module", receiver)
        for name in common.keys() & params.keys():
            raise ValueError(f"'module__{name}' cannot be set: {type(estimator).__name__} sets it from the data.")
        return partial(build_module, module, **common, **params)
    stray = sorted(name for name in estimator.get_params(deep=False) if name.startswith("module__"))
    if stray:
        raise ValueError(
            f"The {stray[0]!r} parameter of {type(estimator).__name__} needs a 'module'. Got None instead."
        )
    own = {
        "hidden_layer_sizes": _hidden_layer_sizes(estimator),
        "activation": estimator.activation,
        "dropout": estimator.dropout,
    }
    return partial(build_module, MLP, **common, **own)


def _hidden_layer_sizes(estimator: Any) -> tuple[int, ...]:
    sizes = estimator.hidden_layer_sizes
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    if not all(isinstance(units, Integral) and int(units) >= 1 for units in sizes):
        raise _invalid(estimator, "hidden_layer_sizes", "an int >= 1 or a sequence of them")
    return tuple(int(units) for units in sizes)


def _invalid(estimator: Any, name: str, allowed: str) -> ValueError:
    """Return an error in the words of scikit-learn's own."""
    value = getattr(estimator, name)
    return ValueError(f"The {name!r} parameter of {type(estimator).__name__} must be {allowed}. Got {value!r} instead.")


def _optimizer(estimator: Any) -> tuple[Any, dict[str, Any]]:
    known = isinstance(estimator.optimizer, str)
    if not known and not (isinstance(estimator.optimizer, type) and issubclass(estimator.optimizer, Optimizer)):
        raise _invalid(estimator, "optimizer", f"one of {sorted(OPTIMIZERS)} or a class of torch optimisers")
    optimizer, params = OPTIMIZERS[estimator.optimizer] if known else (estimator.optimizer, {})
    decay = {} if estimator.weight_decay == "auto" else accepted(optimizer, weight_decay=estimator.weight_decay)
    # skorch's name for layer-wise parameters: [("pattern of names", {"lr": 0.0}), ...]
    given = estimator._passed_on("optimizer", optimizer, also=("param_groups",))
    return optimizer, {**params, **decay, **given}


def _callbacks(estimator: Any) -> list[Any]:
    # skorch changes the callbacks it is given, so the user's are copied
    own = [Progress()] if estimator.verbose else []
    for item in estimator.callbacks or []:
        callback = item[1] if isinstance(item, (list, tuple)) and len(item) == 2 else item
        if not all(hasattr(callback, method) for method in ("initialize", "on_epoch_end", "set_params")):
            raise _invalid(estimator, "callbacks", "a list of skorch callbacks, or of pairs of a name and a callback")
    return [*copy.deepcopy(estimator.callbacks or []), *own, ("best_weights", BestWeights(estimator.n_iter_no_change))]


def _check_logits(net: KLNet, rows: Rows) -> None:
    """Let the network see two rows before it is trained on all of them."""
    batch = next(rows.split([0, min(2, len(rows))]))
    net._set_training(False)
    with torch.no_grad():
        logits = net.infer(batch[0])
    expected = (len(batch[0]), len(net.classes_))
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != expected:
        raise ValueError(
            f"The 'module' parameter must return logits of shape (n_rows, n_classes), here {expected}. Got {shape} "
            "instead."
        )
