"""Pickles and copies of subclasses, whose authors know nothing of plain data."""

import copy

from torch import nn

from sklkl import KLClassifier


class WithoutCache(KLClassifier):
    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "cache_"}


def remade(params):
    made = ByParams(**params)
    made.is_remade_ = True
    return made


class ByParams(KLClassifier):
    def __reduce__(self):
        return remade, (self.get_params(),)


def test_a_state_of_their_own_is_one_of_all_that_there_is(table):
    X, y = table
    clf = WithoutCache(module=nn.Sequential(nn.Linear(X.shape[1], 3)), max_epochs=2, random_state=0).fit(X, y)
    clf.cache_ = 1
    copied = copy.deepcopy(clf)
    assert not hasattr(copied, "cache_")
    assert len(copied.net_.optimizer_.state) == len(clf.net_.optimizer_.state) > 0


def test_a_reduction_of_their_own_is_used():
    assert copy.deepcopy(ByParams(kl_strength=0.1)).is_remade_


def test_a_parameter_that_fit_will_refuse_is_copied():
    assert copy.deepcopy(KLClassifier(class_weight=[1, 2])).class_weight == [1, 2]
