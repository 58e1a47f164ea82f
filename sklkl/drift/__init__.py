"""Drift between the rows a model learned from and the rows it meets: finding it, and training in spite of it.

`DriftDetector` compares new rows with reference rows column by column, as divergences of binned values with p-values.
`DensityRatioWeighter` trains an estimator for target rows whose features are distributed differently from those of
the training rows, by weights that are ratios of the two densities.
"""

from sklkl.drift._detector import DriftDetector
from sklkl.drift._report import DriftReport
from sklkl.drift._weighting import DensityRatioWeighter

__all__ = ["DensityRatioWeighter", "DriftDetector", "DriftReport"]
