import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import entropy
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sklkl.divergences import DIVERGENCES
from sklkl.preprocessing import ProbaDivergence


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


class Recorder(ClassifierMixin, BaseEstimator):
    """Class frequencies as float32, and what `fit` was given."""

    def fit(self, X, y, sample_weight=None, colour=None):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = (counts / len(y)).astype(np.float32)
        self.seen_, self.colour_ = sample_weight, colour
        return self

    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))


# references


def test_prior_and_uniform(iris):
    X, y = iris[0][30:], iris[1][30:]
    proba = GaussianNB().fit(X, y).predict_proba(X)
    for reference, expected in {"prior": [20, 50, 50], "uniform": [1, 1, 1]}.items():
        fitted = ProbaDivergence(GaussianNB(), reference=reference).fit(X, y)
        np.testing.assert_allclose(fitted.references_, [np.array(expected) / sum(expected)], rtol=1e-12)
        values = [[entropy(row, expected)] for row in proba]
        np.testing.assert_allclose(fitted.transform(X), values, rtol=1e-9)
        np.testing.assert_allclose(fitted.score_samples(X), np.ravel(values), rtol=1e-9)


@pytest.mark.parametrize("cv", [3, StratifiedKFold(4), KFold(5, shuffle=True, random_state=0)])
def test_templates_are_mean_predictions_out_of_fold(cv, iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB(), reference="templates", cv=cv).fit(X, y)
    proba = cross_val_predict(GaussianNB(), X, y, cv=cv, method="predict_proba")
    np.testing.assert_allclose(fitted.references_, [proba[y == c].mean(0) for c in range(3)], rtol=1e-12)


def test_templates_in_sample(iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB(), reference="templates", cv=None).fit(X, y)
    proba = GaussianNB().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(fitted.references_, [proba[y == c].mean(0) for c in range(3)], rtol=1e-12)


def test_out_of_fold_templates_of_a_classifier_that_learns_by_heart(iris):
    tree = DecisionTreeClassifier(random_state=0)
    by_heart = ProbaDivergence(tree, reference="templates", cv=None).fit(*iris)
    honest = ProbaDivergence(tree, reference="templates", cv=5).fit(*iris)
    np.testing.assert_array_equal(by_heart.references_, np.eye(3))
    assert 0.8 < honest.references_[1, 1] < 1


