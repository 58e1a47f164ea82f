"""The validation part: which rows it takes and which stay in training."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from sklkl._fit.training_set import validation_split

CODES = st.lists(st.integers(0, 3), min_size=2, max_size=80).map(np.array)
FRACTIONS = st.floats(0.05, 0.9)


def split(codes, fraction=0.1, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return validation_split(codes, fraction, np.random.RandomState(seed))


@given(codes=CODES, fraction=FRACTIONS)
def test_every_row_is_in_one_of_the_two_parts(codes, fraction):
    assert sorted(np.concatenate(split(codes, fraction))) == list(range(len(codes)))


def test_rows_are_drawn_as_scikit_learn_draws_them():
    codes = np.repeat([0, 1, 2], [41, 24, 9])
    expected = train_test_split(np.arange(74), test_size=15, stratify=codes, random_state=0)
    for part, rows in zip(split(codes, 0.2), expected, strict=True):
        np.testing.assert_array_equal(part, np.sort(rows))


@given(codes=CODES, fraction=FRACTIONS)
def test_training_is_never_left_without_rows(codes, fraction):
    assert len(split(codes, fraction)[0]) > 0


@given(codes=CODES, fraction=FRACTIONS)
def test_the_only_row_of_a_class_stays_in_training(codes, fraction):
    _, valid = split(codes, fraction)
    assert (np.bincount(codes)[codes[valid]] > 1).all()


@given(counts=st.lists(st.integers(10, 40), min_size=2, max_size=4), fraction=st.floats(0.2, 0.8))
def test_a_part_is_stratified_where_it_has_room_for_every_class(counts, fraction):
    codes = np.repeat(np.arange(len(counts)), counts)
    _, valid = split(codes, fraction)
    expected = np.array(counts) * len(valid) / len(codes)
    assert np.abs(np.bincount(codes[valid], minlength=len(counts)) - expected).max() <= 1


def test_the_same_seed_gives_the_same_parts():
    codes = np.repeat([0, 1], 50)
    assert np.array_equal(split(codes, seed=1)[1], split(codes, seed=1)[1])
    assert not np.array_equal(split(codes, seed=1)[1], split(codes, seed=2)[1])


def test_no_class_with_two_rows_gives_no_validation_part():
    train, valid = split(np.arange(5))
    assert len(valid) == 0
    assert train.tolist() == list(range(5))


def test_a_class_with_one_row_is_announced():
    with pytest.warns(UserWarning, match="1 classes have one row only"):
        validation_split(np.array([0, 0, 0, 1]), 0.5, np.random.RandomState(0))


def test_indicators_of_labels_are_split_too():
    codes = np.random.RandomState(0).randint(2, size=(40, 3))
    train, valid = split(codes, 0.25)
    assert len(valid) == 10
    assert sorted(np.concatenate([train, valid])) == list(range(40))
