"""Searches for hyperparameters that train the candidates of a fold together, as a stack of networks.

They are scikit-learn's `GridSearchCV` and `RandomizedSearchCV` in all but what the fits cost. May import: everything.
"""

from sklkl.model_selection._choice import one_standard_error
from sklkl.model_selection._search import StackedGridSearchCV, StackedRandomizedSearchCV

__all__ = ["StackedGridSearchCV", "StackedRandomizedSearchCV", "one_standard_error"]
