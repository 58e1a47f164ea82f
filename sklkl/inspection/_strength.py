"""``StrengthCurveDisplay``: what a search found about the strength of a penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklkl._utils.checks import invalid
from sklkl.inspection._scores import fold_scores, metric_label, metrics_of, scorer_name
from sklkl.inspection._style import COLOURS, LINE_STYLES, MARKERS, Style, axes_for, legend_above_data, styled
from sklkl.model_selection._choice import searched_column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["StrengthCurveDisplay"]

# With more combinations of other parameters than this the best of them is drawn.
_MOST_CURVES = len(COLOURS)
# So many strengths, so many decades apart, have a tick each.
_MOST_TICKS, _LEAST_GAP = 9, 0.25


class StrengthCurveDisplay:
    """Cross-validated log-loss, or other scores, against the strength of a penalty: means and standard errors.

    Use :meth:`from_estimator` to make one. All parameters are stored as attributes.

    Parameters
    ----------
    strengths : array of shape (n_candidates,)
        The values that were tried, NaN where a candidate has none.
    means, errors : dict of str to array of shape (n_candidates,)
        By metric: the mean over the folds, and its standard error. Losses are positive, whatever the scorer negates.
        The error is the standard deviation over the folds through the root of their number: as the folds share
        training rows it is too small, and as they differ alike for all strengths it is too large for differences
        between these.
    curves : dict of str to array of int
        The candidates that make a curve, by ascending strength, by its label: the other parameters; ``""`` if none
        was searched.
    chosen : int, default=None
        The candidate that the search chose.
    parameter : str, default="kl_strength"
        What the horizontal axis is called.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each metric.
    figure_ : matplotlib Figure
        The figure.
    errorbars_ : list of list of matplotlib ErrorbarContainer
        By metric, then by curve.
    chosen_points_ : list of matplotlib Line2D
        The mark of the chosen candidate, by metric; empty if none was chosen.

    See Also
    --------
    sklkl.model_selection.StackedGridSearchCV : A quick search of strengths.
    sklearn.model_selection.ValidationCurveDisplay : Training and test scores, computed anew.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklkl import KLClassifier
    >>> from sklkl.inspection import StrengthCurveDisplay
    >>> from sklkl.model_selection import StackedGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> grid = {"kl_strength": [0.0, 0.01, 0.1]}
    >>> clf = KLClassifier(max_epochs=10, random_state=0)
    >>> search = StackedGridSearchCV(clf, grid, scoring="neg_log_loss", cv=3)
    >>> search = search.fit(X, y)
    >>> display = StrengthCurveDisplay.from_estimator(search)
    >>> display.axes_[0].get_ylabel()
    'log-loss, nats'
    """

    def __init__(
        self,
        strengths: np.ndarray,
        means: Mapping[str, np.ndarray],
        errors: Mapping[str, np.ndarray],
        *,
        curves: Mapping[str, np.ndarray],
        chosen: int | None = None,
        parameter: str = "kl_strength",
    ) -> None:
        self.strengths = strengths
        self.means = means
        self.errors = errors
        self.curves = curves
        self.chosen = chosen
        self.parameter = parameter

    @classmethod
    def from_estimator(
        cls,
        search: Any,
        *,
        metrics: str | Sequence[str] | None = None,
        parameter: str = "kl_strength",
        ax: Any = None,
        errorbar_kw: Style = None,
    ) -> StrengthCurveDisplay:
        """Draw the results of a search.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV, or a stacked one
            Fitted, of any estimator. Of several curves, one for each setting of all other parameters, six are drawn at
            most; of more, one curve has the best candidate of each strength.
        metrics : str or sequence of str, default=None
            Which scores to draw, a panel for each, where the search has several: names such as ``"neg_log_loss"``.
            None draws that by which the search chose, or the first.
        parameter : str, default="kl_strength"
            Which parameter is on the horizontal axis; the names of a pipeline's steps before it may be left out. Any
            parameter >= 0 will do.
        ax : Axes or sequence of them, default=None
            As in :meth:`plot`.
        errorbar_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        StrengthCurveDisplay
            What was drawn.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ValueError
            If there are no such scores, or no such parameter, or its values are no numbers >= 0.
        ImportError
            If matplotlib is not installed.
        """
        check_is_fitted(search, "cv_results_")
        refit = getattr(search, "refit", None)
        if metrics is None and isinstance(refit, str) and refit in metrics_of(search.cv_results_):
            metrics = refit  # of a single score any text will do
        return cls.from_cv_results(
            search.cv_results_,
            chosen=getattr(search, "best_index_", None),
            metrics=metrics,
            score_name=scorer_name(getattr(search, "scoring", None)),
            parameter=parameter,
            ax=ax,
            errorbar_kw=errorbar_kw,
        )

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        chosen: int | None = None,
        metrics: str | Sequence[str] | None = None,
        score_name: str = "score",
        parameter: str = "kl_strength",
        ax: Any = None,
        errorbar_kw: Style = None,
    ) -> StrengthCurveDisplay:
        """Draw the results of a search that is no longer there.

        Parameters
        ----------
        cv_results : dict
            What was in ``cv_results_``.
        chosen : int, default=None
            What was in ``best_index_``.
        metrics : str or sequence of str, default=None
            As in :meth:`from_estimator`; None draws the first.
        score_name : str, default="score"
            What the scores of a search with a single scorer are of, such as ``"neg_log_loss"``.
        parameter : str, default="kl_strength"
            As in :meth:`from_estimator`.
        ax : Axes or sequence of them, default=None
            As in :meth:`plot`.
        errorbar_kw : dict, default=None
            As in :meth:`plot`.

        Returns
        -------
        StrengthCurveDisplay
            What was drawn.

        Raises
        ------
        ValueError, ImportError
            As in :meth:`from_estimator`.

        Examples
        --------
        >>> from sklkl.inspection import StrengthCurveDisplay
        >>> results = {"param_kl_strength": [0, 0.1], "mean_test_score": [-0.4, -0.3]}
        >>> results["split0_test_score"] = [-0.5, -0.3]
        >>> results["split1_test_score"] = [-0.3, -0.3]
        >>> display = StrengthCurveDisplay.from_cv_results(
        ...     results, score_name="neg_log_loss"
        ... )
        >>> [float(x) for x in display.errors["neg_log_loss"].round(3)]
        [0.1, 0.0]
        """
        column = searched_column(cv_results, parameter, "parameter", cls.__name__)
        strengths = _strengths(cv_results[column], parameter, cls.__name__)
        wanted = metrics_of(cv_results)[:1] if metrics is None else [metrics] if isinstance(metrics, str) else metrics
        if len(wanted) == 0:
            raise invalid("metrics", metrics, "at least one score of the search, or None", of=cls.__name__)
        means, errors = {}, {}
        for metric in wanted:
            name = score_name if metric == "score" else metric
            means[name], errors[name] = _mean_and_error(fold_scores(cv_results, metric, cls.__name__), name)
        best = next(iter(means.values())) * (1 if next(iter(means)).startswith("neg_") else -1)
        curves = _curves(cv_results, column, strengths, best)
        display = cls(strengths, means, errors, curves=curves, chosen=chosen, parameter=parameter)
        return display.plot(ax=ax, errorbar_kw=errorbar_kw)

    def plot(self, *, ax: Any = None, errorbar_kw: Style = None) -> StrengthCurveDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of as many as there are metrics, default=None
            Where to draw; None makes a figure. With one axes, the first metric only.
        errorbar_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.errorbar`, for all curves.

        Returns
        -------
        StrengthCurveDisplay
            Itself.

        Raises
        ------
        ValueError
            If the number of axes is another.
        ImportError
            If matplotlib is not installed.
        """
        n = len(self.means)
        axes = axes_for(self, ax, n, (7.0, 1.2 + 2.8 * n), sharex=True)
        shown = list(zip(axes, self.means, strict=False))
        self.errorbars_ = [self._plot_curves(panel, metric, errorbar_kw) for panel, metric in shown]
        self.chosen_points_ = [mark for panel, metric in shown if (mark := self._mark_chosen(panel, metric))]
        for panel in axes:
            _scale(panel, np.unique(self.strengths[np.isfinite(self.strengths)]))
        axes[-1].set_xlabel(self.parameter)
        legend_above_data(axes[0])
        self.axes_, self.figure_ = np.array(axes, dtype=object), axes[0].figure
        return self

    def _plot_curves(self, ax: Axes, metric: str, errorbar_kw: Style) -> list[Any]:
        from matplotlib.lines import Line2D

        bars = []
        for k, (setting, numbers) in enumerate(self.curves.items()):
            label = setting or "mean ± standard error"
            colour, line, marker = (looks[k % len(looks)] for looks in (list(COLOURS.values()), LINE_STYLES, MARKERS))
            style = {"color": colour, "linestyle": line, "marker": marker, "capsize": 3, "label": label}
            x, y, error = (v[numbers] for v in (self.strengths, self.means[metric], self.errors[metric]))
            bars.append(ax.errorbar(x, y, yerr=error, **styled(Line2D, style, errorbar_kw)))
        ax.set_ylabel(metric_label(metric))
        return bars

    def _mark_chosen(self, ax: Axes, metric: str) -> Any:
        if self.chosen is None or not np.isfinite(self.strengths[self.chosen]):
            return None
        x, y = self.strengths[[self.chosen]], self.means[metric][[self.chosen]]
        ring: dict[str, Any] = {"fmt": "o", "markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.5}
        # drawn as the curves are, the mark comes after them in the legend
        return ax.errorbar(x, y, color="black", zorder=3, label=f"chosen: {x[0]:.3g}", **ring)[0]


def _strengths(column: Any, parameter: str, of: str) -> np.ndarray:
    """Return the strengths of the candidates, NaN for none."""
    strengths = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
    wrong = strengths[~np.isnan(strengths) & ~((strengths >= 0) & np.isfinite(strengths))]
    if len(wrong):
        raise invalid("parameter", parameter, f"a parameter whose values are finite and >= 0; {wrong[0]} is not", of)
    return strengths


def _mean_and_error(scores: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over folds, positive for losses, and its standard error, NaN for a single fold."""
    n = scores.shape[1]
    with np.errstate(invalid="ignore"):  # an infinite loss has no error
        mean = scores.mean(axis=1) * (-1 if name.startswith("neg_") else 1)
        return mean, scores.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(mean), np.nan)


def _curves(
    cv_results: Mapping[str, Any], column: str, strengths: np.ndarray, loss: np.ndarray
) -> dict[str, np.ndarray]:
    """Return a curve for each setting of the other parameters, or one of the best ones if they are too many."""
    others = [name for name in cv_results if name.startswith("param_") and name != column]
    groups: dict[str, list[int]] = {}
    for number in np.argsort(strengths, kind="stable"):
        if np.isfinite(strengths[number]):
            groups.setdefault(_setting(cv_results, others, number), []).append(int(number))
    if len(groups) <= _MOST_CURVES:
        return {label: np.array(numbers) for label, numbers in groups.items()}
    order = np.lexsort((loss, strengths))  # NaN of either last
    order = order[np.isfinite(strengths[order])]
    first = np.unique(strengths[order], return_index=True)[1]
    return {"best of the other parameters": order[first]}


def _setting(cv_results: Mapping[str, Any], names: list[str], number: int) -> str:
    """Return the values of the other parameters that a candidate has, in words."""
    masked = np.ma.getmaskarray
    known = [name for name in names if not masked(np.ma.asarray(cv_results[name]))[number]]
    words = [f"{name.removeprefix('param_').split('__')[-1]} {_value(cv_results[name][number])}" for name in known]
    return ", ".join(words)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _scale(ax: Axes, strengths: np.ndarray) -> None:
    """Give the horizontal axis a logarithmic scale on which zero has a place of its own, and ticks at the strengths."""
    from matplotlib.ticker import NullLocator

    positive = strengths[strengths > 0]
    if len(positive) == 0:
        return
    if strengths[0] == 0:
        ax.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    else:
        ax.set_xscale("log")
    if len(strengths) <= _MOST_TICKS and (np.diff(np.log10(positive)) > _LEAST_GAP).all():
        ax.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
        ax.xaxis.set_minor_locator(NullLocator())
