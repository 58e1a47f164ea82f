"""What is drawn of a search: means and standard errors by strength, and which one was chosen."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.inspection import StrengthCurveDisplay
from sklkl.inspection._scores import metric_label, scorer_name
from sklkl.metrics import get_scorer
from sklkl.model_selection import StackedGridSearchCV

STRENGTHS = [0.1, 0.0, 0.01]


def results(**more):
    """What a search of three strengths over two folds found."""
    scores = {"split0_test_score": [-0.2, -0.5, -0.3], "split1_test_score": [-0.4, -0.5, -0.7]}
    scores["mean_test_score"] = [-0.3, -0.5, -0.5]
    return {"param_kl_strength": np.ma.array(STRENGTHS), **scores, **more}


@pytest.fixture
def search(once, table, quick):
    """A fitted search, of a pipeline, with two metrics."""
    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {"klclassifier__kl_strength": STRENGTHS}
    scoring = ["accuracy", "neg_log_loss"]
    made = StackedGridSearchCV(pipeline, grid, scoring=scoring, refit="neg_log_loss", cv=3)
    return once("search", lambda: made.fit(*table))


def test_a_search_is_drawn_as_it_chose(search, legend_of):
    display = StrengthCurveDisplay.from_estimator(search)
    found, order = search.cv_results_, np.argsort(STRENGTHS)
    (bar,) = display.errorbars_[0]
    line, _, (segments,) = bar
    np.testing.assert_array_equal(line.get_xdata(), np.sort(STRENGTHS))
    np.testing.assert_allclose(line.get_ydata(), -found["mean_test_neg_log_loss"][order], rtol=1e-12)
    # scikit-learn's deviation over folds has no correction for their small number
    error = found["std_test_neg_log_loss"][order] / np.sqrt(3 - 1)
    heights = np.diff([segment[:, 1] for segment in segments.get_segments()], axis=1)[:, 0] / 2
    np.testing.assert_allclose(heights, error, rtol=1e-9)
    strength = search.best_params_["klclassifier__kl_strength"]
    np.testing.assert_array_equal(display.chosen_points_[0].get_xdata(), [strength])
    np.testing.assert_allclose(display.chosen_points_[0].get_ydata(), [-search.best_score_], rtol=1e-12)
    assert legend_of(display.axes_[0]) == ["mean ± standard error", f"chosen: {strength:g}"]
    assert display.axes_[0].get_ylabel() == "log-loss, nats"
    assert display.axes_[0].get_xlabel() == "kl_strength"


def test_every_strength_has_a_tick_and_zero_has_a_place():
    display = StrengthCurveDisplay.from_cv_results(results())
    (ax,) = display.axes_
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.01", "0.1"]
    positions = ax.transData.transform([(x, 1) for x in (0, 0.01, 0.1)])[:, 0]
    gaps = np.diff(positions)
    assert gaps.min() > 0.3 * gaps.max()
    assert display.chosen_points_ == []


def test_a_second_metric_has_a_panel_of_its_own(search):
    display = StrengthCurveDisplay.from_estimator(search, metrics=["neg_log_loss", "accuracy"])
    assert [ax.get_ylabel() for ax in display.axes_] == ["log-loss, nats", "accuracy"]
    accuracy = display.errorbars_[1][0][0].get_ydata()
    np.testing.assert_array_equal(accuracy, search.cv_results_["mean_test_accuracy"][np.argsort(STRENGTHS)])
    assert len(display.chosen_points_) == 2


def test_other_parameters_make_a_curve_each(legend_of):
    found = results(param_kl_penalty=np.ma.array(["vat", "prior", "vat"], mask=[False, True, False]))
    display = StrengthCurveDisplay.from_cv_results(found, errorbar_kw={"lw": 4})
    assert {label: numbers.tolist() for label, numbers in display.curves.items()} == {"": [1], "kl_penalty vat": [2, 0]}
    assert legend_of(display.axes_[0]) == ["mean ± standard error", "kl_penalty vat"]
    assert [bar[0].get_linewidth() for bar in display.errorbars_[0]] == [4, 4]
    assert len({bar[0].get_color() for bar in display.errorbars_[0]}) == 2


def test_of_too_many_settings_the_best_are_drawn():
    n = 8
    found = {"param_clf__kl_strength": [0.1, 0.2] * n, "param_clf__lr": np.repeat(np.arange(n), 2) / 10}
    score = -np.abs(np.arange(2 * n) - 5.2)  # best of 0.2 at number 5, of 0.1 at 6
    found |= {"mean_test_score": score, "split0_test_score": score}
    display = StrengthCurveDisplay.from_cv_results(found, score_name="neg_log_loss")
    assert {label: numbers.tolist() for label, numbers in display.curves.items()} == {
        "best of the other parameters": [6, 5]
    }
    assert np.isnan(display.errors["neg_log_loss"]).all()  # of a single fold


def test_any_search_and_parameter_will_do(table):
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(*table)
    display = StrengthCurveDisplay.from_estimator(search, parameter="C")
    assert display.axes_[0].get_xscale() == "log"
    assert (display.axes_[0].get_xlabel(), display.axes_[0].get_ylabel()) == ("C", "score")


@pytest.mark.parametrize(
    ("scoring", "label"),
    [
        ("neg_log_loss", "log-loss, nats"),
        ("balanced_accuracy", "balanced accuracy"),
        (get_scorer("neg_mean_kl"), "mean kl divergence, nats"),
        (get_scorer("d2_kl"), "d2 kl score"),
        (None, "score"),
    ],
)
def test_scores_have_a_name_and_a_unit(scoring, label):
    assert metric_label(scorer_name(scoring)) == label


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (results(), {"parameter": "lr"}, "'parameter' parameter of StrengthCurveDisplay must be one of the parameters"),
        (results(), {"metrics": "accuracy"}, r"'metrics' parameter of .* among the scores .*\['score'\]"),
        (results(param_lr=[-1.0, 0.0, 1.0]), {"parameter": "lr"}, "whose values are finite and >= 0; -1.0 is not"),
        (results(param_lr=["a", 0.0, 1.0]), {"parameter": "lr"}, "whose values are numbers; 'a' is none"),
    ],
)
def test_what_is_not_there_is_refused(found, options, message):
    with pytest.raises(ValueError, match=message):
        StrengthCurveDisplay.from_cv_results(found, **options)


def test_a_search_must_be_fitted(quick):
    with pytest.raises(NotFittedError):
        StrengthCurveDisplay.from_estimator(GridSearchCV(quick(), {}))


def test_any_text_for_refit_means_the_single_score(table, quick):
    search = GridSearchCV(quick(), {"kl_strength": [0.0, 0.1]}, scoring="accuracy", refit="accuracy", cv=2).fit(*table)
    assert list(StrengthCurveDisplay.from_estimator(search).means) == ["accuracy"]


def test_an_infinite_loss_has_no_error():
    found = results(split0_test_score=[-np.inf, -0.5, -0.3])
    display = StrengthCurveDisplay.from_cv_results(found, score_name="neg_log_loss")
    np.testing.assert_array_equal(np.isfinite(display.errors["neg_log_loss"]), [False, True, True])


def test_no_score_is_refused():
    with pytest.raises(ValueError, match="'metrics' parameter .* at least one score of the search"):
        StrengthCurveDisplay.from_cv_results(results(), metrics=[])
