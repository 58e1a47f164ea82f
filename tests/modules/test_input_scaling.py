"""The layer that scales inputs: its views, units that do not matter, streams, and the same numbers by numpy."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import norm

from sklkl.modules import MLP, DenseScaling, SparseScaling, input_scaling, scaling_of

RANDOM = np.random.RandomState(0)
X = np.column_stack([RANDOM.randn(400), RANDOM.lognormal(size=400), RANDOM.poisson(0.2, 400), RANDOM.rand(400) < 0.1])
COUNTS = sparse.csr_array(RANDOM.poisson(0.1, (200, 30)).astype(float))
KINDS = {"dense": X, "sparse": COUNTS}
each_kind = pytest.mark.parametrize("kind", KINDS)


def views(scaling, rows):
    return scaling(torch.as_tensor(np.asarray(rows, dtype=np.float64))).numpy()


def dense(rows):
    return rows.toarray() if sparse.issparse(rows) else rows


# What the views are


def test_the_first_view_is_the_smooth_clip():
    low, middle, high = np.quantile(X[:, 0], [0.25, 0.5, 0.75], method="inverted_cdf")
    scaled = (X[:, 0] - middle) / (high - low)
    np.testing.assert_allclose(views(DenseScaling(X), X)[:, 0], scaled / np.sqrt(1 + (scaled / 3) ** 2), atol=0.03)


def test_the_second_view_is_normal_whatever_the_shape():
    for column in views(DenseScaling(X), X)[:, 4:6].T:
        # linear between 64 of the 400 values
        np.testing.assert_allclose(np.sort(column), norm.ppf((np.arange(400) + 0.5) / 400), atol=0.4)


def test_the_third_view_is_steps_at_quantiles():
    scaling = DenseScaling(X)
    assert len(scaling.ranked) == 3  # the last column has two values
    seen = views(scaling, X)
    scores, steps = seen[:, None, 4:7], seen[:, 7:].reshape(400, 4, 3)
    at = norm.ppf([1 / 8, 3 / 8, 5 / 8, 7 / 8])[:, None]
    np.testing.assert_allclose(steps, np.clip(scores - at, -1, 1), atol=1e-12)
    # each is crossed at its quantile
    shares = (steps[..., :2] > 0).mean(axis=0)
    np.testing.assert_allclose(shares.T, [[7 / 8, 5 / 8, 3 / 8, 1 / 8]] * 2, atol=0.02)


@pytest.mark.parametrize(("n_columns", "n_steps"), [(1, 4), (32, 4), (33, 3), (64, 2), (128, 1), (129, 0)])
def test_steps_are_fewer_where_there_are_many_columns(n_columns, n_steps):
    rows = np.random.RandomState(0).randn(20, n_columns)
    scaling = DenseScaling(rows)
    assert scaling.n_outputs == views(scaling, rows).shape[1] == (2 + n_steps) * n_columns
    np.testing.assert_allclose(scaling.forward_numpy(rows), views(scaling, rows), atol=1e-12)


def test_what_was_stored_before_there_were_steps_has_none():
    buffers = dict(DenseScaling(X).named_buffers())
    del buffers["steps"]
    older = DenseScaling.from_buffers(buffers, 0.0, stream=False)
    np.testing.assert_array_equal(views(older, X), views(DenseScaling(X), X)[:, : older.n_outputs])
    assert older.n_outputs == 4 + 3


def test_columns_of_two_values_have_one_view_and_constant_ones_none():
    table = np.column_stack([X[:, 0], X[:, 3] * 7 - 2, np.full(400, 1e9)])
    scaling = DenseScaling(table)
    assert scaling.n_outputs == 3 + 1 + 4
    clipped, binary, constant = views(scaling, table)[:, :3].T
    assert np.unique(binary).tolist() == pytest.approx([0.0, 1 / np.sqrt(1 + 1 / 9)])
    assert not constant.any()
    assert scaling.unit().tolist() == pytest.approx([np.subtract(*np.quantile(X[:, 0], [0.75, 0.25])), 7, 0], rel=0.03)


def test_what_varies_by_rounding_only_is_constant():
    noisy = (1e6 + 1e-2 * RANDOM.randn(100, 1)).astype(np.float32)
    assert len(np.unique(noisy)) > 1
    assert not views(DenseScaling(noisy), noisy)[:, 0].any()


def test_an_outlier_neither_flattens_a_column_nor_is_it_far():
    outlier = X[:, :1].copy()
    outlier[0] = 1e30
    with_outlier, without = (views(DenseScaling(rows), rows) for rows in (outlier, X[:, :1]))
    assert np.median(np.abs(with_outlier[1:] - without[1:])) < 0.02
    assert (np.abs(with_outlier[0]) < 4).all()


def test_most_rows_the_same_do_not_hide_the_others():
    rare = np.zeros((1000, 1))
    rare[:30, 0] = np.arange(1, 31)
    assert np.ptp(views(DenseScaling(rare), rare)[:, 0]) > 1


def test_entries_of_a_sparse_column_are_of_order_one_and_zeros_stay():
    scaled = views(SparseScaling(COUNTS), COUNTS.toarray())
    assert np.array_equal(scaled == 0, COUNTS.toarray() == 0)
    assert np.square(scaled).sum(1).mean() == pytest.approx(1, rel=0.3)
    signed = COUNTS.multiply(-1).tocsr()
    np.testing.assert_allclose(views(SparseScaling(signed), signed.toarray()), -scaled)


def test_entries_of_zero_and_columns_without_entries_are_zero():
    explicit = sparse.csr_array((np.array([0.0, 2.0]), ([0, 1], [0, 1])), shape=(2, 3))
    scaling = SparseScaling(explicit)
    assert views(scaling, np.ones((1, 3)))[0, [0, 2]].tolist() == [0.0, 0.0]
    assert scaling.unit().tolist() == [0.0, 2.0, 0.0]


# Units do not matter


@given(st.floats(-20, 20), st.floats(-1e3, 1e3))
def test_units_and_offsets_do_not_matter(exponent, offset):
    moved = (X + offset * X.std(axis=0)) * 10.0**exponent
    np.testing.assert_allclose(views(DenseScaling(moved), moved), views(DenseScaling(X), X), atol=1e-6)


def test_the_views_of_many_rows_are_those_of_each():
    """Beyond some number of values another search finds the pieces, also of values that are knots."""
    rows = np.random.RandomState(0).lognormal(size=(3000, 3)).round(2)
    scaling = DenseScaling(rows)
    x = torch.from_numpy(np.concatenate([rows, 10 * rows - 5]))
    each = torch.cat([scaling(part) for part in x.split(100)])
    torch.testing.assert_close(scaling(x), each, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # of torch, about itself
def test_it_is_exported_for_any_number_of_rows():
    rows = np.random.RandomState(0).lognormal(size=(3000, 3))
    scaling, x = DenseScaling(rows), torch.from_numpy(rows)
    batch = torch.export.Dim("batch", min=2, max=10_000)
    exported = torch.export.export(scaling, (x,), dynamic_shapes=({0: batch},), strict=False).module()
    for n_rows in (2, 3000):
        torch.testing.assert_close(exported(x[:n_rows]), scaling(x[:n_rows]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("exponent", [-20, -3, 5, 20])
def test_units_of_sparse_columns_do_not_matter(exponent):
    moved = (COUNTS * 10.0**exponent).tocsr()
    expected = views(SparseScaling(COUNTS), COUNTS.toarray())
    np.testing.assert_allclose(views(SparseScaling(moved), moved.toarray()), expected, rtol=1e-9)


@each_kind
def test_a_weight_is_a_number_of_rows(kind):
    rows = KINDS[kind]
    counts = np.random.RandomState(1).randint(0, 4, rows.shape[0])
    twice = rows[np.repeat(np.arange(rows.shape[0]), counts)]
    weighted, repeated = input_scaling(rows, counts.astype(float)), input_scaling(twice)
    np.testing.assert_allclose(views(weighted, dense(rows)), views(repeated, dense(rows)), atol=0.05)


# Numbers


@each_kind
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numpy_gives_the_same(kind, dtype):
    scaling = input_scaling(KINDS[kind]).to(torch.float32)
    x = torch.as_tensor(dense(KINDS[kind])).to(dtype) * 1.7 + 0.1
    actual, expected = scaling.forward_numpy(x.numpy()), scaling(x)
    assert actual.dtype == expected.numpy().dtype
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@each_kind
@pytest.mark.parametrize("far", [3e38, -3e38])
def test_huge_values_are_finite(kind, far):
    scaling = input_scaling(KINDS[kind]).to(torch.float32)
    x = torch.full((2, KINDS[kind].shape[1]), far)
    assert torch.isfinite(scaling(x)).all()
    with np.errstate(over="ignore"):
        assert np.isfinite(scaling.forward_numpy(x.numpy())).all()


def test_columns_of_the_largest_numbers_are_scaled():
    largest = np.finfo(np.float64).max * np.linspace(-1, 1, 50)[:, None]
    scaled = views(DenseScaling(largest), largest)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled[:, 1], views(DenseScaling(largest / 1e300), largest / 1e300)[:, 1], atol=1e-9)


@each_kind
def test_the_gradient_is_that_of_finite_differences(kind):
    scaling = input_scaling(KINDS[kind])
    x = torch.as_tensor(dense(KINDS[kind]))[:3].clone() * 1.01 + 1e-3
    assert torch.autograd.gradcheck(scaling, x.requires_grad_(), atol=1e-4)


@each_kind
def test_it_is_copied_pickled_and_moved(kind):
    scaling = input_scaling(KINDS[kind], stream=True)
    expected = views(scaling, dense(KINDS[kind]))
    for other in (copy.deepcopy(scaling), pickle.loads(pickle.dumps(scaling))):
        assert np.array_equal(views(other, dense(KINDS[kind])), expected)
    assert scaling.to("meta")(torch.zeros(5, KINDS[kind].shape[1], device="meta")).shape == (5, scaling.n_outputs)


# Streams


@each_kind
@pytest.mark.parametrize("size", [1, 10, 100])
def test_a_stream_comes_to_the_scales_of_all_rows(kind, size):
    rows = KINDS[kind]
    stream = input_scaling(rows[:size], stream=True)
    for start in range(size, rows.shape[0], size):
        stream.update(rows[start : start + size])
    whole = input_scaling(rows, stream=True)
    np.testing.assert_allclose(views(stream, dense(rows)), views(whole, dense(rows)), atol=0.25)


def test_a_column_that_was_constant_at_first_is_seen_later():
    stream = DenseScaling(np.zeros((10, 1)), stream=True)
    stream.update(X[:, :1])
    ranges = np.ptp(views(stream, X[:, :1]), axis=0)
    assert ranges[:2].min() > 2
    assert ranges[2:].min() > 1.5  # of 2


def test_rows_of_a_sparse_stream_may_be_dense_later():
    stream, expected = (SparseScaling(COUNTS[:50]) for _ in range(2))
    stream.update(COUNTS[50:].toarray())
    expected.update(COUNTS[50:])
    assert torch.equal(stream.factor, expected.factor)


def test_without_a_stream_the_scales_stay():
    scaling = DenseScaling(X)
    expected = views(scaling, X)
    scaling.update(1e3 * X)
    assert np.array_equal(views(scaling, X), expected)


# In the network


def test_layers_have_the_same_names_with_and_without():
    plain, scaled = MLP(4, 2, (8,)), MLP(4, 2, (8,), scaling=DenseScaling(X))
    assert set(plain.state_dict()) <= set(scaled.state_dict())
    assert scaling_of(plain) is None
    assert scaling_of(scaled).n_outputs == scaled[1].in_features


def test_many_rows_are_drawn_from():
    many = np.random.RandomState(0).randn(50_000, 1)
    assert DenseScaling(many).center.item() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("n_rows", [3, 5000])
def test_what_is_missing_stays_missing(n_rows):
    x = torch.full((n_rows, 4), torch.nan, dtype=torch.float64)
    assert DenseScaling(X)(x).isnan().all()


@pytest.mark.parametrize("container", [torch.from_numpy, np.ndarray.tolist, pd.DataFrame])
def test_rows_in_any_container(container):
    expected, weight = DenseScaling(X, np.arange(400.0)), np.arange(400.0).tolist()
    assert np.array_equal(views(DenseScaling(container(X), weight), X), views(expected, X))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("X", (X[:0],)),
        ("X", (X[:, 0],)),
        ("X", (X.astype(str),)),
        ("weight", (X, np.zeros(400))),
        ("weight", (X, np.ones(3))),
        ("weight", (X, -np.ones(400))),
    ],
)
def test_what_are_no_rows_or_weights_is_refused(name, given):
    with pytest.raises(ValueError, match=f"The '{name}' parameter must be .* Got .* of shape"):
        input_scaling(*given)
