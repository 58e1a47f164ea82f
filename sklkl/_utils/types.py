"""What users pass, for type checkers."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import sparray, spmatrix

__all__ = ["ArrayLike", "MatrixLike", "RandomState"]

# Arrays, lists, data frames (which give an array on request), and sparse matrices.
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray

RandomState: TypeAlias = int | np.random.Generator | np.random.RandomState | None
