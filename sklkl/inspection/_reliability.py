"""``ReliabilityDisplay``: predicted probabilities against observed frequencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklkl._utils.checks import check_integer, invalid
from sklkl._utils.types import ArrayLike, Labels, MatrixLike, Proba, Weight
from sklkl.inspection._classes import class_names
from sklkl.inspection._style import COLOURS, MARKERS, Style, axes_for, legend_above_data, styled
from sklkl.metrics import calibration_kl
from sklkl.metrics._calibration import quantile_bin
from sklkl.metrics._validation import Comparison, compare

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ReliabilityDisplay"]

# Two-sided 95 % of a normal distribution.
_WITHIN = 1.96
_DIAGONAL = "calibrated ± 1.96 standard errors"
# By this the curves of several displays on one axes know each other.
_GID = "sklkl reliability"


class ReliabilityDisplay:
    """Reliability diagram: observed frequency against predicted probability, with the calibration KL and its bias.

    Use :meth:`from_estimator` or :meth:`from_predictions` to make one. All parameters are stored as attributes.

    Parameters
    ----------
    predicted, observed : arrays of shape (n_bins,)
        Means over the rows of a bin: the predicted probability, and how often what was predicted is true.
    error : array of shape (n_bins,)
        Standard error of `observed` if the predictions are calibrated and the rows independent.
    proba : array of shape (n_rows,)
        The predicted probability of each row, for the histogram.
    weight : array of shape (n_rows,)
        Weight of each row.
    calibration_kl : float
        :func:`sklkl.metrics.calibration_kl` over all classes, in nats.
    bias : float
        What it would be on average for calibrated predictions, in nats.
    pos_label : label, default=None
        The class whose probability is shown; None for that of the predicted class.
    name : str, default=None
        What the legend calls it.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The diagram.
    counts_ax_ : matplotlib Axes or None
        The histogram of rows behind it.
    figure_ : matplotlib Figure
        The figure.
    line_ : matplotlib Line2D
        The curve.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The diagram of two classes, with bins of equal width.
    sklkl.metrics.calibration_kl : The number that the legend gives.

    Notes
    -----
    Vertical lines about the diagonal are where 95 % of the points of calibrated predictions lie. The bins have about
    equal weights, those of equal probabilities are one. With more than two classes the curve of
    the predicted class says nothing of how the other classes share the rest; the calibration KL, which has bins by
    class, does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklkl.inspection import ReliabilityDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LogisticRegression().fit(X[::2], y[::2])
    >>> X, y = X[1::2], y[1::2]
    >>> display = ReliabilityDisplay.from_estimator(clf, X, y, n_bins=4)
    >>> display.ax_.get_xlabel()
    'predicted probability of the predicted class'
    """

    def __init__(
        self,
        predicted: np.ndarray,
        observed: np.ndarray,
        error: np.ndarray,
        proba: np.ndarray,
        weight: np.ndarray,
        *,
        calibration_kl: float,
        bias: float,
        pos_label: Any = None,
        name: str | None = None,
    ) -> None:
        self.predicted = predicted
        self.observed = observed
        self.error = error
        self.proba = proba
        self.weight = weight
        self.calibration_kl = calibration_kl
        self.bias = bias
        self.pos_label = pos_label
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        sample_weight: Weight = None,
        pos_label: Any = None,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
        counts: bool = True,
        line_kw: Style = None,
    ) -> ReliabilityDisplay:
        """Draw the diagram of a classifier's predictions.

        Parameters
        ----------
        estimator : classifier with ``predict_proba``
            Fitted.
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs, not those that it was trained on.
        y : array-like of shape (n_rows,)
            Their labels.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0.
        pos_label, n_bins, ax, counts, line_kw
            As in :meth:`from_predictions`.
        name : str, default=None
            What the legend calls it; None takes the name of the class.

        Returns
        -------
        ReliabilityDisplay
            What was drawn.

        Raises
        ------
        ValueError, ImportError
            As in :meth:`from_predictions`.
        """
        options = {"pos_label": pos_label, "n_bins": n_bins, "ax": ax, "counts": counts, "line_kw": line_kw}
        name = type(estimator).__name__ if name is None else name
        proba, labels = estimator.predict_proba(X), estimator.classes_
        return cls.from_predictions(y, proba, sample_weight=sample_weight, labels=labels, name=name, **options)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: Proba,
        *,
        sample_weight: Weight = None,
        labels: Labels = None,
        pos_label: Any = None,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
        counts: bool = True,
        line_kw: Style = None,
    ) -> ReliabilityDisplay:
        """Draw the diagram of predictions.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,) or (n_rows, n_classes)
            Labels, or soft labels.
        y_proba : array-like of shape (n_rows, n_classes) or (n_rows,)
            Predicted probabilities, as in :func:`sklkl.metrics.calibration_kl`.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0.
        labels : array-like of shape (n_classes,), default=None
            The class of each column; by default the sorted labels.
        pos_label : label, default=None
            The class whose probability is shown. None takes the second of two classes; of more, each row counts with
            its predicted class.
        n_bins : int >= 1, default=10
            Number of bins of the diagram, and of the calibration KL.
        name : str, default=None
            What the legend calls it.
        ax : Axes, default=None
            As in :meth:`plot`.
        counts : bool, default=True
            As in :meth:`plot`.
        line_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        ReliabilityDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If `pos_label` is no class, and as :func:`sklkl.metrics.calibration_kl`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklkl.inspection import ReliabilityDisplay
        >>> y_true, y_proba = [0, 0, 0, 1, 1, 1, 1, 0], [0.1] * 4 + [0.75] * 4
        >>> display = ReliabilityDisplay.from_predictions(y_true, y_proba)
        >>> display.observed
        array([0.25, 0.75])
        """
        check_integer("n_bins", n_bins, 1, of=cls.__name__)
        rows = compare(y_true, y_proba, sample_weight, labels)
        classes = class_names(y_true, y_proba, labels, rows.proba.shape[1])
        if pos_label is None and len(classes) == 2:
            pos_label = classes[1]
        proba, truth = _event(rows, classes, pos_label)
        given: dict[str, Any] = {"sample_weight": sample_weight, "labels": labels, "n_bins": n_bins}
        value, bias = calibration_kl(y_true, y_proba, return_bias=True, **given)  # type: ignore[misc]
        bins = _binned(proba, truth, rows.weight, n_bins)
        display = cls(*bins, proba, rows.weight, calibration_kl=value, bias=bias, pos_label=pos_label, name=name)
        return display.plot(ax=ax, counts=counts, line_kw=line_kw)

    def plot(
        self, *, ax: Any = None, name: str | None = None, counts: bool = True, line_kw: Style = None
    ) -> ReliabilityDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, also beside other curves; None makes a figure.
        name : str, default=None
            What the legend calls it; None takes that of the display.
        counts : bool, default=True
            Whether to draw, pale and behind the curve, a histogram of the predicted probabilities: the weight of the
            rows is on an axis at the right. Without it the diagrams of several models share one axes better.
        line_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot`, for the curve.

        Returns
        -------
        ReliabilityDisplay
            Itself.

        Raises
        ------
        ValueError
            If several axes are given.
        ImportError
            If matplotlib is not installed.
        """
        (ax,) = axes_for(self, ax, 1, (5.5, 5.5))
        name = self.name if name is None else name
        self.ax_, self.figure_ = ax, ax.figure
        self.counts_ax_ = self._plot_counts(ax) if counts else None
        if _DIAGONAL not in ax.get_legend_handles_labels()[1]:
            ax.plot([0, 1], [0, 1], color="0.4", linestyle=":", label=_DIAGONAL, zorder=1)
        self.line_ = self._plot_curve(ax, name, line_kw)
        low, high = (np.clip(self.predicted + sign * _WITHIN * self.error, 0, 1) for sign in (-1, 1))
        ax.vlines(self.predicted, low, high, color=self.line_.get_color(), linewidth=1, alpha=0.5, zorder=1)
        event = "the predicted class" if self.pos_label is None else f"class {self.pos_label}"
        ax.set(xlabel=f"predicted probability of {event}", ylabel=f"observed frequency of {event}")
        ax.set(xlim=(0, 1), ylim=(0, 1))
        legend_above_data(ax, ncols=1, top=1.0)
        ticks = np.linspace(0, 1, 6)
        ax.set_yticks(ticks, [f"{tick:.1f}" for tick in ticks])
        return self

    def _plot_counts(self, ax: Axes) -> Axes:
        from matplotlib.ticker import MaxNLocator

        counts_ax = ax.twinx()
        counts, _, _ = counts_ax.hist(self.proba, bins=20, range=(0, 1), weights=self.weight, color="0.88")
        most = float(np.max(counts))
        counts_ax.set_ylim(0, 4 * most)  # in the lowest quarter
        counts_ax.set_yticks([tick for tick in MaxNLocator(2).tick_values(0, most) if tick <= most])
        label = "rows" if (self.weight == 1).all() else "weight of the rows"
        counts_ax.set_ylabel(label, color="0.45", loc="bottom")
        counts_ax.tick_params(axis="y", colors="0.45")
        # behind the curve
        ax.set_zorder(counts_ax.get_zorder() + 1)
        ax.patch.set_visible(False)
        counts_ax.patch.set_visible(True)
        return counts_ax

    def _plot_curve(self, ax: Axes, name: str | None, line_kw: Style) -> Any:
        from matplotlib.lines import Line2D

        number = sum(line.get_gid() == _GID for line in ax.lines)
        measured = f"calibration KL {self.calibration_kl:.3f} nats,\nby chance {self.bias:.3f}"
        style = {"label": measured if name is None else f"{name}: {measured}", "gid": _GID, "linewidth": 1.5}
        style |= {"color": [*COLOURS.values()][number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        return ax.plot(self.predicted, self.observed, **styled(Line2D, style, line_kw))[0]


def _event(rows: Comparison, classes: np.ndarray, pos_label: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted and the true probability of what the diagram is about."""
    if pos_label is None:
        columns = rows.proba.argmax(axis=1)
    elif pos_label in (known := list(classes)):  # not tolist, which makes numbers of dates
        columns = np.full(len(rows.proba), known.index(pos_label))
    else:
        allowed = f"one of the classes {classes.tolist()}, or None"
        raise invalid("pos_label", pos_label, allowed, of="ReliabilityDisplay")
    each = np.arange(len(columns))
    return rows.proba[each, columns], rows.truth[each, columns]


def _binned(
    proba: np.ndarray, truth: np.ndarray, weight: np.ndarray, n_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the means of prediction and truth in each bin, and the error of the second if the first is right."""
    codes = np.unique(quantile_bin(proba, weight, n_bins), return_inverse=True)[1]
    mass = np.bincount(codes, weight)
    predicted, observed = (np.bincount(codes, weight * values) / mass for values in (proba, truth))
    variance = np.bincount(codes, weight**2 * proba * (1 - proba))
    return predicted, observed, np.sqrt(variance) / mass
