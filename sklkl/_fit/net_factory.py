"""From parameters to a net that is ready to train, or an error that names what cannot be trained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from sklkl._fit.parameters import NetParams, refused
from sklkl._fit.starting_weights import scaling_to_start_from, start_from
from sklkl._fit.training_set import Training
from sklkl._utils.checks import invalid, invalid_input
from sklkl._utils.equality import same_value
from sklkl._utils.progress import current_fit
from sklkl._utils.seeding import borrowed_global_state
from sklkl.callbacks import BestWeights, Progress
from sklkl.data import LazyRows, Rows
from sklkl.distillation import Distillation
from sklkl.modules import MLP, Scaling, accepted, build_module, input_scaling, scaling_of, uncompiled
from sklkl.modules._input_scaling import drawn_rows
from sklkl.net import EpochTasks, KLNet
from sklkl.optim import OPTIMIZERS

_OWNER = "KLClassifier"
# Of networks whose mean is predicted, which need less restraint each: their chance errors cancel.
_DECAY_OF_MEMBERS = 0.1
# Weights are averaged over about that part of the epochs.
_AVERAGED = 5


def new_net(
    params: NetParams,
    classes: np.ndarray,
    training: Training,
    random_state: np.random.RandomState,
    alike: KLNet | None = None,
) -> KLNet:
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
    alike : KLNet or None, default=None
        A net for about the same rows, which scales its inputs as this one will if that does so at all.

    Raises
    ------
    ValueError
        If a parameter that is passed on is refused, a parameter of the penalty is invalid, whether it is used or not,
        or the network does not return logits.
    """
    seed = random_state.randint(2**31 - 1)
    net = _initialized(params, training, len(classes), seed, alike=alike)
    if params.module is not None:
        _check_logits(net, training.data.train.shown)
    if params.init_from is not None:
        start_from(net, params.init_from, classes)
    return net


def resumed_net(net: KLNet, params: NetParams, training: Training) -> KLNet:
    """Return a net that resumes the training of another one, which is left as it is; see `new_net`."""
    resumed = _initialized(params, training, len(net.classes_), net.random_state, net)
    scaling = resumed.module.keywords.get("scaling")
    if scaling is not None:
        uncompiled(resumed.module_).scaling = scaling.to(params.device)  # it may have been on another one
    return resumed


def check_structure(net: KLNet, params: NetParams) -> None:
    """See that the network whose training is resumed is the one that the parameters describe.

    Raises
    ------
    ValueError
        If a parameter of the network was changed.
    """
    sizes = net.module.keywords["n_features"], net.module.keywords["n_classes"]
    old, new = _structure(net.module), _structure(_module_factory(params, *sizes))
    # what starts from another network scales its inputs as that does
    if params.init_from is None and params.module is None:
        old["scale_inputs"], new["scale_inputs"] = scaling_of(net.module_) is not None, params.scale_inputs
    for name in [*old, *new]:
        if name not in old or name not in new or not same_value(old[name], new[name]):
            before, now = (repr(found[name]) if name in found else "left out" for found in (old, new))
            raise invalid_input(name, now, f"{before}, as in the training that is resumed", of=_OWNER)


def _structure(factory: partial[nn.Module]) -> dict[str, Any]:
    """Return what a network is made of, by the names of the parameters."""
    own, others = factory.func is build_module, ("n_features", "n_classes", "scaling")
    made = {name: value for name, value in factory.keywords.items() if name not in others}
    dtype = made.pop("dtype")
    return {
        "module": None if own else factory.args[0],
        "dtype": dtype,
        **{name if own else f"module__{name}": value for name, value in made.items()},
    }


