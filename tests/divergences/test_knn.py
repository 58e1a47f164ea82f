"""The nearest-neighbour estimate against closed forms, its definition, and the samples that break other estimates."""

import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.special import digamma
from scipy.stats import poisson

from sklkl.divergences import Estimate, _knn, knn_kl_divergence


def normal_kl(shift, scale, n_features):
    """KL of the standard normal distribution from one moved by `shift` in the first feature and widened in all."""
    return n_features * (math.log(scale) + 0.5 / scale**2 - 0.5) + 0.5 * (shift / scale) ** 2


def normal_samples(seed, n, m, shift=1.0, scale=1.0, n_features=1):
    random = np.random.default_rng(seed)
    X, Y = random.normal(size=(n, n_features)), scale * random.normal(size=(m, n_features))
    Y[:, 0] += shift
    return X, Y


def estimates(samples, repetitions, **options):
    return np.array([knn_kl_divergence(*samples(seed), **options) for seed in range(repetitions)])


@pytest.mark.parametrize(
    ("shift", "scale", "n_features", "n", "m", "tolerance"),
    [
        (1.0, 1.0, 1, 1000, 1000, 0.03),
        (1.0, 1.0, 1, 300, 900, 0.04),
        (1.0, 1.0, 1, 900, 300, 0.06),
        (0.0, 2.0, 1, 500, 500, 0.04),
        (0.0, 1.0, 1, 500, 500, 0.02),
        (0.0, 1.0, 5, 500, 500, 0.03),
        (1.0, 1.0, 2, 1000, 1000, 0.05),
        (1.0, 1.0, 5, 1000, 1000, 0.13),  # the bias with many features
    ],
)
def test_mean_is_near_the_closed_form(shift, scale, n_features, n, m, tolerance):
    found = estimates(lambda seed: normal_samples(seed, n, m, shift, scale, n_features), 10)
    assert abs(found.mean() - normal_kl(shift, scale, n_features)) < tolerance


def test_error_falls_with_the_number_of_rows():
    errors = [estimates(lambda seed, n=n: normal_samples(seed, n, n), 16) - 0.5 for n in (100, 400, 1600)]
    root_mean_squares = [np.sqrt(np.mean(error**2)) for error in errors]
    assert root_mean_squares[2] < root_mean_squares[1] < root_mean_squares[0]


def by_definition(X, Y, k):
    """The estimate row by row from all distances, rounded so that equal ones are."""
    n, m = len(X), len(Y)
    terms = []
    for i, x in enumerate(X):
        to_X = np.sort([math.dist(x, other) for j, other in enumerate(X) if j != i]).round(9)
        to_Y = np.sort([math.dist(x, other) for other in Y]).round(9)
        radius = max(to_X[k - 1], to_Y[k - 1])
        in_X, in_Y = np.sum(to_X <= radius), np.sum(to_Y <= radius)
        terms.append(digamma(in_X + (to_X[k - 1] < radius)) - digamma(in_Y + (to_Y[k - 1] < radius)))
    return np.mean(terms) + math.log(m / (n - 1))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("many_features", [1, 99], ids=["all pairs", "tree"])
@pytest.mark.parametrize("decimals", [15, 0], ids=["continuous", "rounded"])
def test_equals_its_definition_by_either_search(monkeypatch, k, n_features, many_features, decimals):
    monkeypatch.setattr(_knn, "_MANY_FEATURES", many_features)
    monkeypatch.setattr(_knn, "_BLOCK", 1000)  # several blocks of rows
    X, Y = (np.round(Z, decimals) for Z in normal_samples(1, 60, 40, scale=1.5, n_features=n_features))
    scale = np.sqrt((60 * X.var(axis=0) + 40 * Y.var(axis=0)) / 100)
    np.testing.assert_allclose(knn_kl_divergence(X, Y, k=k), by_definition(X / scale, Y / scale, k), rtol=1e-12)


@pytest.mark.parametrize("many_features", [1, 99], ids=["all pairs", "tree"])
def test_ratios_at_the_rows_of_Y_have_mean_1(monkeypatch, many_features):
    monkeypatch.setattr(_knn, "_MANY_FEATURES", many_features)
    X, Y = normal_samples(0, 70, 90, n_features=2)
    log_ratio, ratio = _knn._local_ratios(X, Y, 3)
    assert log_ratio.shape == (70,)
    assert ratio.shape == (90,)
    assert ratio.mean() == pytest.approx(1, rel=1e-12)
    # q is moved to the right: there are few rows of P
    assert np.corrcoef(ratio, Y[:, 0])[0, 1] < -0.3


@pytest.mark.parametrize("k", [1, 3, 5])
def test_rounded_samples_with_many_equal_rows(k):
    found = estimates(lambda seed: [np.round(Z, 1) for Z in normal_samples(seed, 1000, 1000)], 10, k=k)
    assert abs(found.mean() - 0.5) < 0.08


