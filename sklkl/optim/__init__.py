"""Optimisers by name, and what sets their learning rate: schedules, or the KL divergence of a step.

`LearningRate` is what all of them have in common; the rules by which `KLAdaptiveLR` works are in files of their own.
May import: modules, losses, data, divergences and _utils.
"""

from sklkl.optim._adaptive import RULES, KLAdaptiveLR, RuleName
from sklkl.optim._band import Band
from sklkl.optim._learning_rate import LEARNING_RATES, LearningRate, LearningRateName, make_learning_rate
from sklkl.optim._lock import Lock
from sklkl.optim._optimizers import OPTIMIZERS, OptimizerName
from sklkl.optim._polyak import Polyak
from sklkl.optim._schedules import ConstantRate, OneCycle
from sklkl.optim._step_kl import step_kl

__all__ = [
    "LEARNING_RATES",
    "OPTIMIZERS",
    "RULES",
    "Band",
    "ConstantRate",
    "KLAdaptiveLR",
    "LearningRate",
    "LearningRateName",
    "Lock",
    "OneCycle",
    "OptimizerName",
    "Polyak",
    "RuleName",
    "make_learning_rate",
    "step_kl",
]