def _initialized(
    params: NetParams,
    training: Training,
    n_classes: int,
    seed: int,
    old: KLNet | None = None,
    alike: KLNet | None = None,
) -> KLNet:
    """Return a net made afresh, or the training of an old one resumed.

    Raises
    ------
    ValueError
        If the optimiser cannot be made for this network, or cannot take a step.
    """
    known = isinstance(params.optimizer, str) and not any(name.startswith("optimizer__") for name in params.passed_on)
    scaling = partial(_scaling, params, training, alike) if old is None else partial(_resumed_scaling, old, training)
    net = _net(params, training, n_classes, seed, scaling)
    try:
        net = net.make_parts() if old is None else net.resume(old)
    except Exception as error:
        if hasattr(net, "module_") and not hasattr(net, "optimizer_"):
            raise _unsuited(net.optimizer, error) from error
        raise
    if not known:  # this package's own optimisers can take a step
        _take_a_step(net)
    return net


def _take_a_step(net: KLNet) -> None:
    """Let an optimiser of the net's kind take a step with a parameter that is not the net's."""
    if net._needs_closure or any(getattr(layer, "sparse", False) for layer in net.module_.modules()):
        return
    like = next(net.module_.parameters())
    parameter = nn.Parameter(torch.zeros(2, 2, dtype=like.dtype, device=like.device))
    parameter.grad = torch.zeros_like(parameter)
    try:
        _, params = net.get_params_for_optimizer("optimizer", [("", parameter)])
        net.optimizer([parameter], **params).step()
    except Exception as error:  # whatever an optimiser from elsewhere says
        raise _unsuited(net.optimizer, error) from error


def _unsuited(optimizer: Any, error: Exception) -> ValueError:
    found = f"{optimizer.__name__}, which says {type(error).__name__}: {error}"
    allowed = "an optimiser for this network, whose gradients are dense, and for the 'optimizer__...' parameters"
    return invalid_input("optimizer", found, allowed, of=_OWNER)


def _net(
    params: NetParams, training: Training, n_classes: int, seed: int, make_scaling: Callable[[], Scaling | None]
) -> KLNet:
    """Return a net that is not initialised; what can be refused is, before the scales of the inputs are learned."""
    data, (n_rows, n_features) = training.data, training.data.train.shape[:2]
    module = _module_factory(params, n_features, n_classes)
    optimizer, others = _optimizer(params)
    callbacks, averaged_epochs = _callbacks(params), _averaged_epochs(params, training.epochs)
    scaling = make_scaling()
    if "teacher_proba" in data.train.columns:
        others["distillation"] = Distillation(params.distill_divergence, params.temperature, data.known_classes)
    return KLNet(
        module if scaling is None else partial(module, scaling=scaling),
        classes=np.arange(n_classes),
        multilabel=data.train.y is not None and data.train.y.ndim == 2,
        stream=training.stream,
        averaged_epochs=averaged_epochs,
        lr=params.lr,
        learning_rate=params.learning_rate,
        kl_target=params.kl_target,
        kl_penalty=params.kl_penalty,
        kl_strength=params.kl_strength,
        distill_weight=training.distill_weight,
        distill_rows=params.distill_rows,
        optimizer=optimizer,
        batch_size=min(128, n_rows) if params.batch_size == "auto" else int(params.batch_size),
        max_epochs=training.epochs,
        callbacks=[*callbacks, ("best_weights", BestWeights(params.n_iter_no_change))],
        callbacks__print_log=None,  # it makes its table even if nothing is printed
        train_split=None,  # what is set aside is a part of the training set
        random_state=seed,
        device=str(params.device),
        compile=params.compile,
        verbose=0,
        **others,
    )


def _module_factory(params: NetParams, n_features: int, n_classes: int) -> partial[nn.Module]:
    common: dict[str, Any] = {"n_features": n_features, "n_classes": n_classes, "dtype": params.dtype}
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
    common["hidden_layer_sizes"] = _hidden_layer_sizes(params.hidden_layer_sizes)
    return partial(build_module, MLP, **common, activation=params.activation, dropout=params.dropout)


