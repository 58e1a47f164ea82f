"""Parameters of callbacks are set by name, as in skorch, and can be searched."""

import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping, EpochTimer, LRScheduler

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV


@pytest.fixture
def clf(quick):
    return quick(callbacks=[("stop", EarlyStopping(patience=3)), EpochTimer()], early_stopping=True, max_epochs=9)


def test_each_is_shown_by_its_name(clf):
    params = clf.get_params()
    assert params["callbacks__stop"] is clf.callbacks[0][1]
    assert params["callbacks__stop__patience"] == 3
    assert "callbacks__EpochTimer" in params
    assert not [name for name in clf.get_params(deep=False) if name.startswith("callbacks__")]


def test_several_of_a_class_are_numbered(quick):
    clf = quick(callbacks=[EpochTimer(), EarlyStopping(), EpochTimer(), LRScheduler])
    names = [name for name in clf.get_params() if name.startswith("callbacks__") and name.count("__") == 1]
    assert names == [f"callbacks__{own}" for own in ("EpochTimer_1", "EarlyStopping", "EpochTimer_2", "LRScheduler")]


def test_a_parameter_is_set_in_a_copy_alone(clf):
    copy = clone(clf).set_params(callbacks__stop__patience=7, max_epochs=2)
    assert [one.get_params()["callbacks__stop__patience"] for one in (copy, clf)] == [7, 3]
    assert copy.max_epochs == 2


def test_a_callback_is_replaced_or_dropped(clf):
    before = clf.callbacks
    clf.set_params(callbacks__stop__patience=5, callbacks__stop=EarlyStopping(), callbacks__EpochTimer=None)
    assert [name for name, _ in clf.callbacks] == ["stop"]
    assert clf.callbacks[0][1].patience == 5
    assert len(before) == 2
    assert before[0][1].patience == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("callbacks__start__patience", r"one of 'callbacks__start__patience' \(the names are: 'stop', 'EpochTimer'\)"),
        ("callbacks__start", "Got a list without one named 'start'"),
        ("callbacks__stop__temper", "Invalid parameter 'temper'"),
        ("callbacks__stop__", "Invalid parameter ''"),
    ],
)
def test_an_unknown_name_is_refused(clf, name, message):
    with pytest.raises(ValueError, match=message):
        clf.set_params(**{name: 1})
    with pytest.raises(ValueError, match="names are: none"):
        KLClassifier().set_params(callbacks__stop__patience=1)


@pytest.mark.parametrize(
    ("callbacks", "found"),
    [([EarlyStopping], "EarlyStopping"), ([("EarlyStopping", None)], "None"), ([("EarlyStopping", [])], r"\[\]")],
    ids=["a class", "dropped", "no callback"],
)
def test_what_has_no_parameters_is_refused(callbacks, found):
    name = "callbacks__EarlyStopping__patience"
    with pytest.raises(ValueError, match=f"that of '{name}' is a callback with .* Got a list that has {found} there"):
        KLClassifier(callbacks=callbacks).set_params(**{name: 1})


@pytest.mark.parametrize("search", [GridSearchCV, StackedGridSearchCV])
def test_they_can_be_searched(clf, table, search):
    clf.set_params(callbacks__stop__threshold=1.0)  # no epoch is better than the first
    pipeline = make_pipeline(StandardScaler(), clf)
    grid = {"klclassifier__callbacks__stop__patience": [2, 4]}
    found = search(pipeline, grid, cv=2, scoring="neg_log_loss", refit=lambda results: 0).fit(*table)
    assert len(found.best_estimator_[-1].history_) == 3
    assert found.cv_results_["mean_test_score"][0] != found.cv_results_["mean_test_score"][1]
    assert clf.callbacks[0][1].patience == 3
