"""NumPy, PyTorch and a strict array API library give the same numbers, types and errors."""

import array_api_strict as strict
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES

from .oracles import random_rows

everyone = pytest.mark.parametrize("name", DIVERGENCES)
LIBRARIES = {"torch": torch.asarray, "strict": strict.asarray}
FROM = {"probs": lambda p: p, "log_probs": np.log, "logits": lambda p: np.log(p) + 2}


@everyone
@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_agree(name, library):
    convert, rows = LIBRARIES[library], [random_rows(12, 5, seed=s, zeros=True) for s in (1, 2)]
    options = {"probs": {}, "log_probs": {"smoothing": 0.2}, "logits": {"axis": 0, "keepdims": True}}
    for from_, more in [*options.items(), ("probs", {"normalize": True})]:
        with np.errstate(divide="ignore"):
            given = [FROM[from_](r) for r in rows]
        ours = DIVERGENCES[name](*map(convert, given), from_=from_, **more)
        assert type(ours) is type(convert(given[0]))
        numpy = DIVERGENCES[name](*given, from_=from_, **more)
        np.testing.assert_allclose(np.from_dlpack(ours), numpy, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("function", [d.entropy, d.kl_to_uniform])
@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_agree_on_functions_of_one(function, library):
    p = random_rows(6, 4, zeros=True)
    np.testing.assert_allclose(np.from_dlpack(function(LIBRARIES[library](p))), function(p), rtol=1e-12)


@everyone
def test_no_value_is_read_on_the_host(name):
    z = torch.zeros(3, 4, device="meta")
    for from_ in FROM:
        assert DIVERGENCES[name](z, z, from_=from_, smoothing=0.1).shape == (3,)


@everyone
def test_floating_type_is_kept(name):
    for dtype in (np.float16, np.float32, np.float64):
        p, q = random_rows(3, 4, seed=1).astype(dtype), random_rows(3, 4, seed=2).astype(dtype)
        assert DIVERGENCES[name](p, q).dtype == dtype
        assert DIVERGENCES[name](torch.asarray(p), torch.asarray(q)).dtype == torch.asarray(p).dtype
        assert DIVERGENCES[name](p, q.astype(np.float64)).dtype == np.float64


@everyone
def test_bfloat16_works(name):
    p = torch.asarray(random_rows(3, 4)).to(torch.bfloat16)
    value = DIVERGENCES[name](p, p.flip(-1))
    assert value.dtype == torch.bfloat16
    assert torch.isfinite(value).all()


def test_lists_and_integers():
    assert d.generalized_kl([1, 2], [2, 1]) == d.generalized_kl(np.array([1, 2]), np.array([2.0, 1.0]))
    assert isinstance(d.kl_divergence([0.5, 0.5], [0.1, 0.9]), np.float64)
    q = torch.tensor([0.1, 0.9], dtype=torch.float64)
    value = d.kl_divergence([1 / 3, 2 / 3], q)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(d.kl_divergence([1 / 3, 2 / 3], q.numpy()), rel=1e-14)


@pytest.mark.parametrize("dtype", ["Float64", "double[pyarrow]", object])
def test_missing_values_of_frames_are_nan(dtype):
    frame = pd.DataFrame([[0.5, 0.5], [0.25, 0.75]]).astype(dtype).mask(np.array([[0, 0], [0, 1]], dtype=bool))
    q = np.array([0.5, 0.5])
    for p in (frame, frame.to_numpy()):
        np.testing.assert_array_equal(d.kl_divergence(p, q), [0.0, np.nan])
    value = d.kl_divergence(torch.from_numpy(q), frame)  # a frame follows tensors, as lists do
    np.testing.assert_array_equal(value.numpy(), [0.0, np.nan])


def test_a_list_beside_float32_stays_float32():
    assert d.kl_divergence(np.array([0.5, 0.5], dtype=np.float32), [0.1, 0.9]).dtype == np.float32


def test_inputs_are_not_written():
    p, q = random_rows(700, 100, zeros=True), random_rows(700, 100, seed=1)
    before = p.copy(), q.copy()
    p.flags.writeable = q.flags.writeable = False
    for function in DIVERGENCES.values():
        function(p, q)
        d.pairwise_divergence(p[:5], q[:5])
    np.testing.assert_array_equal((p, q), before)


def test_memory_layouts():
    p, q = random_rows(40, 6, seed=1), random_rows(40, 6, seed=2)
    expected = d.kl_divergence(p, q)
    np.testing.assert_allclose(d.kl_divergence(np.asfortranarray(p), q[::-1][::-1]), expected, rtol=1e-12)
    np.testing.assert_allclose(d.kl_divergence(p.astype(">f8"), q), expected, rtol=1e-12)
    np.testing.assert_allclose(d.kl_divergence(p.T, q.T, axis=0), expected, rtol=1e-12)


def test_broadcasting():
    p, q = random_rows(6, 4, seed=1).reshape(2, 3, 4), random_rows(3, 4, seed=2)
    for name, function in DIVERGENCES.items():
        values = function(p, q)
        assert values.shape == (2, 3)
        np.testing.assert_allclose(values[1, 2], function(p[1, 2], q[2]), rtol=1e-9, err_msg=name)
        assert function(q[0], p).shape == (2, 3)


def test_many_rows_equal_few_rows():
    p, q = random_rows(2000, 40, seed=1), random_rows(2000, 40, seed=2)
    for name, function in DIVERGENCES.items():
        values = function(p, q)
        parts = np.concatenate([function(p[i : i + 500], q[i : i + 500]) for i in range(0, 2000, 500)])
        np.testing.assert_allclose(values, parts, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(function(p, q[0]), function(p, np.tile(q[0], (2000, 1))), rtol=1e-12)
        torch.testing.assert_close(
            function(torch.asarray(p), torch.asarray(q)), torch.asarray(values), rtol=1e-9, atol=0
        )


def test_no_rows():
    for from_ in FROM:
        assert d.kl_divergence(np.empty((0, 3)), np.empty((0, 3)), from_=from_).shape == (0,)


def test_errors_of_the_inputs():
    with pytest.raises(
        ValueError, match=r"the same length along axis 1\. Got the shapes \(2, 3\) and \(2, 4\) instead"
    ):
        d.kl_divergence(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="same length"):
        d.kl_divergence(np.ones((2, 1)), np.ones((2, 4)))
    with pytest.raises(TypeError, match=r"arrays of one library\. Got arrays of numpy and torch instead"):
        d.kl_divergence(np.ones(3), torch.ones(3))
    with pytest.raises(TypeError, match="complex"):
        d.kl_divergence(np.ones(3) * 1j, np.ones(3))
    with pytest.raises(ValueError, match="'axis' parameter .* Got 2 instead"):
        d.kl_divergence(np.ones((2, 3)), np.ones((2, 3)), axis=2)
    with pytest.raises(ValueError, match="'axis' parameter .* Got 2 instead"):
        d.kl_to_uniform(np.ones((2, 3)), axis=2)


NO_NUMBERS = {
    "text": "abc",
    "texts": [["a", "b"]],
    "ragged": [[0.5, 0.5], [1.0]],
    "sparse": csr_matrix([[0.5, 0.5]]),
    "sparse tensor": torch.tensor([[0.5, 0.5]]).to_sparse(),
    "dates": np.array([["2020-01-01", "2020-01-02"]], dtype="M8[D]"),
    "arrays": np.array([[0.5, np.ones(2)]], dtype=object),
    "dicts": [{"a": 1}],
    "objects": np.array([["a", None]], dtype=object),
}


@pytest.mark.parametrize("function", [d.kl_divergence, d.pairwise_divergence, d.bernoulli_kl, d.gaussian_kl])
@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_refused(function, kind):
    others = [np.ones((1, 2))] * (3 if function is d.gaussian_kl else 1)
    with pytest.raises(TypeError, match="The inputs must be arrays of real numbers. Got .* instead"):
        function(NO_NUMBERS[kind], *others)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (d.kl_divergence, [(2, 3), (4, 3)]),
        (d.js_divergence, [(0, 3), (4, 3)]),
        (d.bernoulli_kl, [(2, 3), (2, 4)]),
        (d.dirichlet_kl, [(2, 3), (2, 4)]),
        (d.diagonal_gaussian_kl, [(3,), (3,), (3,), (4,)]),
        (d.gaussian_kl, [(2, 3), (2, 3, 3), (4, 3), (4, 3, 3)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_shapes_that_do_not_go_together_are_shown(function, shapes):
    inputs = [np.eye(3)[None].repeat(shape[0], 0) if len(shape) == 3 else np.full(shape, 0.25) for shape in shapes]
    with pytest.raises(
        ValueError, match=r"The inputs must have shapes that go together. Got \(.*\) and \(.*\) instead"
    ):
        function(*inputs)
