"""The search for the rate of the first step: any start, any curve that rises, one answer."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklkl.optim._first_step import FirstStep
from sklkl.optim._rule import LARGEST_RATE, LEAST_RATE


def searched(rates, kl, target=1e-3):
    """Return the rates found, their divergences, and how many steps were measured."""
    search, n_measured = FirstStep(np.array(rates)), 0
    while not search.ended.all():
        search.tell(kl(search.rate), target)
        n_measured += 1
        assert n_measured < 1000
    return search.rate, kl(search.rate), n_measured


CURVES = {
    "square": lambda rate: 7.0 * rate**2,
    "saturates": lambda rate: 50.0 * -np.expm1(-(rate**2)),
    "explodes": lambda rate: np.where(rate < 0.1, rate**2, math.inf),
    "steep": lambda rate: np.minimum(rate**4, 1e300),
    "flat": lambda rate: 0.02 * rate**0.5,
}


@pytest.mark.parametrize("curve", CURVES)
@given(rate=st.floats(1e-7, 10.0))
def test_the_same_rate_is_found_from_anywhere(curve, rate):
    found, kl, n_measured = searched([rate, 1e-6, 1.0], CURVES[curve])
    assert found[0] == found[1] == found[2]
    assert (kl <= 1e-3).all()
    assert (CURVES[curve](found * 2 ** (1 / 8)) > 1e-3).all()
    assert n_measured <= 40


@pytest.mark.parametrize("rate", [1e-6, 1e-3, 0.1, 10.0])
def test_a_few_measurements_are_enough_where_the_divergence_is_a_square(rate):
    assert searched([rate], CURVES["square"])[2] <= 6


def test_each_network_has_its_own():
    factors = np.array([1.0, 1e4, 1e-4])
    found, kl, _ = searched([0.1, 0.1, 0.1], lambda rate: factors * rate**2)
    np.testing.assert_allclose(found, np.sqrt(1e-3 / factors), rtol=0.1)
    assert (kl > 0.8e-3).all()


def test_what_is_too_far_however_short_ends_at_the_least_rate():
    found, kl, _ = searched([0.1], lambda rate: np.full(rate.shape, math.inf))
    assert found == pytest.approx(LEAST_RATE, rel=0.1)
    assert kl == math.inf


def test_what_never_moves_ends_at_the_largest_rate():
    assert searched([0.1], np.zeros_like)[0] == pytest.approx(LARGEST_RATE, rel=0.1)


def test_the_largest_of_targets_gives_the_largest_rate():
    rate, _, _ = searched([1.0], CURVES["square"], target=1e308)
    assert rate[0] == pytest.approx(LARGEST_RATE, rel=0.1)
