"""Displays: what a training, a search, a distillation, a calibration, a matrix of divergences or a drift looks like.

They are used as scikit-learn's: a class method such as ``from_estimator`` computes what is shown and draws it, ``plot``
draws it again, elsewhere or in another manner. What was drawn is kept: ``figure_`` and ``axes_`` (an array) or ``ax_``,
and the lines. matplotlib is needed for drawing only, and imported then.

What the displays have in common is in `_style`; each has a file of its own. May import: everything; matplotlib inside
functions only.
"""

from sklkl.inspection._distillation import DistillationDisplay
from sklkl.inspection._drift import DriftDisplay
from sklkl.inspection._matrix import DivergenceMatrixDisplay
from sklkl.inspection._reliability import ReliabilityDisplay
from sklkl.inspection._strength import StrengthCurveDisplay
from sklkl.inspection._training import TrainingDisplay

__all__ = [
    "DistillationDisplay",
    "DivergenceMatrixDisplay",
    "DriftDisplay",
    "ReliabilityDisplay",
    "StrengthCurveDisplay",
    "TrainingDisplay",
]
