"""``DistillationDisplay``: what a student costs, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklkl._utils.checks import invalid
from sklkl.inspection._style import COLOURS, MARKERS, Style, axes_for, few_log_ticks, legend_above_data, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DistillationDisplay"]

# What a model costs: a figure of the report, the unit it is shown in, and what the axis is called.
_COSTS = {
    "seconds_per_row": (1e6, "processor time of predict_proba, µs per row"),
    "bytes": (1e-6, "size of the pickle, MB"),
}
# Costs whose largest is so many times the least are drawn on a logarithmic axis.
_FAR_APART = 4


class DistillationDisplay:
    """Log-loss of teacher, student and a student without a teacher, against time per row and size.

    Use :meth:`from_estimator` to make one. All parameters are stored as attributes.

    Parameters
    ----------
    report : dict of dict
        By model, as ``report_`` of :class:`sklkl.Distiller`: ``log_loss`` in nats, ``seconds_per_row`` and ``bytes``.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The panels: against time per row; against size. Models whose size is not known are not in the second.
    figure_ : matplotlib Figure
        The figure.
    points_ : list of dict of str to matplotlib Line2D
        The points of each panel by model; a dotted line where the log-loss is infinite.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklkl import Distiller, KLClassifier
    >>> from sklkl.inspection import DistillationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> student = KLClassifier((32,), max_epochs=10)
    >>> teacher = RandomForestClassifier(n_estimators=10)
    >>> distiller = Distiller(student, teacher, random_state=0).fit(X, y)
    >>> display = DistillationDisplay.from_estimator(distiller)
    >>> list(display.points_[0])
    ['teacher', 'student', 'student without teacher']
    """

    def __init__(self, report: Mapping[str, Mapping[str, float]]) -> None:
        self.report = report

    @classmethod
    def from_estimator(cls, distiller: Any, *, ax: Any = None, point_kw: Style = None) -> DistillationDisplay:
        """Draw the report of a distiller.

        Parameters
        ----------
        distiller : Distiller
            Fitted, with a report.
        ax, point_kw
            As in :meth:`plot`.

        Returns
        -------
        DistillationDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the distiller is not fitted.
        ValueError
            If it has no report.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(distiller)
        if not hasattr(distiller, "report_"):
            raise invalid(
                "distiller", distiller, "one with a report_; report_fraction=None makes none", of=cls.__name__
            )
        return cls(distiller.report_).plot(ax=ax, point_kw=point_kw)

    def plot(self, *, ax: Any = None, point_kw: Style = None) -> DistillationDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of two, default=None
            Where to draw; None makes a figure. With one axes, against time per row only.
        point_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot`, for all points.

        Returns
        -------
        DistillationDisplay
            Itself.

        Raises
        ------
        ValueError
            If more than two axes are given.
        ImportError
            If matplotlib is not installed.
        """
        axes = axes_for(self, ax, 2, (7.0, 6.0))
        self.points_ = [self._plot_cost(panel, cost, point_kw) for panel, cost in zip(axes, _COSTS, strict=False)]
        legend_above_data(axes[0], ncols=3)
        self.axes_, self.figure_ = np.array(axes, dtype=object), axes[0].figure
        return self

    def _plot_cost(self, ax: Axes, cost: str, point_kw: Style) -> dict[str, Any]:
        from matplotlib.lines import Line2D

        scale, label = _COSTS[cost]
        looks = cycle(zip(COLOURS.values(), MARKERS, strict=True))
        known = {name: (scale * f[cost], f["log_loss"]) for name, f in self.report.items() if np.isfinite(f[cost])}
        points = {}
        for name, (colour, marker) in zip(self.report, looks, strict=False):
            style = {"color": colour, "marker": marker, "markersize": 9, "linestyle": "none", "label": name}
            if name in known:
                points[name] = _point(ax, *known[name], styled(Line2D, style, point_kw))
        _cost_axis(ax, np.array([x for x, _ in known.values()]))
        ax.set(xlabel=label, ylabel="log-loss, nats")
        return points


def _point(ax: Axes, cost: float, loss: float, style: dict[str, Any]) -> Any:
    """Draw a model; one that gave probability zero to what happened is a line without a height."""
    if np.isfinite(loss):
        return ax.plot([cost], [loss], **style)[0]
    line = {"linestyle": ":", "marker": "", "label": f"{style['label']}: log-loss {loss}"}
    return ax.axvline(cost, **style | line)


def _cost_axis(ax: Axes, costs: np.ndarray) -> None:
    """Let the axis begin at zero; make it logarithmic if costs differ much."""
    ax.margins(0.15)
    if len(costs) == 0 or not 0 < _FAR_APART * costs.min() < costs.max():
        ax.set_xlim(0, 1.15 * max(costs.max(initial=0.0), 1e-12))
        return
    ax.set_xscale("log")
    few_log_ticks(ax.xaxis)
