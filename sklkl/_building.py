"""From the parameters of an estimator to a net that is ready to train."""

from __future__ import annotations

import copy
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklkl.callbacks import BestWeights, Progress
from sklkl.data import Rows
from sklkl.modules import MLP, accepted, build_module
from sklkl.net import KLNet
from sklkl.optim import OPTIMIZERS

FLOATS = {"float32": torch.float32, "float64": torch.float64}


def make_net(estimator: Any, rows: Rows, random_state: np.random.RandomState) -> KLNet:
    """Build and initialise the net of an estimator that knows its classes and has validated parameters.

    Raises
    ------
    ValueError
        If a parameter that is passed on is refused, or the network does not return logits.
    """
    optimizer, optimizer_params = _optimizer(estimator)
    net = KLNet(
        _module_factory(estimator),
        classes=np.arange(len(estimator.classes_)),
        multilabel=rows.y is not None and rows.y.ndim == 2,
        lr=estimator.lr,
        optimizer=optimizer,
        callbacks=_callbacks(estimator),
        random_state=random_state.randint(2**31 - 1),
        device=str(torch_device(estimator.device)),
        compile=estimator.compile,
        verbose=0,
        **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
    ).initialize()
    _check_logits(net, rows)
    return net


def update_net(net: KLNet, estimator: Any, n_rows: int) -> None:
    """Give a net, old or new, those parameters that may change between two trainings."""
    net.kl_penalty, net.kl_strength = estimator.kl_penalty, estimator.kl_strength
    net.batch_size = min(128, n_rows) if estimator.batch_size == "auto" else int(estimator.batch_size)
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
        return partial(build_module, module, **common, **estimator._passed_on("module", receiver))
    sizes = estimator.hidden_layer_sizes
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    own = {"hidden_layer_sizes": sizes, "activation": estimator.activation, "dropout": estimator.dropout}
    return partial(build_module, MLP, **common, **own)


def _optimizer(estimator: Any) -> tuple[Any, dict[str, Any]]:
    known = isinstance(estimator.optimizer, str)
    optimizer, params = OPTIMIZERS[estimator.optimizer] if known else (estimator.optimizer, {})
    decay = {} if estimator.weight_decay == "auto" else accepted(optimizer, weight_decay=estimator.weight_decay)
    return optimizer, {**params, **decay, **estimator._passed_on("optimizer", optimizer)}


def _callbacks(estimator: Any) -> list[Any]:
    # skorch changes the callbacks it is given, so the user's are copied
    own = [Progress()] if estimator.verbose else []
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
