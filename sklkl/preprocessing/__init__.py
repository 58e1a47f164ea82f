"""Transformers whose output are divergences: from class prototypes, from a reference prediction, between all rows.

`DivergenceToPrototypes` and `DivergenceKernel` read each row as a discrete distribution: counts, histograms, tf-idf
or topic shares, of whatever sum. A row of zeros (an empty document) says nothing and stands for the mean
distribution of the training rows. `ProbaDivergence` reads the rows of a classifier's ``predict_proba`` so.
"""

from sklkl.preprocessing._kernel import DivergenceKernel
from sklkl.preprocessing._proba import ProbaDivergence
from sklkl.preprocessing._prototypes import DivergenceToPrototypes

__all__ = ["DivergenceKernel", "DivergenceToPrototypes", "ProbaDivergence"]
