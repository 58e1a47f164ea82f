"""Warnings that the clones of one estimator give once."""

import copy
import pickle
import warnings

import joblib
import pytest
from sklearn.base import BaseEstimator, clone

from sklkl._utils import warn_once
from sklkl._utils.warn_once import WarnsOnce


class Talker(WarnsOnce, BaseEstimator):
    def __init__(self, about="this"):
        self.about = about

    def fit(self):
        self._warn_once(f"of {self.about}", stacklevel=2)
        return self


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch):
    monkeypatch.setattr(warn_once, "_SAID_BY_UNPICKLED", {})


def said(*estimators):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for estimator in estimators:
            estimator.fit()
    return [str(warning.message) for warning in caught]


def test_clones_share_what_they_have_said_whatever_the_filters():
    first = Talker()
    second = clone(first)
    assert said(second, first, clone(first), clone(clone(second))) == ["of this"]
    assert said(clone(second)) == []


def test_each_text_once():
    first = Talker()
    assert said(*(clone(first).set_params(about=about) for about in "abab")) == ["of a", "of b"]


def test_others_say_it_too():
    assert said(Talker(), Talker(), clone(Talker())) == 3 * ["of this"]


def test_alone_it_is_left_to_the_filters():
    first = Talker()
    assert said(first, first) == 2 * ["of this"]


def through_pickle(estimator):
    return pickle.loads(pickle.dumps(estimator))


def test_those_from_pickles_share_it_in_their_process():
    assert said(*(through_pickle(Talker()) for _ in range(3))) == ["of this"]
    assert said(clone(through_pickle(Talker()))) == []
    assert said(Talker()) == ["of this"]


def test_a_pickle_does_not_depend_on_what_was_said():
    fresh, cloned = Talker(), Talker()
    said(clone(cloned))
    assert joblib.hash(fresh) == joblib.hash(cloned) == joblib.hash(clone(cloned))
    assert vars(fresh) == {"about": "this"}
    assert copy.deepcopy(cloned).get_params() == cloned.get_params()


def test_an_error_is_raised_every_time():
    first = Talker()
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="of this"):
                clone(first).fit()
    assert said(clone(first)) == ["of this"]


def test_it_names_the_line_that_is_to_blame():
    with pytest.warns(UserWarning, match="of this") as caught:
        Talker().fit()
    assert caught[0].filename == __file__
