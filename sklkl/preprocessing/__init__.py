"""Transformers whose output are divergences: from class prototypes, from a reference prediction, between all rows.

`DivergenceToPrototypes` and `DivergenceKernel` read each row as a discrete distribution: counts, histograms, tf-idf
or topic shares, of whatever sum. A row of zeros (an empty document) is replaced by the mean
distribution of the training rows. `ProbaDivergence` does the same with the output of a classifier's
``predict_proba``.

One transformer a file; `_rows` has what those of rows share. May import: `sklkl._utils`, `sklkl.divergences`, numpy,
scipy and scikit-learn.
"""

from sklkl.preprocessing._kernel import DivergenceKernel
from sklkl.preprocessing._proba import ProbaDivergence
from sklkl.preprocessing._prototypes import DivergenceToPrototypes

__all__ = ["DivergenceKernel", "DivergenceToPrototypes", "ProbaDivergence"]