def test_divergence_and_score_of_templates(iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB(), reference="templates").fit(X, y)
    proba = GaussianNB().fit(X, y).predict_proba(X)
    expected = np.array([[entropy(row, template) for template in fitted.references_] for row in proba])
    np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fitted.score_samples(X), -expected.min(axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_every_divergence(divergence, iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB(), reference="templates", divergence=divergence, smoothing=0.1).fit(X, y)
    proba = GaussianNB().fit(X, y).predict_proba(X[::10])
    options = {"normalize": True, "smoothing": 0.1}
    expected = [[DIVERGENCES[divergence](row, other, **options) for other in fitted.references_] for row in proba]
    np.testing.assert_allclose(fitted.transform(X[::10]), expected, rtol=1e-9, atol=1e-12)


def test_smoothing_makes_impossible_classes_possible(iris):
    X, y = iris
    bounded, infinite = (
        ProbaDivergence(DecisionTreeClassifier(random_state=0), reference="templates", cv=None, smoothing=smoothing)
        .fit(X, y)
        .transform(X)
        for smoothing in (0.01, 0.0)
    )
    assert np.isinf(infinite[0, 1:]).all()
    assert np.isfinite(bounded).all()


def test_rounding_of_float32_probabilities_does_not_count():
    y = np.arange(70) % 7
    fitted = ProbaDivergence(Recorder()).fit(np.zeros((70, 1)), y)
    assert np.abs(fitted.transform(np.zeros((2, 1)))).max() < 1e-15


def test_splits_need_not_be_a_partition(iris):
    X, y = iris
    splits = list(ShuffleSplit(4, test_size=0.3, random_state=0).split(X, y))
    fitted = ProbaDivergence(GaussianNB(), reference="templates", cv=splits).fit(X, y)
    predictions = [[] for _ in y]
    for train, test in splits:
        for row, proba in zip(test, GaussianNB().fit(X[train], y[train]).predict_proba(X[test]), strict=True):
            predictions[row].append(proba)
    means = [np.mean([np.mean(p, 0) for p, c in zip(predictions, y, strict=True) if p and c == k], 0) for k in range(3)]
    np.testing.assert_allclose(fitted.references_, means, rtol=1e-12)


# labels


def test_labels_reach_the_estimator_as_they_are(iris):
    """Also in the folds: weights of classes are looked up by label."""
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    by_name = LogisticRegression(max_iter=1000, class_weight=dict(zip(names, [1, 2, 3], strict=True)))
    by_code = LogisticRegression(max_iter=1000, class_weight={0: 1, 1: 2, 2: 3})
    fitted = ProbaDivergence(by_name, reference="templates").fit(X, names[y])
    assert fitted.classes_.tolist() == names.tolist()
    codes = ProbaDivergence(by_code, reference="templates").fit(X, y)
    np.testing.assert_allclose(fitted.transform(X), codes.transform(X), rtol=1e-9)


def test_classes_in_an_order_of_the_estimators_own(iris):
    class Reversed(GaussianNB):
        def fit(self, X, y):
            super().fit(X, y)
            self.order_, self.classes_ = np.arange(len(self.classes_))[::-1], self.classes_[::-1]
            return self

        def predict_proba(self, X):
            return super().predict_proba(X)[:, ::-1]

    X, y = iris[0][:-20], iris[1][:-20]
    expected = ProbaDivergence(GaussianNB(), reference="templates").fit(X, y)
    reverse = ProbaDivergence(Reversed(), reference="templates").fit(X, y)
    np.testing.assert_array_equal(reverse.references_, expected.references_[::-1, ::-1])
    np.testing.assert_allclose(reverse.transform(X), expected.transform(X)[:, ::-1], rtol=1e-9, atol=1e-12)
    priors = [ProbaDivergence(model()).fit(X, y).references_[0] for model in (GaussianNB, Reversed)]
    np.testing.assert_array_equal(priors[0], priors[1][::-1])


def test_folds_that_lack_a_class(iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB(), reference="templates", cv=KFold(3)).fit(X, y)  # rows are sorted by class
    assert (fitted.references_.diagonal() == 0).all()
    np.testing.assert_allclose(fitted.references_.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_class_of_one_row(iris):
    X, y = iris
    y = np.where(np.arange(150) == 7, 9, y)
    fitted = ProbaDivergence(LogisticRegression(max_iter=1000), reference="templates").fit(X, y)
    assert fitted.references_[3, 3] == 0  # the fold that predicts the row has no other of its class
    assert fitted.transform(X).shape == (150, 4)


# what the estimator may be


def test_text_in_a_pipeline_with_an_empty_document():
    texts = ["rain and wind", "wind and snow", "", "goals and cards", "a late goal", "goals"]
    topics = ["weather"] * 3 + ["sport"] * 3
    model = make_pipeline(CountVectorizer(), MultinomialNB())
    fitted = ProbaDivergence(model, reference="templates", cv=3).fit(texts, topics)
    nearest = fitted.transform(["wind", "late goals"]).argmin(axis=1)
    assert fitted.classes_[nearest].tolist() == ["weather", "sport"]
    assert np.isfinite(fitted.transform([""])).all()
    assert not hasattr(fitted, "n_features_in_")


def test_frame_of_mixed_columns():
    X = pd.DataFrame({"colour": ["red", "green", None, "red"] * 5, "size": np.arange(20.0)})
    encode = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["colour"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression(max_iter=1000))
    fitted = ProbaDivergence(model, reference="templates").fit(X, np.arange(20) > 9)
    assert fitted.feature_names_in_.tolist() == ["colour", "size"]
    assert fitted.transform(X).shape == (20, 2)


def test_frozen_estimator_is_used_as_it_is(iris):
    X, y = iris
    trained = GaussianNB().fit(X, y)
    for reference in ("prior", "templates"):
        fitted = ProbaDivergence(FrozenEstimator(trained), reference=reference, cv=5).fit(X[::2] + 0.1, y[::2])
        assert fitted.estimator_.estimator is trained
    proba = trained.predict_proba(X[::2] + 0.1)
    np.testing.assert_allclose(fitted.references_, [proba[y[::2] == c].mean(0) for c in range(3)], rtol=1e-12)


def test_frozen_estimator_needs_no_folds(iris):
    X, y = iris
    trained = GaussianNB().fit(X, y)
    fitted = ProbaDivergence(FrozenEstimator(trained), reference="templates").fit(X[::50], y[::50])
    np.testing.assert_allclose(fitted.references_, trained.predict_proba(X[::50]), rtol=1e-12)


def test_estimator_is_cloned(iris):
    base = GaussianNB()
    fitted = ProbaDivergence(base).fit(*iris)
    assert fitted.estimator_ is not base
    assert not hasattr(base, "classes_")
    assert clone(fitted).get_params()["estimator__var_smoothing"] == 1e-9


def test_refit_forgets_names_of_columns(iris):
    X, y = iris
    fitted = ProbaDivergence(GaussianNB()).fit(pd.DataFrame(X, columns=list("abcd")), y)
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert not hasattr(fitted.fit(X, y), "feature_names_in_")


def test_kernel_matrix_is_split_by_rows_and_columns(iris):
    X, y = iris

    class Nearest(ClassifierMixin, BaseEstimator):
        """One-hot of the class of the row with the greatest kernel value."""

        def fit(self, K, y):
            assert K.shape == (len(y), len(y))
            self.y_, self.classes_ = y, np.unique(y)
            return self

        def predict_proba(self, K):
            return (self.y_[K.argmax(axis=1)][:, None] == self.classes_).astype(float)

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.pairwise = True
            return tags

    K = -np.square(X[:, None] - X).sum(-1)
    fitted = ProbaDivergence(Nearest(), reference="templates").fit(K, y)
    assert (fitted.references_.diagonal() > 0.9).all()


# weights and other metadata


@pytest.mark.parametrize("reference", ["prior", "templates"])
def test_weights_are_repetitions(reference, iris):
    X, y = iris
    weight = np.random.RandomState(0).randint(3, size=150)
    weighted = ProbaDivergence(GaussianNB(), reference=reference, cv=None).fit(X, y, sample_weight=weight)
    repeated = ProbaDivergence(GaussianNB(), reference=reference, cv=None).fit(X.repeat(weight, 0), y.repeat(weight))
    np.testing.assert_allclose(weighted.references_, repeated.references_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), rtol=1e-6, atol=1e-12)


def test_weights_are_cut_into_folds(iris):
    X, y = iris
    weight = np.random.RandomState(0).rand(150)
    fitted = ProbaDivergence(GaussianNB(), reference="templates").fit(X, y, sample_weight=weight)
    proba = cross_val_predict(GaussianNB(), X, y, method="predict_proba", params={"sample_weight": weight})
    expected = [np.average(proba[y == c], axis=0, weights=weight[y == c]) for c in range(3)]
    np.testing.assert_allclose(fitted.references_, expected, rtol=1e-12)


def test_fit_params_reach_the_estimator(iris):
    assert ProbaDivergence(Recorder()).fit(*iris, colour="red").estimator_.colour_ == "red"


@pytest.mark.usefixtures("routing")
def test_routing(iris):
    X, y = iris
    weight, groups = np.arange(150) + 1.0, np.arange(150) % 10
    base = Recorder().set_fit_request(sample_weight="importance", colour=True)
    transformer = ProbaDivergence(base, reference="templates", cv=GroupKFold(5))
    fitted = transformer.fit(X, y, importance=weight, colour="red", groups=groups)
    np.testing.assert_array_equal(fitted.estimator_.seen_, weight)
    assert fitted.estimator_.colour_ == "red"
    by_hand = list(GroupKFold(5).split(X, y, groups))
    unrouted = ProbaDivergence(Recorder().set_fit_request(sample_weight=True), reference="templates", cv=by_hand)
    np.testing.assert_allclose(unrouted.fit(X, y, sample_weight=weight).references_, fitted.references_, rtol=1e-12)


@pytest.mark.usefixtures("routing")
def test_routing_through_pipelines_and_searches(iris):
    pytest.importorskip("sklearn", minversion="1.9", reason="older ones do not route weights to a Pipeline's score")
    X, y = iris
    weight = np.where(np.arange(150) % 2, 1.0, 3.0)
    base = make_pipeline(MinMaxScaler(), Recorder().set_fit_request(sample_weight=True))
    classifier = LogisticRegression().set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
    model = make_pipeline(ProbaDivergence(base, reference="templates"), classifier)
    search = GridSearchCV(model, {"probadivergence__divergence": ["kl", "js"]}, cv=3).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(search.best_estimator_[0].estimator_[-1].seen_, weight)


@pytest.mark.usefixtures("routing")
def test_routing_refuses_what_nobody_requested(iris):
    with pytest.raises(UnsetMetadataPassedError):
        ProbaDivergence(GaussianNB()).fit(*iris, sample_weight=np.ones(150))
    with pytest.raises(TypeError, match="colour"):
        ProbaDivergence(GaussianNB()).fit(*iris, colour="red")


# in use


@pytest.mark.parametrize("reference", ["prior", "uniform", "templates"])
def test_rows_of_unknown_classes_score_lower(reference):
    X, y = load_digits(return_X_y=True)
    known = np.flatnonzero(y < 5)
    train, test = known[:600], np.r_[known[600:], np.flatnonzero(y >= 5)]
    model = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500))
    scores = ProbaDivergence(model, reference=reference).fit(X[train], y[train]).score_samples(X[test])
    assert roc_auc_score(y[test] < 5, scores) > 0.85


