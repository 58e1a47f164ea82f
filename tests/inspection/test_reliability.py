"""What is drawn of calibration: bins, their frequencies, and the divergence that the legend gives."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklkl.inspection import ReliabilityDisplay
from sklkl.metrics import calibration_kl


def predictions(n_rows, n_classes, seed=0):
    """Labels drawn from the predictions, which are calibrated by that."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.ones(n_classes), n_rows)
    return (proba.cumsum(axis=1) > rng.random((n_rows, 1))).argmax(axis=1), proba


def test_two_classes_show_the_second(legend_of):
    y, proba = predictions(400, 2)
    names = np.array(["ham", "spam"])[y]
    display = ReliabilityDisplay.from_predictions(names, proba, n_bins=4, name="mail")
    order = np.argsort(proba[:, 1])
    for bin_, part in enumerate(np.split(order, 4)):
        np.testing.assert_allclose(display.line_.get_xdata()[bin_], proba[part, 1].mean(), rtol=1e-12)
        np.testing.assert_allclose(display.line_.get_ydata()[bin_], y[part].mean(), rtol=1e-12)
        variance = np.mean(proba[part, 1] * proba[part, 0]) / len(part)
        np.testing.assert_allclose(display.error[bin_], np.sqrt(variance), rtol=1e-12)
    value, bias = calibration_kl(y, proba, n_bins=4, return_bias=True)
    assert (display.calibration_kl, display.bias) == (value, bias)
    text = f"mail: calibration KL {value:.3f} nats,\nby chance {bias:.3f}"
    assert legend_of(display.ax_) == ["calibrated ± 1.96 standard errors", text]
    assert display.ax_.get_xlabel() == "predicted probability of class spam"
    assert display.ax_.get_ylabel() == "observed frequency of class spam"


def test_more_classes_show_the_predicted_one():
    y, proba = predictions(300, 4)
    display = ReliabilityDisplay.from_predictions(y, proba, n_bins=1)
    np.testing.assert_allclose(display.predicted, [proba.max(axis=1).mean()], rtol=1e-12)
    np.testing.assert_allclose(display.observed, [(proba.argmax(axis=1) == y).mean()], rtol=1e-12)
    one = ReliabilityDisplay.from_predictions(y, proba, n_bins=1, pos_label=2)
    np.testing.assert_allclose(one.predicted, [proba[:, 2].mean()], rtol=1e-12)
    np.testing.assert_allclose(one.observed, [(y == 2).mean()], rtol=1e-12)


def test_calibrated_predictions_are_within_the_lines():
    y, proba = predictions(20_000, 3)
    display = ReliabilityDisplay.from_predictions(y, proba, n_bins=20, pos_label=0)
    z = (display.observed - display.predicted) / display.error
    # of 20 standard normal values; both bounds are passed by one seed in 10,000 or fewer
    assert np.abs(z).max() < 4.5
    assert 0.3 < np.mean(z**2) < 2.4


def test_counts_are_weights_of_all_rows_and_can_be_left_out():
    y, proba = predictions(100, 3)
    weight = np.arange(100) / 99
    display = ReliabilityDisplay.from_predictions(y, proba, sample_weight=weight, pos_label=1)
    heights = [patch.get_height() for patch in display.counts_ax_.patches]
    np.testing.assert_allclose(sum(heights), weight.sum(), rtol=1e-9)
    assert display.counts_ax_.get_ylabel() == "weight of the rows"
    assert ReliabilityDisplay.from_predictions(y, proba, counts=False).counts_ax_ is None


def test_models_share_an_axes(table, legend_of):
    X, y = table
    clf = LogisticRegression().fit(X, y)
    first = ReliabilityDisplay.from_estimator(clf, X, y)
    second = ReliabilityDisplay.from_estimator(clf, X, y, name="again", ax=first.ax_, counts=False)
    texts = [text.partition(":")[0] for text in legend_of(first.ax_)]
    assert texts == ["calibrated ± 1.96 standard errors", "LogisticRegression", "again"]
    assert first.line_.get_color() != second.line_.get_color()
    assert first.line_.get_marker() != second.line_.get_marker()
    styled = ReliabilityDisplay.from_estimator(clf, X, y, line_kw={"c": "red"})
    assert styled.line_.get_color() == "red"


def test_columns_of_frames_are_matched_by_name():
    y, proba = predictions(100, 3)
    names = np.array(["a", "b", "c"])
    frame = pd.DataFrame(proba[:, ::-1], columns=names[::-1])
    by_name = ReliabilityDisplay.from_predictions(names[y], frame, pos_label="c")
    by_order = ReliabilityDisplay.from_predictions(names[y], proba, pos_label="c")
    np.testing.assert_array_equal(by_name.observed, by_order.observed)
    np.testing.assert_allclose(by_name.predicted, by_order.predicted, rtol=1e-12)


def test_soft_labels_count_by_their_shares():
    _, proba = predictions(50, 3)
    display = ReliabilityDisplay.from_predictions(proba, proba, pos_label=1)
    np.testing.assert_allclose(display.observed, display.predicted, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pos_label": 7}, r"'pos_label' parameter of ReliabilityDisplay must be one of the classes \[0, 1\]"),
        ({"n_bins": 0}, "'n_bins' parameter of ReliabilityDisplay must be an integer >= 1"),
    ],
)
def test_what_is_not_there_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityDisplay.from_predictions([0, 1], [0.2, 0.7], **options)


def test_dates_are_classes():
    y, proba = predictions(40, 2)
    days = np.array(["2020-01-01", "2021-01-01"], dtype="M8[ns]")
    display = ReliabilityDisplay.from_predictions(days[y], proba, labels=days)
    assert display.pos_label == days[1]
    np.testing.assert_allclose(display.proba, proba[:, 1], rtol=1e-12)
