"""The weighter: scikit-learn's contract, the weights that reach the estimator, and what they are good for."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy.sparse import csr_array
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklkl.drift import DensityRatioWeighter

METHODS = ["kliep", "classifier"]
each_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def shifted():
    """150 training rows, the targets of a parabola, 100 target rows and theirs."""
    rng = np.random.default_rng(0)
    X, X_target = rng.normal(0, 1, (150, 2)), rng.normal([1, 0], 0.5, (100, 2))
    return X, X[:, 0] ** 2, X_target, X_target[:, 0] ** 2


def weighter(estimator=None, **params):
    return DensityRatioWeighter(Ridge() if estimator is None else estimator, **{"random_state": 0, **params})


@pytest.mark.parametrize(("estimator", "method"), [(LogisticRegression(), "kliep"), (Ridge(), "classifier")], ids=repr)
def test_passes_scikit_learns_checks(estimator, method):
    results = check_estimator(DensityRatioWeighter(estimator, method=method), on_fail=None, on_skip=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) >= 58


@each_method
def test_weights_are_ratios_of_mean_one(shifted, method):
    X, y, X_target, _ = shifted
    fitted = weighter(method=method).fit(X, y, X_target)
    true = np.exp((X**2 / 2 - (X - [1, 0]) ** 2 / (2 * 0.5**2)).sum(axis=1))
    assert fitted.weights_.shape == (150,)
    assert fitted.weights_.mean() == pytest.approx(1)
    assert np.corrcoef(fitted.weights_, true)[0, 1] > 0.85
    share = fitted.weights_ / fitted.weights_.sum()
    assert fitted.effective_sample_size_ == pytest.approx(1 / (share**2).sum())
    assert fitted.effective_sample_size_ < 100


@each_method
def test_the_estimator_is_fitted_with_the_weights_times_those_passed(shifted, method):
    X, y, X_target, _ = shifted
    passed = np.random.default_rng(1).uniform(size=150)
    fitted, also = weighter(method=method).fit(X, y, X_target), weighter(method=method)
    also.fit(X, y, X_target, sample_weight=passed)
    np.testing.assert_array_equal(fitted.weights_, also.weights_)
    for model, weights in ((fitted, fitted.weights_), (also, fitted.weights_ * passed)):
        expected = Ridge().fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(model.estimator_.coef_, expected.coef_)
        np.testing.assert_allclose(model.predict(X), expected.predict(X))
        assert model.score(X, y) == pytest.approx(expected.score(X, y))
        assert model.score(X, y, sample_weight=passed) == pytest.approx(expected.score(X, y, sample_weight=passed))


def test_without_target_rows_it_is_the_estimator_itself(shifted):
    X, y, _, _ = shifted
    fitted = weighter().fit(X, y)
    np.testing.assert_array_equal(fitted.weights_, 1)
    assert fitted.effective_sample_size_ == 150
    np.testing.assert_array_equal(fitted.estimator_.coef_, Ridge().fit(X, y).coef_)


@each_method
def test_a_misspecified_model_becomes_better_where_the_target_rows_are(shifted, method):
    X, y, X_target, y_target = shifted
    plain, weighted = (weighter(method=method).fit(X, y, target) for target in (None, X_target))
    errors = [mean_squared_error(y_target, model.predict(X_target)) for model in (plain, weighted)]
    assert errors[1] < 0.5 * errors[0]


def test_biased_sampling_of_real_rows():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X[:, [0, 1, 4, 8]])
    losses = []
    for seed in range(3):
        drawn = np.random.default_rng(seed).random(len(X)) < 1 / (1 + np.exp(X[:, 0]))
        models = (weighter(LogisticRegression()).fit(X[drawn], y[drawn], target) for target in (None, X[~drawn]))
        losses.append([log_loss(y[~drawn], model.predict_proba(X[~drawn])) for model in models])
    plain, weighted = np.mean(losses, axis=0)
    assert weighted < plain


def test_classifiers_keep_their_labels_and_methods(shifted):
    X, y, X_target, _ = shifted
    labels = np.where(y > 1, "far", "near")
    fitted = weighter(LogisticRegression()).fit(X, labels, X_target)
    assert fitted.classes_.tolist() == ["far", "near"]
    assert set(fitted.predict(X)) == {"far", "near"}
    assert fitted.predict_proba(X).shape == fitted.predict_log_proba(X).shape == (150, 2)
    assert fitted.decision_function(X).shape == (150,)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_it_is_what_its_estimator_is():
    assert is_classifier(weighter(LogisticRegression()))
    assert is_regressor(weighter())
    assert not hasattr(weighter(), "predict_proba")
    assert not hasattr(weighter(LogisticRegression()), "classes_")
    assert hasattr(weighter(LogisticRegression()), "predict_proba")


@each_method
def test_repeats_with_a_seed(shifted, method, global_state_untouched):
    X, y, X_target, _ = shifted
    with global_state_untouched():
        first, second = (weighter(method=method).fit(X, y, X_target) for _ in range(2))
        np.testing.assert_array_equal(first.weights_, second.weights_)
        free = weighter(method=method, random_state=None)
        assert (clone(free).fit(X, y, X_target).weights_ != clone(free).fit(X, y, X_target).weights_).any()


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        *((kind, "classifier") for kind in (np.ndarray.tolist, np.float32, pd.DataFrame, pl.DataFrame)),
        (pd.DataFrame, "kliep"),
    ],
    ids=repr,
)
def test_rows_of_other_kinds(shifted, kind, method):
    if kind is np.float32 and method == "classifier":
        pytest.importorskip("sklearn", minversion="1.9", reason="LogisticRegression of older ones is coarse in float32")
    X, y, X_target, _ = shifted
    named = kind in (pd.DataFrame, pl.DataFrame)
    kinds = [kind(rows, **({"columns": ["a", "b"]} if kind is pd.DataFrame else {})) for rows in (X, X_target)]
    fitted, expected = weighter(method=method).fit(kinds[0], y, kinds[1]), weighter(method=method).fit(X, y, X_target)
    np.testing.assert_allclose(fitted.weights_, expected.weights_, rtol=0.1)  # float32 rounds
    assert fitted.n_features_in_ == 2
    assert hasattr(fitted, "feature_names_in_") == named


def test_sparse_rows_need_a_classifier_that_takes_them(shifted):
    X, y, X_target, _ = shifted
    sparse = [csr_array(rows) for rows in (X, X_target)]
    classifier = LogisticRegression()
    fitted = weighter(method="classifier", classifier=classifier).fit(sparse[0], y, sparse[1])
    expected = weighter(method="classifier", classifier=classifier).fit(X, y, X_target)
    np.testing.assert_allclose(fitted.weights_, expected.weights_, rtol=1e-2)
    with pytest.raises(TypeError, match="Sparse data was passed"):
        weighter().fit(sparse[0], y, sparse[1])


@pytest.mark.parametrize("n_target", [70, 150])  # as many as the training rows: handed out by folds
def test_grid_search(shifted, n_target):
    X, _, X_target, _ = shifted
    y, target = X @ [1, 2], np.vstack([X_target, X_target])[:n_target]
    search = GridSearchCV(weighter(bandwidth=0.5), {"estimator__alpha": [0.1, 1e6]}, cv=3)
    search.fit(X, y, X_target=target)
    assert search.best_params_ == {"estimator__alpha": 0.1}
    expected = weighter(Ridge(alpha=0.1), bandwidth=0.5).fit(X, y, target)
    np.testing.assert_array_equal(search.best_estimator_.weights_, expected.weights_)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_pipelines_whose_steps_request_weights(shifted):
    X, y, X_target, _ = shifted
    scaler, ridge = StandardScaler().set_fit_request(sample_weight=False), Ridge().set_fit_request(sample_weight=True)
    fitted = weighter(make_pipeline(scaler, ridge)).fit(X, y, X_target)
    expected = Ridge().fit(StandardScaler().fit_transform(X), y, sample_weight=fitted.weights_)
    np.testing.assert_allclose(fitted.predict(X), expected.predict(StandardScaler().fit_transform(X)))
    with pytest.raises(ValueError, match="'estimator' parameter .* an estimator whose fit accepts sample_weight"):
        weighter(make_pipeline(StandardScaler(), Ridge())).fit(X, y, X_target)


@pytest.mark.usefixtures("routing")
def test_requests_of_its_own(shifted):
    X, y, X_target, _ = shifted
    model = weighter(bandwidth=0.5).set_fit_request(X_target=True, sample_weight=True)
    model.set_score_request(sample_weight=False)
    passed = {"X_target": X_target, "sample_weight": np.linspace(0, 1, 150)}
    assert cross_val_score(model, X, y, params=passed).shape == (5,)
    inner = GridSearchCV(
        Ridge().set_fit_request(sample_weight=True).set_score_request(sample_weight=True), {"alpha": [1]}
    )
    assert weighter(inner).fit(X, y, X_target).predict(X).shape == (150,)


def test_other_fit_parameters_are_passed_on(shifted):
    X, y, X_target, _ = shifted

    class Noted(Ridge):
        def fit(self, X, y, sample_weight=None, note=None):
            self.note_ = note
            return super().fit(X, y, sample_weight)

    assert weighter(Noted()).fit(X, y, X_target, note="seen").estimator_.note_ == "seen"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"estimator": KNeighborsClassifier()},
            r"'estimator' parameter.* must be .*sample_weight.* Got KNeighborsClassifier\(\) instead",
        ),
        (
            {"estimator": make_pipeline(StandardScaler(), Ridge())},
            "'estimator' parameter.* must be .* Got Pipeline.* instead",
        ),
        ({"estimator": "ridge"}, "'estimator' parameter .* Got 'ridge'"),
        ({"method": "odds"}, "'method' parameter .* Got 'odds'"),
        ({"classifier": Ridge()}, "'classifier' parameter .* Got Ridge"),
        ({"n_centers": 0}, "'n_centers' parameter .* Got 0"),
        ({"bandwidth": 0.0}, "'bandwidth' parameter .* Got 0.0"),
        ({"bandwidth": "auto"}, "'bandwidth' parameter .* Got 'auto'"),
        ({"cv": 1}, "'cv' parameter .* Got 1"),
        ({"cv": 101}, "'cv' parameter.* must be an integer from 2 to 100.* Got 101 instead"),
        ({"cv": None}, "'cv' parameter.* must be an integer from 2 to 100.* Got None instead"),
        ({"cv": 101, "method": "classifier"}, "'cv' parameter.* must be an integer from 2 to 100.* Got 101 instead"),
    ],
)
def test_bad_parameters(shifted, params, message):
    X, y, X_target, _ = shifted
    model = weighter(**params)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, X_target)
    assert not hasattr(model, "estimator_")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:, :1], "X_target must have the columns of X. X has 1 features"),
        (lambda rows: rows[:, 0], "X_target must have the columns of X."),
        (lambda rows: rows[:0], "0 sample"),
        (lambda rows: np.where(rows > 2, np.nan, rows), "Input X_target contains NaN"),
        (lambda rows: rows + 1000, "'X' and 'X_target' parameters must be samples that overlap"),
    ],
)
def test_bad_target_rows(shifted, change, message):
    X, y, X_target, _ = shifted
    with pytest.raises(ValueError, match=message):
        weighter().fit(X, y, change(X_target))


def test_target_columns_of_other_names(shifted):
    X, y, X_target, _ = shifted
    frame, other = pd.DataFrame(X, columns=["a", "b"]), pd.DataFrame(X_target, columns=["b", "a"])
    with pytest.raises(ValueError, match="X_target must have the columns of X. .*\n.* same order"):
        weighter().fit(frame, y, other)


def test_a_classifier_that_is_never_in_doubt(shifted):
    X, y, X_target, _ = shifted
    sure = RandomForestClassifier(10, random_state=0)
    with pytest.raises(ValueError, match="'X' and 'X_target' parameters .* overlap: .* classifier can mistake"):
        weighter(method="classifier", classifier=sure).fit(X, y, X_target + 1000)


def test_a_well_specified_model_does_not_need_weights(shifted):
    X, _, X_target, _ = shifted
    fitted = weighter(LinearRegression()).fit(X, X @ [1, 2], X_target)
    np.testing.assert_allclose(fitted.estimator_.coef_, [1, 2])


@pytest.mark.parametrize("method", ["kliep", "classifier"])
def test_density_ratio_at_new_rows(method):
    random = np.random.default_rng(0)
    X, X_target = random.normal(0, 1, (500, 1)), random.normal(1, 1, (500, 1))
    weighter = DensityRatioWeighter(LinearRegression(), method=method, random_state=0).fit(X, X.ravel(), X_target)
    rows = np.linspace(-1, 2, 7)[:, None]
    np.testing.assert_allclose(np.log(weighter.density_ratio(rows)), rows.ravel() - 0.5, atol=0.35)
    at_training_rows = weighter.density_ratio(X)
    assert np.corrcoef(np.log(at_training_rows), np.log(weighter.weights_))[0, 1] > 0.95
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(weighter)).density_ratio(rows), weighter.density_ratio(rows)
    )
    with pytest.raises(ValueError, match="features"):
        weighter.density_ratio(np.ones((2, 3)))


def test_density_ratio_without_target_rows_and_of_frames():
    X = np.arange(20.0)[:, None]
    assert (DensityRatioWeighter(LinearRegression()).fit(X, X.ravel()).density_ratio(X[:3]) == 1).all()
    letters = [pd.DataFrame({"x": pd.Categorical(list(some) * 30)}) for some in ("aab", "abbc")]
    classifier = HistGradientBoostingClassifier(max_iter=20, categorical_features="from_dtype")
    weighter = DensityRatioWeighter(DummyRegressor(), method="classifier", classifier=classifier, random_state=0)
    ratios = weighter.fit(letters[0], np.arange(90), letters[1]).density_ratio(letters[1][:4])
    assert ratios[0] < ratios[1] == ratios[2] <= ratios[3]


def test_true_is_one_center():
    X = np.random.default_rng(0).normal(size=(20, 2))
    weights = [
        DensityRatioWeighter(Ridge(), n_centers=n, random_state=0).fit(X, X[:, 0], X + 1).weights_ for n in (1, True)
    ]
    np.testing.assert_array_equal(*weights)
