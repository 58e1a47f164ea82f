"""Binned divergences against the textbook formulas on counted shares; what chance does to them, and their intervals."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import chi2

from sklkl.divergences import (
    DIVERGENCES,
    Estimate,
    StabilityIndex,
    histogram_divergence,
    jeffreys_divergence,
    population_stability_index,
)

from .oracles import by_oracle

each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES)


def rows_of(counts):
    """A sample with the values 0, 1, 2... so many times each."""
    return np.repeat(np.arange(len(counts)), counts)


def shares(counts, pseudo_count):
    return (np.array(counts) + pseudo_count) / np.sum(np.array(counts) + pseudo_count)


@pytest.mark.parametrize(
    ("divergence", "pseudo_count"), [*((name, 0.5) for name in DIVERGENCES), ("kl", 0), ("js", 2.0)]
)
def test_value_is_that_of_the_shares(divergence, pseudo_count):
    a, b = [5, 1, 4, 7], [2, 2, 6, 1]
    found = histogram_divergence(rows_of(a), rows_of(b), divergence=divergence, pseudo_count=pseudo_count)
    expected = by_oracle(divergence, *(shares(counts, pseudo_count)[None] for counts in (a, b)))
    assert type(found) is float
    assert found == pytest.approx(expected[0], rel=1e-9)


def test_quantile_intervals():
    random = np.random.default_rng(0)
    x, y = random.normal(size=1000), random.normal(0.5, 2, size=300)
    edges = np.quantile(x, np.arange(1, 5) / 5, method="inverted_cdf")
    a = [200] * 5
    b = np.histogram(y, [-np.inf, *edges, np.inf])[0]  # no value of y is an edge
    found = histogram_divergence(x, y, bins=5)
    assert found == pytest.approx(by_oracle("kl", shares(a, 0.5)[None], shares(b, 0.5)[None])[0], rel=1e-9)
    assert found == pytest.approx(histogram_divergence(x, y, bins=edges), rel=1e-12)


def test_edges_belong_to_the_interval_below():
    def total_variation(x, y):
        return histogram_divergence(x, y, bins=[0, 1], divergence="total_variation", pseudo_count=0)

    assert total_variation([0.0], [-5.0]) == 0
    assert total_variation([1.0], [0.1]) == 0
    assert total_variation([1.0], [9.0]) == 1
    assert total_variation([0.0], [0.1]) == 1


def test_bins_that_are_empty_in_both_samples_do_not_count():
    x, y = rows_of([5, 2]), rows_of([2, 3])
    few = histogram_divergence(x, y, bins=[0])
    assert histogram_divergence(x, y, bins=[-np.inf, -3, -2, 0, 7, 8, np.inf]) == few
    first = population_stability_index(x, y, bins=[0], null="asymptotic")
    assert population_stability_index(x, y, bins=[-3, -2, 0, 7, 8], null="asymptotic") == first


def test_missing_values_are_a_bin():
    x, y = [1, 1, None, None], [1, 1, 1, math.nan]
    found = histogram_divergence(x, y, divergence="total_variation", pseudo_count=0)
    assert found == 0.25
    assert histogram_divergence(x, [math.nan], pseudo_count=0) == math.log(2) * 0.5 + math.inf


@pytest.mark.parametrize("categorical", [False, True])
@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        np.array,
        lambda values: np.array(values, dtype=np.float32),
        lambda values: np.array(values, dtype=object),
        lambda values: [Decimal(value) for value in values],
        lambda values: [*map(np.int8, values)],
        lambda values: pd.Series(values, dtype="Int64", index=values),
        pl.Series,
    ],
)
def test_numbers_in_any_form(convert, categorical):
    x, y = [1, 1, 2, 3], [1, 2, 2, 2, 3]
    found = histogram_divergence(convert(x), convert(y), categorical=categorical)
    assert found == pytest.approx(by_oracle("kl", shares([2, 1, 1], 0.5)[None], shares([1, 3, 1], 0.5)[None])[0])


@pytest.mark.parametrize(
    "convert",
    [
        list,
        lambda values: np.array(values, dtype=object),
        lambda values: pd.Series(values, dtype="category"),
        lambda values: pd.Series(values, dtype="string"),
        lambda values: [math.nan if value is None else value for value in values],
        pl.Series,
    ],
)
def test_categories_with_missing_values_in_any_form(convert):
    x, y = ["a", "b", "b", None], ["b", None, None, "c"]
    found = histogram_divergence(convert(x), convert(y), categorical=True, divergence="js")
    expected = by_oracle("js", shares([1, 2, 1, 0], 0.5)[None], shares([0, 1, 2, 1], 0.5)[None])
    assert found == pytest.approx(expected[0], rel=1e-12)


@each_divergence
def test_equal_samples_do_not_differ(divergence):
    x = np.random.default_rng(0).normal(size=100)
    assert histogram_divergence(x, x[::-1], divergence=divergence) == 0


def test_infinite_values_have_a_bin():
    assert histogram_divergence([-np.inf, 0, np.inf], [np.inf, 0, -np.inf], pseudo_count=0) == 0


def test_only_missing_values():
    assert histogram_divergence([None, None], [math.nan]) == 0
    assert population_stability_index([None, None], [math.nan]) == StabilityIndex(
        0.0, 1.0, *[pytest.approx(math.nan, nan_ok=True)] * 2
    )


def without_change(n, m, repetitions):
    random = np.random.default_rng(0)
    return [(random.normal(size=n), random.normal(size=m)) for _ in range(repetitions)]


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (2000, 500)])
def test_chance_alone_gives_the_stated_means(n, m):
    samples = without_change(n, m, 80)
    kl = np.mean([histogram_divergence(x, y) for x, y in samples])
    psi = np.mean([population_stability_index(x, y, null="asymptotic").value for x, y in samples])
    assert kl == pytest.approx(9 / 2 * (1 / n + 1 / m), rel=0.15)
    assert psi == pytest.approx(9 * (1 / n + 1 / m), rel=0.15)


def test_fixed_thresholds_mean_nothing():
    samples = without_change(100, 100, 250)
    values = np.array([population_stability_index(x, y, null="asymptotic").value for x, y in samples])
    mean = 9 * (1 / 100 + 1 / 100)
    assert values.mean() == pytest.approx(mean, rel=0.05)
    assert np.mean(values > 0.1) == pytest.approx(chi2.sf(0.1 * 9 / mean, 9), abs=0.05)
    assert np.mean(values > 0.1) == pytest.approx(0.85, abs=0.05)


@pytest.mark.parametrize("null", ["permutation", "asymptotic"])
def test_a_change_is_found(null):
    random = np.random.default_rng(0)
    index = population_stability_index(random.normal(size=300), random.normal(0.5, size=300), null=null, random_state=0)
    assert index.p_value < 0.01
    assert math.isnan(index.low)
    assert math.isnan(index.high)


def test_index_is_jeffreys_divergence_of_the_shares():
    a, b = [50, 30, 20], [20, 30, 50]
    found = population_stability_index(rows_of(a), rows_of(b), random_state=0, confidence_level=0.9)
    assert found.value == pytest.approx(jeffreys_divergence(shares(a, 0.5), shares(b, 0.5)), rel=1e-12)
    assert found.value == pytest.approx(population_stability_index(rows_of(b), rows_of(a), random_state=0).value)
    assert found.low < found.value <= found.high
    assert found.p_value == 0.001


@pytest.mark.parametrize("n", [90, 600], ids=["few rows a bin", "many"])
def test_nulls_agree(n):
    random = np.random.default_rng(0)
    x, y = random.normal(size=n), random.normal(0.1, size=300)
    permutation, asymptotic = (
        population_stability_index(x, y, null=null, random_state=0).p_value for null in ("permutation", "asymptotic")
    )
    assert abs(permutation - asymptotic) < 0.05


@pytest.mark.parametrize(
    ("kind", "n", "m"),
    [("continuous", 40, 40), ("counts", 15, 300), ("rounded, some missing", 15, 300)],
)
def test_p_values_keep_their_level_with_few_rows_a_bin(kind, n, m):
    random = np.random.default_rng(0)
    draw = {
        "continuous": random.normal,
        "counts": lambda size: random.poisson(4, size),
        "rounded, some missing": lambda size: np.where(
            random.random(size) < 0.3, np.nan, random.normal(size=size).round(1)
        ),
    }[kind]
    found = [
        population_stability_index(draw(size=n), draw(size=m), n_permutations=9, random_state=random).p_value
        for _ in range(60)
    ]
    for level in (0.1, 0.5):
        assert abs(np.mean(np.array(found) <= level) - level) < 3.5 * np.sqrt(level * (1 - level) / 60)


def test_many_rare_categories_are_no_change():
    random = np.random.default_rng(0)
    names = np.array([f"user {i}" for i in range(5000)])
    found = [
        population_stability_index(*random.choice(names, (2, 100)), categorical=True, n_permutations=99, random_state=0)
        for _ in range(40)
    ]
    assert np.mean([index.p_value <= 0.05 for index in found]) < 0.2


PAIRS = {  # shares of two distributions in five bins
    "equal": ([1, 1, 1, 1, 1], [1, 1, 1, 1, 1]),
    "near": ([4, 5, 5, 5, 6], [1, 1, 1, 1, 1]),
    "far": ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]),
}


@pytest.mark.parametrize(
    ("divergence", "pair"), [*((name, "far") for name in DIVERGENCES), *(("kl", pair) for pair in ("equal", "near"))]
)
def test_interval_covers_the_truth(divergence, pair):
    p, q = (np.array(weights) / np.sum(weights) for weights in PAIRS[pair])
    truth, random = float(by_oracle(divergence, p[None], q[None])[0]), np.random.default_rng(0)
    options = {"divergence": divergence, "confidence_level": 0.9, "n_resamples": 99, "bins": [0, 1, 2, 3]}
    found = [
        histogram_divergence(
            rows_of(random.multinomial(200, p)), rows_of(random.multinomial(150, q)), random_state=random, **options
        )
        for _ in range(40)
    ]
    value, low, high = np.array(found).T
    assert (low <= value).all()
    assert (value <= high).all()
    assert (low >= 0).all()
    assert np.mean((low <= truth + 1e-12) & (truth <= high)) > 0.8
    assert pair != "far" or (0.25 * truth < low.mean() < truth < high.mean() < 3 * truth)


def test_result_with_and_without_interval():
    x, y = rows_of([30, 10, 20]), rows_of([10, 30, 20])
    estimate = histogram_divergence(x, y, confidence_level=0.9, random_state=0)
    assert isinstance(estimate, Estimate)
    assert estimate.value == histogram_divergence(x, y)
    wide = histogram_divergence(x, y, confidence_level=0.999, random_state=0)
    assert wide.low <= estimate.low < estimate.value < estimate.high < wide.high


def test_interval_of_an_infinite_value_says_nothing():
    found = histogram_divergence([0, 0, 1], [0, 0, 0], pseudo_count=0, confidence_level=0.9)
    assert found == (math.inf, 0, math.inf)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ([], [1], {}, r"'x' parameter must be .* Got the shape \(0,\) instead"),
        ([1], [], {}, r"'y' parameter must be .* Got the shape \(0,\) instead"),
        ([[1, 2]], [1], {}, r"'x' parameter must be .*one-dimensional.* Got the shape \(1, 2\) instead"),
        (1, [1], {}, r"'x' parameter must be .* Got the shape \(\) instead"),
        (
            ["a"],
            ["b"],
            {},
            r"'x' parameter must be numbers, dates or durations, or any values with categorical=True\. Got 'a' instead",
        ),
        (["1"], ["2"], {}, "'x' parameter must be numbers, .* Got '1' instead"),
        ([1], np.array(["2"]), {}, "'y' parameter must be numbers, .* Got "),
        ([1], [1j], {}, "'y' parameter must be numbers, .* Got 1j instead"),
        (
            [1],
            np.array(["2020-01-01"], dtype="datetime64[D]"),
            {},
            "'x' and 'y' parameters must be of one kind: .* Got numbers and dates instead",
        ),
        (
            [1],
            [1],
            {"divergence": "manhattan"},
            "'divergence' parameter.* must be one of 'alpha'.* Got 'manhattan' instead",
        ),
        ([1], [1], {"bins": 0}, "'bins' parameter.* must be an integer >= 1 or ascending edges.* Got 0 instead"),
        ([1], [1], {"bins": True}, "'bins' parameter .* Got True instead"),
        ([1], [1], {"bins": 2.0}, "'bins' parameter .* Got 2.0 instead"),
        ([1], [1], {"bins": "auto"}, "'bins' parameter .* Got 'auto' instead"),
        ([1], [1], {"bins": []}, r"'bins' parameter .* Got \[\] instead"),
        ([1], [1], {"bins": [1, 1]}, r"'bins' parameter .* Got \[1, 1\] instead"),
        ([1], [1], {"bins": [1, np.nan]}, r"'bins' parameter .* Got \[1, nan\] instead"),
        ([1], [1], {"bins": [[1, 2]]}, r"'bins' parameter .* Got \[\[1, 2\]\] instead"),
        ([1], [1], {"bins": ["a", "b"]}, r"'bins' parameter .* Got \['a', 'b'\] instead"),
        (
            [1],
            [1],
            {"pseudo_count": -0.5},
            "'pseudo_count' parameter.* must be a finite number >= 0.* Got -0.5 instead",
        ),
        ([1], [1], {"pseudo_count": np.nan}, "'pseudo_count' parameter .* Got nan instead"),
        ([1], [1], {"pseudo_count": "half"}, "'pseudo_count' parameter .* Got 'half' instead"),
        ([1], [1], {"confidence_level": 0}, "'confidence_level' parameter .* Got 0 instead"),
        ([1], [1], {"n_resamples": 0}, "'n_resamples' parameter .* Got 0 instead"),
    ],
)
def test_errors(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        histogram_divergence(x, y, **options)


@pytest.mark.parametrize(
    ("reference", "current", "options", "message"),
    [
        (
            [1],
            [1],
            {"null": "bootstrap"},
            "'null' parameter.* must be one of 'permutation', 'asymptotic'.* Got 'bootstrap' instead",
        ),
        ([1], [1], {"n_permutations": 0}, "'n_permutations' parameter.* must be an integer >= 1.* Got 0 instead"),
        ([1], [1], {"confidence_level": 2}, "'confidence_level' parameter .* Got 2 instead"),
        ([1], ["a"], {}, "'current' parameter must be numbers, .* Got 'a' instead"),
        ([], ["a"], {}, r"'reference' parameter must be .* Got the shape \(0,\) instead"),
    ],
)
def test_errors_of_the_index(reference, current, options, message):
    with pytest.raises(ValueError, match=message):
        population_stability_index(reference, current, **options)
