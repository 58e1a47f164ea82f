"""What is drawn of a drift report: each column's divergence and p-value, and the shares of one column's bins."""

import numpy as np
import pandas as pd
import pytest

from sklkl.drift import DriftDetector
from sklkl.inspection import DriftDisplay


@pytest.fixture
def detector():
    """A detector of three columns."""
    rng = np.random.default_rng(0)
    reference = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    return DriftDetector(n_permutations=99, random_state=0).fit(reference)


@pytest.fixture
def new():
    """New rows, of which the column "b" has moved."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(rng.normal([0, 2, 0], 1, size=(200, 3)), columns=["a", "b", "c"])


def test_columns_are_bars_with_p_values(detector, new, legend_of):
    report = detector.detect(new)
    display = DriftDisplay(report).plot()
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names[0] == "b"
    assert names == report.feature_names[display.columns_].tolist()
    widths = {round(patch.get_y() + patch.get_height() / 2): patch.get_width() for patch in display.ax_.patches}
    np.testing.assert_array_equal([widths[row] for row in range(3)], report.statistic[display.columns_])
    assert [len(bars) for bars in display.bars_] == [2, 1]
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == [f"p = {p:.2g}" for p in report.adjusted_p_value[display.columns_]]
    assert legend_of(display.ax_) == ["no drift", "drift at level 0.05"]
    assert display.ax_.get_xlabel() == "population stability index, nats\np-values corrected for all columns"
    low, high = display.ax_.get_ylim()
    assert low > high  # the first column is at the top


def test_of_many_columns_the_most_conspicuous_are_drawn(detector, new):
    display = DriftDisplay.from_estimator(detector, new, max_columns=1, bar_kw={"fc": "red", "hatch": None})
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["b"]
    assert display.bars_[0][0].get_facecolor() == (1, 0, 0, 1)


@pytest.mark.parametrize("column", ["b", 1])
def test_shares_of_a_column_are_drawn_before_and_after(detector, new, legend_of, column):
    report = detector.detect(new)
    display = DriftDisplay(report).plot_shares(column)
    shares = report.shares("b")
    for bars, name in zip(display.bars_, ["reference", "new"], strict=True):
        np.testing.assert_array_equal([bar.get_width() for bar in bars], shares[name])
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == shares["bin"].tolist()
    assert legend_of(display.ax_) == ["reference: 300 rows", "new: 200 rows"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("share of the rows", "b")


def test_of_many_bins_those_that_moved_are_drawn_in_their_order():
    before, after = ["a", "b", "c", "d"] * 10, ["a"] * 10 + ["d"] * 30
    detector = DriftDetector(categorical_features=[0], n_permutations=9, random_state=0)
    report = detector.fit(np.array(before, dtype=object)[:, None]).detect(np.array(after, dtype=object)[:, None])
    display = DriftDisplay(report).plot_shares(0, max_bins=2)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["b", "d"]
    assert display.ax_.get_ylabel() == "x0\n2 of 4 bins"


def test_what_is_not_there_is_refused(detector, new):
    display = DriftDisplay.from_estimator(detector, new)
    with pytest.raises(ValueError, match="'column' parameter of shares must be one of"):
        display.plot_shares("d")
    with pytest.raises(ValueError, match=r"'max_columns' parameter of DriftDisplay\.plot must be an integer >= 1"):
        display.plot(max_columns=0)
