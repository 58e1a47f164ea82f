"""Files of what is around a classifier: metadata requests, thresholds, detectors and weighters of a drift."""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklkl
from sklkl import KLClassifier
from sklkl.drift import DensityRatioWeighter, DriftDetector

pytest.importorskip("skops.io")


@pytest.fixture
def again(tmp_path):
    def stored(estimator):
        sklkl.save(estimator, tmp_path / "model.skops")
        return sklkl.load(tmp_path / "model.skops")

    return stored


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    X = rng.randn(80, 3)
    return X, np.where(X[:, 0] > 0.3, "yes", "no"), rng.rand(80)


def small():
    return KLClassifier(hidden_layer_sizes=(8,), max_epochs=3, random_state=0)


def test_what_asks_for_metadata(again, table):
    X, y, weight = table
    with config_context(enable_metadata_routing=True):
        parts = [part.set_fit_request(sample_weight=True) for part in (StandardScaler(), small())]
        fitted = make_pipeline(*parts).fit(X, y, sample_weight=weight)
        loaded = again(fitted)
        assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
        assert str(loaded.get_metadata_routing()) == str(fitted.get_metadata_routing())
        fitted_again = clone(again(loaded)).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(fitted_again.predict_proba(X), fitted.predict_proba(X), rtol=1e-5)


def test_a_threshold(again, table):
    X, y, _ = table
    fitted = TunedThresholdClassifierCV(small(), cv=2).fit(X, y)
    assert again(fitted).predict(X).tolist() == fitted.predict(X).tolist()


def test_a_part_without_an_end_is_named(tmp_path):
    scaler = StandardScaler()
    scaler.around = make_pipeline(scaler)
    with pytest.raises(TypeError, match="Pipeline cannot be stored without pickle, as a part of it refers back to"):
        sklkl.save(make_pipeline(scaler), tmp_path / "model.skops")


COLUMNS = {
    "numbers": lambda rng: rng.normal(size=200),
    "few numbers": lambda rng: rng.choice([0.1, 0.2, 0.7], 200),
    "dates": lambda rng: pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, 200), unit="D"),
    "texts": lambda rng: rng.choice(["a", "bb"], 200),
    "booleans": lambda rng: rng.random(200) > 0.3,
    "mixed": lambda rng: rng.choice(np.array(["a", 1, 2.5, None, True], dtype=object), 200),
}


def test_a_detector(again):
    before, after = (
        pd.DataFrame({name: make(np.random.default_rng(i)) for name, make in COLUMNS.items()}) for i in (0, 1)
    )
    detector = DriftDetector(bin_edges={"numbers": [-1, 0, 1]}, random_state=0).fit(before)
    assert str(again(detector).detect(after)) == str(detector.detect(after))


@pytest.mark.parametrize("shift", [None, 1.0])
def test_a_weighter(again, table, shift):
    X, y, _ = table
    target = None if shift is None else X + shift
    weighter = DensityRatioWeighter(LogisticRegression(), random_state=0).fit(X, y, target)
    loaded = again(weighter)
    assert np.array_equal(loaded.density_ratio(X), weighter.density_ratio(X))
    assert np.array_equal(loaded.predict_proba(X), weighter.predict_proba(X))
