from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl.divergences import DIVERGENCES
from sklkl.preprocessing import DivergenceToPrototypes, _sparse_kl
from sklkl.preprocessing._sparse_kl import sparse_kl

TEXTS = ["rain and wind", "wind and snow", "", "goals and cards", "a late goal"]
TOPICS = ["weather", "weather", "weather", "sport", "sport"]


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture
def sparse_counts():
    """Documents of a Zipf-like vocabulary, one of them empty."""
    random = np.random.RandomState(0)
    y = np.arange(60) % 3
    rates = 1 / np.arange(1, 41) * random.rand(3, 40)[y] * 3
    X = random.poisson(rates).astype(float)
    X[5] = 0
    return X, y


# prototypes


def test_prototypes_are_class_sums_plus_the_prior():
    X, y = np.array([[1.0, 0], [3, 0], [0, 2]]), ["b", "b", "a"]
    fitted = DivergenceToPrototypes(prior_count=0.5).fit(X, y)
    assert fitted.classes_.tolist() == ["a", "b"]
    np.testing.assert_allclose(fitted.prototypes_, [[0.5 / 3, 2.5 / 3], [4.5 / 5, 0.5 / 5]], rtol=1e-15)
    np.testing.assert_allclose(fitted.mean_distribution_, [2 / 3, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_weights_are_repetitions(container, sparse_counts):
    X, y = sparse_counts
    weight = np.random.RandomState(0).randint(4, size=60)
    weighted = DivergenceToPrototypes().fit(container(X), y, sample_weight=weight)
    repeated = DivergenceToPrototypes().fit(container(X.repeat(weight, axis=0)), y.repeat(weight))
    np.testing.assert_allclose(weighted.prototypes_, repeated.prototypes_, rtol=1e-12)
    np.testing.assert_allclose(weighted.mean_distribution_, repeated.mean_distribution_, rtol=1e-12)


def test_class_of_empty_rows():
    X, y = [[4.0, 0], [0, 0], [1, 1]], [0, 1, 2]
    assert DivergenceToPrototypes(prior_count=1).fit(X, y).prototypes_[1].tolist() == [0.5, 0.5]
    without = DivergenceToPrototypes(prior_count=0).fit(X, y)
    assert without.prototypes_[1].tolist() == without.mean_distribution_.tolist() == [0.75, 0.25]


def test_class_of_weight_zero():
    fitted = DivergenceToPrototypes().fit([[4.0, 0], [1, 1]], [0, 1], sample_weight=[1, 0])
    assert fitted.prototypes_[1].tolist() == [0.5, 0.5]
    assert fitted.mean_distribution_.tolist() == [1, 0]


def test_one_class_is_enough():
    assert DivergenceToPrototypes().fit_transform([[1.0, 2], [2, 1]], ["a", "a"]).shape == (2, 1)


# divergences


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_kl_is_the_textbook_sum(container, sparse_counts):
    X, y = sparse_counts
    fitted = DivergenceToPrototypes().fit(container(X), y)
    rows = np.where(X.any(axis=1, keepdims=True), X, fitted.mean_distribution_)
    expected = [[entropy(row, prototype) for prototype in fitted.prototypes_] for row in rows]
    np.testing.assert_allclose(fitted.transform(container(X)), expected, rtol=1e-10)


@pytest.mark.parametrize("prior_count", [0.01, 0.1, 1.0])
def test_nearest_prototype_is_naive_bayes_with_a_flat_prior(prior_count, digits):
    X, y = digits
    fitted = DivergenceToPrototypes(prior_count=prior_count).fit(X[:900], y[:900])
    bayes = MultinomialNB(alpha=prior_count, fit_prior=False).fit(X[:900], y[:900])
    np.testing.assert_array_equal(fitted.transform(X[900:]).argmin(axis=1), bayes.predict(X[900:]))


@pytest.mark.parametrize("metric", DIVERGENCES)
def test_every_metric_row_by_row(metric, sparse_counts):
    X, y = sparse_counts
    fitted = DivergenceToPrototypes(metric, smoothing=0.1).fit(csr_matrix(X), y)
    rows = np.where(X.any(axis=1, keepdims=True), X, fitted.mean_distribution_)
    divergence = partial(DIVERGENCES[metric], normalize=True, smoothing=0.1)
    expected = [[divergence(row, prototype) for prototype in fitted.prototypes_] for row in rows]
    np.testing.assert_allclose(fitted.transform(csr_matrix(X)), expected, rtol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_words_a_class_never_had(container):
    X, y = container(np.array([[1.0, 1, 0], [0, 1, 1]])), ["a", "b"]
    output = DivergenceToPrototypes(prior_count=0).fit_transform(X, y)
    assert output.tolist() == [[0, np.inf], [np.inf, 0]]
    assert np.isfinite(DivergenceToPrototypes(prior_count=0, smoothing=0.01).fit_transform(X, y)).all()


def test_empty_row_stands_for_the_mean_distribution(sparse_counts):
    X, y = sparse_counts
    fitted = DivergenceToPrototypes().fit(X, y)
    np.testing.assert_array_equal(fitted.transform(X[[5]]), fitted.transform(fitted.mean_distribution_[None]))


def test_parameters_of_the_metric(sparse_counts):
    X, y = sparse_counts
    nats, bits = (DivergenceToPrototypes(metric_params=params).fit_transform(X, y) for params in (None, {"base": 2}))
    np.testing.assert_allclose(bits, nats / np.log(2), rtol=1e-12)
    sparse_bits = DivergenceToPrototypes(metric_params={"base": 2}).fit_transform(csr_matrix(X), y)
    np.testing.assert_allclose(sparse_bits, bits, rtol=1e-12)
    chi2, renyi2 = (
        DivergenceToPrototypes(metric, metric_params=params).fit_transform(X, y)
        for metric, params in (("chi2", None), ("renyi", {"alpha": 2}))
    )
    np.testing.assert_allclose(renyi2, np.log1p(chi2), rtol=1e-9)


# the sparse product


@pytest.mark.parametrize("smoothing", [0.0, 1e-6, 0.3, 1.0])
def test_sparse_product_is_the_definition(smoothing):
    random = np.random.RandomState(0)
    P, Q = random.dirichlet(np.full(30, 0.05), 20), random.dirichlet(np.full(30, 0.5), 4)
    P[P < 1e-3] = 0
    P /= P.sum(axis=1, keepdims=True)
    Q[0, :15] = 0
    Q[0] /= Q[0].sum()
    expected = [[DIVERGENCES["kl"](p, q, normalize=True, smoothing=smoothing) for q in Q] for p in P]
    np.testing.assert_allclose(sparse_kl(csr_matrix(P), Q, smoothing), expected, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("block", [1, 2**22])
def test_sparse_product_of_nearly_equal_rows(block, monkeypatch):
    monkeypatch.setattr(_sparse_kl, "_BLOCK", block)
    Q = np.random.RandomState(0).dirichlet(np.ones(50), 3)
    P = Q * (1 + 1e-7 * np.cos(np.arange(50)))
    P /= P.sum(axis=1, keepdims=True)
    values = sparse_kl(csr_matrix(P), Q)
    np.testing.assert_allclose(values.diagonal(), DIVERGENCES["kl"](P, Q, normalize=True), rtol=1e-12)
    assert (values.diagonal() > 0).all()
    assert (sparse_kl(csr_matrix(Q), Q).diagonal() == 0).all()


def test_sparse_rows_stay_sparse(monkeypatch):
    """A dense copy of this matrix would have 10¹⁰ values."""
    X = csr_matrix((np.ones(10**5), (np.arange(10**5), np.arange(10**5))), shape=(10**5, 10**5))
    monkeypatch.setattr(csr_matrix, "toarray", None)
    with pytest.raises(TypeError):
        X.toarray()
    output = sparse_kl(X, np.full((2, 10**5), 1e-5))
    np.testing.assert_allclose(output, np.log(10**5), rtol=1e-12)


# in use


def test_text_pipeline_with_an_empty_document():
    model = make_pipeline(CountVectorizer(), DivergenceToPrototypes(), LogisticRegression())
    model.fit(TEXTS, TOPICS)
    assert model.predict(["snow and rain", "late cards"]).tolist() == ["weather", "sport"]
    assert np.isfinite(model[:-1].transform([""])).all()


def test_grid_search_over_metric_and_prior(digits):
    X, y = digits
    model = make_pipeline(DivergenceToPrototypes(), StandardScaler(), LogisticRegression(max_iter=500))
    grid = {"divergencetoprototypes__metric": ["kl", "js"], "divergencetoprototypes__prior_count": [0.1, 1.0]}
    search = GridSearchCV(model, grid, cv=3).fit(X[:600], y[:600])
    assert search.best_score_ > 0.8


def test_a_strong_baseline_on_counts(digits):
    X, y = digits
    model = make_pipeline(DivergenceToPrototypes(), StandardScaler(), LogisticRegression(max_iter=500))
    assert cross_val_score(model, X, y, cv=3).mean() > cross_val_score(MultinomialNB(), X, y, cv=3).mean() + 0.02


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "cosine"}, "'metric' parameter of DivergenceToPrototypes must be one of 'alpha', .* Got 'cosine'"),
        ({"metric": None}, "'metric' parameter .* Got None instead"),
        ({"prior_count": -1}, "'prior_count' parameter .* must be a finite number >= 0. Got -1 instead"),
        ({"prior_count": np.inf}, "'prior_count' parameter .* Got inf instead"),
        ({"prior_count": "1"}, "'prior_count' parameter .* Got '1' instead"),
        ({"smoothing": 1.5}, r"'smoothing' parameter .* must be a number in \[0, 1\]. Got 1.5 instead"),
        (
            {"metric": "renyi", "metric_params": {"alpha": -1}},
            "'alpha' parameter of renyi_divergence .* Got -1 instead",
        ),
    ],
)
def test_refuses_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        DivergenceToPrototypes(**params).fit([[1.0, 2], [2, 1]], [0, 1])


