"""Fits of several classifiers to the same data: what can be trained as one stack is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

from sklkl._fit.attempt import Attempt, Task, Trained
from sklkl._fit.calibration import calibrate
from sklkl._fit.checkpoint import NO_CHECKPOINT, FitCheckpoint, checkpoint_of, checkpoint_of_stack
from sklkl._fit.comparison import what_matters
from sklkl._fit.fitting import is_plain, prepared, train
from sklkl._fit.halving import Halving
from sklkl._fit.idle import warn_of_idle
from sklkl._fit.net_factory import new_net
from sklkl._fit.outcome import Outcome
from sklkl._fit.parameters import FitData, FitParams, checked_params
from sklkl._fit.prediction import NetClassifier
from sklkl._utils.equality import same_value
from sklkl._utils.torch_state import OwnTorchState
from sklkl.net import KLNet, train_together, why_apart
from sklkl.net._passes import looks_at_rows
from sklkl.penalties import make_penalty

# A larger stack gains little by its size, and what does not fit into the processor's cache loses some of it.
_MOST_NETWORKS, _MOST_BYTES = 50, 2**26
# What a fit learns of its inputs beside the net.
_OF_INPUTS = ("n_features_in_", "feature_names_in_")


def fit_together(
    estimators: Sequence[NetClassifier],
    data: FitData,
    largest: int | Literal["auto"] | None = None,
    halve_after: int | None = None,
) -> list[Exception | None]:
    """Fit classifiers to the same data, each as by its own ``fit`` but for rounding.

    Parameters
    ----------
    estimators : sequence of KLClassifier
        The attribute ``stacked_`` then says of each how many networks were trained with it, itself included.
    data : FitData
        What is given to ``fit``.
    largest : int, "auto" or None, default=None
        Most networks in a stack; "auto" bounds their number and what they hold in memory, None sets no limit.
    halve_after : int or None, default=None
        Number of epochs before the worse half of a stack with validation parts stops training, see `Halving`.

    Returns
    -------
    list of Exception or None
        What each fit failed with; such an estimator is as it was.

    Raises
    ------
    KeyboardInterrupt
        If a fit was interrupted.
    """
    with OwnTorchState():
        fits: list[_Fit] = []
        # what is learned is then a matter of all that compete
        halved_with = None if halve_after is None else [halve_after, *map(what_matters, estimators)]
        for estimator in estimators:
            others = [fit for fit in fits if fit.is_prepared]  # one that failed has nothing to share
            fits.append(_Fit(estimator, data, others, halved_with))
        for group in _groups([fit for fit in fits if fit.is_prepared]):
            size = _largest(group[0].net) if largest == "auto" else largest or len(group)
            for start in range(0, len(group), size):
                _train(group[start : start + size], halve_after)
    for fit in fits:
        if fit.error is None and not fit.is_prepared:
            fit.fit_alone(data)
    return [fit.error for fit in fits]


class _Fit:
    """One of the fits: its net and what that is to learn, or what it failed with."""

    params: FitParams
    task: Task
    net: KLNet

    def __init__(
        self, estimator: NetClassifier, data: FitData, others: Sequence[_Fit], halved_with: Any = None
    ) -> None:
        self.attempt = Attempt(estimator)
        self.error: Exception | None = None
        self.checkpoint = NO_CHECKPOINT
        try:
            self._prepare(data, others, halved_with)
        except Exception as error:
            self.error = error
            self.__dict__.pop("net", None)

    def _prepare(self, data: FitData, others: Sequence[_Fit], halved_with: Any) -> None:
        draft = self.attempt.draft
        self.params = checked_params(draft)
        params = self.params
        if params.given["warm_start"] or params.teacher.n_generations > 1 or params.net.n_members > 1:
            return
        same_data = next((fit.checkpoint.described for fit in others), None)
        self.checkpoint = checkpoint_of(params, data, same_data=same_data, halved_with=halved_with)
        alike = next((fit for fit in others if fit.has_rows_for(self.params, data)), None)
        if alike is None:
            begun = params if self.checkpoint.path is None else self.checkpoint.begun(params)
            self.task = prepared(draft, begun, data, None, None, stream=False, checkpoint=self.checkpoint)
            # as it is before a net draws its seed
            self.random_state = copy.deepcopy(self.task.random_state)
        else:
            self.task, self.random_state = alike.task, alike.random_state
            draft.__dict__.update({name: vars(alike.attempt.draft)[name] for name in alike.learned_of_inputs()})
        random_state = copy.deepcopy(self.random_state)
        net = None if alike is None else alike.net
        self.net = new_net(self.params.net, self.task.classes, self.task.training, random_state, alike=net)
        warn_of_idle(draft, self.params, data, self.task)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended before, in another process."""
        return self.checkpoint.ended is not None

    def finish_as_before(self) -> None:
        """Let the estimator take over what was learned when the fit ended."""
        try:
            self.checkpoint.restore(self.net, self.task.training)
            self._publish(self.checkpoint.n_together)
        except Exception as error:
            self.error = error

    def has_rows_for(self, params: FitParams, data: FitData) -> bool:
        """Whether these parameters make the training set that this fit has, to the last row."""
        own = self.params
        names = (
            "random_state",
            "class_weight",
            "early_stopping",
            "validation_fraction",
            "max_epochs",
            "callbacks",
            "device",
        )
        return (
            self.task.soft_targets is None
            and isinstance(own.random_state, int)
            and own.inputs.numpy_dtype == params.inputs.numpy_dtype
            and own.inputs.module_dtype == params.inputs.module_dtype
            and all(same_value(own.given[name], params.given[name]) for name in names)
            and is_plain(params.teacher, data)
        )

    def learned_of_inputs(self) -> list[str]:
        """Return the names of what the draft has learned of its inputs."""
        return [name for name in _OF_INPUTS if name in vars(self.attempt.draft)]

    @property
    def is_prepared(self) -> bool:
        """Whether there is a net to train from its beginning."""
        return hasattr(self, "net")

    def finish(self, error: Exception | None, outcome: Outcome, size: int) -> None:
        """Let the estimator take over what was learned, in a stack of this size."""
        self.error = error
        if error is None:
            try:
                self._take_over(outcome, size)
            except Exception as error_at_end:
                self.error = error_at_end

    def _take_over(self, outcome: Outcome, size: int) -> None:
        outcome.check(self.net)
        if self.params.split.calibrate:
            calibrate(self.net, self.task.training)
        self.checkpoint.n_together = size
        self.checkpoint.end(self.net)
        self._publish(size)

    def _publish(self, size: int) -> None:
        Trained(self.net, self.task, interrupted=False).publish(self.attempt.draft)
        self.attempt.draft.__dict__["stacked_"] = size
        self.attempt.take_over()

    def fit_alone(self, data: FitData) -> None:
        """Fit the estimator as it does by itself."""
        try:
            self.attempt.estimator.fit(**data.arguments())
        except Exception as error:
            self.error = error


