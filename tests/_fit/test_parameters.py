"""Parameters that are passed on to a module or an optimiser, and leave with it."""

import functools
import warnings

import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklkl import KLClassifier
from sklkl._fit.parameters import valid_defaults


class Wide(nn.Sequential):
    def __init__(self, n_features, n_classes, units=8, bias=True):
        super().__init__(nn.Linear(n_features, units, bias=bias), nn.ReLU(), nn.Linear(units, n_classes))


class Plain(nn.Linear):
    def __init__(self, n_features, n_classes, bias=True):
        super().__init__(n_features, n_classes, bias=bias)


def anything(n_features, n_classes, **params):
    return nn.Linear(n_features, n_classes)


def passed_on(clf):
    return {name: value for name, value in clf.get_params().items() if "__" in name}


BETAS = {"optimizer__betas": (0.8, 0.9)}
UNITS = {"module": Wide, "module__units": 4, "module__bias": False}


def test_only_defaults_that_are_valid_need_no_check():
    class Odd:
        def __init__(self, dropout=2.0, lr=0.1, **others): ...

    defaults = valid_defaults(Odd)
    assert defaults["lr"] == 0.1
    assert "dropout" not in defaults
    assert valid_defaults(KLClassifier).keys() >= KLClassifier().get_params().keys()


@pytest.mark.parametrize(
    ("params", "new", "left"),
    [
        (BETAS, {"optimizer": "sgd"}, {}),
        (BETAS, {"optimizer": torch.optim.SGD}, {}),
        (BETAS, {"optimizer": torch.optim.NAdam}, BETAS),
        ({**BETAS, "optimizer__eps": 1e-7}, {"optimizer": torch.optim.RMSprop}, {"optimizer__eps": 1e-7}),
        ({"optimizer__param_groups": []}, {"optimizer": "sgd"}, {"optimizer__param_groups": []}),
        (UNITS, {"module": None}, {}),
        (UNITS, {"module": nn.Linear(5, 3)}, {}),
        (UNITS, {"module": Plain}, {"module__bias": False}),
        (UNITS, {"module": functools.partial(Plain)}, {"module__bias": False}),
        (UNITS, {"module": anything}, {"module__units": 4, "module__bias": False}),
    ],
    ids=["sgd", "SGD", "NAdam", "RMSprop", "groups", "no module", "instance", "class", "partial", "function"],
)
def test_what_another_part_does_not_accept_is_dropped_with_a_warning(params, new, left):
    clf = KLClassifier(**params)
    gone = passed_on(clf).keys() - left.keys()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert clf.set_params(**new) is clf
    assert passed_on(clf) == left
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == len(gone)
    assert all(any(f"{name!r} parameter of KLClassifier is dropped" in text for text in messages) for name in gone)
    assert clone(clf).get_params().keys() == clf.get_params().keys()


@pytest.mark.parametrize(
    ("params", "same"), [(BETAS, {"optimizer": "adam"}), (UNITS, {"module": Wide}), ({}, {"module": None})], ids=str
)
def test_the_same_part_keeps_them(params, same):
    assert passed_on(KLClassifier(**params).set_params(**same)) == passed_on(KLClassifier(**params))


def test_what_is_set_in_the_same_call_is_kept_and_refused_by_fit(quick, table):
    clf = quick(optimizer__eps=1e-7)
    with pytest.warns(UserWarning, match="'optimizer__eps' .* is dropped, .* new 'optimizer' .* is 'sgd'"):
        clf.set_params(optimizer="sgd", optimizer__betas=(0.8, 0.9))
    assert passed_on(clf) == {"optimizer__betas": (0.8, 0.9)}
    with pytest.raises(ValueError, match="'optimizer__betas'.*SGD"):
        clf.fit(*table)


def test_a_misspelt_one_stays_and_is_refused_by_fit(quick, table):
    with pytest.raises(ValueError, match="'optimizer__beta'.*AdamW"):
        quick(optimizer__beta=0.9).set_params(optimizer="adam", dropout=0.1).fit(*table)


def test_one_that_is_accepted_can_be_taken_away(quick, table):
    clf = quick(**BETAS)
    del clf.optimizer__betas
    assert passed_on(clf) == {}
    assert clone(clf).fit(*table).net_.optimizer_.param_groups[0]["betas"] == (0.9, 0.999)


def test_a_search_over_optimisers(quick, table):
    search = GridSearchCV(
        quick(**BETAS), {"optimizer": ["adam", "sgd", torch.optim.RMSprop]}, cv=2, error_score="raise"
    )
    with pytest.warns(UserWarning, match="'optimizer__betas' parameter of KLClassifier is dropped") as caught:
        search.fit(*table)
    assert len(caught) == 2  # for each of the others once, however many fits
    assert search.estimator.optimizer__betas == (0.8, 0.9)


def test_a_search_over_modules(table):
    pipeline = make_pipeline(StandardScaler(), KLClassifier(max_epochs=2, random_state=0, **UNITS))
    grid = {"klclassifier__module": [None, Wide, Plain]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise", refit=False)
    with pytest.warns(UserWarning, match="'module__(units|bias)' parameter of KLClassifier is dropped") as caught:
        search.fit(*table)
    assert len(caught) == 3  # both by None, units by Plain


@pytest.mark.parametrize("params", [{"module": Wide}, UNITS, BETAS, {"optimizer": "sgd", "optimizer__momentum": 0.5}])
def test_a_candidate_sets_part_and_parameters_at_once(quick, table, params):
    base = KLClassifier(max_epochs=1, random_state=0)
    found = GridSearchCV(base, {name: [value] for name, value in params.items()}, cv=2, error_score="raise").fit(*table)
    assert passed_on(found.best_estimator_) == {name: value for name, value in params.items() if "__" in name}
