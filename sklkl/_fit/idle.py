"""Parameters that were set and cannot have an effect: a warning names each, and what would give it one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

from sklkl._fit.attempt import Task
from sklkl._fit.parameters import FitData, FitParams, NetParams, PassedOnParams, TeacherParams, refused, valid_defaults
from sklkl._fit.soft_targets import SoftTargets
from sklkl._utils.equality import same_value
from sklkl.data import Rows


@dataclass(frozen=True)
class Circumstances:
    """What decides whether a parameter can have an effect.

    Parameters
    ----------
    net, teacher : NetParams, TeacherParams
        Validated parameters.
    rows : Rows
        Validated rows.
    soft_targets : SoftTargets or None
        What there is to learn from other than labels.
    stream : bool
        Whether further rows may come.
    has_valid : bool
        Whether there is a validation part, or should be one.
    gives_valid : bool
        Whether it was given to ``fit``.
    keeps : bool
        Whether there is a checkpoint.
    """

    net: NetParams
    teacher: TeacherParams
    rows: Rows
    soft_targets: SoftTargets | None
    stream: bool
    has_valid: bool
    gives_valid: bool
    keeps: bool

    @property
    def has_layers(self) -> bool:
        """Whether the built-in network would have hidden layers."""
        sizes = self.net.hidden_layer_sizes
        return isinstance(sizes, Integral) or len(tuple(sizes)) > 0

    @property
    def is_taught(self) -> bool:
        """Whether there is a teacher, or its probabilities."""
        return self.soft_targets is not None and self.soft_targets.teacher is not None

    @property
    def distils(self) -> bool:
        """Whether any network learns from another model."""
        return self.is_taught or (self.teacher.n_generations > 1 and not self.stream)

    @property
    def splits(self) -> bool:
        """Whether any rows are set aside."""
        calibrates = self.soft_targets is not None and self.soft_targets.calibrates_aside(len(self.rows))
        return self.has_valid or self.is_weighed or (calibrates and self.teacher.distill_weight != 0)

    @property
    def is_weighed(self) -> bool:
        """Whether the weight of the teacher is found on rows set aside."""
        return self.is_taught and self.teacher.distill_weight == "auto"

    @property
    def uses_lr(self) -> bool:
        """Whether the initial rate matters, which only its ratio to those of other layers does if the rate is found."""
        return self.net.learning_rate != "kl_adaptive" or "optimizer__param_groups" in self.net.passed_on


class Need(NamedTuple):
    """What parameters need to have an effect, the words for it, and the parameters that decide whether it is met."""

    names: tuple[str, ...]
    is_met: Callable[[Circumstances], bool]
    words: str
    by: tuple[str, ...] = ()


# What each parameter needs to have an effect; of those that are not met, the first is told.
NEEDS = (
    Need(
        ("hidden_layer_sizes", "activation", "dropout", "scale_inputs"),
        lambda fit: fit.net.module is None,
        "module=None, the built-in network,",
        ("module",),
    ),
    Need(
        ("activation", "dropout"),
        lambda fit: fit.net.module is not None or fit.has_layers,
        "a layer in 'hidden_layer_sizes'",
        ("hidden_layer_sizes",),
    ),
    Need(("codistill_strength",), lambda fit: fit.net.n_members > 1, "n_members > 1", ("n_members",)),
    Need(("kl_penalty",), lambda fit: fit.net.kl_strength > 0, "kl_strength > 0", ("kl_strength",)),
    Need(
        ("distill_weight", "distill_rows", "temperature", "distill_divergence"),
        lambda fit: fit.distils,
        "a teacher, by 'teacher', by 'teacher_proba' in fit or by n_generations > 1,",
        ("teacher", "n_generations"),
    ),
    Need(
        ("calibrate_teacher", "teacher_classes"),
        lambda fit: fit.is_taught,
        "a teacher, by 'teacher' or by 'teacher_proba' in fit,",
        ("teacher",),
    ),
    Need(
        ("augment", "augment_factor"),
        lambda fit: fit.teacher.teacher is not None,
        "a 'teacher', which labels synthetic rows,",
        ("teacher",),
    ),
    Need(
        (
            "distill_rows", "temperature", "distill_divergence", "teacher_cv", "calibrate_teacher", "augment",
            "augment_factor",
        ),
        lambda fit: fit.teacher.distill_weight != 0,
        "distill_weight > 0",
        ("distill_weight",),
    ),
    Need(
        ("teacher", "teacher_classes"),
        # the teacher's classes become the student's whatever its weight
        lambda fit: fit.teacher.distill_weight != 0 or fit.teacher.teacher_classes in ("union", "closed"),
        "distill_weight > 0",
        ("distill_weight",),
    ),
    Need(("teacher_classes",), lambda fit: fit.rows.codes.ndim == 1, "a target of one label a row"),
    Need(
        ("augment_factor",),
        lambda fit: fit.soft_targets is not None and fit.soft_targets.further.augment is not None,
        "augment='munge' or 'noise', or a function,",
        ("augment",),
    ),
    Need(
        ("lr", "optimizer__lr"),
        lambda fit: fit.uses_lr,
        "learning_rate='constant' or 'onecycle'",
        ("learning_rate",),
    ),
    Need(
        ("lr",),
        lambda fit: "optimizer__lr" not in fit.net.passed_on,
        "leaving out 'optimizer__lr'",
        ("optimizer__lr",),
    ),
    Need(
        ("kl_target",),
        lambda fit: fit.net.learning_rate == "kl_adaptive",
        "learning_rate='kl_adaptive'",
        ("learning_rate",),
    ),
    Need(
        ("weight_decay",),
        lambda fit: not refused("optimizer", fit.net.optimizer, ["weight_decay"]),
        "an 'optimizer' that accepts one",
        ("optimizer",),
    ),
    Need(
        ("weight_decay",),
        lambda fit: "optimizer__weight_decay" not in fit.net.passed_on,
        "leaving out 'optimizer__weight_decay'",
        ("optimizer__weight_decay",),
    ),
    Need(
        (
            "max_epochs", "early_stopping", "validation_fraction", "n_iter_no_change", "averaged_epochs",
            "n_generations", "calibrate_teacher",
        ),
        lambda fit: not fit.stream,
        "fit, as partial_fit goes over its rows once and sets none aside,",
    ),
    Need(("checkpoint_every",), lambda fit: fit.keeps, "a 'checkpoint'", ("checkpoint",)),
    Need(("validation_fraction",), lambda fit: not fit.gives_valid, "leaving out 'X_val'"),
    Need(("validation_fraction",), lambda fit: fit.splits, "early_stopping=True", ("early_stopping",)),
    Need(
        ("n_iter_no_change", "averaged_epochs"),
        lambda fit: fit.has_valid or fit.is_weighed,
        "early_stopping=True",
        ("early_stopping",),
    ),
)  # fmt: skip


# A value that switches something off has the effect it asks for wherever that is off.
_OFF = {
    "augment": None,
    "averaged_epochs": 1,
    "calibrate_teacher": False,
    "early_stopping": False,
    "n_iter_no_change": None,
}


def warn_of_idle(estimator: PassedOnParams, params: FitParams, data: FitData, task: Task) -> None:
    """Warn of every parameter that was given to an estimator, is not its default and cannot have an effect.

    Warns
    -----
    UserWarning
        For each such parameter; clones of one estimator do so once.
    """
    kind: type = type(estimator)
    defaults, given = valid_defaults(kind), params.given
    changed = {name for name, value in given.items() if name not in defaults or value is not defaults[name]}
    needs = _unmet(changed, estimator._varied, _circumstances(params, data, task))
    for name in filter(needs.__contains__, given):
        asks_for_nothing = [places[name] for places in (defaults, _OFF) if name in places]
        if not any(same_value(given[name], value) for value in asks_for_nothing):
            estimator._warn_once(
                f"The {name!r} parameter of {kind.__name__} has no effect; {needs[name]} would give it one.",
                stacklevel=5,
            )


def _circumstances(params: FitParams, data: FitData, task: Task) -> Circumstances:
    has_valid = task.training.data.valid is not None or params.split.early_stopping is True
    stream, given = task.training.stream, data.X_val is not None
    keeps = params.checkpoint.checkpoint is not None
    return Circumstances(params.net, params.teacher, task.rows, task.soft_targets, stream, has_valid, given, keeps)


def _unmet(changed: set[str], varied: Iterable[str], fit: Circumstances) -> dict[str, str]:
    """Return what would give those of the parameters an effect that have none, in words.

    What a search varies may switch others off in some of its candidates. Of these only parameters are told that it
    varies too, as then candidates differ in name alone.
    """
    needs: dict[str, str] = {}
    for need in NEEDS:
        names = changed.intersection(need.names)
        if not set(need.by).isdisjoint(varied):
            names &= set(varied)
        if names and not need.is_met(fit):
            needs = dict.fromkeys(names, need.words) | needs  # the first is kept
    return needs
