"""The engine: a stack of networks of the built-in kind, whose gradient and optimiser step are written out.

Knows nothing of skorch, data sets or estimators.
May import: modules, losses, optim and what is below them.
"""

from sklkl._engine._adamw import StackAdamW
from sklkl._engine._logit_loss import cross_entropy_gradient, mean_of
from sklkl._engine._passes import AutogradPasses
from sklkl._engine._stack import MLPStack

__all__ = ["AutogradPasses", "MLPStack", "StackAdamW", "cross_entropy_gradient", "mean_of"]
