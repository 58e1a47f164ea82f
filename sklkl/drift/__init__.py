"""Drift between the rows a model was trained on and new rows: detecting it, and training for the new distribution.

`DriftDetector` compares new rows with reference rows column by column, as divergences of binned values with p-values.
`DensityRatioWeighter` trains an estimator for target rows whose features are distributed differently from those of
the training rows, by weights that are ratios of the two densities.

The detector reads tables by `_frame_columns` and counts by `_references`; `_kliep` estimates density ratios.
May import: `sklkl._utils`, `sklkl.divergences`, numpy, scipy, scikit-learn, and pandas where a frame is asked for.
"""

from sklkl.drift._detector import DriftDetector
from sklkl.drift._report import DriftReport
from sklkl.drift._weighting import DensityRatioWeighter

__all__ = ["DensityRatioWeighter", "DriftDetector", "DriftReport"]
