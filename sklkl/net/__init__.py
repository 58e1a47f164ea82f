"""``KLNet``: skorch's training loop with named loss terms, whole-tensor batches and no host round trip a batch.

May import: callbacks, penalties, distillation, optim and what is below them.
"""

from sklkl.net._apart import why_apart
from sklkl.net._ensemble import KLEnsemble, members_of
from sklkl.net._epoch_tasks import EpochTasks
from sklkl.net._net import KLNet
from sklkl.net._skorch import TrainingHistory
from sklkl.net._together import train_together

__all__ = ["EpochTasks", "KLEnsemble", "KLNet", "TrainingHistory", "members_of", "train_together", "why_apart"]
