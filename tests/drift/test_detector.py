"""The detector as its users meet it: statistics against SciPy, tables of every kind, errors, reproducibility."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csc_array, csr_matrix
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from sklkl.divergences._table import NULLS
from sklkl.drift import DriftDetector
from sklkl.drift._detector import STATISTICS

# what each statistic is, on shares
REFERENCES = {
    "psi": lambda p, q: entropy(p, q) + entropy(q, p),
    "kl": entropy,
    "js": lambda p, q: jensenshannon(p, q) ** 2,
}
each_statistic = pytest.mark.parametrize("statistic", STATISTICS)


def mixed(n=200, seed=0, **columns):
    rng = np.random.default_rng(seed)
    frame = {
        "number": rng.normal(size=n),
        "count": rng.poisson(2, n),
        "colour": rng.choice(["red", "green", "blue"], n),
        "flag": rng.random(n) < 0.3,
        "holes": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(size=n)),
    }
    return pd.DataFrame({**frame, **columns})


def detect(reference, new, **params):
    return DriftDetector(**{"random_state": 0, "n_permutations": 199, **params}).fit(reference).detect(new)


def drifted(reference, new, **params):
    report = detect(reference, new, **params)
    return report.feature_names[report.drifted].tolist()


@pytest.mark.parametrize("params", [{}, *({"null": null} for null in NULLS)], ids=str)
def test_passes_scikit_learns_checks(params):
    results = check_estimator(DriftDetector(n_permutations=9, **params), on_fail=None, on_skip=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) >= 39


@each_statistic
@pytest.mark.parametrize("pseudo_count", [0.5, 2])
def test_statistic_of_categories(statistic, pseudo_count):
    report = detect([["a"]] * 3 + [["b"]], [["b"]] * 2 + [["c"]] * 3, statistic=statistic, pseudo_count=pseudo_count)
    a, b = np.array([3, 1, 0]) + pseudo_count, np.array([0, 2, 3]) + pseudo_count
    assert report.statistic == pytest.approx([REFERENCES[statistic](a / a.sum(), b / b.sum())])


@each_statistic
def test_statistic_of_numbers_in_quantile_bins(statistic):
    reference, new = np.arange(100.0), np.array([-5, 0, 24, 24.5, 60, np.inf, np.nan, 99, 74, 75])
    report = detect(reference[:, None], new[:, None], statistic=statistic, n_bins=4)
    # quartiles are the values 24, 49 and 74, each the last of its bin; the missing values come last
    a, b = np.array([25, 25, 25, 25, 0]) + 0.5, np.array([3, 1, 2, 3, 1]) + 0.5
    assert report.statistic == pytest.approx([REFERENCES[statistic](a / a.sum(), b / b.sum())])


@each_statistic
@pytest.mark.parametrize("null", NULLS)
def test_the_same_rows_are_no_drift(statistic, null):
    report = detect(mixed(), mixed(), statistic=statistic, null=null)
    np.testing.assert_array_equal(report.statistic, 0)
    assert (report.p_value > 0.9).all()


CHANGES = {
    "number": lambda frame: frame["number"] + 1,
    "count": lambda frame: frame["count"] * 2,
    "colour": lambda frame: frame["colour"].replace("red", "blue"),
    "flag": lambda frame: ~frame["flag"],
    "holes": lambda frame: frame["holes"].where(frame.index % 2 == 0),
}


@each_statistic
@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("name", CHANGES)
def test_the_changed_column_is_found(name, null, statistic):
    new = mixed(seed=2).assign(**{name: CHANGES[name]})
    assert drifted(mixed(), new, statistic=statistic, null=null) == [name]


@pytest.mark.parametrize(
    ("reference", "new"),
    [
        ([1.0] * 50, [2.0] * 50),  # a constant that changed
        ([0, 1] * 25, [0, -999] * 25),  # a code outside the range
        ([0, 1] * 25, [0.5] * 50),  # a value between the known ones
        (["a", "b"] * 25, ["a", "c"] * 25),  # an unknown category
        ([np.nan] * 50, [1.0] * 50),  # a column that was always empty
        ([1.0, 2.0] * 25, [1.0, np.nan] * 25),
        (list(range(50)), [np.inf] * 50),
        ([True, False] * 25, [True] * 50),
        ([None] * 50, ["a"] * 50),
        (["a"] * 50, [None] * 50),
    ],
)
def test_what_is_drift(reference, new):
    names = ["x"]
    frames = (pd.DataFrame({"x": values}) for values in (reference, new))
    assert drifted(*frames) == names
    assert drifted(*(pd.DataFrame({"x": reference}) for _ in range(2))) == []


def test_infinite_values_belong_to_the_outermost_bins():
    reference = np.linspace(-1, 1, 100)[:, None]
    new = np.linspace(-1, 1, 50)[:, None]
    infinite = np.where(new > 0.9, np.inf, np.where(new < -0.9, -np.inf, new))
    np.testing.assert_array_equal(detect(reference, infinite).statistic, detect(reference, new).statistic)


def test_columns_that_are_all_different_are_no_drift():
    names = [[f"user {i}"] for i in range(300)]
    assert detect(names[:200], names[200:]).p_value == [1]


def test_thousands_of_categories():
    rng = np.random.default_rng(0)
    reference, same, other = (rng.integers(low, low + 5000, (5000, 1)).astype(str) for low in (0, 0, 2500))
    assert not detect(reference, same).drifted[0]
    assert detect(reference, other).drifted[0]


def test_tables_of_all_kinds_give_one_report():
    reference, new = mixed(), mixed(seed=2)
    expected = detect(reference, new)
    kinds = [
        pl.from_pandas,
        lambda frame: frame.astype({"colour": "category", "count": "Int64", "flag": "boolean"}),
        lambda frame: frame.convert_dtypes(),
    ]
    for kind in kinds:
        report = detect(kind(reference), kind(new))
        np.testing.assert_array_equal(report.feature_names, expected.feature_names)
        np.testing.assert_array_equal(report.p_value, expected.p_value)
    for kind in (pd.DataFrame.to_numpy, lambda frame: frame.to_numpy().tolist()):  # objects, and no names
        report = detect(kind(reference), kind(new))
        assert report.feature_names.tolist() == ["x0", "x1", "x2", "x3", "x4"]
        np.testing.assert_array_equal(report.p_value, expected.p_value)


@pytest.mark.parametrize("kind", [csr_matrix, csc_array])
def test_sparse_tables(kind):
    rng = np.random.default_rng(0)
    reference, new = (np.where(rng.random((n, 3)) < 0.7, 0, rng.normal(size=(n, 3))) for n in (200, 100))
    report, expected = detect(kind(reference), kind(new)), detect(reference, new)
    np.testing.assert_array_equal(report.p_value, expected.p_value)


def test_dates_and_durations_are_numbers():
    days = pd.Series(pd.date_range("2024-01-01", periods=200))
    frame = pd.DataFrame({"day": days, "zone": days.dt.tz_localize("UTC"), "age": days - days[0]})
    detector = DriftDetector(random_state=0).fit(frame)
    assert not detector.is_categorical_.any()
    assert not detector.detect(frame[::2]).drifted.any()
    assert detector.detect(frame[100:]).drifted.all()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("from_dtype", [0, 0, 1, 1, 0]),
        (["count", "colour", "flag"], [0, 1, 1, 1, 0]),
        ([1, 2, 3], [0, 1, 1, 1, 0]),
        (range(1, 4), [0, 1, 1, 1, 0]),
        (np.array([False, True, True, True, False]), [0, 1, 1, 1, 0]),
        (["colour"], [0, 0, 1, 0, 0]),
    ],
    ids=str,
)
def test_which_columns_are_categorical(chosen, expected):
    detector = DriftDetector(categorical_features=chosen).fit(mixed())
    np.testing.assert_array_equal(detector.is_categorical_, expected)


@pytest.mark.parametrize("n_new", [1, 2])
def test_few_new_rows(n_new):
    report = detect(mixed(), mixed().iloc[:n_new])
    assert np.isfinite(report.statistic).all()
    assert ((report.p_value > 0) & (report.p_value <= 1)).all()


def test_one_reference_row():
    assert not detect(mixed(1), mixed(1, seed=2)).drifted.any()


def test_the_reference_is_counts_and_not_rows():
    small, large = (DriftDetector().fit(np.random.default_rng(0).normal(size=(n, 3))) for n in (100, 10000))
    assert len(pickle.dumps(large)) < len(pickle.dumps(small)) + 100


def test_reports_repeat_with_a_seed_and_differ_without(global_state_untouched):
    reference, new = mixed(), mixed(seed=2)
    with global_state_untouched():
        seeded, unseeded = (DriftDetector(random_state=seed).fit(reference) for seed in (3, None))
        first, second = seeded.detect(new), pickle.loads(pickle.dumps(clone(seeded).fit(reference))).detect(new)
        np.testing.assert_array_equal(first.p_value, second.p_value)
        assert (unseeded.detect(new).p_value != unseeded.detect(new).p_value).any()
    state = DriftDetector(random_state=np.random.RandomState(0)).fit(reference)
    assert (state.detect(new).p_value != state.detect(new).p_value).any()


def test_a_column_has_its_own_random_splits():
    reference, new = mixed(), mixed(seed=2)
    changed = new.assign(number=new["number"] + 5)
    np.testing.assert_array_equal(detect(reference, new).p_value[1:], detect(reference, changed).p_value[1:])
    twins = [pd.DataFrame({"a": frame["number"], "b": frame["number"]}) for frame in (reference, new)]
    first, second = detect(*twins).p_value
    assert first != second
    assert first == pytest.approx(second, abs=0.15)


def test_there_are_splits_enough_for_the_correction():
    rng = np.random.default_rng(0)
    reference, new = rng.normal(size=(200, 80)), rng.normal(size=(200, 80))
    new[:, 0] += 3
    assert drifted(reference, new, n_permutations=99) == ["x0"]  # 1 / 100 times 80 would never be small


def test_the_correction_and_alpha_may_change_after_fit():
    detector = DriftDetector(random_state=0).fit(mixed())
    new = mixed(seed=2).assign(number=lambda frame: frame["number"] + 0.35)
    plain = detector.set_params(correction=None).detect(new)
    np.testing.assert_array_equal(plain.p_value, plain.adjusted_p_value)
    assert (detector.set_params(correction="holm").detect(new).adjusted_p_value >= plain.p_value).all()
    assert detector.set_params(alpha=0.9, correction=None).detect(new).drifted.sum() > plain.drifted.sum()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"statistic": "psy"}, "'statistic' parameter .* Got 'psy'"),
        ({"null": "exact"}, "'null' parameter .* Got 'exact'"),
        ({"n_bins": 1}, "'n_bins' parameter .* Got 1"),
        ({"pseudo_count": -1}, "'pseudo_count' parameter .* Got -1"),
        ({"n_permutations": 0}, "'n_permutations' parameter .* Got 0"),
        ({"alpha": 1.0}, "'alpha' parameter .* Got 1.0"),
        ({"correction": "none"}, "'correction' parameter .* Got 'none'"),
        (
            {"categorical_features": ["size"]},
            r"'categorical_features' parameter.* must be names of columns.* Got \['size'\] instead",
        ),
        ({"categorical_features": [7]}, r"'categorical_features' parameter.* must be .* 0 to 4.* Got \[7\] instead"),
        (
            {"categorical_features": [True]},
            r"'categorical_features' parameter.* mask of 5 booleans\. Got \[True\] instead",
        ),
        ({"categorical_features": None}, "column 'colour' of 'X' must hold numbers.* Got '.*' instead"),
        ({"categorical_features": ["flag"]}, "column 'colour' of 'X' must hold numbers.* Got '.*' instead"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        DriftDetector(**params).fit(mixed())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame[frame.columns[::-1]], "same order"),
        (lambda frame: frame.drop(columns="flag"), "now missing:\n- flag"),
        (lambda frame: frame.assign(age=1), "unseen at fit time:\n- age"),
        (lambda frame: frame.iloc[:0], "0 sample"),
        (lambda frame: frame.astype({"number": str}), "column 'number' of 'X' must hold numbers.* Got '.*' instead"),
        (lambda frame: frame.assign(colour=3), "column 'colour' of 'X' must hold strings, as in fit. Got no strings"),
        (lambda frame: frame.assign(flag="yes"), "column 'flag' of 'X' must hold no strings, as in fit. Got strings"),
        (
            lambda frame: frame.assign(colour=[[1]] * len(frame)),
            r"column 'colour' of 'X' must hold .* hashable objects\. Got \[1\]",
        ),
        (lambda frame: frame.assign(number=1j), "column 'number' of 'X' must hold numbers.* Got 1j"),
    ],
)
def test_rows_that_do_not_fit_the_reference(change, message):
    detector = DriftDetector().fit(mixed())
    with pytest.raises(ValueError, match=message):
        detector.detect(change(mixed()))


def test_width_of_arrays():
    with pytest.raises(ValueError, match="X has 2 features, but DriftDetector is expecting 3 features"):
        DriftDetector().fit(np.zeros((5, 3))).detect(np.zeros((5, 2)))


@pytest.mark.parametrize("empty", [np.empty((0, 3)), np.empty((3, 0)), pd.DataFrame(index=range(3)), mixed(0)])
def test_nothing_to_fit(empty):
    with pytest.raises(ValueError, match=r"0 (sample|feature)\(s\)"):
        DriftDetector().fit(empty)


def test_a_column_that_is_missing_altogether_is_drift_and_no_error():
    assert drifted(mixed(), mixed().assign(colour=np.nan, number=None)) == ["number", "colour"]
