"""Rows without labels beside those of X: given ones, and synthetic ones for a teacher to label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse

from sklkl._fit.given_rows import GivenRows
from sklkl._fit.parameters import TeacherParams
from sklkl._utils.sklearn_private import _num_samples
from sklkl.data import Rows, is_sparse
from sklkl.distillation import augmented

# torch's own mark of a row without a label
NO_LABEL = -100
# augment="auto" leaves longer tables as they are: there is less to gain, and finding neighbours takes long.
MAX_ROWS_TO_AUGMENT = 20_000


@dataclass(frozen=True)
class FurtherRows:
    """Where rows without labels come from.

    Parameters
    ----------
    params : TeacherParams
        Parameters.
    given : GivenRows
        Rows that have labels.
    X_unlabeled : array, sparse matrix, frame or None
        Rows that were given without.
    read : callable
        From inputs as they were given to validated inputs of the network.
    penalised : bool
        Whether a penalty uses rows without labels.
    """

    params: TeacherParams
    given: GivenRows
    X_unlabeled: Any
    read: Callable[[Any], Any]
    penalised: bool

    def check(self) -> None:
        """Raise a ValueError if rows without a label shall carry the distillation loss and there are none."""
        if self.params.distill_rows == "unlabeled" and self.X_unlabeled is None and self.augment is None:
            raise ValueError(
                "distill_rows='unlabeled' needs rows without a label: pass 'X_unlabeled' to fit, or let 'augment' make "
                f"some. Got X_unlabeled=None and augment={self.params.augment!r}, which makes none here."
            )

    @property
    def augment(self) -> Any:
        """How synthetic rows are made; ``"auto"`` does so in a dense table that is not too long."""
        if self.params.augment != "auto":
            return self.params.augment
        X = self.given.X if self._near_X else self.X_unlabeled
        table = hasattr(X, "columns") or np.ndim(X) == 2
        suited = table and not is_sparse(X) and 2 <= _num_samples(X) <= MAX_ROWS_TO_AUGMENT
        return "munge" if suited and self.params.teacher is not None else None

    @property
    def _near_X(self) -> bool:
        """Whether synthetic rows are near those of X: they should be where the distillation loss is."""
        return self.params.distill_rows == "all" or self.X_unlabeled is None

    def inputs(self, rows: Rows, for_teacher: bool, random_state: np.random.RandomState) -> list[Any]:
        """Return inputs that somebody wants beside numbered rows, as they were given or made."""
        wanted = self.X_unlabeled is not None and (for_teacher or self.penalised)
        given = [self.X_unlabeled] if wanted else []
        augment = self.augment if for_teacher else None
        if augment is None:
            return given
        X = self.given.inputs(rows) if self._near_X else self.X_unlabeled
        if self.params.augment == "auto" and _num_samples(X) < 2:  # zero weights may leave one row only
            return given
        if is_sparse(X):
            raise ValueError("The 'augment' parameter must be None for sparse X; pass rows as 'X_unlabeled' instead.")
        return [*given, augmented(X, augment, self.params.augment_factor, random_state)]


def stacked(rows: Rows, X: Any) -> Rows:
    """Return the rows and, below them, rows of average weight without labels."""
    n_extra = X.shape[0]
    y = torch.full((n_extra, *rows.codes.shape[1:]), NO_LABEL, dtype=rows.codes.dtype, device=rows.codes.device)
    old: Any = rows.X
    if is_sparse(old):
        joined = sparse.vstack([old, sparse.csr_array(X)])
    else:
        joined = torch.cat([old, Rows(X.toarray() if is_sparse(X) else X).to(rows.device).X])
    weight = None if rows.weight is None else torch.cat([rows.weight, rows.weight.mean().expand(n_extra)])
    return Rows(joined, torch.cat([rows.codes, y]), weight=weight)
