import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import SpectralClustering
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklkl.divergences import DIVERGENCES, pairwise_divergence
from sklkl.preprocessing import DivergenceKernel, _kernel, _rows
from sklkl.preprocessing._kernel import METRICS

each_metric = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def sparse_distributions(n_rows=60, n_features=12, seed=0):
    """Random distributions, half of their entries 0: the hard case for a kernel's smallest eigenvalue."""
    random = np.random.RandomState(seed)
    return random.dirichlet(np.full(n_features, 0.2), n_rows) * (random.rand(n_rows, n_features) < 0.5)


@each_metric
@pytest.mark.parametrize("gamma", [0.1, 1.0, 30.0])
def test_values(metric, gamma):
    X = sparse_distributions(10)
    P = np.where(X.any(axis=1, keepdims=True), X, DivergenceKernel().fit(X).mean_distribution_)
    expected = np.exp([[-gamma * DIVERGENCES[metric](p, q, normalize=True) for q in P] for p in P])
    np.testing.assert_allclose(DivergenceKernel(metric, gamma=gamma).fit_transform(X), expected, rtol=1e-12)


@each_metric
@pytest.mark.parametrize("gamma", [0.01, 1.0, "median", 100.0])
def test_positive_semi_definite(metric, gamma):
    for seed in range(3):
        K = DivergenceKernel(metric, gamma=gamma).fit_transform(sparse_distributions(seed=seed))
        assert np.linalg.eigvalsh(K)[0] > -1e-13 * len(K)


def test_kl_and_relatives_would_not_be_positive_semi_definite():
    percent = [
        [1, 96, 1, 2],
        [87, 9, 1, 3],
        [1, 86, 1, 12],
        [6, 16, 1, 77],
        [6, 92, 1, 1],
        [5, 1, 74, 20],
        [94, 1, 4, 1],
    ]
    K = np.exp(-0.1 * pairwise_divergence(np.array(percent) / 100, metric="jeffreys"))
    assert np.linalg.eigvalsh(K)[0] < -0.005


@each_metric
@pytest.mark.parametrize(("container", "block"), [(csr_matrix, 200), (np.asarray, 2**22)])
def test_training_kernel_is_exactly_symmetric_with_unit_diagonal(metric, container, block, monkeypatch):
    monkeypatch.setattr(_rows, "_BLOCK", block)
    X = container(sparse_distributions(40))
    K = DivergenceKernel(metric, gamma=3.0).fit_transform(X)
    np.testing.assert_array_equal(K, K.T)
    assert (K.diagonal() == 1).all()
    np.testing.assert_array_equal(DivergenceKernel(metric, gamma=3.0).fit(X).transform(X), K)


@each_metric
@pytest.mark.parametrize("train", [csr_matrix, np.asarray])
def test_sparse_rows_have_the_values_of_dense_ones(metric, train):
    X = np.vstack([sparse_distributions(), np.eye(12)[:3], np.zeros((1, 12))])
    X[1] = X[0] * (1 + 1e-7 * np.arange(12))  # nearly equal rows
    new = csr_matrix if train is np.asarray else np.asarray
    expected = DivergenceKernel(metric).fit(X[:40]).transform(X)
    precision = 1e-14 if metric in ("js", "total_variation") else 2e-7  # roots of 1e-14
    for container in (csr_matrix, new):
        values = DivergenceKernel(metric).fit(train(X[:40])).transform(container(X))
        np.testing.assert_allclose(values, expected, rtol=0, atol=precision)


@each_metric
def test_rows_of_the_training_kernel_are_those_of_new_rows(metric):
    X = sparse_distributions()
    fitted = DivergenceKernel(metric).fit(X)
    np.testing.assert_allclose(fitted.transform(X[10:13]), fitted.transform(X)[10:13], rtol=1e-14)


def test_kernel_does_not_follow_later_changes_of_the_input():
    X = sparse_distributions()
    fitted = DivergenceKernel().fit(X)
    before = fitted.transform(X[:3])
    changed = X.copy()
    X[:] = 1
    np.testing.assert_array_equal(fitted.transform(changed[:3]), before)


