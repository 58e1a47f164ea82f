"""Checks of single parameters: what passes, and the words for what does not."""

from fractions import Fraction

import numpy as np
import pytest

from sklkl._utils.checks import check_choice, check_integer, check_number


def test_what_is_allowed_passes():
    check_choice("mode", "a", {"a": 1, "b": 2})
    for value in (1, 7, np.int8(3)):
        check_integer("n", value, 1, 7)
    for value in (0, 1, 0.5, np.float32(0.5), Fraction(1, 3)):
        check_number("share", value, "a number in [0, 1]", high=1.0)


@pytest.mark.parametrize("value", ["c", None, 1, ["a"]])
def test_choices(value):
    with pytest.raises(ValueError, match="^mode=.* given; allowed: 'a', 'b'$"):
        check_choice("mode", value, ["a", "b"])


@pytest.mark.parametrize("value", [0, 8, 2.0, True, "2", None, np.nan])
def test_integers(value):
    with pytest.raises(ValueError, match=r"^n=.* given; allowed: an integer from 1 to 7, as there are 7 rows$"):
        check_integer("n", value, 1, 7, ", as there are 7 rows")


def test_integers_without_an_upper_end():
    with pytest.raises(ValueError, match=r"^n=-1 given; allowed: an integer >= 0$"):
        check_integer("n", -1, 0)


@pytest.mark.parametrize("value", [0, -1, 2, np.nan, np.inf, "1", None, 1j, np.array([0.5])])
def test_numbers(value):
    with pytest.raises(ValueError, match=r"^share=.* given; allowed: a number in \(0, 1\]$"):
        check_number("share", value, "a number in (0, 1]", high=1.0, above=0.0)
