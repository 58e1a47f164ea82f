"""Several nets trained as one stack: the trainings that each would have alone, at a part of their cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklkl._engine import StackAdamW, cross_entropy_gradient, mean_of
from sklkl._utils.torch_state import OwnTorchState, insist
from sklkl.callbacks import StopTraining
from sklkl.data import Batch, Batches, Rows, TrainingSet
from sklkl.losses import row_shares
from sklkl.modules import DenseScaling, is_wide, label_log_proba
from sklkl.net._by_hand import has_formula, scaled_rows
from sklkl.net._datasets import check_labels
from sklkl.net._lent import options_of, stack_of
from sklkl.net._member import Member
from sklkl.net._net import KLNet
from sklkl.net._passes import StackPasses, looks_at_rows, needs_passes
from sklkl.net._sparse_batches import features_of
from sklkl.net._stack_batches import StackMeans, for_each, masks, stacked
from sklkl.net._stack_rates import MemberRate, stack_rate
from sklkl.net._terms import StackSettings, divergence_from_mean, loss_terms
from sklkl.net._training_state import TrainingCheckpoint, restore, state_of

Masks = list[Tensor] | None
Stops = Callable[[int, Sequence[KLNet]], Sequence[KLNet]]

# Rows of validation that go through a stack together.
_VALIDATED_AT_ONCE = 1024
# Their scaled rows are made once for a training unless they take more than this many bytes.
_MOST_BYTES = 2**28


def train_together(
    nets: Sequence[KLNet],
    sets: Sequence[TrainingSet],
    *,
    stops: Stops | None = None,
    checkpoint: TrainingCheckpoint | None = None,
    codistill_strength: float = 0.0,
) -> list[Exception | None]:
    """Train nets as one stack; each is then as after its own ``partial_fit``, but for rounding.

    Parameters
    ----------
    nets : sequence of KLNet
        Nets for which `why_apart` has no reason.
    sets : sequence of TrainingSet
        What each is trained on; nets that share one, and have the same seed, share the order of its rows and dropout.
    stops : callable or None, default=None
        Called after each epoch with the number of epochs so far and the nets still in training; those that it returns
        stop.
    checkpoint : object or None, default=None
        What keeps the state of the training, which goes on from there if it had kept one.
    codistill_strength : float, default=0.0
        Weight, in each net's loss, of KL(net‖mean of those in training), in nats a row; they then see their rows, which
        must be the same, in the order of the first one.

    Returns
    -------
    list of Exception or None
        What each net's training failed with, such as losses that were never finite.

    Raises
    ------
    KeyboardInterrupt
        If training was interrupted, after every net has ended it in good order.

    Examples
    --------
    >>> import torch
    >>> from sklkl import KLNet
    >>> from sklkl.data import Rows, TrainingSet
    >>> from sklkl.modules import MLP
    >>> from sklkl.net import train_together
    >>> X = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> data = TrainingSet(Rows(X, (X[:, 0] > 0).long()))
    >>> params = {"module__n_features": 2, "module__n_classes": 2, "verbose": 0}
    >>> params |= {"optimizer": torch.optim.AdamW, "optimizer__fused": True}
    >>> params |= {"classes": [0, 1], "random_state": 0}
    >>> nets = [KLNet(MLP, kl_strength=s, **params) for s in (0.0, 0.1, 1.0)]
    >>> train_together([net.initialize() for net in nets], [data] * 3)
    [None, None, None]
    >>> bool(nets[0].history[-1, "train_loss"] < nets[0].history[0, "train_loss"])
    True
    """
    with OwnTorchState():
        return StackTraining(nets, sets, stops, checkpoint, codistill_strength).run()


class StackTraining:
    """The training of a stack, epoch by epoch; nets leave it as they stop."""

    def __init__(
        self,
        nets: Sequence[KLNet],
        sets: Sequence[TrainingSet],
        stops: Stops | None = None,
        checkpoint: TrainingCheckpoint | None = None,
        codistill_strength: float = 0.0,
    ) -> None:
        self.everyone = [Member(net, data) for net, data in zip(nets, sets, strict=True)]
        self.members = self.everyone
        self._stops, self.checkpoint, self._n_done = stops, checkpoint, 0
        self._codistill_strength = codistill_strength
        self._rows: dict[int, tuple[Rows, Rows]] = {}
        self._is_shared = False

    def run(self) -> list[Exception | None]:
        """Train until every net has stopped."""
        everyone, interrupted = self.everyone, False
        try:
            self._begin()
            self._start()
            while self.members and self._n_done < everyone[0].net.max_epochs:
                self._run_epoch()
                self._n_done += 1
                self._stop(self._n_done)
                self._keep_state()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            interrupted |= insist(lambda: self._leave(range(len(self.members))))
        for member in everyone:
            interrupted |= insist(partial(member.end, interrupted))
        if interrupted:
            raise KeyboardInterrupt("training was interrupted; the nets keep what they have learned so far")
        return [member.error for member in everyone]

    def _begin(self) -> None:
        parts: dict[int, tuple[Rows, Rows | None]] = {}
        for member in self.members:
            member.begin()
            # one copy of what several have
            member.train, member.valid = parts.setdefault(id(member.data), (member.train, member.valid))
        nets, first = [member.net for member in self.members], self.members[0]
        # the same order and dropout for all, where they have the same rows and random state
        states = [net.generator_.get_state() for net in nets]
        same_rows = all(member.train is first.train for member in self.members)
        self._is_shared = same_rows and all(torch.equal(state, states[0]) for state in states)
        if self.checkpoint is not None and self.checkpoint.state is not None:
            self._go_on(self.checkpoint.state)

    def _go_on(self, state: dict[str, Any]) -> None:
        """Put all nets where they were, and leave those out that had stopped."""
        self._n_done = state["epochs"]
        for member, own in zip(self.everyone, state["nets"], strict=True):
            restore(member.net, own)
            member.net.total_epochs_ = member.net.max_epochs
        self.members = [self.everyone[number] for number in state["running"]]

    def _keep_state(self) -> None:
        """Have the state kept after an epoch that is not the last one."""
        checkpoint, last = self.checkpoint, self.everyone[0].net.max_epochs
        if checkpoint is None or not self.members or self._n_done == last or self._n_done % checkpoint.every:
            return
        running = [number for number, member in enumerate(self.everyone) if member in self.members]
        nets = [state_of(member.net) for member in self.everyone]
        checkpoint.keep({"epochs": self._n_done, "running": running, "nets": nets, "rate": self._rate.state_dict()})

    def _start(self) -> None:
        """Make one stack of all nets that are to be trained."""
        nets, first = [member.net for member in self.members], self.members[0]
        self._stack = stack_of([net.module_ for net in nets])
        self._engine = StackAdamW(self._stack, [options_of(net.optimizer_) for net in nets])
        n_steps = first.net.max_epochs * len(first.net.get_iterator(first.train, training=True))
        peaks = np.array([net.lr for net in nets], dtype=float)
        rule, kl_target = first.net.learning_rate, first.net.kl_target
        self._rate = stack_rate(rule, kl_target, self._engine, peaks, n_steps, self._predict, **first.net.rule_params_)
        for number, net in enumerate(nets):
            net.start_rate(MemberRate(self._rate, number, net.optimizer_))
        if self.checkpoint is not None and self.checkpoint.state is not None:
            self._rate.load_state_dict(self.checkpoint.state["rate"])

    # An epoch

    def _run_epoch(self) -> None:
        for member in self.members:
            member.net.notify("on_epoch_begin", **member.kwargs)
        self._lend()
        trained, n_batches = self._train()
        for member in self.members:
            member.net.average_weights()
        reports, validated = self._rate.report_each(), self._validate()
        for number, member in enumerate(self.members):
            if not member.net.kl_strength:
                trained[number].pop("kl_penalty", None)
            member.net._record("train", trained[number], n_batches)
            member.net.learning_rate_.last_report = reports[number]
        self._leave([number for number in range(len(self.members)) if not self._goes_on(number, validated)])

    def _lend(self) -> None:
        """Take from the nets what their callbacks may have changed."""
        nets = [member.net for member in self.members]
        for number, member in enumerate(self.members):
            member.lent.lend(self._stack, self._engine, number)
            member.net.set_mode(True)
        self._engine.compare()
        strengths = [float(net.kl_strength) for net in nets]
        shape = (-1, 1, 1) if nets[0].multilabel else (-1, 1)
        strength, weight = (
            self._stack.flat.new_tensor(values).reshape(shape)
            for values in (strengths, [float(net.distill_weight) for net in nets])
        )
        first = nets[0]
        self._passes = self._further_passes()
        self._settings = StackSettings(
            first.criterion_,
            first.multilabel,
            strength,
            weight,
            first.distill_rows,
            first.distillation,
            next((net.penalty_ for net in nets if net.kl_strength), None),
            any(net.unlabeled_rows_ for net in nets),
            any(strengths),
        )

    def _train(self) -> tuple[list[dict[str, float]], int]:
        means = StackMeans()
        alone = not self._codistill_strength
        by_formula = alone and all(has_formula(member.net, member.train) for member in self.members)
        for batch, dropout in self._batches():
            self._stack.select(features_of(batch))
            x = self._taken(batch[0])
            logits = self._stack.forward(x, dropout)
            shares = row_shares(logits[0].mT, batch.weight)
            try:
                terms, gradient = self._loss(logits, batch, shares, by_formula)
            except (IndexError, RuntimeError):
                check_labels(batch[1].flatten(), logits[0].mT)
                raise
            self._stack.backward(gradient)
            if self._passes is not None:
                self._passes.add_gradient()
            self._rate.step(reduce(add, terms.values()), x, batch.weight)
            means.add(terms, batch)
        for number, member in enumerate(self.members):
            member.lent.report(self._engine.rates[number])
        return means.read(), means.n_batches

    def _loss(self, logits: Tensor, batch: Batch, shares: Tensor, by_formula: bool) -> tuple[dict[str, Tensor], Tensor]:
        """Return the means of the loss's terms of each network, and the gradient by the logits."""
        if by_formula:
            strength = self._settings.kl_strength[..., None] if self._settings.is_penalised else 0.0
            return cross_entropy_gradient(logits, batch[1], shares, strength)
        leaf = logits.mT.detach().requires_grad_()
        terms = loss_terms(self._settings, leaf, for_each(batch, len(self.members)), True, self._passes)
        if self._codistill_strength:
            apart = divergence_from_mean(leaf, self._settings.multilabel)
            terms["codistillation"] = self._codistill_strength * apart
        torch.autograd.backward((reduce(add, terms.values()),), (shares.expand(leaf.shape[:2]),))
        assert leaf.grad is not None
        return {name: mean_of(values.detach(), shares) for name, values in terms.items()}, leaf.grad.mT

    def _drawing(self) -> list[Member]:
        """Return the members that draw from their random states; what one draws may serve all."""
        return self.members[:1] if self._is_shared else self.members

    def _predict(self, x: Tensor) -> Tensor:
        logits = self._stack.forward(x).mT
        return label_log_proba(logits) if self._settings.multilabel else logits

    # Rows

    def _ordering(self) -> list[Member]:
        """Return the members in whose order the rows come; that of one may serve all."""
        return self.members[:1] if self._codistill_strength else self._drawing()

    def _further_passes(self) -> StackPasses | None:
        """Return what a penalty asks for beside the pass of a step, if it does."""
        first = self.members[0].net
        if not needs_passes(first, first.penalty_):
            return None
        drawing, ordering = ([member.net for member in own] for own in (self._drawing(), self._ordering()))
        return StackPasses(self._stack, drawing, ordering)

    def _taken(self, x: Tensor) -> Tensor:
        """Return the inputs of a batch as the networks take them; further passes may start from them as they came."""
        return x if self._passes is None else self._passes.take(x, looks_at_rows(self._settings.penalty_))

    def _batches(self) -> Iterator[tuple[Batch, Masks]]:
        drawing, ordering = self._drawing(), self._ordering()
        networks: list[Any] = [member.net.module_ for member in drawing]
        as_given = self._passes is not None and looks_at_rows(self._settings.penalty_)
        ready = [(m.train, None) if as_given else self._scaled_once(m, m.train) for m in ordering]
        iterators = [m.net.get_iterator(rows, training=True) for m, (rows, _) in zip(ordering, ready, strict=True)]
        layers, units = [network.dropouts() for network in networks], self._stack.sizes[1:-1]
        ahead = self._passes is None  # which draw between the masks of two batches
        # zip asks for a batch first: the order of the rows is drawn before any mask
        return zip(
            stacked(iterators, [scaling for _, scaling in ready]),
            masks(layers, iterators[0].edges, units, self._stack.flat, ahead),
            strict=True,
        )

    def _scaled_once(self, member: Member, rows: Rows) -> tuple[Rows, Any]:
        """Return rows as the first layer of a net wants them, or, of sparse or many rows, what is to scale batches."""
        scaling: Any = member.net.module_.scaling  # not optional: torch's modules say Tensor
        if not isinstance(scaling, DenseScaling) or not rows.is_whole:
            return rows, scaling
        n_sets = len({id(member.data) for member in self.members})
        if n_sets * len(rows) * scaling.n_outputs * rows.X.element_size() > _MOST_BYTES:
            return rows, scaling
        if id(rows) not in self._rows:
            with torch.no_grad():
                self._rows[id(rows)] = rows, scaled_rows(scaling, rows)
        return self._rows[id(rows)][1], None

    # Validation, and who stops

    def _validate(self) -> list[dict[str, float]] | None:
        """Return the validation losses of all nets if they have as many rows; else each validates on its own."""
        first, means = self.members[0], StackMeans()
        if len({0 if member.valid is None else len(member.valid) for member in self.members}) > 1:
            return None
        if first.valid is None:
            return None
        for batch in self._validation_batches():
            self._stack.select(features_of(batch))
            logits = self._stack.forward(batch[0]).mT
            terms = loss_terms(self._settings, logits, for_each(batch, len(self.members)), training=False)
            shares = row_shares(logits[0], batch.weight)
            means.add({name: mean_of(values, shares) for name, values in terms.items()}, batch)
        return means.read()

    def _validation_batches(self) -> Iterator[Batch]:
        first = self.members[0]
        # what has learned from the same rows scales them alike
        alike = all(member.train is first.train and member.valid is first.valid for member in self.members)
        size = max(first.net.batch_size, 0 if first.valid.is_sparse and is_wide(first.valid.X) else _VALIDATED_AT_ONCE)
        ready = [self._scaled_once(member, member.valid) for member in (self.members[:1] if alike else self.members)]
        return stacked([Batches(rows, size) for rows, _ in ready], [scaling for _, scaling in ready])

    def _goes_on(self, number: int, validated: list[dict[str, float]] | None) -> bool:
        """End the epoch of a net; return whether it goes on."""
        member = self.members[number]
        net, valid = member.net, member.valid
        if validated is not None:
            net._record("valid", validated[number], -(-len(valid) // net.batch_size))
        elif valid is not None:
            iterator = net.get_iterator(valid, training=False)
            net.run_single_epoch(iterator, training=False, prefix="valid", step_fn=net.validation_step)
        try:
            net.notify("on_epoch_end", **member.kwargs)
        except StopTraining:
            return False
        return True

    def _stop(self, n_epochs: int) -> None:
        """Let nets leave that are to stop after so many epochs."""
        if self._stops is not None:
            stopped = set(map(id, self._stops(n_epochs, [member.net for member in self.members])))
            self._leave([number for number, member in enumerate(self.members) if id(member.net) in stopped])

    def _leave(self, numbers: Sequence[int]) -> None:
        """Let nets leave the stack, with what they have learned."""
        if len(numbers) == 0:
            return
        random_state = self.members[0].net.generator_.get_state()
        if self._is_shared:  # where the first has come to, all have
            for member in self.members:
                member.net.generator_.set_state(random_state)
        for number in numbers:
            self.members[number].leave()
        stay = [number for number in range(len(self.members)) if number not in numbers]
        if stay:
            self._keep(stay)
        self.members = [self.members[number] for number in stay]

    def _keep(self, numbers: list[int]) -> None:
        """Make a smaller stack of some of the nets."""
        members = [self.members[number] for number in numbers]
        self._stack = stack_of([member.net.module_ for member in members])
        self._engine = StackAdamW(self._stack, [options_of(member.net.optimizer_) for member in members])
        self._rate.keep(np.array(numbers), self._engine)
        for number, member in enumerate(members):
            member.net.learning_rate_.number = number
            member.lent.lend(self._stack, self._engine, number)
