"""What is drawn of a training: its history, line by line."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import KLClassifier
from sklkl.inspection import TrainingDisplay


def test_lines_are_those_of_the_history(table, quick, legend_of):
    clf = quick(kl_strength=0.1, early_stopping=True, max_epochs=6).fit(*table)
    display = TrainingDisplay.from_estimator(clf)
    names = {"training loss": "train_loss", "data fit": "train_data_fit", "KL penalty": "train_kl_penalty"}
    names |= {"validation log-loss": "valid_loss", "rate": "lr"}
    for label, name in names.items():
        np.testing.assert_array_equal(display.lines_[label].get_xdata(), np.arange(1, 7))
        np.testing.assert_array_equal(display.lines_[label].get_ydata(), clf.history_[:, name])
    steps = np.array(clf.history_[:, "step_kl"])
    np.testing.assert_array_equal(display.lines_["step_kl"].get_ydata(), steps[np.isfinite(steps)])
    best = [epoch["epoch"] for epoch in clf.history_ if epoch["valid_loss_best"]][-1]
    assert display.best_line_.get_xdata()[0] == best
    expected = ["training loss", "data fit", "KL penalty", "validation log-loss", f"best epoch: {best}"]
    assert legend_of(display.axes_[0]) == expected
    assert display.axes_[0].get_ylabel() == "nats per row"
    assert display.axes_[1].get_xlabel() == "epoch"
    assert [ax.get_ylabel() for ax in display.figure_.axes][1:] == [
        "learning rate",
        "KL(before‖after) of\na step, nats per row",
    ]


def test_one_term_and_no_validation_part_are_one_line(table, quick):
    clf = quick(early_stopping=False, learning_rate="onecycle").fit(*table)
    display = TrainingDisplay.from_estimator(clf, line_kw={"c": "red", "lw": 5})
    assert list(display.lines_) == ["training loss", "rate"]
    assert display.best_line_ is None
    assert [line.get_color() for line in display.lines_.values()] == ["red"] * 2
    assert [line.get_linewidth() for line in display.lines_.values()] == [5] * 2


def test_means_over_members_have_no_best_epoch(table, quick):
    clf = quick(n_members=2, early_stopping=True).fit(*table)
    display = TrainingDisplay.from_estimator(clf)
    assert display.best_epoch is None
    assert "validation log-loss" in display.lines_


def test_what_ends_in_a_classifier_shows_its_training(table, quick):
    X, y = table
    pipeline = make_pipeline(StandardScaler(), quick())
    search = GridSearchCV(pipeline, {"klclassifier__kl_strength": [0.1]}, cv=2).fit(X, y)
    expected = search.best_estimator_[-1].history_[:, "train_loss"]
    for estimator in (search, search.best_estimator_, search.best_estimator_[-1].net_):
        found = TrainingDisplay.from_estimator(estimator).losses["training loss"]
        np.testing.assert_array_equal(found, expected)


def test_what_a_callback_recorded_is_no_term_of_the_loss():
    epoch = {"train_loss": 0.5, "train_data_fit": 0.4, "train_kl_penalty": 0.1}
    assert list(TrainingDisplay.from_history([epoch | {"train_accuracy": 0.9}]).losses) == [
        "training loss",
        "data fit",
        "KL penalty",
    ]
    own = {"train_loss": 0.6, "train_data_fit": 0.4, "train_kl_penalty": 0.1, "train_my_term": 0.1}
    assert "my term" in TrainingDisplay.from_history([own]).losses


@pytest.mark.parametrize(("least", "scale"), [(0.5, "linear"), (0.001, "log"), (0.0, "linear")])
def test_losses_of_many_sizes_are_on_a_logarithmic_axis(least, scale):
    display = TrainingDisplay({"training loss": np.array([2.0, least])}).plot()
    assert display.axes_[0].get_yscale() == scale


def test_what_is_a_tiny_part_of_the_loss_is_cut_off():
    losses = {"training loss": np.array([2.0, 1.0]), "KL penalty": np.array([1e-9, 1.0])}
    np.testing.assert_allclose(TrainingDisplay(losses).plot().axes_[0].get_ylim()[0], 2e-4, rtol=1e-9)


def test_two_axes_get_a_panel_each():
    axes = plt.subplots(1, 2)[1]
    display = TrainingDisplay({"training loss": np.ones(2)}, rate=np.ones(2)).plot(ax=axes)
    assert list(display.axes_) == list(axes)
    assert display.lines_["rate"].axes is axes[1]


def test_what_has_no_history_is_refused(table):
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(KLClassifier())
    with pytest.raises(ValueError, match="The 'estimator' parameter of TrainingDisplay must be a fitted KLClassifier"):
        TrainingDisplay.from_estimator(LogisticRegression().fit(*table))
    with pytest.raises(ValueError, match="The 'history' parameter of TrainingDisplay must be of at least one epoch"):
        TrainingDisplay.from_history([])


UNUSUAL = {
    "infinite": [{"train_loss": 1.0, "valid_loss": 0.1}, {"train_loss": np.inf, "valid_loss": 30.0}],
    "text": [{"train_loss": 1.0, "valid_loss": 0.1, "train_note": "a callback's", "train_none": None}],
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_records_are_left_out(name):
    display = TrainingDisplay.from_history(UNUSUAL[name])
    assert list(display.lines_) == ["training loss", "validation log-loss"]
    assert len(display.lines_["training loss"].get_xdata()) == 1
    assert display.lines_["training loss"].get_marker() == "o"  # a line of one point is not seen


def test_a_history_needs_a_loss():
    with pytest.raises(ValueError, match="'history' parameter .* at least one epoch with a 'train_loss'"):
        TrainingDisplay.from_history([{"lr": 0.1}])
