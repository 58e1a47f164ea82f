"""What users pass, for type checkers."""

from __future__ import annotations

from os import PathLike
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

__all__ = ["ArrayLike", "Auto", "FilePath", "Labels", "MatrixLike", "Proba", "RandomState", "Weight"]

# Arrays, lists, data frames (which give an array on request), and sparse matrices.
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray

# Probabilities, one row a sample and one column a class.
Proba: TypeAlias = ArrayLike

# One for each class, or for each row; None where there is a default.
Labels: TypeAlias = ArrayLike | None
Weight: TypeAlias = ArrayLike | None

# For a parameter that is settled in fit.
Auto: TypeAlias = Literal["auto"]

FilePath: TypeAlias = str | PathLike[str]

RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
