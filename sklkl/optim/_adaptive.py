"""``KLAdaptiveLR``: one step of an optimiser moves the predictions only so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.optim import Optimizer

from sklkl._utils.checks import check_choice, invalid
from sklkl.optim._band import Band
from sklkl.optim._first_step import FirstStep
from sklkl.optim._lock import Lock
from sklkl.optim._measuring import measured
from sklkl.optim._polyak import Polyak
from sklkl.optim._rule import LEAST_RATE, Rule, as_array, as_tensor
from sklkl.optim._scaled_step import ScaledStep
from sklkl.optim._since_report import SinceReport
from sklkl.optim._step_kl import step_kl
from sklkl.optim._validation import (
    check_logits,
    check_loss,
    check_optimizer,
    check_scalable,
    check_state,
    check_weight,
    first_rate,
    has_weight,
)

RuleName = Literal["lock", "band", "polyak"]

RULES: dict[RuleName, Callable[..., Rule]] = {"lock": Lock, "band": Band, "polyak": Polyak}

# A step that is too far is shortened at most this often before it is undone.
_TRIES = 6

_RateAndKL = tuple[np.ndarray, np.ndarray]


class KLAdaptiveLR:
    """Set the learning rate by how far one step moves the predictions, and take the optimiser's steps.

    The KL divergence of a step is the mean over the rows of a batch of KL(before‖after) between the predictions
    before and after the step. It is measured in evaluation mode, on some of the steps. A measured step that goes too
    far is shortened, or undone if nothing helps, which halves the rate. A loss or gradient that is not finite takes no
    step at all, so it never enters the optimiser's moments, and halves the rate too.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        An optimiser whose step is proportional to its rate and needs no closure: SGD, Adam, AdamW, RMSprop, ... Its
        ``lr`` is only the starting point; groups keep the ratios of their rates.
    predict : torch.nn.Module or callable
        Returns logits of shape (..., n_rows, n_classes) for what is passed to `step` as ``x``; a sigmoid's logit z is
        the two logits (0, z). A module is put in evaluation mode while it is measured.
    total_steps : int or None, default=None
        Number of steps in training; None if it is not known, as in a stream.
    rule : {"lock", "band", "polyak"}, default="lock"
        :class:`Lock`, :class:`Band` or :class:`Polyak`.
    kl_target : float > 0 or None, default=None
        KL of a step in nats a row; None takes the rule's own.
    lr : array-like of float > 0, default=None
        Initial rates, one for each network of a stack; None takes the largest of the optimiser's.
    **rule_params : dict
        Further parameters of the rule.

    Attributes
    ----------
    lr_ : float or ndarray
        The rate found; for a stack of networks one for each.
    step_kl_ : float or ndarray
        KL of the last step that was measured, in nats a row.
    n_measured_, n_rejected_ : int
        How many steps were measured, and how many shortened or undone because they went too far or were not finite.

    Raises
    ------
    ValueError
        If a parameter is invalid, or the optimiser needs a closure or has steps that are not proportional to its rate.

    Notes
    -----
    For a stack of networks, parameters and logits have the same leading axes, `step` gets one loss for each network,
    and each network gets its own rate.

    Examples
    --------
    >>> import torch
    >>> from sklkl.optim import KLAdaptiveLR
    >>> _ = torch.manual_seed(0)
    >>> X, y = torch.randn(64, 3), torch.randint(2, (64,))
    >>> net = torch.nn.Linear(3, 2)
    >>> optimizer = torch.optim.Adam(net.parameters(), lr=10.0)
    >>> rate = KLAdaptiveLR(optimizer, net, total_steps=100)
    >>> for _ in range(100):
    ...     optimizer.zero_grad()
    ...     loss = torch.nn.functional.cross_entropy(net(X), y)
    ...     loss.backward()
    ...     rate.step(loss, X)
    >>> rate.lr_ < 1.0
    True
    """

    optimizer: Optimizer
    predict: Callable[[Any], Tensor]
    rule: Rule
    first_rate: np.ndarray
    started_: bool
    step_: ScaledStep
    step_kl_: float | np.ndarray
    n_measured_: int
    n_rejected_: int

    def __init__(
        self,
        optimizer: Optimizer,
        predict: Callable[[Any], Tensor],
        total_steps: int | None = None,
        *,
        rule: RuleName = "lock",
        kl_target: float | None = None,
        lr: ArrayLike | None = None,
        **rule_params: Any,
    ) -> None:
        check_optimizer(optimizer, of="KLAdaptiveLR")
        check_scalable(optimizer)
        if not callable(predict):
            raise invalid("predict", predict, "a function of the inputs that returns logits", "KLAdaptiveLR")
        check_choice("rule", rule, RULES, of="KLAdaptiveLR")
        if kl_target is not None:
            rule_params["kl_target"] = kl_target
        self.optimizer, self.predict = optimizer, predict
        self.rule = RULES[rule](total_steps=total_steps, **rule_params)
        self.first_rate = first_rate(optimizer, lr)
        self.started_ = False
        self.step_kl_ = math.nan
        self.n_measured_ = self.n_rejected_ = 0
        self._since_report = SinceReport()

    @property
    def lr_(self) -> float | np.ndarray:
        """The rate found; for a stack of networks one for each."""
        return _plain(self.rule.found if self.started_ else self.first_rate)

    def step(self, loss: Tensor, x: object, sample_weight: Tensor | None = None) -> None:
        """Take the optimiser's step; call it after ``backward``, in place of ``optimizer.step``.

        Parameters
        ----------
        loss : Tensor of shape (...)
            The loss, one value for each network of a stack.
        x : object
            What ``predict`` is called with: the rows of this batch.
        sample_weight : Tensor of shape (n_rows,) or (..., n_rows), or None, default=None
            Weights of these rows in the KL, the same for all networks or weights for each. Without any weight the step
            is not measured.

        Raises
        ------
        ValueError
            If the parameters or the logits have other leading axes than the loss, or weights are not one a row.
        """
        check_loss(loss)
        if not self.started_:
            self._start(tuple(loss.shape), self._logits(x))
        self.step_.follow_groups()
        if loss.shape != self.step_.stack:
            raise invalid("loss", tuple(loss.shape), f"of shape {self.step_.stack}, as before", "KLAdaptiveLR.step")
        if self._is_plain() and self.step_.is_finite(loss).all():
            # the same as _step without what most steps can do without
            self.step_.go(self.rule.rate)
        else:
            self._step(loss, x, sample_weight)
            self.step_.forget()
            if self.rule.is_new.all():
                # no step was taken, so the optimiser's rate is but the last that was tried
                self.close()
        self.rule.advance()

    def before_step(self) -> None:
        """Give the optimiser the rate of the coming step, as far as it is known; `step` does so itself."""
        if self.started_ and not self.step_.stack:
            self.step_.set_rate(float(self.rule.rate))

    def _is_plain(self) -> bool:
        """Whether the coming step is one at rates that are known, and not measured."""
        known = not (self.rule.measures or self.rule.needs_slope or self.rule.is_new.any())
        return known and self.step_.takes_rates

    def _step(self, loss: Tensor, x: object, sample_weight: Tensor | None) -> None:
        usable = self.step_.is_finite(loss)
        if not usable.all():
            self._leave_out(~usable)
        if not usable.any():
            return
        # rows without any weight do not say how far a step goes
        if self.rule.measures and has_weight(sample_weight):
            # a copy: predictions may be weights, which the step changes
            before = self._logits(x).clone()
            check_weight(sample_weight, self.step_.stack, before.shape[len(self.step_.stack)])
            if self.rule.looks:
                sure = step_kl(before, torch.zeros_like(before), sample_weight, len(self.step_.stack))
                self.rule.see(loss.detach().double().numpy(force=True), sure.numpy(force=True))
            measure = partial(self._kl, before, x, sample_weight)
            self._take(self.rule.rate, loss, usable, keep=True)
            try:
                self._fit(measure, usable)
            except BaseException:
                # whatever was tried, none of it was measured to the end
                self.step_.retake(np.zeros(usable.shape))
                raise
        else:
            self._take(self.rule.blind_rate, loss, usable, keep=False)

    def _start(self, stack: tuple[int, ...], logits: Tensor) -> None:
        n_stack = len(stack)
        check_logits(logits, stack, self.optimizer)
        if self.first_rate.shape not in {(), stack}:
            raise invalid("lr", self.first_rate.shape, f"of shape {stack}, that of the loss", "KLAdaptiveLR")
        n_outputs = math.prod(logits.shape[n_stack + 1 : -1])
        self.step_ = ScaledStep(self.optimizer, stack)
        self.rule.start(np.broadcast_to(self.first_rate, stack), logits.shape[-1], n_outputs)
        self.started_ = True

    def _leave_out(self, networks: np.ndarray) -> None:
        """Take no step with a loss or gradient that is not finite, and halve the rate."""
        if self.step_.stack:
            self.step_.leave_out(networks)
        self.rule.cut(np.where(networks, 0.5, 1.0))
        self._count_rejected(networks)

    def _take(self, rate: np.ndarray, loss: Tensor, usable: np.ndarray, keep: bool) -> None:
        far = self.rule.needs_slope or bool(self.rule.is_new.any())
        self.step_.take(np.where(usable, rate, 0.0), keep=keep, far=far)
        if self.rule.needs_slope:
            self.rule.choose(loss.detach().double().numpy(force=True), self.step_.slope(), usable)
            self.step_.retake(np.where(usable, self.rule.rate, 0.0))

    def _fit(self, measure: Callable[[], np.ndarray], usable: np.ndarray) -> None:
        """Change the step just taken until the rule accepts its KL, or undo it; tell the rule.

        A step is undone if it is too far however short, which halves the rate, or nothing if it should be something.
        """
        rate, kl = np.where(usable, self.rule.rate, 0.0), measure()
        too_far = usable & ~(kl <= self.rule.largest_kl)
        new = usable & self.rule.is_new & self.rule.searches
        if new.any():
            rate, kl = self._search(measure, rate, new)
        rate, kl = self._shorten(measure, rate, kl, usable)
        hopeless = usable & ~(kl <= self.rule.largest_kl)
        undone = hopeless | (new & (kl == 0))
        if undone.any():
            self.step_.retake(np.where(undone, 0.0, rate))
            self.rule.cut(np.where(hopeless, 0.5, 1.0))
        self._tell(np.where(undone, 0.0, kl), rate, usable, usable & ~undone)
        self._count_rejected(too_far)

    def _search(self, measure: Callable[[], np.ndarray], rate: np.ndarray, new: np.ndarray) -> _RateAndKL:
        """Find the rates of first steps, wherever they began."""
        search, ended = FirstStep(np.where(new, rate, 1.0)), False
        while not ended:
            ended = bool((search.ended | ~new).all())
            rate = np.where(new, search.rate, rate)
            self.step_.retake(rate)
            kl = measure()
            search.tell(kl, self.rule.target)
        return rate, kl

    def _shorten(
        self, measure: Callable[[], np.ndarray], rate: np.ndarray, kl: np.ndarray, usable: np.ndarray
    ) -> _RateAndKL:
        """Shorten steps that are too far, by the KL, which grows with the square of the rate."""
        for _ in range(_TRIES):
            too_far = usable & ~(kl <= self.rule.largest_kl)
            if not too_far.any():
                break
            change = np.clip(np.sqrt(self.rule.target / np.maximum(kl, 1e-300)), 1e-3, 1.0)
            rate = np.where(too_far, np.maximum(rate * change, LEAST_RATE), rate)
            self.step_.retake(rate)
            kl = measure()
        return rate, kl

    def _tell(self, kl: np.ndarray, rate: np.ndarray, usable: np.ndarray, known: np.ndarray) -> None:
        """Tell the rule of the networks whose step is known."""
        self.rule.record(kl, rate, known)
        self.rule.is_new = self.rule.is_new & ~known
        self.step_kl_ = _plain(np.where(usable, kl, np.nan))
        self._since_report.measure(kl, usable)
        self.n_measured_ += 1

    def _kl(self, before: Tensor, x: object, sample_weight: Tensor | None) -> np.ndarray:
        kl = step_kl(before, self._logits(x), sample_weight, len(self.step_.stack)).numpy(force=True)
        return np.where(np.isnan(kl), math.inf, kl)

    def _logits(self, x: object) -> Tensor:
        return measured(self.predict, x)

    def _count_rejected(self, networks: np.ndarray) -> None:
        self.n_rejected_ += int(networks.sum())
        self._since_report.reject(networks)

    def report(self) -> dict[str, float]:
        """Return what was measured since the last report: the mean KL of the steps, and how many were rejected."""
        return self._since_report.take()

    def report_each(self) -> list[dict[str, float]]:
        """Return what `report` does of each network of a stack."""
        return self._since_report.take_each(self.step_.stack)

    def keep(self, networks: np.ndarray, optimizer: Optimizer) -> None:
        """Go on with some networks of a stack.

        Parameters
        ----------
        networks : ndarray of int
            Their numbers.
        optimizer : Optimizer
            That of these networks.
        """
        stack, kept = self.step_.stack, ScaledStep(optimizer, (len(networks),))
        for owner in (self, self.rule):
            for name, values in list(vars(owner).items()):
                if isinstance(values, np.ndarray) and values.shape == stack:
                    setattr(owner, name, values[networks])
        self.optimizer, self.step_ = optimizer, kept

    def cut(self, factor: float) -> None:
        """Multiply the rate of every step from now on by ``factor``."""
        if self.started_:
            self.rule.cut(factor)
        else:
            self.first_rate = self.first_rate * factor

    def close(self) -> None:
        """Give the optimiser the rate that was found."""
        if self.started_:
            self.step_.set_rate(float(np.exp(np.log(self.rule.found).mean())))

    def state_dict(self) -> dict[str, Any]:
        """Return what changes from step to step, not the parameters; save the optimiser's own state beside it."""
        return {
            "rule_class": type(self.rule).__name__,
            "rule": self.rule.state_dict() if self.started_ else None,
            "stack": self.step_.stack if self.started_ else None,
            "ratios": list(self.step_.ratios) if self.started_ else None,
            "largest": self.step_.largest if self.started_ else None,
            "first_rate": as_tensor(self.first_rate),
            "step_kl": as_tensor(self.step_kl_),
            "counts": [self.n_measured_, self.n_rejected_],
            "since_report": self._since_report.state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a state; the optimiser's own must be loaded before.

        Parameters
        ----------
        state : dict
            What `state_dict` returned.

        Raises
        ------
        ValueError
            If the state is that of another rule, or of networks of another shape, or no such state.
        """
        check_state(state, "rule_class", "KLAdaptiveLR")
        name, own = state["rule_class"], type(self.rule).__name__
        if name != own:
            raise invalid("state", name, f"one of the rule {own}", "KLAdaptiveLR.load_state_dict")
        if state["rule"] is not None:
            self.step_ = ScaledStep(self.optimizer, tuple(state["stack"]))
            if len(state["ratios"]) == len(self.step_.ratios):  # an optimiser of other groups has its own
                self.step_.ratios, self.step_.largest = list(state["ratios"]), state.get("largest", self.step_.largest)
            self.rule.load_state_dict(state["rule"])
        self.started_ = state["rule"] is not None
        self.first_rate, self.step_kl_ = as_array(state["first_rate"]), _plain(as_array(state["step_kl"]))
        self.n_measured_, self.n_rejected_ = state["counts"]
        self._since_report.load(state["since_report"])


def _plain(values: np.ndarray) -> float | np.ndarray:
    return float(values) if np.ndim(values) == 0 else values
