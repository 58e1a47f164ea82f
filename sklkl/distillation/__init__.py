"""Distillation: a student network learns from a teacher's probabilities.

A teacher is anything that gives probabilities; see `make_teacher`. The student's loss is
``(1 - α) · data fit + α · T² · divergence(teacher, student)`` a row, see `Distillation`.
May import: losses, data, modules.
"""

from sklkl.distillation import _teachers
from sklkl.distillation._alignment import POLICIES, Policy, aligned, checked_proba
from sklkl.distillation._augmentation import AUGMENTATIONS, AugmentationName, augmented, check_table, munge, noise
from sklkl.distillation._function_teacher import FunctionTeacher
from sklkl.distillation._losses import DISTILL_DIVERGENCES, DISTILL_ROWS, Distillation, DistillDivergence, DistillRows
from sklkl.distillation._teacher import Teacher
from sklkl.distillation._teachers import *
from sklkl.distillation._temperature import best_temperature, soften

# a new kind of teacher needs no line here
__all__ = [
    "AUGMENTATIONS",
    "DISTILL_DIVERGENCES",
    "DISTILL_ROWS",
    "POLICIES",
    "AugmentationName",
    "DistillDivergence",
    "DistillRows",
    "Distillation",
    "FunctionTeacher",
    "Policy",
    "Teacher",
    "aligned",
    "augmented",
    "best_temperature",
    "check_table",
    "checked_proba",
    "munge",
    "noise",
    "soften",
]
__all__ += _teachers.__all__
