"""The shared keyword arguments: meaning, limits, messages, documentation."""

import inspect
import math
import pickle
from typing import get_args

import numpy as np
import pytest

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES
from sklkl.divergences._registry import DivergenceName
from sklkl.divergences._signatures import From

from .oracles import UNITLESS, random_rows

everyone = pytest.mark.parametrize("name", DIVERGENCES)
P, Q = random_rows(5, 4, seed=1), random_rows(5, 4, seed=2)
SHARED = {"axis": -1, "keepdims": False, "base": None, "normalize": False, "from_": "probs", "smoothing": 0.0}


@everyone
def test_axis_and_keepdims(name):
    function = DIVERGENCES[name]
    rows = function(P, Q)
    assert rows.shape == (5,)
    np.testing.assert_allclose(function(P.T, Q.T, axis=0), rows, rtol=1e-12)
    np.testing.assert_allclose(function(P.T, Q.T, axis=-2, keepdims=True), rows[None], rtol=1e-12)
    assert function(P, Q, keepdims=True).shape == (5, 1)
    assert np.shape(function(P[0], Q[0])) == ()
    assert function(P[0], Q[0], keepdims=True).shape == (1,)


@pytest.mark.parametrize("name", sorted(set(DIVERGENCES) - UNITLESS))
def test_base_changes_the_unit(name):
    ratio = DIVERGENCES[name](P, Q) / DIVERGENCES[name](P, Q, base=2)
    np.testing.assert_allclose(ratio, math.log(2) ** (0.5 if name == "js_distance" else 1), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(UNITLESS))
def test_base_is_refused_without_a_unit(name):
    with pytest.raises(ValueError, match="'base' parameter.* must be None.* Got 2 instead"):
        DIVERGENCES[name](P, Q, base=2)


@everyone
def test_from_log_probs_and_logits(name):
    function = DIVERGENCES[name]
    np.testing.assert_allclose(function(np.log(P), np.log(Q), from_="log_probs"), function(P, Q), rtol=1e-11)
    np.testing.assert_allclose(function(np.log(P) + 5, np.log(Q) - 1, from_="logits"), function(P, Q), rtol=1e-11)
    unnormalised = function(np.log(P) + 5, np.log(Q) - 1, from_="log_probs", normalize=True)
    np.testing.assert_allclose(unnormalised, function(P, Q), rtol=1e-11)


@everyone
def test_smoothing_mixes_with_the_uniform_distribution(name):
    function, zeros = DIVERGENCES[name], random_rows(5, 4, seed=3, zeros=True)
    mixed = function(0.9 * zeros + 0.025, 0.9 * Q + 0.025)
    np.testing.assert_allclose(function(zeros, Q, smoothing=0.1), mixed, rtol=1e-11)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(function(np.log(zeros), np.log(Q), from_="logits", smoothing=0.1), mixed, rtol=1e-11)
    assert (function(P, Q, smoothing=1) < 1e-15).all()


def test_smoothing_keeps_the_sum():
    assert d.kl_divergence([2.0, 0], [1.0, 1], smoothing=0.5) == pytest.approx(
        1.5 * math.log(1.5) + 0.5 * math.log(0.5)
    )


INVALID = {
    "base": [0, 1, -2, math.inf, math.nan, "a"],
    "from_": ["proba", None],
    "smoothing": [-0.1, 1.1, math.nan],
    "axis": [None, 0.5, (0, 1), 2],
}


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, values in INVALID.items() for v in values])
def test_invalid_option_is_named(option, value):
    with pytest.raises(ValueError, match=f"^The '{option}' parameter must be .* Got .* instead"):
        d.kl_divergence(P, Q, **{option: value})


@pytest.mark.parametrize(
    ("function", "alpha"),
    [
        (d.renyi_divergence, -1),
        (d.renyi_divergence, math.nan),
        (d.tsallis_divergence, -1),
        (d.tsallis_divergence, math.inf),
        (d.alpha_divergence, math.inf),
        *((function, "a") for function in (d.renyi_divergence, d.tsallis_divergence, d.alpha_divergence)),
        (d.renyi_divergence, None),
    ],
)
def test_invalid_order_is_named(function, alpha):
    with pytest.raises(ValueError, match=f"'alpha' parameter of {function.__name__} must be .* Got {alpha!r} instead"):
        function(P, Q, alpha=alpha)


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [1, math.inf], [1, math.nan], [1, 1, 1], 3, "ab", [1, [2]]])
def test_invalid_weights_are_named(weights):
    with pytest.raises(ValueError, match="'weights' parameter.* must be 2 finite numbers.* Got .* instead"):
        d.js_divergence(P, Q, weights=weights)


def test_unknown_option():
    with pytest.raises(TypeError, match="no keyword argument .eps.; those of all divergences are axis, keepdims,"):
        d.kl_divergence(P, Q, eps=1e-7)


@pytest.mark.parametrize("function", [*DIVERGENCES.values(), d.entropy, d.cross_entropy, d.kl_to_uniform])
def test_signature_and_documentation_show_every_option(function):
    shown = inspect.signature(function).parameters
    assert {name: shown[name].default for name in SHARED} == SHARED
    for section in ("Parameters\n", "Returns\n", "Raises\n", "Examples\n", "smoothing : float"):
        assert section in function.__doc__
    assert "{" not in function.__doc__.replace('{"probs", "log_probs", "logits"}', "")


@everyone
def test_pickle(name):
    assert pickle.loads(pickle.dumps(DIVERGENCES[name])) is DIVERGENCES[name]


def test_registry_names():
    assert d.get_divergence("kl") is d.kl_divergence
    with pytest.raises(ValueError, match="'metric' parameter.* must be one of 'alpha',.* Got 'kullback' instead"):
        d.get_divergence("kullback")


def test_names_that_type_checkers_know():
    assert sorted(get_args(DivergenceName)) == list(DIVERGENCES)
    assert get_args(From) == ("probs", "log_probs", "logits")
