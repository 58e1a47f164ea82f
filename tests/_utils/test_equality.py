"""Whether two parameters are the same, whatever they are."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from sklkl._utils.equality import same_value


class Sulky:
    """What cannot be compared."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None

    def __repr__(self):
        return "sulky"


SULKY, MODEL = Sulky(), LogisticRegression()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, None), (0.5, np.float64(0.5)), (1, 1.0), (True, np.int64(1)), ("relu", "relu"), ((8, 4), (8, 4)),
        (np.arange(3), np.arange(3)), (torch.ones(2), torch.ones(2)), (SULKY, SULKY), (MODEL, MODEL),
        (torch.float32, torch.float32), ({"a": 1}, {"a": 1}),
    ],
    ids=str,
)  # fmt: skip
def test_the_same(a, b):
    assert same_value(a, b)
    assert same_value(b, a)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (None, 0), (0.5, 0.25), ("relu", "tanh"), ("1", 1), ((8, 4), [8, 4]), ((8,), (8, 8)), (float("nan"), 0.1),
        (float("nan"), float("nan") + 0.0), (np.arange(3), np.arange(4)), (np.ones(2), torch.ones(2)),
        (Sulky(), Sulky()), (Sulky(), None), (LogisticRegression(), LogisticRegression()), ("auto", np.ones(2)),
        ([np.ones(2), 1], [np.ones(2), 2]),
    ],
    ids=str,
)  # fmt: skip
def test_not_the_same(a, b):
    assert not same_value(a, b)
    assert not same_value(b, a)
