"""``TrainingDisplay``: the epochs of a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklkl._utils.checks import invalid, invalid_input
from sklkl.inspection._style import COLOURS, LINE_STYLES, Style, axes_for, few_log_ticks, legend_above_data, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingDisplay"]

# Losses whose largest value is so many times the least are drawn on a logarithmic axis.
_WIDE = 20
# What is less than this share of the largest of them is not.
_TINY = 1e-4
_TERMS = {"train_data_fit": "data fit", "train_kl_penalty": "KL penalty", "train_distillation": "distillation"}
_TERM_COLOURS = ("sky", "orange", "green", "purple")


class TrainingDisplay:
    """The loss and its terms, the validation log-loss, the rate and the size of the steps, epoch by epoch.

    Use :meth:`from_estimator` to make one. All parameters are stored as attributes.

    Parameters
    ----------
    losses : dict of str to array of shape (n_epochs,)
        What is drawn in the upper panel, in nats per row, by its label. In a :class:`sklkl.KLClassifier` the terms of
        the training loss are means over the batches as the network was in training, dropout included; the validation
        log-loss is that of the weights averaged over the last epochs, see ``averaged_epochs``, without penalty. So it
        may well be below the training loss.
    rate : array of shape (n_epochs,), default=None
        The learning rate.
    step_kl : array of shape (n_epochs,), default=None
        Mean KL(before‖after) of the steps measured in an epoch, in nats per row; NaN where none was.
    best_epoch : int, default=None
        The epoch whose weights were kept, counted from 1.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The panels: losses; rate and step KL, if they were drawn.
    figure_ : matplotlib Figure
        The figure.
    lines_ : dict of str to matplotlib Line2D
        What was drawn, by the labels in `losses`, and by ``"rate"`` and ``"step_kl"``.
    best_line_ : matplotlib Line2D or None
        The line at the best epoch in the first panel.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores against the number of training rows.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklkl import KLClassifier
    >>> from sklkl.inspection import TrainingDisplay
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = KLClassifier(kl_strength=0.1, max_epochs=10).fit(X, y)
    >>> display = TrainingDisplay.from_estimator(clf)
    >>> list(display.lines_)
    ['training loss', 'data fit', 'KL penalty', 'validation log-loss', 'rate', 'step_kl']
    """

    def __init__(
        self,
        losses: Mapping[str, np.ndarray],
        *,
        rate: np.ndarray | None = None,
        step_kl: np.ndarray | None = None,
        best_epoch: int | None = None,
    ) -> None:
        self.losses = losses
        self.rate = rate
        self.step_kl = step_kl
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, line_kw: Style = None) -> TrainingDisplay:
        """Draw the training of an estimator.

        Parameters
        ----------
        estimator : KLClassifier, KLNet, or Pipeline, search or Distiller of one
            Fitted. Of a search the best estimator is shown, of a :class:`sklkl.Distiller` the student.
        ax : Axes or two of them, default=None
            As in :meth:`plot`.
        line_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        TrainingDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no history.
        ImportError
            If matplotlib is not installed.
        """
        return cls.from_history(_history_of(estimator), ax=ax, line_kw=line_kw)

    @classmethod
    def from_history(
        cls, history: Iterable[Mapping[str, Any]], *, ax: Any = None, line_kw: Style = None
    ) -> TrainingDisplay:
        """Draw a history, such as ``history_``.

        Parameters
        ----------
        history : iterable of dict
            What each epoch recorded: ``train_loss``, and what else there is of its terms, ``valid_loss``,
            ``valid_loss_best``, ``lr`` and ``step_kl``. Histories of several networks do not say which epochs are
            best, and none is marked.
        ax : Axes or two of them, default=None
            As in :meth:`plot`.
        line_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        TrainingDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If there is no epoch, or none with a loss.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklkl.inspection import TrainingDisplay
        >>> history = [{"train_loss": 0.7, "valid_loss": 0.69}]
        >>> history += [{"train_loss": 0.6, "valid_loss": 0.64}]
        >>> TrainingDisplay.from_history(history).axes_[0].get_ylabel()
        'nats per row'
        """
        epochs = list(history)
        if not epochs:
            raise invalid_input("history", "none", "of at least one epoch", of="TrainingDisplay")
        best = [number for number, epoch in enumerate(epochs, start=1) if epoch.get("valid_loss_best")]
        rate, step_kl = (_column(epochs, name) for name in ("lr", "step_kl"))
        losses = _losses(epochs)
        if not losses:
            raise invalid_input("history", "none", "of at least one epoch with a 'train_loss'", of="TrainingDisplay")
        display = cls(losses, rate=rate, step_kl=step_kl, best_epoch=best[-1] if best else None)
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, *, ax: Any = None, line_kw: Style = None) -> TrainingDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of two, default=None
            Where to draw; None makes a figure. With one axes, the losses only.
        line_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.plot`, for all lines.

        Returns
        -------
        TrainingDisplay
            Itself.

        Raises
        ------
        ValueError
            If more axes are given than there are panels.
        ImportError
            If matplotlib is not installed.
        """
        has_steps = self.rate is not None or self.step_kl is not None
        size, options = ((7.0, 5.5), {"sharex": True, "height_ratios": [3, 2]}) if has_steps else ((7.0, 4.0), {})
        axes = axes_for(self, ax, 1 + has_steps, size, **options)
        self.lines_ = self._plot_losses(axes[0], line_kw)
        if len(axes) > 1:
            self.lines_ |= self._plot_steps(axes[1], line_kw)
        self.best_line_ = self._mark_best(axes)
        axes[-1].set_xlabel("epoch")
        legend_above_data(axes[0], ncols=3)
        self._cut_what_is_tiny(axes[0])
        self.axes_, self.figure_ = np.array(axes, dtype=object), axes[0].figure
        return self

    def _plot_losses(self, ax: Axes, line_kw: Style) -> dict[str, Any]:
        lines = {}
        for label, values in self.losses.items():
            style = {"label": label, **self._style_of(label)}
            lines[label] = _line(ax, values, style, line_kw)
        values = np.concatenate([*self.losses.values()])
        values = values[np.isfinite(values)]
        if len(values) and values.min() > 0 and values.max() > _WIDE * values.min():
            ax.set_yscale("log")
        ax.set_ylabel("nats per row")
        return lines

    def _cut_what_is_tiny(self, ax: Axes) -> None:
        """Leave out of a logarithmic axis what is a tiny part of the loss, such as a penalty that begins near zero."""
        values = np.concatenate([*self.losses.values()])
        least = float(np.max(values, where=np.isfinite(values), initial=0.0)) * _TINY
        if ax.get_yscale() == "log" and ax.get_ylim()[0] < least:
            ax.set_ylim(bottom=least)

    def _style_of(self, label: str) -> dict[str, Any]:
        whole = {"training loss": COLOURS["blue"], "validation log-loss": COLOURS["vermilion"]}
        if label in whole:
            return {"color": whole[label], "linewidth": 2}
        number = [name for name in self.losses if name not in whole].index(label)
        colour = COLOURS[_TERM_COLOURS[number % len(_TERM_COLOURS)]]
        return {"color": colour, "linestyle": LINE_STYLES[1 + number % (len(LINE_STYLES) - 1)]}

    def _plot_steps(self, ax: Axes, line_kw: Style) -> dict[str, Any]:
        found = {
            "rate": (self.rate, "learning rate", COLOURS["green"], "o", "-"),
            "step_kl": (self.step_kl, "KL(before‖after) of\na step, nats per row", "black", "s", ":"),
        }
        lines: dict[str, Any] = {}
        for name, (values, label, colour, marker, line) in found.items():
            if values is None:
                continue
            panel = ax.twinx() if lines else ax
            style = {"color": colour, "marker": marker, "linestyle": line, "markersize": 3, "linewidth": 1}
            lines[name] = _line(panel, values, style, line_kw)
            panel.set_yscale("log", nonpositive="mask")
            few_log_ticks(panel.yaxis)
            panel.set_ylabel(label, color=colour)
            panel.tick_params(axis="y", which="both", colors=colour)
        return lines

    def _mark_best(self, axes: list[Axes]) -> Any:
        if self.best_epoch is None:
            return None
        style: dict[str, Any] = {"color": "0.3", "linestyle": ":", "linewidth": 1.5, "zorder": 0}
        marks = [ax.axvline(self.best_epoch, label=f"best epoch: {self.best_epoch}", **style) for ax in axes]
        return marks[0]


