"""matplotlib imported late, axes of the user's, styles that reach the artists, and legends that cover no data."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.lines import Line2D

from sklkl import inspection
from sklkl.inspection import DistillationDisplay, DivergenceMatrixDisplay, StrengthCurveDisplay, TrainingDisplay
from sklkl.inspection._style import COLOURS, LINE_STYLES, MARKERS, few_log_ticks, legend_above_data, styled

LOSSES = {"training loss": np.array([0.7, 0.6])}
DISPLAYS = {
    "TrainingDisplay": TrainingDisplay(LOSSES),
    "StrengthCurveDisplay": StrengthCurveDisplay(
        np.array([0.0, 0.1]), {"accuracy": np.ones(2)}, {"accuracy": np.zeros(2)}, curves={"": np.arange(2)}
    ),
    "DivergenceMatrixDisplay": DivergenceMatrixDisplay(np.eye(2), row_labels="ab", column_labels="ab"),
    "DistillationDisplay": DistillationDisplay({"student": {"log_loss": 0.1, "seconds_per_row": 1e-6, "bytes": 1e3}}),
}


def test_matplotlib_is_imported_only_to_draw():
    files = list(Path(inspection.__file__).parent.glob("*.py"))
    at_once = [line for file in files for line in file.read_text().splitlines() if "import" in line.split(" ")]
    assert len(at_once) > 20  # lines that are not indented: not in functions, nor for type checkers only
    assert not [line for line in at_once if "matplotlib" in line and not line.startswith(" ")]


@pytest.mark.parametrize("name", DISPLAYS)
def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{name}\.plot needs matplotlib: install it with `pip install matplotlib`"):
        DISPLAYS[name].plot()


@pytest.mark.parametrize("name", DISPLAYS)
def test_the_axes_are_the_users(name):
    figure, ax = plt.subplots()
    display = DISPLAYS[name].plot(ax=ax)
    axes = [display.ax_] if hasattr(display, "ax_") else list(display.axes_)
    assert axes == [ax]
    assert display.figure_ is figure


@pytest.mark.parametrize("name", DISPLAYS)
def test_a_wrong_number_of_axes_is_refused(name):
    axes = plt.subplots(3)[1]
    with pytest.raises(ValueError, match=rf"The 'ax' parameter of {name}\.plot must be .* Got 3 of Axes instead"):
        DISPLAYS[name].plot(ax=axes)
    with pytest.raises(ValueError, match="Got 1 of str instead"):
        DISPLAYS[name].plot(ax="axes")


def test_a_given_style_replaces_the_default_by_any_of_its_names():
    assert styled(Line2D, {"color": "red", "linewidth": 2}, {"c": "blue", "lw": 3}) == {"color": "blue", "linewidth": 3}


def test_looks_are_as_many_as_colours():
    assert len(COLOURS) == len(LINE_STYLES) == len(MARKERS)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_the_legend_is_above_all_data(scale):
    figure, ax = plt.subplots(layout="constrained")
    for k in range(5):
        ax.plot([1, 2], [1, 10 + k], label=f"line {k}")
    ax.set_yscale(scale)
    limits = []
    for _ in range(2):  # drawn again, it makes no more room
        legend_above_data(ax)
        limits.append(ax.get_ylim())
    assert limits[0] == limits[1]
    figure.canvas.draw()
    top = ax.transData.transform((2, 14))[1]
    assert ax.get_legend().get_window_extent().ymin > top


@pytest.mark.parametrize(("most", "expected"), [(20, ["1", "2", "5", "10", "20"]), (5000, ["1", "10", "100", "1000"])])
def test_labels_of_a_logarithmic_axis_are_few(most, expected):
    ax = plt.subplots()[1]
    ax.set(xscale="log", xlim=(0.9, 1.1 * most))
    few_log_ticks(ax.xaxis)
    ax.figure.canvas.draw()
    labels = zip(ax.get_xticklabels(), ax.get_xticks(), strict=True)
    assert [text.get_text() for text, x in labels if 0.9 < x < 1.1 * most] == expected