def test_grid_search_over_parameters_of_both(iris):
    model = make_pipeline(ProbaDivergence(GaussianNB(), reference="templates"), LogisticRegression(max_iter=1000))
    grid = {"probadivergence__divergence": ["kl", "js"], "probadivergence__estimator__var_smoothing": [1e-9, 1e-2]}
    assert GridSearchCV(model, grid, cv=3).fit(*iris).best_score_ > 0.9


# refusals

NO_CLASSIFIER = "'estimator' parameter of ProbaDivergence must be a classifier with fit and predict_proba"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"estimator": RidgeClassifier()}, NO_CLASSIFIER),
        ({"estimator": make_pipeline(MinMaxScaler(), SVC())}, NO_CLASSIFIER),
        ({"estimator": GaussianNB}, NO_CLASSIFIER),
        (
            {"reference": "mean"},
            "of ProbaDivergence must be one of 'prior', 'uniform', 'templates'. Got 'mean' instead.",
        ),
        ({"divergence": "cosine"}, "'divergence' parameter of ProbaDivergence must be one of 'alpha', "),
        ({"smoothing": -0.1}, "'smoothing' parameter of ProbaDivergence must be a number in [0, 1]. Got -0.1 instead."),
        ({"cv": "five", "reference": "templates"}, "as an integer, "),
        ({"cv": 1, "reference": "templates"}, "n_splits=1"),
    ],
)
def test_refuses_parameters_before_any_fitting(params, message, iris, message_of, monkeypatch):
    monkeypatch.setattr(GaussianNB, "fit", None)
    assert message in message_of(lambda: ProbaDivergence(**{"estimator": GaussianNB(), **params}).fit(*iris))