@pytest.mark.parametrize("params", [{"alpha": 2}, {"normalize": False}, {"axis": 0}, "alpha"], ids=repr)
def test_refuses_parameters_that_the_metric_does_not_have(params, message_of):
    message = message_of(lambda: DivergenceToPrototypes("js", metric_params=params).fit([[1.0, 2], [2, 1]], [0, 1]))
    assert "'metric_params' parameter of DivergenceToPrototypes must be None or a dict of parameters of the" in message
    assert f"Got {params!r} instead" in message


def test_a_missing_label_is_named(message_of):
    for y in (pd.Series(["a", pd.NA], dtype="string"), ["a", None], pl.Series(["a", None])):
        message = message_of(lambda y=y: DivergenceToPrototypes().fit([[1.0, 2], [2, 1]], y))
        assert message == "Input y contains NaN or None: row 1 has no label."


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_refuses_class_sums_beyond_floats(container, message_of):
    X = container(np.array([[1e308, 0.0], [1e308, 1.0]]))
    assert "Values too large" in message_of(lambda: DivergenceToPrototypes().fit(X, [0, 0]))


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        ([0.5, 1.5], None, "Unknown label type: continuous"),
        ([0, 1, 1], None, "inconsistent numbers of samples"),
        ([0, 1], [-1, 1], "Negative values"),
        ([0, 1], [1, 1, 1], "sample_weight.shape"),
    ],
)
def test_refuses_targets_and_weights(y, weight, message, message_of):
    assert message in message_of(lambda: DivergenceToPrototypes().fit([[1.0, 2], [2, 1]], y, sample_weight=weight))
