"""KL regularisers: what is added to the data fit, row by row, to keep probabilities from becoming too confident.

`Penalty` is their interface, `PENALTIES` has those that have a name. May import: data, losses, modules.
"""

from sklkl.penalties import _closed_form, _consistency
from sklkl.penalties._base import Penalty, PenaltyNet
from sklkl.penalties._closed_form import *
from sklkl.penalties._consistency import *
from sklkl.penalties._registry import PENALTIES, PenaltyName, adapted, make_penalty

# a new penalty needs no line here
__all__ = ["PENALTIES", "Penalty", "PenaltyName", "PenaltyNet", "adapted", "make_penalty"]
__all__ += _closed_form.__all__
__all__ += _consistency.__all__