def test_empty_row_stands_for_the_mean_distribution():
    X = np.vstack([sparse_distributions() + 0.01, np.zeros((2, 12))])
    fitted = DivergenceKernel().fit(X)
    np.testing.assert_allclose(fitted.mean_distribution_, (X[:-2] / X[:-2].sum(1, keepdims=True)).mean(0), rtol=1e-12)
    K = fitted.transform(np.zeros((1, 12)))
    np.testing.assert_allclose(K, fitted.transform(fitted.mean_distribution_[None]), rtol=1e-12)
    np.testing.assert_allclose(K[0, -2:], 1, rtol=1e-12)


@each_metric
def test_median_gamma(metric):
    X = sparse_distributions(15) + 0.01
    fitted = DivergenceKernel(metric, gamma="median").fit(X)
    pairs = [DIVERGENCES[metric](X[i], X[j], normalize=True) for i in range(15) for j in range(i)]
    np.testing.assert_allclose(fitted.gamma_, 1 / np.median(pairs), rtol=1e-9)
    assert DivergenceKernel(metric, gamma="median").fit(csr_matrix(X)).gamma_ == pytest.approx(fitted.gamma_, rel=1e-9)


def test_median_gamma_of_some_rows_only(monkeypatch):
    monkeypatch.setattr(_kernel, "_MEDIAN_ROWS", 3)
    X = sparse_distributions(31) + 0.01
    few = DivergenceKernel(gamma=1.0).fit(X[[0, 15, 30]])
    pairs = -np.log(few.transform(X[[0, 15, 30]])[np.triu_indices(3, 1)])
    np.testing.assert_allclose(DivergenceKernel(gamma="median").fit(X).gamma_, 1 / np.median(pairs), rtol=1e-9)


@pytest.mark.parametrize("X", [[[1.0, 2]], [[1.0, 2], [2, 4], [3, 6]]], ids=["one row", "equal rows"])
def test_median_gamma_without_any_divergence(X):
    fitted = DivergenceKernel(gamma="median").fit(X)
    assert fitted.gamma_ == 1
    assert (fitted.transform(X) == 1).all()


# in use


def test_grid_search_with_a_support_vector_machine(digits):
    X, y = digits
    model = make_pipeline(DivergenceKernel(), SVC(kernel="precomputed", C=10))
    grid = {"divergencekernel__gamma": [1e-4, "median"], "divergencekernel__metric": ["js", "total_variation"]}
    search = GridSearchCV(model, grid, cv=3).fit(X[:300], y[:300])
    assert search.best_params_["divergencekernel__gamma"] == "median"
    assert search.score(X[300:600], y[300:600]) > 0.8


def test_spectral_clustering():
    random = np.random.RandomState(0)
    groups = np.arange(90) % 3
    X = random.poisson(4 * random.dirichlet(np.full(20, 0.3), 3)[groups] * 20)
    K = DivergenceKernel(gamma="median").fit_transform(X)
    labels = SpectralClustering(3, affinity="precomputed", random_state=0).fit_predict(K)
    assert adjusted_rand_score(groups, labels) == 1


def test_text_pipeline_with_an_empty_document():
    texts = ["rain and wind", "wind and snow", "", "goals and cards", "a late goal"]
    model = make_pipeline(CountVectorizer(), DivergenceKernel(gamma="median"), SVC(kernel="precomputed"))
    model.fit(texts, ["weather", "weather", "weather", "sport", "sport"])
    assert model.predict(["snow and rain", "late goal cards"]).tolist() == ["weather", "sport"]
    assert np.isfinite(model[:-1].transform([""])).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"metric": "kl"}, "one of 'hellinger', 'js', 'js_distance', 'total_variation'. Got 'kl' instead."),
        ({"metric": "jeffreys"}, "Got 'jeffreys' instead."),
        ({"metric": ["js"]}, "Got ['js'] instead."),
        ({"gamma": 0}, "'median' or a finite number > 0. Got 0 instead."),
        ({"gamma": -1.0}, "Got -1.0 instead."),
        ({"gamma": np.inf}, "Got inf instead."),
        ({"gamma": "scale"}, "Got 'scale' instead."),
        ({"gamma": None}, "Got None instead."),
    ],
)
def test_refuses_parameters(params, message, message_of):
    found = message_of(lambda: DivergenceKernel(**params).fit([[1.0, 2], [2, 1]]))
    assert found.startswith(f"The '{next(iter(params))}' parameter of DivergenceKernel must be ")
    assert found.endswith(message)
