"""Two samples of one column: what changed is seen, and what did not is not, whatever type, precision or unit it has."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from sklkl._utils.binning import clusters, reference_bins, rounded
from sklkl.divergences import histogram_divergence, population_stability_index
from sklkl.divergences._table import Table
from sklkl.drift import DriftDetector

RANDOM = np.random.default_rng(0)


def by_function(before, after, **options):
    index = population_stability_index(before, after, n_permutations=199, random_state=0, **options)
    return index.value, index.p_value


def by_detector(before, after):
    frames = (pd.DataFrame({"x": pd.Series(values)}) for values in (before, after))
    report = DriftDetector(n_permutations=199, random_state=0).fit(next(frames)).detect(next(frames))
    return report.statistic[0], report.p_value[0]


both_ways = pytest.mark.parametrize("compare", [by_function, by_detector])

ZEROS = np.where(RANDOM.random(1000) < 0.95, 0, RANDOM.random(1000))
CAPPED = np.minimum(RANDOM.normal(size=1000), 1)
ONE_TO_15 = np.repeat(np.arange(1.0, 16), 20)
CHANGED = {
    "constant": ([5.0] * 100, [0.0] * 100),
    "constant, above": ([0.0] * 100, [1e-3] * 100),
    "binary": ([0, 1] * 50, [0, 1000] * 50),
    "last of a few values": ([1, 2, 3, 4, 5] * 20, [1, 2, 3, 4, 99] * 20),
    "first of a few values": ([1, 2, 3, 4, 5] * 20, [-99, 2, 3, 4, 5] * 20),
    "between a few values": ([1, 2, 3] * 30, [1, 1.5, 3] * 30),
    "last of many values": (ONE_TO_15, np.where(ONE_TO_15 == 15, 99, ONE_TO_15)),
    "frequent value": (ZEROS, np.where(ZEROS == 0, -7, ZEROS)),
    "frequent value, on its other side": (-ZEROS, np.where(ZEROS == 0, 7, -ZEROS)),
    "capped": (CAPPED, np.where(CAPPED == 1, 1000, CAPPED)),
    "dates": (np.array(["2020-01-01"] * 50, "M8[D]"), np.array(["9999-12-31"] * 50, "M8[s]")),
}


@both_ways
@pytest.mark.parametrize(("before", "after"), CHANGED.values(), ids=CHANGED)
def test_values_that_changed_are_seen(before, after, compare):
    value, p_value = compare(before, after)
    assert value > 0.1
    assert p_value == pytest.approx(1 / 200)
    if compare is by_function:
        assert histogram_divergence(before, after) > 0.05


@both_ways
@pytest.mark.parametrize("values", [ZEROS, CAPPED, ONE_TO_15], ids=["zeros", "capped", "many values"])
def test_the_same_values_in_another_order_do_not_differ(values, compare):
    assert compare(values, RANDOM.permutation(values)) == (0, 1)


def test_false_alarms_of_columns_with_frequent_values():
    random = np.random.default_rng(0)
    p_values = []
    for sampler in (lambda n: random.poisson(8, n), lambda n: np.minimum(random.normal(size=n), 1).round(2)):
        table = [sampler((n, 200)).astype(float) for n in (200, 150)]
        detector = DriftDetector(n_permutations=99, correction=None, random_state=0)
        p_values += detector.fit(table[0]).detect(table[1]).p_value.tolist()
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.035)


A, B = RANDOM.integers(1, 10, 3000) / 10, RANDOM.integers(1, 10, 2000) / 10
C, D = RANDOM.integers(1, 60, 3000), RANDOM.integers(1, 60, 2000)
V, W, NOISE = RANDOM.integers(0, 5, 3000), RANDOM.integers(0, 5, 2000), 1e-9 * RANDOM.normal(size=3000)
CAPS = np.minimum(RANDOM.normal(size=4000).round(1), 0.9) / 0.7
TYPES = ["float16", "float32", "float64"]


@both_ways
@pytest.mark.parametrize(
    ("a", "b"),
    [(A, B), (C / 10, D / 10), (C / 3, D / 3), (CAPS[::2], CAPS[1::2])],
    ids=["few", "many", "thirds", "capped"],
)
def test_precision_is_no_drift(a, b, compare):
    expected, _ = compare(a, b)
    for first, second in [
        ("float16", "float64"),
        ("float64", "float16"),
        ("float32", "float16"),
        ("float64", "float32"),
    ]:
        value, p_value = compare(a.astype(first), b.astype(second))
        assert value == pytest.approx(expected, rel=1e-9)
        assert p_value > 0.01


@pytest.mark.parametrize("options", [{"bins": [0.2, 0.5, 0.8]}, {"categorical": True}], ids=str)
@pytest.mark.parametrize("kind", [*TYPES, "bfloat16", "objects", "polars", "pyarrow"])
def test_precision_is_no_drift_between_edges_or_as_categories(options, kind):
    if options.get("categorical") and kind == "bfloat16":
        pytest.skip("its two digits are no decimal numbers")
    convert = {
        "bfloat16": lambda x: torch.tensor(x).bfloat16(),
        "objects": lambda x: x.astype(object),
        "polars": lambda x: pl.Series(x).cast(pl.Float32),
        "pyarrow": lambda x: pa.array(x, pa.float32()),
    }.get(kind, lambda x: x.astype(kind))
    assert by_function(convert(A), B, **options)[0] == pytest.approx(by_function(A, B, **options)[0], rel=1e-9)


@both_ways
@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (C / 10, D * 0.1, (C / 10, D / 10)),
        (C % 9 / 10, D % 9 * 0.1, (C % 9, D % 9)),
        (V + NOISE, W, (V, W)),
        (V, W + NOISE[:2000], (V, W)),
        (V + NOISE, W - NOISE[:2000], (V, W)),
        (1000 * V + 1e-6 * NOISE, 1000 * W, (V, W)),
    ],
)
def test_rounding_is_no_drift(before, after, same, compare):
    value, p_value = compare(before, after)
    assert value == pytest.approx(compare(*same)[0], rel=1e-9)
    assert p_value > 0.01


def test_what_is_no_rounding_stays_apart():
    dense = np.sort(1.6e9 + np.linspace(0, 100, 2000) + 0.25)  # seconds in one minute or two, in full
    assert len(clusters(dense).counts) == 2000
    assert len(clusters(np.array([1e9, 1e9 + 1.5, 1e9 + 3])).counts) == 3
    assert len(clusters(np.arange(16777210.0, 16777230)).counts) == 20
    sentinel = np.append(RANDOM.normal(size=500), [1e9] * 500)
    assert len(clusters(sentinel).counts) > 490
    np.testing.assert_array_equal(rounded(np.array([0.3, 0.1 + 0.2, np.nan]), 2.0**-52), [0.3, 0.3, np.nan])
    bins, fixed, _ = reference_bins(np.arange(100.0), 4)
    assert bins.edges.tolist() == [24, 49, 74]
    assert not fixed.any()


TIMES = np.random.default_rng(0).integers(0, 1000, 900)


def frame(values, library):
    if library == "pandas":
        return pd.DataFrame({"x": values})
    if library == "pyarrow":
        return pa.table({"x": pa.array(values)})
    if library == "polars":
        unit = np.datetime_data(values.dtype)[0]
        return pl.DataFrame({"x": values.astype(f"{values.dtype.kind}8[{'ms' if unit == 's' else unit}]")})
    return pd.DataFrame({"x": values.astype(f"{values.dtype.kind}8[us]").astype(object)})


# coarse, fine and near units in one library, and each pair in another
PAIRS = [
    *((*units, "pandas pandas") for units in [("s", "ns"), ("ns", "s"), ("ms", "us"), ("us", "us")]),
    *(("s", "ns", "pyarrow polars"), ("ns", "s", "polars pandas"), ("ms", "us", "objects pandas")),
]


@pytest.mark.parametrize("kind", ["m8", "M8"])
@pytest.mark.parametrize(("first", "second", "libraries"), PAIRS)
def test_units_of_time_are_no_drift(once, kind, first, second, libraries):
    before, after = (
        frame(part.astype(f"{kind}[s]").astype(f"{kind}[{unit}]"), library)
        for part, unit, library in zip((TIMES[:600], TIMES[600:]), (first, second), libraries.split(), strict=True)
    )
    report = DriftDetector(null="asymptotic").fit(before).detect(after)
    numbers = once("numbers", lambda: DriftDetector(null="asymptotic").fit(TIMES[:600, None]).detect(TIMES[600:, None]))
    np.testing.assert_allclose(report.statistic, numbers.statistic)


def test_dates_and_points_in_time_are_of_one_kind():
    days = [dt.date(2020, 1, 1) + dt.timedelta(int(i)) for i in TIMES]
    before, after = pl.DataFrame({"x": days[:600]}), pl.DataFrame({"x": days[600:]})
    expected = DriftDetector(null="asymptotic").fit(before).detect(after).statistic
    for other in (after.cast(pl.Datetime("ms")), after.to_pandas(), pd.DataFrame({"x": days[600:]})):
        np.testing.assert_array_equal(DriftDetector(null="asymptotic").fit(before).detect(other).statistic, expected)
    assert by_function(days[:600], days[600:])[0] == pytest.approx(expected[0])


def test_dates_beside_numbers_are_refused():
    days = np.arange(50).astype("M8[D]")
    detector = DriftDetector().fit(pd.DataFrame({"x": days}))
    with pytest.raises(ValueError, match="column 'x' of 'X' must hold dates, as in fit. Got numbers instead"):
        detector.detect(pd.DataFrame({"x": np.arange(50)}))
    with pytest.raises(ValueError, match="'x' and 'y' parameters must be of one kind.* Got dates and durations"):
        histogram_divergence(days, np.arange(50).astype("m8[D]"))
    with pytest.raises(ValueError, match="'x' parameter must be numbers, strings or other hashable objects"):
        histogram_divergence([{}, {}], ["a", "b"], categorical=True)


def test_very_many_categories():
    random = np.random.default_rng(0)
    ids = random.integers(0, 20000, 40000)
    same = population_stability_index(ids[:20000], ids[20000:], categorical=True, random_state=0, n_permutations=99)
    assert same.p_value > 0.05
    other = population_stability_index(
        ids[:20000], 20000 + ids[20000:], categorical=True, random_state=0, n_permutations=99
    )
    assert other.p_value == 0.01


def test_grouped_tables_keep_the_frequent_half_and_all_rows():
    counts = np.arange(50)[::-1] + 1
    table = Table.of(counts, counts[::-1] * 0 + 2, names=np.arange(50).astype(object))
    grouped = table.grouped(10)
    assert grouped.a.sum() == counts.sum()
    assert grouped.b.sum() == 100
    assert grouped.names.tolist() == [0, 1, 2, 3, 4, *(f"group {i}" for i in range(1, 6))]
    assert grouped.a[:5].tolist() == [50, 49, 48, 47, 46]
    assert grouped.b.tolist() == [2] * 5 + [18] * 5
    assert table.grouped(50) is table


DATES = pd.Series(pd.date_range("2020-01-01", periods=100))
EDGES = ["2020-02-01", "2020-03-01"]


@pytest.mark.parametrize(
    "edges",
    [pd.to_datetime(EDGES), np.array(EDGES, "M8[D]"), np.array(EDGES, "M8[ns]"), pl.Series(EDGES).str.to_date()],
    ids=["pandas", "days", "nanoseconds", "polars"],
)
def test_edges_between_dates_are_dates(edges):
    later = DATES + pd.Timedelta("20D")
    seconds = [np.asarray(x, "M8[s]").astype(float) for x in (DATES, later, edges)]
    expected = histogram_divergence(*seconds[:2], bins=seconds[2])
    assert expected > 0.1
    assert histogram_divergence(DATES, later, bins=edges) == pytest.approx(expected)
    detector = DriftDetector(bin_edges={"day": edges}, null="asymptotic").fit(DATES.to_frame("day"))
    table = detector.detect(later.to_frame("day"))
    assert table.statistic[0] == pytest.approx(population_stability_index(*seconds[:2], bins=seconds[2]).value)


def test_edges_of_another_kind_are_refused():
    for x, edges in ((DATES, [0.0, 1.0]), (np.arange(9.0), pd.to_datetime(EDGES))):
        with pytest.raises(ValueError, match="'bins' parameters must be of one kind: numbers, dates"):
            histogram_divergence(x, x, bins=edges)
        with pytest.raises(ValueError, match="'bins' parameters must be of one kind: numbers, dates"):
            population_stability_index(x, x, bins=edges)
        with pytest.raises(ValueError, match="'bin_edges' parameters must be of one kind: numbers, dates"):
            DriftDetector(bin_edges={"x": edges}).fit(pd.DataFrame({"x": x}))
