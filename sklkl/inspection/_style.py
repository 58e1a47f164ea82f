"""What the displays have in common: matplotlib, imported late, axes to draw on, styles, and legends beside the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sklkl._utils.checks import invalid_input

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["COLOURS", "LINE_STYLES", "MARKERS", "axes_for", "few_log_ticks", "legend_above_data", "pyplot", "styled"]

Style = Mapping[str, Any] | None

# Those of Okabe and Ito, which people with any colour vision can tell apart. Lines differ in style or marker as well.
COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "purple": "#CC79A7",
}
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 4)))
MARKERS = ("o", "s", "^", "D", "v", "P")


def pyplot(owner: object) -> Any:
    """Return ``matplotlib.pyplot``, for the ``plot`` method of `owner`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        method = f"{type(owner).__name__}.plot"
        raise ImportError(f"{method} needs matplotlib: install it with `pip install matplotlib`.") from error
    return plt


def axes_for(owner: object, ax: Any, n: int, figsize: tuple[float, float], **options: Any) -> list[Axes]:
    """Return `n` axes: those given, or new ones, one below the other in a figure of their own.

    One axes of the user's serves for the first of several: the other panels are then left out.

    Raises
    ------
    ValueError
        If another number of them is given.
    """
    plt = pyplot(owner)
    from matplotlib.axes import Axes

    if ax is None:
        _, new = plt.subplots(n, 1, figsize=figsize, squeeze=False, layout="constrained", **options)
        return list(new.ravel())
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(given) not in (1, n) or not all(isinstance(one, Axes) for one in given):
        allowed = "one matplotlib Axes" if n == 1 else f"one matplotlib Axes or {n} of them"
        found = f"{len(given)} of {type(given[0]).__name__}" if given else "none"
        raise invalid_input("ax", found, allowed, of=f"{type(owner).__name__}.plot")
    return given


def styled(artist: Any, defaults: Mapping[str, Any], given: Style) -> dict[str, Any]:
    """Return keyword arguments for an artist: the user's, in place of defaults of any alias of their names."""
    from matplotlib import cbook

    return {**defaults, **cbook.normalize_kwargs(dict(given or {}), artist)}


def legend_above_data(ax: Axes, ncols: int = 2, top: float | None = None) -> None:
    """Draw a legend inside the axes, in room that is made for it above what is drawn, or above `top`.

    There it covers no data, and no title or neighbour either, whatever the layout of the figure.
    """
    if top is None:
        ax.autoscale(True, axis="y")
    # the frame hides lines that go through the whole axes
    frame = {"framealpha": 1.0, "edgecolor": "none", "facecolor": "inherit"}
    legend = ax.legend(loc="upper left", ncols=ncols, fontsize="small", borderaxespad=0.2, **frame)
    # measured before the figure has its layout, so with some room to spare
    share = min(0.6, 1.1 * legend.get_window_extent().height / ax.get_window_extent().height)
    transform = ax.yaxis.get_transform()
    limits = ax.get_ylim() if top is None else (ax.get_ylim()[0], top)
    low, high = transform.transform(np.asarray(limits))
    raised = high + (high - low) * share / (1 - share)
    ax.set_ylim(top=float(transform.inverted().transform(np.asarray([raised]))[0]))


def few_log_ticks(axis: Axis) -> None:
    """Put ticks of a logarithmic axis at powers of ten, and 2 and 5 times these if they are few."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
