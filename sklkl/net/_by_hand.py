"""Training of the built-in network by the engine instead of autograd, and when that may be."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from sklkl._engine import FlatAdamW, MLPStack, cross_entropy_gradient
from sklkl.data import Batch, Batches, Rows
from sklkl.losses import CrossEntropy, row_shares
from sklkl.modules import MLP, DenseScaling, label_log_proba
from sklkl.net._datasets import check_labels
from sklkl.penalties import Confidence, adapted

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end")
_OPTIONS = ("lr", "betas", "eps", "weight_decay")
_OTHER_OPTIONS = ("amsgrad", "maximize", "capturable", "differentiable")
# The views of scaled rows are made once for a training unless they take more than this many bytes.
_MOST_BYTES = 2**28


def why_autograd(net: Any, iterator: Any) -> str | None:
    """Return why a net is trained through autograd; None if the engine gives the same training.

    Parameters
    ----------
    net : KLNet
        An initialised net.
    iterator : object
        Over the batches of an epoch.
    """
    reasons: dict[str, Callable[[], bool]] = {
        "the module is not the built-in network as it was made": lambda: net.compile or not _is_plain(net.module_),
        "the optimizer is not torch's fused AdamW": lambda: not _is_plain_adamw(net.optimizer_, net.module_),
        "the data are not class codes and rows of numbers in memory": lambda: not _is_table(iterator),
        "the network and the rows have different types": lambda: iterator.rows.dtype is not _dtype(net.module_),
        "the penalty needs another forward pass": lambda: net.kl_strength and adapted(net.penalty_).needs_net,
        "a callback looks at gradients": lambda: net._has_hooks("on_grad_computed"),
    }
    return next((reason for reason, holds in reasons.items() if holds()), None)


def _is_plain(module: nn.Module) -> bool:
    layers = list(module.modules())
    return (
        isinstance(module, MLP)
        and module.is_as_made()
        and all(
            p.requires_grad and not (p._backward_hooks or p._post_accumulate_grad_hooks) for p in module.parameters()
        )
        and not any(values for layer in layers for name, values in vars(layer).items() if name.endswith("hooks"))
    )


def _is_plain_adamw(optimizer: Optimizer, module: nn.Module) -> bool:
    if type(optimizer) is not AdamW or len(optimizer.param_groups) != 1:
        return False
    (group,) = optimizer.param_groups
    alike = list(map(id, group["params"])) == list(map(id, module.parameters()))
    hooks = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    return bool(group.get("fused")) and alike and not hooks and not any(map(group.get, _OTHER_OPTIONS))


def _is_table(iterator: Any) -> bool:
    return type(iterator) is Batches and iterator.rows.y is not None and len(iterator.rows.X.shape) == 2


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


class ByHand:
    """A net's network and optimiser in the hands of the engine, for the time of a training.

    The network's parameters are views of the engine's memory meanwhile, and so are what the optimiser remembers.

    Parameters
    ----------
    module : MLP
        The network.
    optimizer : torch.optim.AdamW
        Its optimiser.

    Attributes
    ----------
    optimizer : FlatAdamW
        What a rate rule takes steps with.
    """

    def __init__(self, module: nn.Module, optimizer: Optimizer) -> None:
        assert isinstance(module, MLP)
        linears = module.linears()
        first = linears[0].weight
        sizes = [linears[0].in_features, *(layer.out_features for layer in linears)]
        self._activation = module.activation
        self.stack = MLPStack(sizes, self._activation, 1, first.dtype, first.device)
        self.optimizer = FlatAdamW(self.stack.flat, self.stack.gradient, **_options(optimizer))
        self._module, self._theirs, self._scaling = module, optimizer, module.scaling
        self._parameters = [p for layer in linears for p in (layer.weight, layer.bias)]
        self._flat = (self.stack.flat, self.stack.gradient, *self.optimizer.moments)
        self._views = list(zip(*map(self._in_order, self._flat), strict=True))
        self._dropouts = module.dropouts()
        self._rows: dict[int, tuple[Rows, Rows]] = {}

    def _in_order(self, flat: Tensor) -> list[Tensor]:
        layers = zip(*self.stack.layers_of(flat), strict=True)
        return [part[0] for layer in layers for part in layer]

    def is_of(self, module: nn.Module) -> bool:
        """Whether this is still the network that it was."""
        same = [id(p) for p in module.parameters()] == [id(p) for p in self._parameters]
        return same and module is self._module and self._module.activation is self._activation

    # Before and after

    def begin_epoch(self, net: Any, rows: Rows) -> None:
        """Take what a callback may have changed."""
        self.optimizer.group.update(_options(self._theirs))
        for parameter, (weights, gradient, *_) in zip(self._parameters, self._views, strict=True):
            if parameter.data_ptr() != weights.data_ptr():
                weights.copy_(parameter.detach())
                parameter.data = weights
            parameter.grad = gradient
        self._take_moments()
        self._has_formula = _has_formula(net, rows)

    def _take_moments(self) -> None:
        states = [self._theirs.state.get(parameter, {}) for parameter in self._parameters]
        if not all(states):
            self.optimizer.reset()
            return
        for state, (_, _, mean, mean_of_squares) in zip(states, self._views, strict=True):
            for name, view in (("exp_avg", mean), ("exp_avg_sq", mean_of_squares)):
                if state[name].data_ptr() != view.data_ptr():
                    view.copy_(state[name])
        self.optimizer.n_steps.copy_(states[0]["step"])

    def end_epoch(self) -> None:
        """Let the optimiser know what has become of it."""
        self._theirs.param_groups[0]["lr"] = self.optimizer.group["lr"]
        for parameter, (_, _, mean, mean_of_squares) in zip(self._parameters, self._views, strict=True):
            step = self.optimizer.n_steps.clone()
            self._theirs.state[parameter] = {"step": step, "exp_avg": mean, "exp_avg_sq": mean_of_squares}

    def release(self) -> None:
        """Give parameters and moments memory of their own."""
        self._theirs.param_groups[0]["lr"] = self.optimizer.group["lr"]
        for parameter in self._parameters:
            parameter.data, parameter.grad = parameter.data.clone(), None
            state = self._theirs.state.get(parameter, {})
            state.update({name: values.clone() for name, values in state.items()})

    # Steps

    def step(self, net: Any, batch: Batch) -> dict[str, Any]:
        """Compute the loss of a batch and its gradient and take a step, as :meth:`KLNet.train_step` does."""
        x = self._scaled(batch[0])
        logits = self.stack.forward(x, self._masks(x.shape[0]))
        try:
            loss, means, gradient = self._loss(net, logits, batch)
        except (IndexError, RuntimeError):
            check_labels(batch[1], logits[0].mT)
            raise
        self.stack.backward(gradient)
        net.learning_rate_.step(loss, x, batch.weight)
        return {"loss": loss, "y_pred": logits[0].mT, "terms": means, "mass": _mass(batch)}

    def _masks(self, n_rows: int) -> list[Tensor] | None:
        layers = zip(self._dropouts, self.stack.sizes[1:-1], strict=True)
        return [layer.mask((n_rows, units), self.stack.flat) for layer, units in layers] if self._dropouts else None

    def _loss(self, net: Any, logits: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the loss, the means of its terms, and its gradient: by a formula, or by autograd on the logits."""
        leaf = logits[0].mT
        shares = row_shares(leaf, batch.weight)
        if self._has_formula:
            terms, gradient = cross_entropy_gradient(logits, batch[1], shares, float(net.kl_strength))
            means = {name: values[0] for name, values in terms.items()}
            return reduce(add, means.values()), means, gradient
        leaf = leaf.detach().requires_grad_()
        terms = net.loss_terms(leaf, batch)
        torch.autograd.backward((reduce(add, terms.values()),), (shares,))
        assert leaf.grad is not None
        means = {name: values.detach() @ shares for name, values in terms.items()}
        return reduce(add, means.values()), means, leaf.grad.mT[None]

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits in evaluation mode, of shape (n_rows, n_classes), of rows as `batches` has them."""
        return self.stack.forward(self._scaled(x))[0].mT

    def predict(self, multilabel: bool, x: Tensor) -> Tensor:
        """Return what a rate rule measures, of rows that are scaled."""
        logits = self.stack.forward(x)[0].mT
        return label_log_proba(logits) if multilabel else logits

    # Rows

    def batches(self, net: Any, iterator: Any) -> Any:
        """Return batches whose rows are scaled already, unless anything from elsewhere may look at them."""
        scaling = self._scaling
        self._scales_batches = scaling is not None
        if type(iterator) is not Batches or not isinstance(scaling, DenseScaling):
            return iterator
        rows = iterator.rows
        looks = any(map(net._has_hooks, _BATCH_HOOKS)) or (net.kl_strength and not _is_own(net.penalty_))
        if looks or len(rows) * scaling.n_outputs * rows.X.element_size() > _MOST_BYTES:
            return iterator
        self._scales_batches = False
        if id(rows) not in self._rows:
            with torch.no_grad():
                self._rows[id(rows)] = rows, Rows(scaling(rows.X), rows.y, **rows.columns)
        return Batches(self._rows[id(rows)][1], iterator.batch_size, iterator.shuffle, iterator.generator)

    def _scaled(self, x: Tensor) -> Tensor:
        if self._scaling is None or not self._scales_batches:
            return x
        with torch.no_grad():
            return self._scaling(x)


def _mass(batch: Batch) -> float | Tensor:
    weight = batch.weight
    return batch[0].shape[0] if weight is None else weight.sum()


def _is_own(penalty: Any) -> bool:
    return type(penalty).__module__ == Confidence.__module__


def _options(optimizer: Optimizer) -> dict[str, Any]:
    return {name: optimizer.param_groups[0][name] for name in _OPTIONS}


def _has_formula(net: Any, rows: Rows) -> bool:
    """Whether the loss is cross-entropy of labels that every row has, penalised by its confidence or not at all."""
    if (
        net.multilabel
        or net.unlabeled_rows_
        or type(net.criterion_) is not CrossEntropy
        or "teacher_proba" in rows.columns
    ):
        return False
    penalty = net.penalty_
    return not net.kl_strength or (type(penalty) is Confidence and penalty.entropy_threshold is None)
