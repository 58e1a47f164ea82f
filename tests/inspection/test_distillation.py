"""What is drawn of a distillation: the log-loss of each model, and what it costs."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.tree import DecisionTreeClassifier

from sklkl import Distiller
from sklkl.inspection import DistillationDisplay

REPORT = {
    "teacher": {"log_loss": 0.2, "seconds_per_row": 1e-4, "bytes": np.nan},
    "student": {"log_loss": 0.25, "seconds_per_row": 1e-6, "bytes": 2e5},
}


def test_points_are_the_report(legend_of):
    display = DistillationDisplay(REPORT).plot(point_kw={"ms": 20})
    by_time, by_size = display.points_
    np.testing.assert_allclose(by_time["teacher"].get_xydata(), [[100, 0.2]], rtol=1e-12)
    np.testing.assert_allclose(by_time["student"].get_xydata(), [[1, 0.25]], rtol=1e-12)
    np.testing.assert_allclose(by_size["student"].get_xydata(), [[0.2, 0.25]], rtol=1e-12)
    assert list(by_size) == ["student"]  # a teacher that cannot be pickled has no size
    assert by_time["teacher"].get_markersize() == 20
    assert by_time["teacher"].get_color() != by_time["student"].get_color()
    assert [ax.get_xlabel() for ax in display.axes_] == [
        "processor time of predict_proba, µs per row",
        "size of the pickle, MB",
    ]
    assert {ax.get_ylabel() for ax in display.axes_} == {"log-loss, nats"}
    assert legend_of(display.axes_[0]) == ["teacher", "student"]


def test_an_infinite_log_loss_is_a_line_without_a_height(legend_of):
    report = REPORT | {"teacher": REPORT["teacher"] | {"log_loss": np.inf}}
    display = DistillationDisplay(report).plot()
    np.testing.assert_allclose(display.points_[0]["teacher"].get_xdata(), 100, rtol=1e-12)
    assert legend_of(display.axes_[0]) == ["teacher: log-loss inf", "student"]


@pytest.mark.parametrize(("seconds", "scale"), [(2e-6, "linear"), (1e-4, "log")])
def test_costs_are_compared_with_nothing_unless_they_are_far_apart(seconds, scale):
    report = {"teacher": REPORT["student"] | {"seconds_per_row": seconds}, "student": REPORT["student"]}
    ax = DistillationDisplay(report).plot().axes_[0]
    assert ax.get_xscale() == scale
    assert (ax.get_xlim()[0] == 0) == (scale == "linear")


def test_a_distiller_needs_a_report(table, quick):
    distiller = Distiller(quick(), DecisionTreeClassifier(max_depth=2), report_fraction=None, random_state=0)
    with pytest.raises(NotFittedError):
        DistillationDisplay.from_estimator(distiller)
    with pytest.raises(ValueError, match="'distiller' parameter of DistillationDisplay must be one with a report_"):
        DistillationDisplay.from_estimator(distiller.fit(*table))


def test_models_are_as_many_as_you_like():
    report = {f"model {number}": REPORT["student"] for number in range(8)}
    assert list(DistillationDisplay(report).plot().points_[0]) == list(report)
