"""Rows without labels beside those of X: given ones, and synthetic ones for a teacher to label."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from sklkl._fit.parameters import TeacherParams
from sklkl._utils.sklearn_private import _num_samples
from sklkl.distillation import augmented

# augment="auto" leaves longer tables as they are: there is less to gain, and finding neighbours takes long.
MAX_ROWS_TO_AUGMENT = 20_000


@dataclass(frozen=True)
class FurtherRows:
    """Where rows without labels come from.

    Parameters
    ----------
    params : TeacherParams
        Parameters.
    X : array, sparse matrix or frame
        Rows that have labels, as they were given.
    X_unlabeled : array, sparse matrix, frame or None
        Rows that were given without.
    transform : callable or None
        From inputs as the teacher sees them to those that the network sees, where these are not the same.
    validate : callable
        From these to validated ones.
    penalised : bool
        Whether a penalty uses rows without labels.
    """

    params: TeacherParams
    X: Any
    X_unlabeled: Any
    transform: Callable[[Any], Any] | None
    validate: Callable[[Any], Any]
    penalised: bool

    def check(self) -> None:
        """Raise a ValueError if rows without a label shall carry the distillation loss and there are none."""
        if self.params.distill_rows == "unlabeled" and self.X_unlabeled is None and self.augment is None:
            raise ValueError(
                "distill_rows='unlabeled' needs rows without a label: pass 'X_unlabeled' to fit, or let 'augment' make "
                f"some. Got X_unlabeled=None and augment={self.params.augment!r}, which makes none here."
            )

    def check_unlabeled(self) -> None:
        """Raise a ValueError if the network cannot read the rows that were given without a label."""
        if self.X_unlabeled is not None:
            self.read(self.X_unlabeled)

    @property
    def augment(self) -> Any:
        """How synthetic rows are made; ``"auto"`` does so in a dense table that is not too long."""
        if self.params.augment != "auto":
            return self.params.augment
        X = self.X if self._near_X else self.X_unlabeled
        table = hasattr(X, "columns") or np.ndim(X) == 2
        suited = table and not sparse.issparse(X) and 2 <= _num_samples(X) <= MAX_ROWS_TO_AUGMENT
        return "munge" if suited and self.params.teacher is not None else None

    @property
    def _near_X(self) -> bool:
        """Whether synthetic rows are near those of X: they should be where the distillation loss is."""
        return self.params.distill_rows == "all" or self.X_unlabeled is None

    def inputs(self, X: Any, for_teacher: bool, random_state: np.random.RandomState) -> list[Any]:
        """Return inputs that are wanted beside the rows X, as they were given or made."""
        wanted = self.X_unlabeled is not None and (for_teacher or self.penalised)
        given = [self.X_unlabeled] if wanted else []
        augment = self.augment if for_teacher else None
        if augment is None:
            return given
        X = X if self._near_X else self.X_unlabeled
        if self.params.augment == "auto" and _num_samples(X) < 2:  # zero weights may leave one row only
            return given
        if sparse.issparse(X):
            raise ValueError("The 'augment' parameter must be None for sparse X; pass rows as 'X_unlabeled' instead.")
        return [*given, augmented(X, augment, self.params.augment_factor, random_state)]

    def read(self, X: Any) -> Any:
        """Return inputs as the network is to see them; an error calls them by their own name."""
        name = "X_unlabeled" if X is self.X_unlabeled else "A synthetic row of 'augment'"
        try:
            return self.validate(X if self.transform is None else self.transform(X))
        except ValueError as error:
            found, n_found = re.subn(r"(Input )?\bX\b", name, str(error), count=1)
            raise ValueError(found if n_found else f"{name} cannot be used: {found}") from error
