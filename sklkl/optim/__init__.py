"""Optimisers by name, and the rules that set their learning rate, by hand or by the KL divergence of a step."""

from sklkl.optim._adaptive import RULES, KLAdaptiveLR
from sklkl.optim._band import Band
from sklkl.optim._lock import Lock
from sklkl.optim._polyak import Polyak
from sklkl.optim._schedules import LEARNING_RATES, OPTIMIZERS, ConstantRate, OneCycle, make_learning_rate
from sklkl.optim._step_kl import step_kl

__all__ = [
    "LEARNING_RATES",
    "OPTIMIZERS",
    "RULES",
    "Band",
    "ConstantRate",
    "KLAdaptiveLR",
    "Lock",
    "OneCycle",
    "Polyak",
    "make_learning_rate",
    "step_kl",
]
