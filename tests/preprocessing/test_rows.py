import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix

from sklkl.preprocessing import _rows
from sklkl.preprocessing._rows import check_rows, dense_blocks, distributions, mean_distribution

CONTAINERS = [np.asarray, csr_matrix, csr_array]
each_container = pytest.mark.parametrize("container", CONTAINERS)

COUNTS = np.array([[1.0, 3, 0], [0, 0, 0], [2, 2, 4]])
MEAN = np.array([0.25, 0.5, 0.25])  # of (¼, ¾, 0) and (¼, ¼, ½)


def dense(X):
    return X if isinstance(X, np.ndarray) else X.toarray()


@each_container
def test_distributions(container):
    P = dense(distributions(container(COUNTS), MEAN))
    np.testing.assert_array_equal(P, [[0.25, 0.75, 0], MEAN, [0.25, 0.25, 0.5]])


@each_container
def test_float32_is_divided_in_float64(container):
    X = np.random.RandomState(0).rand(20, 7).astype(np.float32)
    P = distributions(container(X), np.full(7, 1 / 7))
    assert P.dtype == np.float64
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-15)


@each_container
def test_tiny_rows_are_distributions_too(container):
    P = dense(distributions(container(np.array([[3e-320, 1e-320]])), np.full(2, 0.5)))
    np.testing.assert_allclose(P, [[0.75, 0.25]], rtol=1e-3)  # numbers of that size have few digits


@each_container
def test_mean_leaves_out_empty_rows(container):
    np.testing.assert_array_equal(mean_distribution(container(COUNTS)), MEAN)


@each_container
def test_mean_is_weighted(container):
    mean = mean_distribution(container(COUNTS), np.array([3.0, 5, 1]))
    np.testing.assert_allclose(mean, [0.25, 0.625, 0.125], rtol=1e-15)
    np.testing.assert_array_equal(mean_distribution(container(COUNTS), np.array([0.0, 5, 1])), [0.25, 0.25, 0.5])


@each_container
def test_mean_of_nothing_is_uniform(container):
    np.testing.assert_array_equal(mean_distribution(container(np.zeros((2, 4)))), np.full(4, 0.25))


@each_container
def test_blocks_are_bounded_and_complete(container, monkeypatch):
    monkeypatch.setattr(_rows, "_BLOCK", 7)
    X = np.arange(15.0).reshape(5, 3)
    blocks = list(dense_blocks(container(X)))
    np.testing.assert_array_equal(np.concatenate(blocks), X)
    assert all(block.size <= 7 for block in blocks) or container is np.asarray


@each_container
def test_negative_entry_is_named_by_its_row(container, message_of):
    message = message_of(lambda: check_rows(container(np.array([[1.0, 0], [2, -1]])), "Thing.fit"))
    assert message == "Negative values in data passed to Thing.fit: row 1 has one"


@each_container
def test_infinite_sum_is_named_by_its_row(container, message_of):
    message = message_of(lambda: check_rows(container(np.array([[1.0, 0], [1e308, 1e308]])), "Thing.fit"))
    assert message == "Values too large in data passed to Thing.fit: the sum of row 1 is infinite"


def test_duplicate_entries_are_added_in_a_copy():
    X = csr_matrix((np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    checked = check_rows(X, "Thing.fit")
    assert X.nnz == 2
    assert checked.nnz == 1
    np.testing.assert_array_equal(checked.toarray(), [[0, 3, 0]])
