"""Sparse rows of many features are trained on and predicted as they would be if each batch was dense."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from sklkl import KLClassifier
from sklkl.model_selection import StackedGridSearchCV

N_FEATURES = 60


@pytest.fixture(autouse=True)
def _few_features_are_many(monkeypatch):
    monkeypatch.setattr("sklkl.modules._gathered._FEW_FEATURES", 20)


@pytest.fixture
def dense_batches(monkeypatch):
    """Return a function after which every batch is dense in all features."""
    return lambda: monkeypatch.setattr("sklkl.modules._gathered._FEW_FEATURES", N_FEATURES)


def texts(n_rows=120, dtype=np.float64):
    random = np.random.RandomState(0)
    X = sparse.random(n_rows, N_FEATURES, density=0.03, format="csr", random_state=0, dtype=dtype)
    X.data *= random.choice([-1, 1], X.nnz)
    return X, (X @ random.randn(N_FEATURES) > 0).astype(int)


KINDS = {
    "plain": {},
    "penalised": {"kl_strength": 0.1},
    "linear": {"hidden_layer_sizes": ()},
    "as given": {"scale_inputs": False},
    "validated": {"early_stopping": True},
    "members": {"n_members": 2},
    "members with parts": {"n_members": 2, "early_stopping": True},
    "several layers": {"hidden_layer_sizes": (8, 6)},
    "rate": {"learning_rate": "onecycle"},
    "perturbed rows": {"kl_penalty": "vat", "kl_strength": 0.1},  # which are dense
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_is_that_on_dense_batches(kind, dense_batches):
    X, y = texts()
    clf = KLClassifier(**{"hidden_layer_sizes": (8,), **KINDS[kind]}, max_epochs=2, batch_size=25, dtype="float64")
    clf.set_params(random_state=0, **({} if "early_stopping" in KINDS[kind] else {"early_stopping": False}))
    found = clf.fit(X, y, sample_weight=1 + y).predict_proba(X)
    dense_batches()
    np.testing.assert_allclose(found, clf.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(found, clf.fit(X, y, sample_weight=1 + y).predict_proba(X), rtol=1e-6)


def test_a_search_is_that_on_dense_batches(dense_batches):
    X, y = texts()
    clf = KLClassifier(8, max_epochs=2, dtype="float64", random_state=0)
    search = StackedGridSearchCV(clf, {"kl_strength": [0.0, 0.1]}, scoring="neg_log_loss", cv=2, refit=False)
    found = search.fit(X, y).cv_results_
    assert found["stacked"].tolist() == [2, 2]
    dense_batches()
    np.testing.assert_allclose(found["mean_test_score"], search.fit(X, y).cv_results_["mean_test_score"], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_rows_of_every_type_and_number(dtype):
    X, y = texts()
    clf = KLClassifier(8, max_epochs=2, random_state=0).fit(X.astype(np.float32), y)
    rows = sparse.csr_array(np.round(X.toarray() * 3).astype(dtype))
    found = clf.predict_proba(rows)
    np.testing.assert_allclose(clf.predict_proba(rows.toarray()), found, rtol=1e-5)
    np.testing.assert_allclose(clf.predict_proba(rows[[5]]), found[[5]], rtol=1e-5)


def test_rows_without_entries():
    X, y = texts()
    empty = sparse.csr_array(X.shape)
    clf = KLClassifier(8, max_epochs=2, dropout=0.0, random_state=0).fit(sparse.vstack([X, empty], "csr"), np.r_[y, y])
    np.testing.assert_allclose(clf.predict_proba(empty), clf.predict_proba(np.zeros(X.shape)), rtol=1e-6)


def test_entries_of_the_same_place_are_added():
    X, y = texts()
    twice = sparse.csr_array((np.repeat(X.data, 2) / 2, np.repeat(X.indices, 2), 2 * X.indptr), shape=X.shape)
    clf = KLClassifier(8, max_epochs=2, dtype="float64", random_state=0)
    np.testing.assert_allclose(clf.fit(twice, y).predict_proba(twice), clf.fit(X, y).predict_proba(X), rtol=1e-6)


def test_a_network_of_dense_rows_predicts_sparse_ones():
    X, y = texts()
    clf = KLClassifier(8, max_epochs=2, random_state=0).fit(X.toarray(), y)
    np.testing.assert_allclose(clf.predict_proba(X), clf.predict_proba(X.toarray()), rtol=1e-6)


def test_no_batch_is_dense_in_all_features():
    """One of 100 rows would take 80 MB."""
    random, n_features = np.random.RandomState(0), 200_000
    X = sparse.csr_array((np.ones(1000), random.randint(0, n_features, 1000), np.arange(0, 1001, 5)), (200, n_features))
    clf = KLClassifier((), max_epochs=1, batch_size=100, early_stopping=False, random_state=0)
    tracemalloc.start()
    try:
        clf.fit(X, random.randint(0, 2, 200)).predict_proba(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 2**20
