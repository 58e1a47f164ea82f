"""KL regularisers: what is added to the data fit, row by row, to keep probabilities from becoming too sure.

May import: losses, data, modules.
"""

from sklkl.penalties._closed_form import Confidence, LabelSmoothing, Prior
from sklkl.penalties._consistency import RDrop, VirtualAdversarial
from sklkl.penalties._registry import PENALTIES, make_penalty

__all__ = ["PENALTIES", "Confidence", "LabelSmoothing", "Prior", "RDrop", "VirtualAdversarial", "make_penalty"]