def _train(fits: list[_Fit], halve_after: int | None) -> None:
    """Train fits that belong together: those that had not ended, or all where one depends on the others."""
    checkpoint = checkpoint_of_stack([fit.checkpoint for fit in fits])
    depends = halve_after is not None and not all(fit.has_ended for fit in fits)
    if checkpoint.state is None and not depends:
        for fit in fits:
            if fit.has_ended:
                fit.finish_as_before()
        fits = [fit for fit in fits if not fit.has_ended]
        checkpoint = checkpoint_of_stack([fit.checkpoint for fit in fits])
    if not fits:
        return
    errors = _train_stack(fits, halve_after, checkpoint) if len(fits) > 1 else [_train_alone(fits[0])]
    # nets of a stack that have the same rows scale them alike
    outcomes = {id(fit.task): Outcome(fit.task.training) for fit in fits}
    for fit, error in zip(fits, errors, strict=True):
        fit.finish(error, outcomes[id(fit.task)], len(fits))
    checkpoint.remove()


def _train_stack(fits: list[_Fit], halve_after: int | None, checkpoint: FitCheckpoint) -> list[Exception | None]:
    for fit in fits:
        if checkpoint.path is not None and fit.checkpoint.settled is not None and not fit.has_ended:
            fit.checkpoint.begin_training(0, [])  # what a teacher has said is in the file of its fit
    nets, sets = [fit.net for fit in fits], [fit.task.training.data for fit in fits]
    keeper = checkpoint.begin_training(0, [])
    try:
        return train_together(nets, sets, stops=_halving(fits, halve_after), checkpoint=keeper)
    except Exception as error:  # what one of them cannot be trained with, such as a penalty, all have
        return [error] * len(fits)


def _halving(fits: list[_Fit], halve_after: int | None) -> Halving | None:
    valid = [fit.task.training.data.valid for fit in fits]
    parts = [part for part in valid if part is not None]
    if halve_after is None or len(parts) < len(fits):
        return None
    return Halving([fit.net for fit in fits], parts, [fit.params.split.calibrate for fit in fits], halve_after)


def _train_alone(fit: _Fit) -> Exception | None:
    try:
        train(fit.net, fit.task.training, fit.checkpoint.begin_training(0, []))
    except Exception as error:
        return error
    return None


def _largest(net: KLNet) -> int:
    """Return the number of networks like this one of which a step holds no more than is good."""
    matrices = [parameter for parameter in net.module_.parameters() if parameter.ndim > 1]
    n_weights = sum(parameter.numel() for parameter in net.module_.parameters())
    # where rows are moved each network has its own
    moves = bool(net.kl_strength) and looks_at_rows(make_penalty(net.kl_penalty))
    n_inputs = matrices[0].shape[1] if moves and matrices else 0
    n_activations = net.batch_size * (n_inputs + sum(len(matrix) for matrix in matrices))
    # weights, gradients and two moments; activations and their gradients
    size = (4 * n_weights + 2 * n_activations) * max((matrix.element_size() for matrix in matrices), default=4)
    return min(_MOST_NETWORKS, max(1, _MOST_BYTES // size))


def _groups(fits: list[_Fit]) -> list[list[_Fit]]:
    """Return fits by what can be trained together; what can be with no other is a group of its own."""
    groups: list[list[_Fit]] = []
    for fit in fits:
        home = next((group for group in groups if _belong_together(group[0], fit)), None)
        if home is None:
            groups.append([fit])
        else:
            home.append(fit)
    return groups


def _belong_together(first: _Fit, second: _Fit) -> bool:
    return why_apart([first.net, second.net], [first.task.training.data, second.task.training.data]) is None