def _line(ax: Axes, values: np.ndarray, defaults: dict[str, Any], line_kw: Style) -> Any:
    """Draw what is known of one value an epoch."""
    from matplotlib.lines import Line2D

    known = np.flatnonzero(np.isfinite(values))
    if len(known) == 1:  # a line of one point is not seen
        defaults = {"marker": "o", **defaults}
    return ax.plot(known + 1, values[known], **styled(Line2D, defaults, line_kw))[0]


def _history_of(estimator: Any) -> Any:
    """Return the history of an estimator, or of what it ends in."""
    for part in ("best_estimator_", "student_"):
        if hasattr(estimator, part):
            return _history_of(getattr(estimator, part))
    if isinstance(estimator, Pipeline):
        return _history_of(estimator.steps[-1][1])
    net = getattr(estimator, "net_", estimator)
    history = getattr(net, "history", None)
    if history is None:
        check_is_fitted(estimator)
        allowed = "a fitted KLClassifier, KLNet, or Pipeline, search or Distiller of one"
        raise invalid("estimator", estimator, allowed, of="TrainingDisplay")
    return history


def _column(epochs: list[Mapping[str, Any]], name: str) -> np.ndarray | None:
    """Return one value an epoch, NaN where it is missing; None if it is everywhere."""
    values = np.array([epoch.get(name, np.nan) for epoch in epochs], dtype=float)
    return None if np.isnan(values).all() else values


def _losses(epochs: list[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    columns = {"training loss": _column(epochs, "train_loss"), **_terms(epochs)}
    columns["validation log-loss"] = _column(epochs, "valid_loss")
    return {label: values for label, values in columns.items() if values is not None}


def _terms(epochs: list[Mapping[str, Any]]) -> dict[str, np.ndarray | None]:
    """Return the terms of the training loss, if there are several; without what a callback calls ``train_...`` too."""
    last = {name: value for name, value in epochs[-1].items() if isinstance(value, Real)}
    own = [name for name in last if name.startswith("train_") and not name.endswith(("_loss", "_best", "_count"))]
    total = sum(float(last[name]) for name in own)
    adds_up = np.isclose(total, float(last.get("train_loss", np.nan)), rtol=1e-3)
    names = own if adds_up else [name for name in own if name in _TERMS]
    labels = {name: _TERMS.get(name, name.removeprefix("train_").replace("_", " ")) for name in names}
    return {labels[name]: _column(epochs, name) for name in names} if len(names) > 1 else {}
