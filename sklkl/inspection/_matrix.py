"""``DivergenceMatrixDisplay``: distributions against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sklkl._utils import frames
from sklkl._utils.checks import invalid_input
from sklkl._utils.types import ArrayLike, Labels, MatrixLike, Proba, Weight
from sklkl.divergences import get_divergence, pairwise_divergence
from sklkl.inspection._classes import class_names
from sklkl.inspection._style import Style, axes_for
from sklkl.metrics._validation import check_probabilities, compare, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DivergenceMatrixDisplay"]

# Divergences that are not measured in nats, and one that is a root of them.
_UNITS = {"chi2": "", "hellinger": "", "total_variation": "", "js_distance": ", √nat"}
_NAMES = {"kl": "KL(row‖column)", "reverse_kl": "KL(column‖row)", "js": "Jensen-Shannon divergence"}
# Of larger matrices the numbers could not be read.
_MOST_NUMBERS = 12


class DivergenceMatrixDisplay:
    """Divergences of distributions from each other: classes, models, time slices, or what else there is.

    Use :meth:`from_distributions`, :meth:`from_models`, :meth:`from_predictions` or :meth:`from_estimator` to make one.
    All parameters are stored as attributes.

    Parameters
    ----------
    matrix : array of shape (n, m)
        Entry (i, j) is the divergence of the row's distribution, the reference, and the column's.
    row_labels : sequence of length n
        What the rows are called.
    column_labels : sequence of length m
        What the columns are called.
    metric : str, default="kl"
        Which divergence, a key of :data:`sklkl.divergences.DIVERGENCES`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    im_ : matplotlib AxesImage
        The picture of the matrix; an infinite divergence is grey.
    text_ : ndarray of matplotlib Text of shape (n, m), or None
        The numbers.

    See Also
    --------
    sklkl.divergences.pairwise_divergence : The matrix as an array.
    sklearn.metrics.ConfusionMatrixDisplay : How often one class was taken for another.

    Examples
    --------
    >>> from sklkl.inspection import DivergenceMatrixDisplay
    >>> shares = [[0.5, 0.5], [0.6, 0.4], [0.9, 0.1]]
    >>> labels = ["May", "June", "July"]
    >>> display = DivergenceMatrixDisplay.from_distributions(shares, labels=labels)
    >>> display.matrix.round(2)
    array([[0.  , 0.02, 0.51],
           [0.02, 0.  , 0.31],
           [0.37, 0.23, 0.  ]])
    """

    def __init__(self, matrix: np.ndarray, *, row_labels: Any, column_labels: Any, metric: str = "kl") -> None:
        self.matrix = matrix
        self.row_labels = row_labels
        self.column_labels = column_labels
        self.metric = metric

    @classmethod
    def from_distributions(
        cls,
        P: ArrayLike,
        Q: ArrayLike | None = None,
        *,
        metric: Any = "kl",
        labels: Labels = None,
        column_labels: Labels = None,
        ax: Any = None,
        im_kw: Style = None,
    ) -> DivergenceMatrixDisplay:
        """Draw the divergence of every row of `P` from every row of `Q`.

        Parameters
        ----------
        P : array-like of shape (n, n_classes)
            Distributions, one a row.
        Q : array-like of shape (m, n_classes), default=None
            Others; None takes `P`. Columns of two frames are matched by name.
        metric : str, default="kl"
            Which divergence, a key of :data:`sklkl.divergences.DIVERGENCES`.
        labels : array-like of shape (n,), default=None
            What the rows are called, and the columns if there is no `Q`; by default numbers from 0.
        column_labels : array-like of shape (m,), default=None
            What the columns are called.
        ax, im_kw
            As in :meth:`plot`.

        Returns
        -------
        DivergenceMatrixDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If rows are no distributions, the metric is unknown, or numbers of labels and rows differ.
        ImportError
            If matplotlib is not installed.
        """
        first = check_probabilities("P", P)
        second = first if Q is None else in_order("Q", check_probabilities("Q", Q), Q, frames.column_labels(P))
        matrix = np.asarray(pairwise_divergence(first, second, metric=metric))
        rows = _labels("labels", labels, len(first))
        columns = rows if Q is None and column_labels is None else _labels("column_labels", column_labels, len(second))
        return cls(matrix, row_labels=rows, column_labels=columns, metric=metric).plot(ax=ax, im_kw=im_kw)

    @classmethod
    def from_models(
        cls, probas: Mapping[str, Proba], *, metric: Any = "kl", ax: Any = None, im_kw: Style = None
    ) -> DivergenceMatrixDisplay:
        """Draw how far the predictions of models are from each other: means of the divergence over the same rows.

        Parameters
        ----------
        probas : dict of str to array-like of shape (n_rows, n_classes)
            Predicted probabilities by the name of the model, all of the same rows and classes; columns of frames are
            matched by name.
        metric, ax, im_kw
            As in :meth:`from_distributions`.

        Returns
        -------
        DivergenceMatrixDisplay
            What was drawn.

        Raises
        ------
        ValueError
            If the metric is unknown, or the probabilities are none or of different shapes.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklkl.inspection import DivergenceMatrixDisplay
        >>> probas = {"old": [[0.9, 0.1], [0.5, 0.5]], "new": [[0.8, 0.2], [0.5, 0.5]]}
        >>> DivergenceMatrixDisplay.from_models(probas, metric="js").matrix.round(4)
        array([[0.   , 0.005],
               [0.005, 0.   ]])
        """
        divergence = get_divergence(metric)
        named = (frames.column_labels(proba) for proba in probas.values())
        order = next((labels for labels in named if labels is not None), None)
        checked = {
            name: in_order(name, check_probabilities(name, proba), proba, order) for name, proba in probas.items()
        }
        shapes = {proba.shape for proba in checked.values()}
        if len(shapes) != 1:
            raise invalid_input("probas", f"the shapes {sorted(shapes)}", "probabilities of one shape", of=cls.__name__)
        means = [[np.mean(divergence(p, q, normalize=True)) for q in checked.values()] for p in checked.values()]
        names = list(checked)
        return cls(np.array(means), row_labels=names, column_labels=names, metric=metric).plot(ax=ax, im_kw=im_kw)

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: Proba,
        *,
        sample_weight: Weight = None,
        labels: Labels = None,
        metric: Any = "kl",
        ax: Any = None,
        im_kw: Style = None,
    ) -> DivergenceMatrixDisplay:
        """Draw how well a classifier tells the classes apart: the mean predictions for each, against each other.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,) or (n_rows, n_classes)
            Labels, or soft labels, which are weights of the rows of each class.
        y_proba : array-like of shape (n_rows, n_classes) or (n_rows,)
            Predicted probabilities.
        sample_weight : array-like of shape (n_rows,), default=None
            Weights >= 0.
        labels : array-like of shape (n_classes,), default=None
            The class of each column; by default the sorted labels.
        metric, ax, im_kw
            As in :meth:`from_distributions`.

        Returns
        -------
        DivergenceMatrixDisplay
            What was drawn: where an entry is small, the classifier hardly distinguishes the two classes. Classes
            without rows are left out.

        Raises
        ------
        ValueError
            As :func:`sklkl.metrics.mean_kl_divergence`, and if the metric is unknown.
        ImportError
            If matplotlib is not installed.
        """
        rows = compare(y_true, y_proba, sample_weight, labels)
        names = class_names(y_true, y_proba, labels, rows.proba.shape[1])
        mass = rows.truth.T @ rows.weight
        means = (rows.truth.T * rows.weight) @ rows.proba
        there = mass > 0
        return cls.from_distributions(
            means[there] / mass[there, None], metric=metric, labels=names[there], ax=ax, im_kw=im_kw
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike,
        *,
        sample_weight: Weight = None,
        metric: Any = "kl",
        ax: Any = None,
        im_kw: Style = None,
    ) -> DivergenceMatrixDisplay:
        """Draw how well a classifier tells the classes apart, see :meth:`from_predictions`.

        Parameters
        ----------
        estimator : classifier with ``predict_proba``
            Fitted.
        X : array-like, sparse matrix or frame of shape (n_rows, n_features)
            Inputs.
        y : array-like of shape (n_rows,)
            Their labels.
        sample_weight, metric, ax, im_kw
            As in :meth:`from_predictions`.

        Returns
        -------
        DivergenceMatrixDisplay
            What was drawn.

        Raises
        ------
        ValueError, ImportError
            As in :meth:`from_predictions`.
        """
        options = {"sample_weight": sample_weight, "metric": metric, "ax": ax, "im_kw": im_kw}
        return cls.from_predictions(y, estimator.predict_proba(X), labels=estimator.classes_, **options)

    def plot(self, *, ax: Any = None, im_kw: Style = None) -> DivergenceMatrixDisplay:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        im_kw : dict, default=None
            Keyword arguments of :meth:`matplotlib.axes.Axes.imshow`, such as ``cmap`` or ``vmax``.

        Returns
        -------
        DivergenceMatrixDisplay
            Itself.

        Raises
        ------
        ValueError
            If several axes are given.
        ImportError
            If matplotlib is not installed.
        """
        (ax,) = axes_for(self, ax, 1, (6.0, 5.0))
        # from dark to light whatever the colour vision; grey for what is infinite
        given = dict(im_kw or {})
        style = {"cmap": "cividis", **({} if "norm" in given else {"vmin": 0.0}), **given}
        self.im_ = ax.imshow(np.ma.masked_invalid(self.matrix), **style)
        ax.set_facecolor("0.7")
        ax.set_yticks(np.arange(len(self.row_labels)), [str(label) for label in self.row_labels])
        columns = [str(label) for label in self.column_labels]
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, columns)) > 4 else {}
        ax.set_xticks(np.arange(len(columns)), columns, **slanted)
        self.text_ = self._write_numbers(ax) if max(self.matrix.shape) <= _MOST_NUMBERS else None
        name = _NAMES.get(self.metric, self.metric.replace("_", " "))
        ax.figure.colorbar(self.im_, ax=ax, label=f"{name}{_UNITS.get(self.metric, ', nats')}")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _write_numbers(self, ax: Axes) -> np.ndarray:
        texts = np.empty(self.matrix.shape, dtype=object)
        for (i, j), value in np.ndenumerate(self.matrix):
            red, green, blue, _ = self.im_.cmap(self.im_.norm(value)) if np.isfinite(value) else (0.7, 0.7, 0.7, 1)
            colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
            texts[i, j] = ax.text(j, i, f"{value:.2g}", ha="center", va="center", color=colour, fontsize="small")
        return texts


def _labels(name: str, labels: Labels, n: int) -> np.ndarray:
    """Return what `n` distributions are called, by default numbers."""
    found = np.arange(n) if labels is None else np.asarray(labels)
    if found.shape != (n,):
        raise invalid_input(name, f"the shape {found.shape}", f"of shape ({n},)", of="DivergenceMatrixDisplay")
    return found
