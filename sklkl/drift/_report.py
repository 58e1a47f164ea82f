"""What a comparison of new rows with the reference found, column by column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import false_discovery_control

from sklkl._utils.checks import invalid
from sklkl.divergences import jeffreys_divergence
from sklkl.divergences._table import Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CORRECTIONS", "DriftReport", "holm"]


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p-values: below alpha for any column without drift with probability alpha at most.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.
    """
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


# From the p-values of all columns to those that account for their number.
CORRECTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "holm": holm,
    "fdr_bh": false_discovery_control,
}


@dataclass(frozen=True, eq=False, repr=False)
class DriftReport:
    """Divergence of new rows from the reference rows in each column, and which columns drifted.

    ``print(report)`` shows a table of the columns, those of the smallest p-values first.

    Parameters
    ----------
    feature_names : array of shape (n_features,)
        Names of the columns, ``"x0"``, ``"x1"``, ... if they have none; all arrays are in their order.
    statistic : array of shape (n_features,)
        Divergences in nats.
    p_value : array of shape (n_features,)
        Probability of a divergence as large without drift, of each column by itself.
    adjusted_p_value : array of shape (n_features,)
        The same after the correction for the number of columns.
    drifted : bool array of shape (n_features,)
        Whether the adjusted p-value is at most `alpha`, and the divergence at least the detector's `min_statistic`.
    statistic_name : {"psi", "js", "kl"}
        Which divergence.
    alpha : float
        Level of the test.
    n_reference, n_new : int
        Number of rows compared.
    tables : tuple of length n_features
        The counts that were compared, see :meth:`shares`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.drift import DriftDetector
    >>> rng = np.random.default_rng(0)
    >>> detector = DriftDetector(random_state=0).fit(rng.normal(size=(500, 2)))
    >>> print(detector.detect(rng.normal([0, 1], 1, size=(200, 2))))
    1 of 2 columns drifted (alpha 0.05; rows: 200 new, 500 reference)
    column    psi  p-value  adjusted  drifted
    x1      0.991    0.001     0.002      yes
    x0      0.063    0.405     0.405       no
    """

    feature_names: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    adjusted_p_value: np.ndarray
    drifted: np.ndarray
    statistic_name: str
    alpha: float
    n_reference: int
    n_new: int
    tables: tuple[Table, ...] = ()

    def __repr__(self) -> str:
        return f"<DriftReport: {self._summary()}>"

    def __str__(self) -> str:
        order = np.lexsort((-self.statistic, self.p_value))
        header = ("column", self.statistic_name, "p-value", "adjusted", "drifted")
        return "\n".join([self._summary(), *_aligned([header, *(self._cells(j) for j in order)])])

    def _summary(self) -> str:
        columns = f"{np.sum(self.drifted)} of {len(self.drifted)} columns drifted"
        return f"{columns} (alpha {self.alpha:g}; rows: {self.n_new} new, {self.n_reference} reference)"

    def _cells(self, j: int) -> tuple[str, ...]:
        numbers = (f"{x[j]:.3f}" for x in (self.statistic, self.p_value, self.adjusted_p_value))
        return (str(self.feature_names[j]), *numbers, "yes" if self.drifted[j] else "no")

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas frame of one row for each column, in the order of the columns.

        Examples
        --------
        >>> from sklkl.drift import DriftDetector
        >>> detector = DriftDetector(random_state=0).fit([[1], [1], [2], [2]])
        >>> report = detector.detect([[1], [2]])
        >>> report.to_frame()
          column  statistic  p_value  adjusted_p_value  drifted
        0     x0        0.0      1.0               1.0    False
        """
        import pandas as pd

        fields = ("statistic", "p_value", "adjusted_p_value", "drifted")
        return pd.DataFrame({"column": self.feature_names, **{name: getattr(self, name) for name in fields}})

    def shares(self, column: str | int) -> pd.DataFrame:
        """Return what moved within one column: the share of the rows in each bin, before and after.

        Parameters
        ----------
        column : str or int
            Name or position of the column.

        Returns
        -------
        DataFrame
            A row for each bin: what it is called, the shares of the reference and of the new rows, and what it adds
            to the population stability index of these shares (infinite if one of them is 0).

        Raises
        ------
        ValueError
            If there is no such column.

        Examples
        --------
        >>> from sklkl.drift import DriftDetector
        >>> detector = DriftDetector(random_state=0).fit([[1], [1], [2], [2]])
        >>> report = detector.detect([[1], [2], [2], [3]])
        >>> report.shares("x0")
          bin  reference   new       psi
        0   1        0.5  0.25  0.173287
        1   2        0.5  0.50  0.000000
        2   3        0.0  0.25       inf
        """
        import pandas as pd

        names = self.feature_names.tolist()
        if column not in names and column not in range(len(self.tables)):
            raise invalid("column", column, f"one of {names}, or a position below {len(names)}", "shares")
        table = self.tables[names.index(column) if column in names else int(column)]
        before, after = table.a / table.a.sum(), table.b / table.b.sum()
        psi = jeffreys_divergence(before[:, None], after[:, None])
        return pd.DataFrame({"bin": table.names, "reference": before, "new": after, "psi": psi})


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the rows with cells of one width in each column, the first left-aligned."""
    first, *others = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return ["  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) for row in rows]
