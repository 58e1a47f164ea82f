"""``DriftDisplay``: which columns drifted, and what moved in one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklkl._utils.checks import check_integer
from sklkl._utils.types import MatrixLike
from sklkl.drift import DriftDetector, DriftReport
from sklkl.inspection._style import COLOURS, Style, axes_for, legend_above_data, pyplot, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DriftDisplay"]

_NAMES = {
    "psi": "population stability index, nats",
    "js": "Jensen-Shannon divergence, nats",
    "kl": "KL(reference‖new), nats",
}
_LEAST_SHOWN = 1e-4


class DriftDisplay:
    """What a drift detector found: the divergence of each column with its p-value, or the shares of one column's bins.

    Parameters
    ----------
    report : DriftReport
        What :meth:`sklkl.drift.DriftDetector.detect` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    bars_ : list of matplotlib BarContainer
        The columns without drift and those with it; or the shares before and after.
    columns_ : ndarray of int
        Positions of the columns drawn, from the top, those of the smallest p-values first; of :meth:`plot`.

    See Also
    --------
    sklkl.drift.DriftDetector : What finds it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklkl.drift import DriftDetector
    >>> from sklkl.inspection import DriftDisplay
    >>> rng = np.random.default_rng(0)
    >>> detector = DriftDetector(random_state=0).fit(rng.normal(size=(500, 2)))
    >>> new = rng.normal([0, 1], 1, size=(200, 2))
    >>> display = DriftDisplay.from_estimator(detector, new)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['x1', 'x0']
    >>> display.plot_shares("x1").ax_.get_xlabel()
    'share of the rows'
    """

    def __init__(self, report: DriftReport) -> None:
        self.report = report

    @classmethod
    def from_estimator(
        cls,
        detector: DriftDetector,
        X: MatrixLike,
        *,
        max_columns: int = 20,
        ax: Any = None,
        bar_kw: Style = None,
    ) -> DriftDisplay:
        """Compare new rows with those of reference, and draw the columns.

        Parameters
        ----------
        detector : DriftDetector
            Fitted to the reference.
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            New rows.
        max_columns, ax, bar_kw
            As in :meth:`plot`.

        Returns
        -------
        DriftDisplay
            What was drawn.

        Raises
        ------
        ValueError
            As :meth:`sklkl.drift.DriftDetector.detect` and :meth:`plot`.
        ImportError
            If matplotlib is not installed.
        """
        return cls(detector.detect(X)).plot(max_columns=max_columns, ax=ax, bar_kw=bar_kw)

    def plot(self, *, max_columns: int = 20, ax: Any = None, bar_kw: Style = None) -> DriftDisplay:
        """Draw the divergence of each column, with its p-value, the most conspicuous columns at the top.

        Parameters
        ----------
        max_columns : int >= 1, default=20
            Most columns to draw; of more, those of the smallest p-values.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        bar_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        DriftDisplay
            Itself.

        Raises
        ------
        ValueError
            If `max_columns` is no such number, or several axes are given.
        ImportError
            If matplotlib is not installed.
        """
        check_integer("max_columns", max_columns, 1, of="DriftDisplay.plot")
        report = self.report
        self.columns_ = np.lexsort((-report.statistic, report.p_value))[:max_columns]
        n = len(self.columns_)
        (ax,) = axes_for(self, ax, 1, (7.0, 1.6 + 0.3 * n))
        drifted = report.drifted[self.columns_]
        parts = {"no drift": (~drifted, "sky", ""), f"drift at level {report.alpha:g}": (drifted, "vermilion", "//")}
        self.bars_ = [self._plot_columns(ax, *part, label, bar_kw) for label, part in parts.items() if part[0].any()]
        ax.set_yticks(np.arange(n), [str(name) for name in report.feature_names[self.columns_]])
        corrected = "" if (report.adjusted_p_value == report.p_value).all() else "\np-values corrected for all columns"
        ax.set_xlabel(_NAMES[report.statistic_name] + corrected)
        _room_for_p_values(ax, report.statistic[self.columns_], report.adjusted_p_value[self.columns_])
        self._finish(ax, n)
        return self

    def _plot_columns(self, ax: Axes, which: np.ndarray, colour: str, hatch: str, label: str, bar_kw: Style) -> Any:
        from matplotlib.patches import Rectangle

        style = {"color": COLOURS[colour], "edgecolor": "white", "hatch": hatch, "height": 0.7, "label": label}
        values = self.report.statistic[self.columns_[which]]
        return ax.barh(np.flatnonzero(which), values, **styled(Rectangle, style, bar_kw))

    def plot_shares(
        self, column: str | int, *, max_bins: int = 20, ax: Any = None, bar_kw: Style = None
    ) -> DriftDisplay:
        """Draw what moved in one column: the share of the rows in each bin, before and after.

        Parameters
        ----------
        column : str or int
            Name or position of the column.
        max_bins : int >= 1, default=20
            Most bins to draw; of more, those whose shares changed most, in the order of all.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        bar_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.barh`.

        Returns
        -------
        DriftDisplay
            Itself.

        Raises
        ------
        ValueError
            If there is no such column, `max_bins` is no such number, or several axes are given.
        ImportError
            If matplotlib or pandas is not installed.
        """
        check_integer("max_bins", max_bins, 1, of="DriftDisplay.plot_shares")
        pyplot(self)  # or an error that says what is missing
        shares, names = self.report.shares(column), self.report.feature_names.tolist()
        moved = np.argsort(-np.abs(shares["new"] - shares["reference"]).to_numpy(), kind="stable")
        shown = shares.iloc[np.sort(moved[:max_bins])]
        n = len(shown)
        (ax,) = axes_for(self, ax, 1, (7.0, 1.6 + 0.4 * n))
        self.bars_ = self._plot_bins(ax, shown, bar_kw)
        ax.set_yticks(np.arange(n), [str(name) for name in shown["bin"]])
        some = "" if n == len(shares) else f"\n{n} of {len(shares)} bins"
        ax.set(xlabel="share of the rows", ylabel=f"{column if column in names else names[int(column)]}{some}")
        self._finish(ax, n)
        return self

    def _plot_bins(self, ax: Axes, shares: Any, bar_kw: Style) -> list[Any]:
        from matplotlib.patches import Rectangle

        common: dict[str, Any] = {"edgecolor": "white", "height": 0.4}
        reference = {"color": COLOURS["sky"], "label": f"reference: {self.report.n_reference:,} rows", **common}
        new = {"color": COLOURS["vermilion"], "hatch": "//", "label": f"new: {self.report.n_new:,} rows", **common}
        rows = np.arange(len(shares))
        return [
            ax.barh(rows + offset, shares[name], **styled(Rectangle, style, bar_kw))
            for name, style, offset in (("reference", reference, -0.2), ("new", new, 0.2))
        ]

    def _finish(self, ax: Axes, n: int) -> None:
        # from the top, with the legend in room of its own above
        ax.set_ylim(n - 0.5, -0.5)
        legend_above_data(ax, top=-0.5)
        self.ax_, self.figure_ = ax, ax.figure


def _room_for_p_values(ax: Axes, statistic: np.ndarray, p_values: np.ndarray) -> None:
    """Write the p-values, corrected for the number of columns, at the ends of the bars."""
    finite = statistic[np.isfinite(statistic)]
    ax.set_xlim(0, 1.25 * max(float(finite.max(initial=0.0)), 1e-12))
    for row, (value, p_value) in enumerate(zip(statistic, p_values, strict=True)):
        text = f"p = {p_value:.2g}" if p_value >= _LEAST_SHOWN else f"p < {_LEAST_SHOWN:g}"
        ax.annotate(text, (value, row), (4, 0), textcoords="offset points", va="center", size="small")
