"""What holds for every transformer."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklkl.preprocessing import DivergenceKernel, DivergenceToPrototypes, ProbaDivergence
from sklkl.preprocessing._kernel import METRICS
from sklkl.preprocessing._proba import REFERENCES

# A new transformer adds its line here; an option only if it takes another way through the code.
CHECKED = [
    DivergenceToPrototypes("renyi", prior_count=0, metric_params={"alpha": 2}),  # sparse rows become dense
    DivergenceKernel(gamma="median"),
    ProbaDivergence(DecisionTreeClassifier(random_state=0), reference="templates"),
]
# All options are at least fitted.
OPTIONS = [
    *CHECKED,
    DivergenceToPrototypes(),  # sparse rows stay sparse
    ProbaDivergence(make_pipeline(StandardScaler(), LogisticRegression()), divergence="js", smoothing=0.1),
    *(DivergenceToPrototypes(metric) for metric in ("jeffreys", "js", "total_variation")),
    DivergenceToPrototypes(smoothing=0.1),
    *(DivergenceKernel(metric) for metric in METRICS),
    *(ProbaDivergence(MultinomialNB(), reference=reference) for reference in REFERENCES),
    ProbaDivergence(LogisticRegression(max_iter=1000), reference="templates", cv=None),
]
QUICK = [DivergenceToPrototypes(), DivergenceKernel(), ProbaDivergence(MultinomialNB(), reference="templates")]

each = pytest.mark.parametrize("transformer", QUICK, ids=lambda transformer: type(transformer).__name__)
each_of_rows = pytest.mark.parametrize("transformer", QUICK[:2], ids=lambda transformer: type(transformer).__name__)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:90], y[:90]


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")  # of the checks' tiny tables
@parametrize_with_checks(CHECKED)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("transformer", OPTIONS, ids=repr)
def test_every_option_gives_a_table_of_numbers_and_the_same_one_again(transformer, digits):
    X, y = digits
    values = clone(transformer).fit(X, y).transform(X)
    assert values.shape[0] == len(X)
    assert not np.isnan(values).any()
    np.testing.assert_array_equal(clone(transformer).fit_transform(X, y), values)


@each
def test_names_of_columns(transformer, digits):
    fitted = clone(transformer).fit(*digits)
    n_columns = fitted.transform(digits[0]).shape[1]
    prefix = type(transformer).__name__.lower()
    assert fitted.get_feature_names_out().tolist() == [f"{prefix}{i}" for i in range(n_columns)]


@each
@pytest.mark.parametrize(("name", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_output_as_frame(transformer, name, frame, digits):
    X, y = digits
    fitted = clone(transformer).fit(X, y)
    expected = fitted.transform(X)
    output = fitted.set_output(transform=name).transform(X)
    assert isinstance(output, frame)
    assert list(output.columns) == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(output.to_numpy(), expected)


@each
def test_frame_in(transformer, digits):
    X, y = digits
    frame = pd.DataFrame(X).add_prefix("px")
    fitted = clone(transformer).fit(frame, y)
    assert fitted.feature_names_in_.tolist() == frame.columns.tolist()
    assert fitted.n_features_in_ == 64
    np.testing.assert_allclose(
        fitted.transform(frame), clone(transformer).fit(X, y).transform(X), rtol=1e-10, atol=1e-15
    )


@each
def test_pickle_gives_the_same(transformer, digits):
    fitted = clone(transformer).fit(*digits)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(digits[0]), fitted.transform(digits[0]))


@each
@pytest.mark.parametrize("container", [csr_matrix, csr_array])
def test_sparse_equals_dense(transformer, container, digits):
    X, y = digits
    X = np.vstack([X, np.zeros(64)])
    y = np.append(y, 0)
    dense, sparse = clone(transformer).fit(X, y), clone(transformer).fit(container(X), y)
    np.testing.assert_allclose(sparse.transform(container(X)), dense.transform(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(dense.transform(container(X)), dense.transform(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.transform(X), dense.transform(X), rtol=1e-9, atol=1e-12)


@each
def test_before_fit(transformer, digits):
    with pytest.raises(NotFittedError):
        clone(transformer).transform(digits[0])
    assert not hasattr(clone(transformer), "n_features_in_")
    assert not hasattr(clone(transformer), "feature_names_in_")


@each
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_what_is_not_finite(transformer, value, digits, message_of):
    X, y = digits
    bad = X.copy()
    bad[3, 3] = value
    fitted = clone(transformer).fit(X, y)
    kind = "NaN" if np.isnan(value) else "infinity"
    assert f"Input X contains {kind}" in message_of(lambda: clone(transformer).fit(bad, y))
    assert f"Input X contains {kind}" in message_of(lambda: fitted.transform(bad))


@each_of_rows
@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_refuses_negative_values(transformer, container, digits, message_of):
    X, y = digits
    bad = X.copy()
    bad[7, 3] = -1
    name, fitted = type(transformer).__name__, clone(transformer).fit(X, y)
    in_fit, in_transform = (
        message_of(function)
        for function in (lambda: clone(transformer).fit(container(bad), y), lambda: fitted.transform(container(bad)))
    )
    assert in_fit == f"Negative values in data passed to {name}.fit: row 7 has one"
    assert in_transform == f"Negative values in data passed to {name}.transform: row 7 has one"


@each_of_rows
def test_float32_stays_float32_and_loses_nothing_else(transformer, digits):
    X, y = digits
    exact = clone(transformer).fit(X, y).transform(X)
    single = clone(transformer).fit(X.astype(np.float32), y).transform(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, rtol=1e-6, atol=1e-7)


@each_of_rows
def test_only_proportions_of_new_rows_matter(transformer, digits):
    X, y = digits
    fitted = clone(transformer).fit(X, y)
    np.testing.assert_allclose(fitted.transform(1000 * X), fitted.transform(X), rtol=1e-9, atol=1e-15)


@each
@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
def test_input_stays_as_it_is(transformer, container, digits):
    X, y = digits
    given = container(X.copy())
    clone(transformer).fit(given, y).transform(given)
    np.testing.assert_array_equal(given.toarray() if container is csr_matrix else given, X)


@each_of_rows
def test_what_cannot_be_read_is_named(transformer, digits):
    with pytest.raises(ValueError, match="Input X must be an array, a sparse matrix or a frame of numbers"):
        clone(transformer).fit([[1.0], [1.0, 2.0]], [0, 1])
    fitted = clone(transformer).fit(*digits)
    with pytest.raises(ValueError, match="Input X must be"):
        fitted.transform([[1.0], [1.0, 2.0]])


@pytest.mark.parametrize("transformer", [QUICK[0], QUICK[2]], ids=["prototypes", "proba"])
def test_labels_of_several_types_are_named(transformer):
    with pytest.raises(TypeError, match="'y' parameter must be labels that are uniformly strings or numbers"):
        clone(transformer).fit(np.eye(2), np.array(["a", 1], dtype=object))