def _scaling(params: NetParams, training: Training, alike: KLNet | None) -> Scaling | None:
    if not params.scale_inputs or params.module is not None:
        return None
    if params.init_from is not None:
        scaling = copy.deepcopy(scaling_to_start_from(params.init_from))
        if scaling is None or scaling.n_features == training.data.train.shape[1]:
            return scaling
    found = None if alike is None else copy.deepcopy(scaling_of(alike.module_))
    return found or input_scaling(*_inputs_and_weights(training), stream=training.stream)


def _resumed_scaling(old: KLNet, training: Training) -> Scaling | None:
    """Return a copy of a net's own, which learns from further rows of a stream."""
    scaling = copy.deepcopy(scaling_of(old.module_))
    if training.stream and scaling is not None:
        scaling.update(*_inputs_and_weights(training))
    return scaling


def _inputs_and_weights(training: Training) -> tuple[Any, np.ndarray | None]:
    """Return X and the weights of the rows that have a label: others may be made up, or come from elsewhere."""
    train, n_rows = training.data.train, training.n_labelled
    rows = train if train.is_whole else train.shown
    if isinstance(rows, LazyRows):
        rows, n_rows = rows.take(torch.from_numpy(drawn_rows(n_rows or len(rows)))), None
    X, weight = rows.X, rows.columns.get("weight")
    if n_rows is not None:
        X, weight = X[:n_rows], None if weight is None else weight[:n_rows]
    return X.cpu().numpy() if isinstance(X, Tensor) else X, None if weight is None else weight.cpu().numpy()


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
    decay = _weight_decay(params, optimizer)
    passed_on = _passed_on(params.passed_on, "optimizer", optimizer)
    arguments = {**defaults, **decay, **passed_on}
    return optimizer, {f"optimizer__{name}": value for name, value in arguments.items()}


def _weight_decay(params: NetParams, optimizer: Any) -> dict[str, Any]:
    """Return the weight decay, if it is not what the optimiser has by itself."""
    if params.weight_decay != "auto":
        return accepted(optimizer, weight_decay=params.weight_decay)
    of_members = params.n_members > 1 and params.optimizer == "adam"
    return {"weight_decay": _DECAY_OF_MEMBERS} if of_members else {}


def _averaged_epochs(params: NetParams, n_epochs: int) -> int:
    """Return over how many epochs weights are averaged; those of a network of the user's own only if that is asked."""
    if params.averaged_epochs != "auto":
        return int(params.averaged_epochs)
    return 1 if params.module is not None else max(1, n_epochs // _AVERAGED)


def _passed_on(params: Mapping[str, Any], prefix: str, receiver: Any) -> dict[str, Any]:
    """Return the arguments for one part, checked against what it accepts, or what is accepted for it.

    Raises
    ------
    ValueError
        If the part does not accept one of them.
    """
    start = prefix + "__"
    given = {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}
    others = refused(prefix, receiver, given) if given else set()
    if others:
        name = getattr(receiver, "__name__", repr(receiver))
        raise ValueError(
            f"The {start + min(others)!r} parameter of {_OWNER} is passed on to {name}, which does not accept it; its "
            f"signature is {inspect.signature(receiver)}."
        )
    return given


def _callbacks(params: NetParams) -> list[Any]:
    given = params.callbacks or []
    for item in given:
        name, callback = item if isinstance(item, (list, tuple)) and len(item) == 2 else ("", item)
        can_be_one = all(hasattr(callback, method) for method in ("initialize", "on_epoch_end", "set_params"))
        if not (can_be_one and isinstance(name, str)):
            allowed = "a list of skorch callbacks, or of pairs of a name and a callback"
            raise invalid("callbacks", given, allowed, of=_OWNER)
    own = [Progress()] if params.verbose else []
    tasks = [EpochTasks()] if current_fit.get() is not None else []
    return [*map(_own_callback, given), *own, *tasks]


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
        logits = _first_logits(net, batch[0])
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


def _first_logits(net: KLNet, x: Tensor) -> Any:
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
