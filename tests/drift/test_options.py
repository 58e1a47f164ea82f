"""What a user may set: the least change that counts, edges, how many categories; and what moved within a column."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sklkl.drift import DriftDetector

RANDOM = np.random.default_rng(0)
BEFORE = pd.DataFrame({"a": RANDOM.normal(size=20000), "b": RANDOM.normal(size=20000)})
AFTER = pd.DataFrame({"a": RANDOM.normal(0.05, 1, 20000), "b": RANDOM.normal(1, 1, 20000)})


def test_a_small_change_counts_only_above_the_least_statistic():
    report = DriftDetector(random_state=0).fit(BEFORE).detect(AFTER)
    assert report.drifted.tolist() == [True, True]
    least = DriftDetector(min_statistic=0.01, random_state=0).fit(BEFORE).detect(AFTER)
    assert least.drifted.tolist() == [False, True]
    np.testing.assert_array_equal(least.p_value, report.p_value)


def test_shares_of_bins():
    detector = DriftDetector(random_state=0).fit(pd.DataFrame({"x": [1, 1, 2, 2], "c": list("aabb")}))
    report = detector.detect(pd.DataFrame({"x": [1, 2, 2, 3], "c": ["a", "a", None, "c"]}))
    shares = report.shares("x")
    assert shares["bin"].tolist() == ["1", "2", "3"]
    assert shares["reference"].tolist() == [0.5, 0.5, 0]
    assert shares["new"].tolist() == [0.25, 0.5, 0.25]
    assert shares["psi"].tolist() == [pytest.approx(0.25 * np.log(2)), 0, np.inf]
    assert report.shares(1)["bin"].tolist() == ["a", "b", "c", "missing"]
    assert report.shares("c")["new"].tolist() == [0.5, 0, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"'column' parameter of shares must be one of \['x', 'c'\].* Got 'y' instead"):
        report.shares("y")


def test_shares_of_intervals_and_of_dates():
    detector = DriftDetector(n_bins=4, random_state=0).fit(np.arange(100.0)[:, None])
    shares = detector.detect(np.arange(100.0)[:, None]).shares("x0")
    assert shares["bin"].tolist() == ["<= 24", "(24, 49]", "(49, 74]", "> 74"]
    assert shares["reference"].tolist() == [0.25] * 4
    days = pd.DataFrame({"d": np.array(["2020-01-01", "2020-01-02"] * 5, "M8[D]")})
    assert DriftDetector().fit(days).detect(days).shares("d")["bin"].tolist() == ["2020-01-01", "2020-01-02"]


@pytest.mark.parametrize("key", ["a", 0])
def test_given_edges(key):
    detector = DriftDetector(bin_edges={key: [-1, 0, 1]}, random_state=0).fit(BEFORE)
    shares = detector.detect(AFTER).shares("a")
    assert shares["bin"].tolist() == ["<= -1", "(-1, 0]", "(0, 1]", "> 1"]
    np.testing.assert_allclose(shares["new"], np.histogram(AFTER["a"], [-np.inf, -1, 0, 1, np.inf])[0] / 20000)
    assert len(detector.detect(AFTER).shares("b")) == 10
    assert clone(detector).bin_edges == {key: [-1, 0, 1]}


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({"z": [1, 2]}, "'bin_edges' parameter of DriftDetector must be names of columns"),
        ({"a": [2, 1]}, "'bins' parameter must be .*ascending edges"),
        ({"a": 3}, "'bin_edges' parameter of DriftDetector must be edges of numeric columns"),
        ([1, 2], "'bin_edges' parameter of DriftDetector must be"),
    ],
)
def test_edges_that_are_none(edges, message):
    with pytest.raises(ValueError, match=message):
        DriftDetector(bin_edges=edges).fit(BEFORE[:10])


def test_edges_of_categories_are_refused():
    with pytest.raises(ValueError, match="'bin_edges' .* edges of numeric columns"):
        DriftDetector(bin_edges={"c": [1]}).fit(pd.DataFrame({"c": ["a", "b"]}))


def test_rare_categories_are_compared_in_groups():
    ids = RANDOM.integers(0, 3000, 30000).astype(str)
    detector = DriftDetector(n_permutations=99, random_state=0).fit(ids[:15000, None])
    same, other = detector.detect(ids[15000:, None]), detector.detect(np.char.add("new ", ids[15000:])[:, None])
    assert len(same.shares(0)) == 1000
    assert not same.drifted[0]
    assert other.drifted[0]
    assert len(detector.set_params(max_categories=10).detect(ids[15000:, None]).shares(0)) == 10
    few = detector.set_params(max_categories=10).fit(np.array(list("abc") * 10)[:, None])
    assert len(few.detect(np.array(list("abd") * 10)[:, None]).shares(0)) == 4


def test_a_level_that_random_splits_cannot_reach_is_refused():
    few = BEFORE[:10]
    with pytest.raises(ValueError, match="'alpha' parameter of DriftDetector must be 1e-06 or more for null='perm"):
        DriftDetector(alpha=1e-300).fit(few)
    with pytest.raises(ValueError, match="'alpha' parameter"):
        DriftDetector().fit(few).set_params(alpha=1e-9).detect(few)
    assert not DriftDetector(alpha=1e-300, null="asymptotic").fit(few).detect(few).drifted.any()
