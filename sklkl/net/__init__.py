"""``KLNet``: skorch's training loop with named loss terms, whole-tensor batches and no host round trip a batch.

May import: callbacks, penalties, distillation, optim and what is below them.
"""

from sklkl.net._net import KLNet
from sklkl.net._skorch import TrainingHistory
from sklkl.net._together import train_together, why_apart

__all__ = ["KLNet", "TrainingHistory", "train_together", "why_apart"]