def test_decimals_at_an_offset_are_ties():
    X, Y = (np.round(Z, 2) for Z in normal_samples(0, 200, 200))
    assert knn_kl_divergence(X + 1000, Y + 1000) == pytest.approx(knn_kl_divergence(X, Y), rel=1e-9)


def test_counts():
    values = np.arange(60)
    truth = np.sum(poisson.pmf(values, 3) * (poisson.logpmf(values, 3) - poisson.logpmf(values, 5)))
    found = estimates(lambda seed: np.random.default_rng(seed).poisson([[3], [5]], (2, 1000)), 16)
    assert abs(found.mean() - truth) < 0.03


def test_partly_discrete_samples():
    def sample(random, share_of_zeros, mean):
        return np.where(random.random(1000) < share_of_zeros, 0.0, random.normal(mean, 1, 1000))

    def samples(seed):
        random = np.random.default_rng(seed)
        return sample(random, 0.5, 0), sample(random, 0.3, 1)

    truth = 0.5 * math.log(0.5 / 0.3) + 0.5 * math.log(0.5 / 0.7) + 0.5 * 0.5
    assert abs(estimates(samples, 16).mean() - truth) < 0.03


@pytest.mark.parametrize("k", [1, 3])
def test_constant_samples_do_not_differ(k):
    assert knn_kl_divergence(np.zeros((30, 2)), np.zeros((50, 2)), k=k) == pytest.approx(0, abs=0.02)


def test_distinct_supports_are_finite_and_far():
    assert 3 < knn_kl_divergence(np.zeros(100) + np.arange(100) / 100, 1000 + np.arange(100.0)) < 10


@pytest.mark.parametrize("factor", [[1e-3, 1e5], [1e-250, 1.0], [1e250, 1e-250]])
def test_units_do_not_matter(factor):
    X, Y = normal_samples(0, 100, 80, n_features=2)
    assert knn_kl_divergence(X * factor, Y * factor) == pytest.approx(knn_kl_divergence(X, Y), rel=1e-9)


def test_origin_constant_features_and_order_of_rows_do_not_matter():
    X, Y = normal_samples(0, 100, 80, n_features=2)
    expected = pytest.approx(knn_kl_divergence(X, Y), rel=1e-9)
    assert knn_kl_divergence(X + 1e6, Y + 1e6) == expected
    assert knn_kl_divergence(X[::-1], Y[::-1]) == expected
    assert knn_kl_divergence(np.insert(X, 1, 0.1, axis=1), np.insert(Y, 1, 0.1, axis=1)) == expected


@pytest.mark.parametrize(
    "convert",
    [
        np.ravel,
        lambda Z: Z.ravel().tolist(),
        lambda Z: pd.Series(Z[:, 0], index=range(5, 5 + len(Z))),
        lambda Z: pd.DataFrame(Z, columns=["a"]),
        lambda Z: Z.astype(object),
    ],
)
def test_one_feature_in_any_form(convert):
    X, Y = normal_samples(0, 30, 20)
    assert knn_kl_divergence(convert(X), convert(Y)) == knn_kl_divergence(X, Y)


def test_largest_k():
    X, Y = normal_samples(0, 20, 30)
    assert np.isfinite(knn_kl_divergence(X, Y, k=19))
    assert np.isfinite(knn_kl_divergence(Y, X, k=20))


@pytest.mark.parametrize(
    ("shift", "n", "m"),
    [(0.0, 100, 100), (1.0, 50, 200)],
)
def test_interval_covers_the_expectation(shift, n, m):
    options = {"confidence_level": 0.9, "n_resamples": 199, "random_state": 0}
    found = np.array([knn_kl_divergence(*normal_samples(seed, n, m, shift), **options) for seed in range(40)])
    value, low, high = found.T
    assert np.mean((low <= value.mean()) & (value.mean() <= high)) > 0.85
    assert np.mean(high - low) < 5 * value.std()  # a normal interval of 90 % has 3.3 standard deviations


def test_result_with_and_without_interval():
    X, Y = normal_samples(0, 50, 40)
    value = knn_kl_divergence(X, Y)
    assert type(value) is float
    estimate = knn_kl_divergence(X, Y, confidence_level=0.9, random_state=0)
    assert isinstance(estimate, Estimate)
    assert estimate.value == value
    wide = knn_kl_divergence(X, Y, confidence_level=0.99, random_state=0)
    assert wide.low < estimate.low < value < estimate.high < wide.high


