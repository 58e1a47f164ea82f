"""Training of the built-in network by the engine instead of autograd, and when that may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from sklkl._engine import StackAdamW, cross_entropy_gradient
from sklkl.data import Batch, Batches, Rows
from sklkl.losses import CrossEntropy, row_shares
from sklkl.modules import MLP, DenseScaling, label_log_proba
from sklkl.net._datasets import check_labels
from sklkl.net._lent import Lent, SharedRate, options_of, stack_of
from sklkl.net._passes import StackPasses, is_own, looks_at_rows, needs_passes
from sklkl.net._shares import joined
from sklkl.net._sparse_batches import GatheredBatches, are_gathered, features_of
from sklkl.net._terms import loss_terms
from sklkl.penalties import Confidence

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
_OTHER_OPTIONS = ("amsgrad", "maximize", "capturable", "differentiable")
# The views of scaled rows are made once for a training unless they take more than this many bytes.
MOST_BYTES = 2**26
# So many numbers are scaled at a time: what is made on the way takes several times their memory.
_SCALED_AT_ONCE = 2**18
# Of what is gathered at a time, a quarter: scaled rows have several times as many columns.
_SHARE = 4


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
        "the penalty needs another forward pass": lambda: (
            needs_passes(net, net.penalty_) and not _has_passes(net, iterator)
        ),
        "a callback looks at every batch": lambda: any(map(net._has_hooks, _BATCH_HOOKS)),
    }
    return next((reason for reason, holds in reasons.items() if holds()), None)


def _is_plain(module: nn.Module) -> bool:
    layers, parameters = list(module.modules()), list(module.parameters())
    return (
        isinstance(module, MLP)
        and module.is_as_made()
        # neither tied, missing nor more
        and list(map(id, parameters)) == [id(p) for layer in module.linears() for p in (layer.weight, layer.bias)]
        and len({p.dtype for p in parameters}) == 1
        and all(p.requires_grad and not (p._backward_hooks or p._post_accumulate_grad_hooks) for p in parameters)
        and not any(values for layer in layers for name, values in vars(layer).items() if name.endswith("hooks"))
    )


def _is_plain_adamw(optimizer: Optimizer, module: nn.Module) -> bool:
    if type(optimizer) is not AdamW or len(optimizer.param_groups) != 1:
        return False
    (group,) = optimizer.param_groups
    alike = list(map(id, group["params"])) == list(map(id, module.parameters()))
    alike &= "step" not in vars(optimizer)  # which a scheduler of torch replaces
    hooks = optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks
    # all moments are from the beginning, or none is
    alike &= len({float(optimizer.state.get(p, {}).get("step", 0)) for p in group["params"]}) == 1
    return bool(group.get("fused")) and alike and not hooks and not any(map(group.get, _OTHER_OPTIONS))


def _is_table(iterator: Any) -> bool:
    return type(iterator) is Batches and iterator.rows.y is not None and len(iterator.rows.shape) == 2


def _has_passes(net: Any, iterator: Any) -> bool:
    """Whether the engine has the passes that a penalty needs: it knows the penalty, and batches have all features."""
    return is_own(net.penalty_) and not are_gathered(iterator.rows, net.module_.scaling)


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype


class ByHand:
    """The training of a net by the engine.

    Parameters
    ----------
    net : KLNet
        A net for which `why_autograd` has no reason.

    Attributes
    ----------
    optimizer : StackAdamW
        What a rate rule takes steps with.
    """

    def __init__(self, net: Any) -> None:
        self._lent = Lent(net.module_, net.optimizer_)
        self.stack = stack_of([net.module_])
        self.optimizer = StackAdamW(self.stack, [options_of(net.optimizer_)], alone=True)
        # rules and callbacks may both change it, at any time
        self.optimizer.param_groups = [SharedRate(group, net.optimizer_) for group in self.optimizer.param_groups]
        self._scaling, self._dropouts = net.module_.scaling, net.module_.dropouts()
        # what callbacks see they may change at the end of a training too, so it is not for who comes after that
        kept = None if net.is_watched() else net._scaled_rows
        self._rows = ScaledRows() if kept is None else kept

    def is_of(self, net: Any) -> bool:
        """Whether this is still the net that it was."""
        same = self._lent.optimizer is net.optimizer_ and self._scaling is net.module_.scaling
        return same and self._lent.is_of(net.module_)

    def forget_rows(self) -> None:
        """Scale the rows again, which a callback may have changed."""
        self._rows.forget()

    def begin_epoch(self, net: Any, rows: Rows) -> None:
        """Take what a callback may have changed."""
        self._lent.lend(self.stack, self.optimizer, 0)
        self._has_formula, self._strength = has_formula(net, rows), float(net.kl_strength)
        self._passes = StackPasses(self.stack, [net], [net]) if needs_passes(net, net.penalty_) else None

    def release(self) -> None:
        """Give the net's tensors memory of their own."""
        self._lent.take_back()

    # Steps

    def step(self, net: Any, batch: Batch) -> dict[str, Any]:
        """Compute the loss of a batch and its gradient, take a step, and return what an epoch records of it."""
        x = self._ready(batch)
        if self._passes is not None:
            self._passes.begin(batch[0], x)
        logits = self.stack.forward(x, self._masks(x.shape[0]))[0]
        try:
            loss, means, gradient = self._loss(net, logits, batch)
        except (IndexError, RuntimeError):
            check_labels(batch[1], logits.mT)
            raise
        self.stack.backward(gradient)
        if self._passes is not None:
            self._passes.add_gradient()
        step = {"loss": loss, "terms": means, "mass": _mass(batch)}
        weight = joined(step, [self.stack.gradient], batch)
        net.take_step(step["loss"], x, weight)
        return step

    def _masks(self, n_rows: int) -> list[Tensor] | None:
        layers = zip(self._dropouts, self.stack.sizes[1:-1], strict=True)
        return [layer.mask((n_rows, units), self.stack.flat) for layer, units in layers] if self._dropouts else None

    def _loss(self, net: Any, logits: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Return the loss, the means of its terms, and its gradient: by a formula, or by autograd on the logits."""
        shares = row_shares(batch[0], batch.weight).to(logits.dtype)
        if self._has_formula:
            terms, gradient = cross_entropy_gradient(logits, batch[1], shares, self._strength)
            return reduce(add, terms.values()), terms, gradient
        leaf = logits.mT.detach().requires_grad_()
        terms = loss_terms(net, leaf, batch, training=True, passes=self._passes)
        losses = reduce(add, terms.values())
        torch.autograd.backward((losses,), (shares.to(losses.dtype),))
        assert leaf.grad is not None
        means = {name: values.detach() @ shares.to(values.dtype) for name, values in terms.items()}
        return reduce(add, means.values()), means, leaf.grad.mT

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits in evaluation mode, of shape (n_rows, n_classes), of a batch as `batches` has them."""
        return self.stack.forward(self._ready(batch))[0].mT

    def predict(self, multilabel: bool, x: Tensor) -> Tensor:
        """Return what a rate rule measures, of rows that are scaled."""
        logits = self.stack.forward(x)[0].mT
        return label_log_proba(logits) if multilabel else logits

    # Rows

    def batches(self, net: Any, iterator: Any) -> Any:
        """Return batches whose rows are scaled already, unless anything from elsewhere may look at them."""
        scaling = self._scaling
        self._scales_batches = scaling is not None
        if type(iterator) is not Batches or (net.kl_strength and looks_at_rows(net.penalty_)):
            return iterator
        if are_gathered(iterator.rows, scaling):
            self._scales_batches = False
            return GatheredBatches([iterator], [scaling])
        if not isinstance(scaling, DenseScaling) or iterator.rows.is_sparse:  # a stream may bring either
            return iterator
        rows, self._scales_batches = iterator.rows, False
        if not rows.is_whole or len(rows) * scaling.n_outputs * rows.X.element_size() > MOST_BYTES:
            return ScaledBatches(iterator, scaling)
        return Batches(self._rows.of(rows, scaling), iterator.batch_size, iterator.shuffle, iterator.generator)

    def _ready(self, batch: Batch) -> Tensor:
        """Return scaled inputs, and let the engine know which they are."""
        self.stack.select(features_of(batch))
        if self._scaling is None or not self._scales_batches:
            return batch[0]
        with torch.no_grad():
            scaled: Tensor = self._scaling(batch[0])
        return scaled


def _mass(batch: Batch) -> float | Tensor:
    weight = batch.weight
    return batch[0].shape[0] if weight is None else weight.sum()


class ScaledBatches:
    """Iterate over batches of rows that are scaled again in each pass, many batches at a time where they are gathered.

    Parameters
    ----------
    iterator : Batches
        Over the rows.
    scaling : DenseScaling
        What is to scale them.
    """

    def __init__(self, iterator: Batches, scaling: DenseScaling) -> None:
        self.iterator, self.scaling = iterator, scaling

    def __len__(self) -> int:
        return len(self.iterator)

    def __iter__(self) -> Iterator[Batch]:
        for rows, edges in self.iterator.groups(_SHARE):
            if self.iterator.shuffle:
                with torch.no_grad():
                    scaled = scaled_rows(self.scaling, rows)
                yield from scaled.split(edges)
            else:
                yield from map(self._scaled, rows.split(edges))

    def _scaled(self, batch: Batch) -> Batch:
        with torch.no_grad():
            return Batch(self.scaling(batch[0]), batch[1], **batch.columns)


@dataclass
class ScaledRows:
    """Rows of which X is as the first linear layer wants it: each are scaled once, for a training and what follows."""

    _known: dict[int, tuple[Rows, DenseScaling, Rows]] = field(default_factory=dict)

    def of(self, rows: Rows, scaling: DenseScaling) -> Rows:
        """Return the rows with scaled X."""
        found = self.find(rows, scaling)
        if found is None:
            with torch.no_grad():
                found = scaled_rows(scaling, rows)
            self._known[id(rows)] = rows, scaling, found
        return found

    def find(self, rows: Rows, scaling: Any) -> Rows | None:
        """Return what `of` has returned for these rows and this layer; None if it has not."""
        known = self._known.get(id(rows))
        return known[2] if known is not None and known[1] is scaling else None

    def forget(self) -> None:
        """Scale all rows again, which something may have changed."""
        self._known.clear()


def scaled_rows(scaling: DenseScaling, rows: Rows) -> Rows:
    """Return rows of which X is scaled already."""
    X, at_once = rows.X.new_empty((len(rows), scaling.n_outputs)), max(1, _SCALED_AT_ONCE // scaling.n_outputs)
    for first in range(0, len(rows), at_once):
        X[first : first + at_once] = scaling(rows.X[first : first + at_once])
    return Rows(X, rows.y, **rows.columns)


def has_formula(net: Any, rows: Rows) -> bool:
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