def test_refuses_targets(iris, message_of):
    X, y = iris
    assert "Unknown label type" in message_of(lambda: ProbaDivergence(GaussianNB()).fit(X, y + 0.5))
    assert "inconsistent" in message_of(lambda: ProbaDivergence(GaussianNB()).fit(X, y[:-1]))
    assert "1d array" in message_of(lambda: ProbaDivergence(GaussianNB()).fit(X, np.eye(3)[y]))


def test_refuses_labels_that_a_frozen_estimator_does_not_know(iris, message_of):
    X, y = iris
    frozen = FrozenEstimator(GaussianNB().fit(X[:100], y[:100]))
    assert message_of(lambda: ProbaDivergence(frozen).fit(X, y)) == (
        "The 'y' parameter must be labels among the estimator's classes, [0, 1]. Got the label 2 instead."
    )


def test_refuses_templates_without_rows(iris, message_of):
    X, y = iris
    frozen = ProbaDivergence(FrozenEstimator(GaussianNB().fit(X, y)), reference="templates")
    message = (
        "The 'y' parameter of ProbaDivergence must be labels with a predicted row of positive weight of each class. "
        "Got none of class 2 instead."
    )
    assert message_of(lambda: frozen.fit(X[:100], y[:100])) == message
    weighted = ProbaDivergence(DummyClassifier(), reference="templates", cv=None)
    assert message_of(lambda: weighted.fit(X, y, sample_weight=(y < 2).astype(float))) == message


def test_score_samples_before_fit(iris):
    with pytest.raises(NotFittedError):
        ProbaDivergence(GaussianNB()).score_samples(iris[0])


def test_splits_of_no_rows_are_named():
    X, y = np.eye(4), [0, 1, 0, 1]
    with pytest.raises(ValueError, match=r"^cv=.* cannot split these rows: index 99 is out of bounds"):
        ProbaDivergence(GaussianNB(), reference="templates", cv=[([0, 1], [99])]).fit(X, y)
