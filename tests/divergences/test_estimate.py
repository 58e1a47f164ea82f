"""What all estimators from samples share: random numbers, reproducibility and names."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import sklkl.divergences as d
from sklkl.divergences._estimate import generator, kl_estimate, unbiased_interval

random = np.random.default_rng(0)
X, Y = random.normal(size=60), random.normal(0.5, 1, size=50)

# A new estimator adds its line here.
ESTIMATORS = {
    "classifier": lambda **options: d.classifier_kl_divergence(X, Y, **options),
    "classifier of one's own": lambda **options: d.classifier_kl_divergence(
        X, Y, classifier=LogisticRegression(), **options
    ),
    "histogram": lambda **options: d.histogram_divergence(X, Y, **options),
    "knn": lambda **options: d.knn_kl_divergence(X, Y, **options),
    "stability": lambda **options: d.population_stability_index(X, Y, n_permutations=19, **options),
}
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def interval(name, random_state):
    return ESTIMATORS[name](confidence_level=0.9, n_resamples=29, random_state=random_state)


@each_estimator
@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState, np.int64])
def test_same_seed_same_result_and_generators_are_drawn_from(name, make):
    state = make(7)
    first = interval(name, state)
    assert interval(name, make(7)) == first
    assert (interval(name, state) == first) == isinstance(state, np.int64)


@each_estimator
def test_global_state_is_neither_used_nor_changed(name, global_state_untouched):
    with global_state_untouched():
        results = []
        for _ in range(2):
            np.random.seed(0)
            results.append(interval(name, None))
        np.random.set_state(_global_state)
    assert results[0] != results[1]


_global_state = np.random.get_state()


@pytest.fixture(autouse=True)
def _remember_global_state():
    global _global_state
    _global_state = np.random.get_state()


@each_estimator
def test_results_are_tuples_of_floats_that_pickle(name):
    result = interval(name, 0)
    assert isinstance(result, tuple)
    assert all(type(value) is float for value in result)
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.low <= result.value <= result.high


@each_estimator
@pytest.mark.parametrize("random_state", ["a", -1, 0.5])
def test_bad_random_state(name, random_state):
    with pytest.raises(ValueError, match=r"'random_state' parameter.* must be None, an integer >= 0.* Got .* instead"):
        interval(name, random_state)


def test_generator_passes_through():
    rng = np.random.default_rng(0)
    assert generator(rng) is rng


def test_interval_resamples_both_samples():
    rng = np.random.default_rng(0)
    terms, ratio = rng.normal(1, 2, size=400), rng.exponential(size=300)
    found = kl_estimate(terms, ratio, 0.9, 2000, np.random.default_rng(0))
    deviation = np.sqrt(terms.var() / 400 + ratio.var() / 300)
    assert found.value == terms.mean()
    assert found.high - found.low == pytest.approx(2 * 1.645 * deviation, rel=0.05)
    assert (found.high + found.low) / 2 == pytest.approx(found.value, abs=0.1 * deviation)


def test_interval_is_moved_by_twice_the_bias():
    replicates = np.linspace(2.0, 4.0, 101)
    assert unbiased_interval(2.5, replicates, 0.98) == pytest.approx((2.5, 2.02 - 1, 3.98 - 1), abs=0.03)
    assert unbiased_interval(1.0, replicates, 0.98) == pytest.approx((1.0, 0.0, 1.0), abs=0.03)
    assert unbiased_interval(1.0, np.array([1.0, np.inf]), 0.9) == (1.0, 0.0, np.inf)


@pytest.mark.parametrize("estimator", [d.knn_kl_divergence, d.classifier_kl_divergence])
def test_rows_of_several_lengths_are_named(estimator):
    with pytest.raises(ValueError, match="'X' parameter must be an array"):
        estimator([[1.0], [1.0, 2.0]], [[1.0], [2.0]])


def test_samples_that_cannot_be_stacked_are_named():
    X = np.arange(20.0)[:, None]
    with pytest.raises(ValueError, match="'X' and 'Y' parameters must be of types that go together. Got .* timedelta"):
        d.classifier_kl_divergence(X, X.astype("m8[s]"))