@pytest.mark.parametrize(
    ("X", "Y", "options", "message"),
    [
        (
            [1.0, 2.0],
            [1.0, 2.0],
            {"k": 2},
            "'k' parameter.* must be an integer from 1 to 1, with 2 rows of X and 2 of Y.* Got 2 instead",
        ),
        ([1.0] * 9, [1.0] * 3, {"k": 4}, "'k' parameter.* must be an integer from 1 to 3.* Got 4 instead"),
        ([1.0] * 9, [1.0] * 9, {"k": 0}, "'k' parameter .* Got 0 instead"),
        ([1.0] * 9, [1.0] * 9, {"k": 1.0}, "'k' parameter .* Got 1.0 instead"),
        ([1.0] * 9, [1.0] * 9, {"k": True}, "'k' parameter .* Got True instead"),
        ([1.0] * 9, [1.0] * 9, {"confidence_level": 95}, "'confidence_level' parameter .* Got 95 instead"),
        ([1.0] * 9, [1.0] * 9, {"confidence_level": "high"}, "'confidence_level' parameter .* Got 'high' instead"),
        ([1.0] * 9, [1.0] * 9, {"n_resamples": 0}, "'n_resamples' parameter .* Got 0 instead"),
        (
            [1.0] * 9,
            [1.0] * 9,
            {"confidence_level": 0.9, "random_state": "a"},
            "'random_state' parameter .* Got 'a' instead",
        ),
        ([1.0], [1.0, 2.0], {}, r"'X' and 'Y' parameters must be .* Got the shapes \(1, 1\) and \(2, 1\) instead"),
        ([], [], {}, r"'X' and 'Y' parameters must be .* Got the shapes \(0, 1\) and \(0, 1\) instead"),
        (
            np.ones((9, 2)),
            np.ones((9, 3)),
            {},
            r"'X' and 'Y' parameters must be .* Got the shapes \(9, 2\) and \(9, 3\) instead",
        ),
        (np.ones((9, 0)), np.ones((9, 0)), {}, r"shapes \(9, 0\)"),
        (np.ones((2, 9, 1)), np.ones((2, 9, 1)), {}, r"shapes \(2, 9, 1\)"),
        (1.0, 1.0, {}, r"'X' and 'Y' parameters must be .* Got the shapes \(\) and \(\) instead"),
        ([1.0] * 8 + [np.nan], [1.0] * 9, {}, "X contains NaN"),
        ([1.0] * 9, [1.0] * 8 + [np.inf], {}, "Y contains infinity"),
        (["a"] * 9, ["b"] * 9, {}, "could not convert string"),
        (
            pd.DataFrame({"a": [1.0] * 9, "b": 1.0}),
            pd.DataFrame({"b": [1.0] * 9, "a": 1.0}),
            {},
            r"'X' and 'Y' .* same columns in the same order\. Got \['a', 'b'\] and \['b', 'a'\] instead",
        ),
    ],
)
def test_errors(X, Y, options, message):
    with pytest.raises(ValueError, match=message):
        knn_kl_divergence(X, Y, **options)


def test_sparse_samples_are_refused():
    with pytest.raises(TypeError, match="[Ss]parse"):
        knn_kl_divergence(sparse.eye(9).tocsr(), sparse.eye(9).tocsr())


ATOMS = np.random.default_rng(0).integers(0, 2, 1000).astype(float)
RARE = (np.arange(1000) < 1).astype(float)


@pytest.mark.parametrize(
    ("X", "Y", "low", "high"),
    [
        (ATOMS, np.zeros(1000), 2, math.inf),  # the divergence is infinite
        (ATOMS + 1e-12 * np.arange(1000), np.zeros(1000), 2, math.inf),
        (ATOMS, RARE, 0.7 * 2.76, 1.2 * 2.76),  # ½ log(.5 / .001) + ½ log(.5 / .999)
        (np.arange(900) % 3 * 2.0, np.arange(900) % 3 * 2.0 + 1, 4, math.inf),
        (np.zeros(500), np.ones(500), 4, math.inf),
        (ATOMS, ATOMS[::-1], -0.05, 0.05),
        (np.arange(900) % 9 / 10, np.arange(900) % 9 * 0.1, -0.05, 0.05),
        (np.column_stack([ATOMS] * 12), np.zeros((1000, 12)), 2, math.inf),  # all pairs
    ],
)
def test_values_that_X_repeats_and_Y_hardly_has(X, Y, low, high):
    estimate = knn_kl_divergence(X, Y, confidence_level=0.9, n_resamples=20, random_state=0)
    assert low < estimate.value < high
    assert estimate.value == knn_kl_divergence(X, Y)


def test_memory_does_not_grow_with_the_number_of_blocks():
    X = np.random.default_rng(0).normal(size=(15000, 1))
    tracemalloc.start()
    knn_kl_divergence(X, X + 0.1, confidence_level=0.9, n_resamples=1, random_state=0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e8  # of all blocks at once it was ten times as much for twice the rows


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_tensors_of_every_type(dtype):
    X = torch.arange(40.0).reshape(20, 2).to(dtype).requires_grad_()
    assert knn_kl_divergence(X, X) == knn_kl_divergence(*[X.detach().double().numpy()] * 2)
    with pytest.raises(ValueError, match="'X' parameter must be an array that holds values"):
        knn_kl_divergence(X.to("meta"), X)
