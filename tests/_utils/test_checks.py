"""Checks of single parameters: what passes, and the words for what does not."""

from fractions import Fraction

import numpy as np
import pytest

from sklkl._utils.checks import check_choice, check_integer, check_number, invalid_input, refusal


def test_what_is_allowed_passes():
    check_choice("mode", "a", {"a": 1, "b": 2})
    for value in (1, 7, np.int8(3)):
        check_integer("n", value, 1, 7)
    for value in (0, 1, 0.5, np.float32(0.5), Fraction(1, 3)):
        check_number("share", value, "a number in [0, 1]", high=1.0)


@pytest.mark.parametrize("value", ["c", None, 1, ["a"]])
def test_choices(value):
    with pytest.raises(ValueError, match=r"^The 'mode' parameter of f must be one of 'a', 'b'\. Got .* instead\.$"):
        check_choice("mode", value, ["a", "b"], of="f")


@pytest.mark.parametrize("value", [0, 8, 2.0, True, "2", None, np.nan])
def test_integers(value):
    with pytest.raises(
        ValueError, match=r"^The 'n' parameter must be an integer from 1 to 7, as there are 7 rows\. Got .* instead\.$"
    ):
        check_integer("n", value, 1, 7, ", as there are 7 rows")


def test_integers_without_an_upper_end():
    with pytest.raises(ValueError, match=r"^The 'n' parameter must be an integer >= 0\. Got -1 instead\.$"):
        check_integer("n", -1, 0)


@pytest.mark.parametrize("value", [0, -1, 2, np.nan, np.inf, "1", None, 1j, np.array([0.5])])
def test_numbers(value):
    with pytest.raises(ValueError, match=r"^The 'share' parameter must be a number in \(0, 1\]\. Got .* instead\.$"):
        check_number("share", value, "a number in (0, 1]", high=1.0, above=0.0)


def test_data_are_described_and_not_shown():
    error = invalid_input(("X", "Y"), "3 and 4 rows", "of the same length", of="f")
    assert str(error) == "The 'X' and 'Y' parameters of f must be of the same length. Got 3 and 4 rows instead."
    assert refusal("X", "text", "numbers") == "The 'X' parameter must be numbers. Got text instead."
