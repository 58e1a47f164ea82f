"""Synthetic rows: near the real ones, and as valid as they are."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse

from sklkl.distillation import AUGMENTATIONS, augmented, munge, noise
from sklkl.distillation._augmentation import _nearest_other, feature_groups

each_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)


@pytest.fixture
def random():
    return np.random.RandomState(0)


def mixed(random, n_rows=60):
    """One-hot group of three, a continuous column, whole numbers, a flag, a constant, another one-hot group of two."""
    hot = np.eye(3)[random.randint(3, size=n_rows)]
    pair = np.eye(2)[random.randint(2, size=n_rows)]
    columns = [random.randn(n_rows), random.randint(5, 90, size=n_rows), random.randint(2, size=n_rows)]
    return np.column_stack([hot, *columns, np.full(n_rows, 2.5), pair])


# Groups of columns


def test_columns_that_move_together(random):
    groups = [(columns.tolist(), discrete) for columns, discrete in feature_groups(mixed(random))]
    assert groups == [([0, 1, 2], True), ([3], False), ([4], True), ([5], True), ([6], False), ([7, 8], True)]


def test_flags_that_are_no_group_move_alone():
    X = np.array([[1, 1, 0.5], [0, 0, 0.5], [1, 0, 0.5]])
    assert [columns.tolist() for columns, _ in feature_groups(X)] == [[0], [1], [2]]


# What stays valid


@each_augmentation
def test_discrete_columns_stay_valid(random, name):
    X = mixed(random)
    new = augmented(X, name, 5, random)
    assert new.shape == (300, 9)
    assert np.isin(new[:, [0, 1, 2, 5, 7, 8]], [0, 1]).all()
    assert (new[:, :3].sum(1) == 1).all()
    assert (new[:, 7:].sum(1) == 1).all()
    assert np.isin(new[:, 4], X[:, 4]).all()
    assert (new[:, 6] == 2.5).all()


@each_augmentation
def test_rows_are_new_but_near(random, name):
    X = mixed(random)
    new = augmented(X, name, 5, random)
    assert (np.abs(new[:, 3] - np.tile(X[:, 3], 5)) > 0).mean() > 0.3
    assert (new[:, [4, 5]] != np.tile(X[:, [4, 5]], (5, 1))).any()
    assert new[:, 3].std() == pytest.approx(X[:, 3].std(), rel=0.2)


@each_augmentation
def test_the_input_is_not_written_and_a_seed_decides(name):
    X = mixed(np.random.RandomState(1))
    before = X.copy()
    first, again, other = (augmented(X, name, 2, np.random.RandomState(seed)) for seed in (0, 0, 1))
    assert np.array_equal(X, before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@each_augmentation
def test_missing_values(random, name):
    X = mixed(random)
    X[:7, 3], X[5:20, 4] = np.nan, np.nan
    new = augmented(np.column_stack([X, np.full(60, np.nan)]), name, 5, random)
    assert 0 < np.isnan(new[:, 3]).sum() < 120
    assert np.isin(new[:, 4], X[:, 4]).sum() + np.isnan(new[:, 4]).sum() == 300
    assert np.isnan(new[:, -1]).all()
    assert np.isfinite(new[:, [0, 1, 2, 5, 6, 7, 8]]).all()


def test_munge_moves_towards_the_nearest_row(random):
    X = np.array([[0.0, 0.5], [0.1, 0.6], [10.25, 9.5], [10.5, 9.75]])
    new = munge(X, 200, random, swap=1.0)
    partner = np.tile(X[[1, 0, 3, 2]], (200, 1))
    distance = np.abs(partner - np.tile(X, (200, 1)))
    np.testing.assert_allclose((new - partner).reshape(200, 4, 2).mean(0), 0, atol=0.02)
    np.testing.assert_allclose(((new - partner) / distance).std(), 0.2, rtol=0.1)


def test_munge_without_swaps_gives_the_rows_again(random):
    X = mixed(random)
    assert np.array_equal(munge(X, 2, random, swap=0.0), np.tile(X, (2, 1)))


def test_how_many_features_munge_moves(random):
    X = random.randn(500, 4)
    assert (munge(X, 4, random, swap=0.3) != np.tile(X, (4, 1))).mean() == pytest.approx(0.3, abs=0.02)


def test_noise_is_a_share_of_the_spread(random):
    X = random.randn(2000, 2) * [1, 100]
    moved = noise(X, 2, random, scale=0.1) - np.tile(X, (2, 1))
    np.testing.assert_allclose(moved.std(0) / X.std(0), 0.1, rtol=0.05)


def test_the_nearest_other_row_is_never_the_row_itself(random):
    X = random.randn(40, 2)
    X[20:30] = X[0]  # duplicates
    assert (_nearest_other(X) != np.arange(40)).all()
    assert np.array_equal(_nearest_other(np.array([[0.0], [1.0], [1.2], [9.0]])), [1, 2, 1, 2])


def test_one_row():
    with pytest.raises(ValueError, match="needs at least two rows"):
        munge(np.zeros((1, 2)), 3, np.random.RandomState(0))
    assert noise(np.array([[0.5, 2.0]]), 3, np.random.RandomState(0)).tolist() == [[0.5, 2.0]] * 3


@pytest.mark.parametrize("shape", [(5,), (5, 2, 2)])
def test_only_tables(shape, random):
    with pytest.raises(ValueError, match="'augment' parameter must be None for X of . dimensions"):
        augmented(np.zeros(shape), "noise", 2, random)


# Frames


def frame(n_rows=40):
    random = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "city": pd.Categorical(random.choice(["Rom", "Ulm"], n_rows), categories=["Ulm", "Bern", "Rom"]),
            "size": pd.Categorical(random.choice([0.5, 1.5], n_rows), ordered=True),
            "code": random.choice(["08001", "8001"], n_rows),
            "text": pd.array(random.choice(["a", "b"], n_rows), dtype="string"),
            "age": random.randint(90, size=n_rows),
            "kids": pd.array(random.randint(4, size=n_rows), dtype="Int64"),
            "flag": random.choice([True, False], n_rows),
            "odd": pd.Series(random.choice([True, "x", 3], n_rows), dtype=object),
            "when": pd.to_datetime(random.choice(["2020-01-01", "2021-05-07"], n_rows)),
            "x": random.randn(n_rows),
            "f": random.randn(n_rows).astype(np.float32),
        },
        index=np.arange(n_rows) * 3,
    )


def missing(values):
    """The same frame without every fourth value, where a column can say so."""
    return values.mask(np.tile(np.arange(len(values)) % 4 == 0, (values.shape[1], 1)).T)


@each_augmentation
@pytest.mark.parametrize("damage", [lambda values: values, missing], ids=["whole", "missing"])
def test_pandas_frames_keep_their_types_and_categories(random, name, damage):
    X = damage(frame())
    before = X.copy()
    new = augmented(X, name, 5, random)
    pd.testing.assert_frame_equal(X, before)
    assert new.dtypes.to_dict() == X.dtypes.to_dict()
    assert list(new.columns) == list(X.columns)
    assert len(new) == 200
    for column in X.columns.drop(["x", "f"]):
        assert set(new[column].dropna()) <= set(X[column].dropna())
        assert new[column].nunique() > 1
        assert new[column].isna().any() == X[column].isna().any()


@each_augmentation
@pytest.mark.parametrize("damaged", [False, True])
def test_polars_frames_keep_their_types_and_categories(random, name, damaged):
    simple = frame().drop(columns=["odd", "size"])
    X = pl.from_pandas(simple).with_columns(pl.col("code").cast(pl.Enum(["8001", "08001", "1"])))
    if damaged:
        X = X.with_columns(pl.when(pl.int_range(pl.len()) % 4 != 0).then(pl.all()))
    new = augmented(X, name, 5, random)
    assert new.schema == X.schema
    assert new.height == 200
    for column in set(X.columns) - {"x", "f"}:
        assert set(new[column].drop_nulls()) <= set(X[column].drop_nulls())
        assert new[column].drop_nulls().n_unique() > 1
    assert sum(new.null_count().row(0)) > 0 or not damaged
    assert not new["x"].is_nan().any()


def test_a_column_of_missing_values_only(random):
    new = augmented(pd.DataFrame({"x": random.randn(9), "gone": [None] * 9}), "munge", 2, random)
    assert new["gone"].isna().all()


def test_lists_and_arrays_of_objects(random):
    assert augmented([[1, 0.5], [2, 0.6], [4, 0.7]], "munge", 2, random).shape == (6, 2)
    new = augmented(np.array([["a", 0.5], ["b", None], ["a", 0.7]], dtype=object), "munge", 5, random)
    assert set(new[:, 0]) == {"a", "b"}


# Functions


def test_a_function_gets_an_array_and_may_return_any_number_of_rows(random):
    def two(X, factor, random_state):
        assert isinstance(X, np.ndarray)
        assert factor == 7
        assert random_state is random
        return X[:2]

    new = augmented(frame(), two, 7, random)
    assert new["city"].tolist() == frame()["city"].tolist()[:2]


@pytest.mark.parametrize("wrong", [lambda X: X[:, :2], lambda X: X[0], lambda X: X[None], lambda X: None])
def test_a_function_that_returns_another_shape_is_refused(random, wrong):
    with pytest.raises(ValueError, match=r"'augment' parameter must return rows of shape \(n, 9\)"):
        augmented(mixed(random), lambda X, factor, random_state: wrong(X), 2, random)


WRONG_RESULTS = {
    "texts": lambda X: X.astype(str).astype(object) + "a",
    "complex": lambda X: X * 1j,
    "sparse": sparse.csr_matrix,
    "ragged": lambda X: [[1.0], [1.0, 2.0]],
    "objects": lambda X: np.full(X.shape, {}, dtype=object),
    "a fault": lambda X: 1 / 0,
}


@pytest.mark.parametrize("kind", WRONG_RESULTS)
def test_a_function_that_returns_no_numbers_is_refused(random, kind):
    with pytest.raises(
        ValueError, match="'augment' parameter must be a function .* that returns rows of 9 numbers. Got"
    ):
        augmented(mixed(random), lambda X, factor, random_state: WRONG_RESULTS[kind](X), 2, random)


def test_a_function_of_other_arguments_is_refused(random):
    with pytest.raises(ValueError, match="'augment' parameter must be a function of X, the factor and a RandomState"):
        augmented(mixed(random), lambda: None, 2, random)


@pytest.mark.parametrize(
    "convert", [np.ndarray.tolist, lambda X: X.astype(int), lambda X: X.astype(object), torch.tensor]
)
def test_a_function_may_return_numbers_in_any_container(random, convert):
    assert augmented(mixed(random), lambda X, factor, random_state: convert(X), 2, random).shape == (60, 9)


@pytest.mark.parametrize("code", [0.5, 9.0, -1.0])
def test_a_function_that_returns_no_category_is_refused(random, code):
    X = pd.DataFrame({"city": ["Rom", "Ulm", "Rom"]})
    with pytest.raises(ValueError, match="Codes of categories must be whole numbers from 0 to 1"):
        augmented(X, lambda X, factor, random_state: np.full((2, 1), code), 2, random)


def test_sparse_tables_are_refused_by_the_classifier(quick, table):
    X, y = table
    with pytest.raises(ValueError, match="'augment' parameter must be None for sparse X"):
        quick(teacher=lambda X: np.full((X.shape[0], 3), 1 / 3), augment="noise").fit(sparse.csr_array(X), y)


LARGE = 2**60


@pytest.mark.parametrize(
    "make",
    [
        lambda values: np.column_stack([values, range(len(values))]),
        lambda values: np.column_stack([np.array(values, dtype=np.uint64), np.arange(len(values), dtype=np.uint64)]),
        lambda values: pd.DataFrame({"id": values, "x": np.arange(len(values), dtype=float)}),
        lambda values: pd.DataFrame({"id": pd.array(values, dtype="Int64"), "x": np.arange(len(values), dtype=float)}),
        lambda values: pl.DataFrame({"id": values, "x": np.arange(len(values), dtype=float)}),
        lambda values: np.array([[value, "a"] for value in values], dtype=object),
    ],
    ids=["int64", "uint64", "pandas", "nullable", "polars", "objects"],
)
@pytest.mark.parametrize("way", AUGMENTATIONS)
def test_whole_numbers_that_floats_cannot_hold_stay_as_they_are(make, way):
    values = [LARGE + i for i in range(1, 7)]
    X = make(values)
    rows = augmented(X, way, 5, np.random.RandomState(0))
    found = rows["id"].to_list() if hasattr(rows, "columns") else rows[:, 0].tolist()
    assert set(found) <= set(values)
    assert type(rows) is type(X)
    assert getattr(rows, "dtype", None) == getattr(X, "dtype", None)


def test_whole_numbers_among_objects_stay_integers():
    X = pd.DataFrame({"n": pd.Series([1, 2, 3, None], dtype=object), "x": [0.5, 1.5, 2.5, 3.5]})
    rows = augmented(X, "munge", 5, np.random.RandomState(0))
    assert {type(value) for value in rows["n"]} <= {int, type(None)}
