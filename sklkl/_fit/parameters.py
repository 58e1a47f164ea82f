"""What each parameter of the classifier may be, in scikit-learn's terms, which make the error messages."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import torch

from sklkl._fit.net_factory import FLOATS
from sklkl._utils.sklearn_private import HasMethods, Interval, Options, StrOptions
from sklkl.distillation import AUGMENTATIONS, DISTILL_DIVERGENCES, DISTILL_ROWS, POLICIES
from sklkl.modules import ACTIVATIONS
from sklkl.optim import LEARNING_RATES, OPTIMIZERS
from sklkl.penalties import PENALTIES

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "module": [callable, None],
    "kl_penalty": [StrOptions(set(PENALTIES)), HasMethods(["fit", "__call__"])],
    "kl_strength": [Interval(Real, 0, None, closed="left")],
    "teacher": [HasMethods(["predict_proba"]), callable, None],
    "distill_weight": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
    "distill_rows": [StrOptions(set(DISTILL_ROWS))],
    "temperature": [Interval(Real, 0, None, closed="neither")],
    "distill_divergence": [StrOptions(set(DISTILL_DIVERGENCES))],
    "teacher_cv": ["cv_object", None],
    "calibrate_teacher": [StrOptions({"auto"}), "boolean"],
    "teacher_classes": [StrOptions(set(POLICIES))],
    "augment": [StrOptions({"auto", *AUGMENTATIONS}), callable, None],
    "augment_factor": [Interval(Integral, 1, None, closed="left")],
    "n_generations": [Interval(Integral, 1, None, closed="left")],
    "init_from": [HasMethods(["fit", "predict_proba"]), callable, None],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "learning_rate": [StrOptions({*LEARNING_RATES, "kl_adaptive"})],
    "kl_target": [Interval(Real, 0, None, closed="neither"), None],
    "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
    "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
    "class_weight": [StrOptions({"balanced"}), dict, None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str, torch.device],
    "dtype": [StrOptions(set(FLOATS)), Options(torch.dtype, set(FLOATS.values()))],
    "compile": ["boolean"],
    "verbose": ["verbose"],
    "callbacks": [list, None],
}
