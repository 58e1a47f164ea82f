"""KL regularisers: what is added to the data fit, row by row, to keep probabilities from becoming too confident.

`Penalty` is their interface, `PENALTIES` has those that have a name. May import: data, losses, modules.
"""

from sklkl.penalties._base import Penalty, PenaltyNet
from sklkl.penalties._closed_form import Confidence, LabelSmoothing, Prior
from sklkl.penalties._consistency import RDrop, VirtualAdversarial
from sklkl.penalties._registry import PENALTIES, PenaltyName, adapted, make_penalty

__all__ = [
    "PENALTIES",
    "Confidence",
    "LabelSmoothing",
    "Penalty",
    "PenaltyName",
    "PenaltyNet",
    "Prior",
    "RDrop",
    "VirtualAdversarial",
    "adapted",
    "make_penalty",
]
