"""``Distiller``: the teacher sees raw rows, the student preprocessed ones, and the report measures both."""

import pickle
import tempfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl.data import RowBlocks

COLUMNS = {"log_loss", "accuracy", "agreement", "js", "seconds_per_row", "bytes"}
MODELS = ["teacher", "student", "student without teacher"]


@pytest.fixture
def distiller(quick):
    """Return ``distiller(teacher, **student_params)``: one with a seed, a weight of its teacher, and no report."""

    def make(teacher=None, report_fraction=None, **params):
        teacher = DecisionTreeClassifier(max_depth=3, random_state=0) if teacher is None else teacher
        student = quick(**{"distill_weight": 0.5, **params})
        return Distiller(student, teacher, report_fraction=report_fraction, random_state=0)

    return make


def mixed(n_rows=200, seed=0):
    """A frame of numbers, categories and missing values, and labels that hang on all of them."""
    random = np.random.RandomState(seed)
    city = random.choice(["Rom", "Ulm", "Bern"], n_rows)
    X = pd.DataFrame(
        {
            "city": pd.Categorical(city), "age": random.randint(18, 90, n_rows), "x": random.randn(n_rows),
            "flag": random.choice([True, False], n_rows),
        }
    )  # fmt: skip
    y = np.where((X["age"] > 50) ^ (city == "Rom"), "yes", "no")
    return X, y


def preprocessed(student):
    return make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["city"]),
            (StandardScaler(), ["age", "x"]), remainder="passthrough",
        ),
        student,
    )  # fmt: skip


BOOSTING = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=10, min_samples_leaf=5)


# A raw frame for the teacher, a pipeline for the student


@pytest.mark.parametrize("augment", [None, "munge", "noise"])
def test_a_raw_frame_for_the_teacher_and_a_pipeline_for_the_student(quick, augment):
    X, y = mixed(300)
    student = preprocessed(quick(distill_weight=1.0, augment=augment, max_epochs=20, hidden_layer_sizes=(32,)))
    model = Distiller(student, BOOSTING, random_state=0, report_fraction=None).fit(X, y)
    assert model.classes_.tolist() == ["no", "yes"]
    assert (model.predict(X) == model.teacher_.predict(X)).mean() > 0.85
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
    assert np.array_equal(model.predict_proba(X), model.student_.predict_proba(X))
    assert not hasattr(model, "report_")


def test_synthetic_rows_are_raw_rows(quick):
    seen = []

    class Watching(HistGradientBoostingClassifier):
        def predict_proba(self, X):
            seen.append(X)
            return super().predict_proba(X)

    X, y = mixed(60)
    student = preprocessed(quick(augment="munge", augment_factor=2, calibrate_teacher=False, distill_weight=0.5))
    teacher = Watching(categorical_features="from_dtype", max_iter=3)
    Distiller(student, teacher, report_fraction=None, random_state=0).fit(X, y, X_unlabeled=X[:7])
    assert [len(rows) for rows in seen] == [60, 7, 120]
    assert all(rows.dtypes.to_dict() == X.dtypes.to_dict() for rows in seen)
    assert set(seen[2]["city"]) <= {"Rom", "Ulm", "Bern"}


def test_the_student_is_what_the_classifier_with_that_teacher_is(distiller, quick, table):
    X, y = table
    teacher = DecisionTreeClassifier(max_depth=3, random_state=0)
    model = distiller(teacher, distill_weight=0.8).fit(X, y)
    alone = quick(teacher=teacher, distill_weight=0.8).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), rtol=1e-5)
    assert np.array_equal(model.teacher_.predict_proba(X), teacher.fit(X, y).predict_proba(X))


@pytest.mark.parametrize("weight", ["auto", 0.0])
def test_the_teacher_is_fitted_to_all_rows_whatever_its_weight(distiller, table, weight):
    X, y = table
    model = distiller(distill_weight=weight).fit(X, y)
    expected = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y).predict_proba(X)
    assert np.array_equal(model.teacher_.predict_proba(X), expected)
    assert 0 <= model.student_.distill_weight_ <= 0.5


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_the_teacher_has_the_class_weights_whatever_its_weight(distiller, table, weight):
    X, y = table
    model = distiller(distill_weight=weight, class_weight={0: 9.0, 2: 0.0}, teacher_classes="closed", augment=None)
    model.set_params(teacher__max_depth=1).fit(X, y, sample_weight=np.arange(120.0))
    used = (y != 2) & (np.arange(120) > 0)
    row_weight = np.arange(120.0) * np.choose(y, [9.0, 1.0, 0.0])
    expected = clone(model.teacher).fit(X[used], y[used], sample_weight=row_weight[used])
    assert np.array_equal(model.teacher_.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("kind", ["frozen", "module", "function", "this package's"])
def test_kinds_of_teacher(distiller, quick, table, kind):
    X, y = table
    teacher = {
        "frozen": FrozenEstimator(LogisticRegression().fit(X, y)), "module": nn.Linear(5, 3),
        "function": lambda X: np.full((len(X), 3), 1 / 3), "this package's": quick(),
    }[kind]  # fmt: skip
    model = distiller(teacher, report_fraction=0.3).fit(X, y)
    assert model.predict(X).shape == (120,)
    assert model.report_["teacher"]["agreement"] == 1
    assert "train_distillation" in model.student_.history_[-1]


def test_sparse_rows(distiller, table):
    X, y = table
    model = distiller(LogisticRegression()).fit(sparse.coo_array(X), y)
    assert model.predict_proba(sparse.csr_array(X)).shape == (120, 3)


def test_a_pipeline_with_a_memory(quick, table):
    with tempfile.TemporaryDirectory() as folder:
        student = make_pipeline(StandardScaler(), quick(distill_weight=0.5), memory=folder)
        for _ in range(2):
            model = Distiller(student, LogisticRegression(), report_fraction=None, random_state=0)
            assert model.fit(*table).score(*table) > 0


# The report


def test_the_report_is_what_scikit_learn_measures_on_rows_held_out(distiller, table):
    X, y = table
    seeds = np.random.RandomState(0)
    seed = seeds.randint(2**31 - 1)  # student and teacher have seeds of their own
    model = distiller(report_fraction=0.25).fit(X, y)
    assert list(model.report_) == MODELS
    assert all(set(figures) == COLUMNS for figures in model.report_.values())
    train, test = train_test_split(np.arange(120), test_size=0.25, stratify=y, random_state=seed)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X[train], y[train])
    student = distiller().fit(X[train], y[train])
    alone = clone(model.student).set_params(distill_weight="auto").fit(X[train], y[train])
    assert model.report_["teacher"]["accuracy"] == accuracy_score(y[test], tree.predict(X[test]))
    for name, fitted in [("student", student), ("student without teacher", alone)]:
        figures = model.report_[name]
        assert figures["log_loss"] == pytest.approx(log_loss(y[test], fitted.predict_proba(X[test])))
        assert figures["accuracy"] == accuracy_score(y[test], fitted.predict(X[test]))
        assert figures["agreement"] == (fitted.predict(X[test]) == tree.predict(X[test])).mean()


@pytest.mark.parametrize(("penalty", "used"), [("vat", True), ("confidence", False)])
def test_the_student_without_a_teacher_gets_rows_without_labels_if_it_can_use_them(distiller, table, penalty, used):
    X, y = table
    seed = np.random.RandomState(0).randint(2**31 - 1)
    params = {"kl_penalty": penalty, "kl_strength": 1.0, "augment": None}
    model = distiller(report_fraction=0.25, **params).fit(X, y, X_unlabeled=X + 1)
    train, test = train_test_split(np.arange(120), test_size=0.25, stratify=y, random_state=seed)
    alone = clone(model.student).set_params(distill_weight="auto")
    alone.fit(X[train], y[train], X_unlabeled=X + 1 if used else None)
    expected = pytest.approx(log_loss(y[test], alone.predict_proba(X[test])))
    assert model.report_["student without teacher"]["log_loss"] == expected


def test_the_report_is_plausible(distiller, table):
    report = distiller(RandomForestClassifier(20, random_state=0), report_fraction=0.3).fit(*table).report_
    assert report["teacher"]["agreement"] == 1
    assert report["teacher"]["js"] == pytest.approx(0, abs=1e-12)
    assert report["student"]["js"] > 0
    assert report["teacher"]["bytes"] > report["student"]["bytes"] > 0
    assert all(figures["seconds_per_row"] >= 0 for figures in report.values())


def test_the_size_of_what_cannot_be_pickled_is_not_known(distiller, table):
    report = distiller(lambda X: np.full((len(X), 3), 1 / 3), report_fraction=0.3).fit(*table).report_
    assert np.isnan(report["teacher"]["bytes"])


def test_a_report_is_of_the_last_fit(distiller, table):
    model = distiller(report_fraction=0.3).fit(*table)
    assert not hasattr(model.set_params(report_fraction=None).fit(*table), "report_")


def test_a_report_of_a_single_class(distiller, table):
    report = distiller(report_fraction=0.3).fit(table[0], np.full(120, "a")).report_
    assert [figures["log_loss"] for figures in report.values()] == [0, 0, 0]
    assert [figures["accuracy"] for figures in report.values()] == [1, 1, 1]


@pytest.mark.filterwarnings("ignore:1 classes have one row only")
def test_few_rows_and_a_class_of_one(distiller, table):
    X, y = table
    lone = np.where(np.arange(120) == 3, 9, y)
    for seed in range(3):
        model = distiller(report_fraction=0.3).set_params(random_state=seed).fit(X, lone)
        assert model.classes_.tolist() == [0, 1, 2, 9]
    assert set(distiller(report_fraction=0.2).fit(X[:9], y[:9]).report_) == set(MODELS)
    for n_rows in (0, 1, 2):
        match = rf"too few rows for a report \(n_samples={n_rows}\); set report_fraction=None"
        with pytest.raises(ValueError, match=match):
            distiller(report_fraction=0.5).fit(X[:n_rows], [0, 1][:n_rows])
    for row in range(8):
        with pytest.raises(ValueError, match=r"too few rows for a report \(n_samples=1\); set report_fraction=None"):
            distiller(report_fraction=0.5).fit(X, y, sample_weight=np.arange(120) == row)


def test_a_teacher_of_other_classes(distiller, table):
    X, y = table
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    model = distiller(teacher, report_fraction=0.3, teacher_classes="common")
    model.fit(X[y > 0], y[y > 0])
    assert model.classes_.tolist() == [1, 2]
    assert model.report_["teacher"]["agreement"] == 1


class Foreign:
    """A fitted model that scikit-learn does not know."""

    def __init__(self, X, y):
        self.model = LogisticRegression().fit(X, y)
        self.classes_ = self.model.classes_.tolist()

    def predict_proba(self, X):
        return self.model.predict_proba(X)


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda model: model], ids=["frozen", "bare"])
def test_a_teacher_that_is_no_estimator(distiller, table, wrap):
    model = distiller(wrap(Foreign(*table)), report_fraction=0.3).fit(*table)
    expected = distiller(FrozenEstimator(LogisticRegression().fit(*table))).fit(*table)
    np.testing.assert_allclose(model.predict_proba(table[0]), expected.predict_proba(table[0]), rtol=1e-5)
    assert model.report_["teacher"]["agreement"] == 1


# Weights, rows without labels, seeds


def test_weights_reach_teacher_student_and_report(distiller, table):
    X, y = table
    weight = np.random.RandomState(0).randint(1, 4, size=120).astype(float)
    model = distiller(report_fraction=0.3).fit(X, y, sample_weight=weight)
    plain = distiller(report_fraction=0.3).fit(X, y)
    assert not np.array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert not np.array_equal(model.teacher_.predict_proba(X), plain.teacher_.predict_proba(X))
    ones = distiller(report_fraction=0.3).fit(X, y, sample_weight=np.ones(120))
    assert ones.report_["student"]["log_loss"] == pytest.approx(plain.report_["student"]["log_loss"], rel=1e-3)


def test_rows_without_labels(distiller, table):
    X, y = table
    model = distiller(augment=None).fit(X[:40], y[:40], X_unlabeled=X[40:].tolist())
    assert not np.array_equal(model.predict_proba(X), distiller(augment=None).fit(X[:40], y[:40]).predict_proba(X))


def test_one_seed_decides_all(table, global_state_untouched):
    X, y = table

    def proba(seed):
        student = make_pipeline(StandardScaler(), KLClassifier((8,), max_epochs=2, distill_weight=0.5))
        teacher = RandomForestClassifier(3)
        model = Distiller(student, teacher, random_state=seed).fit(X, y)
        assert teacher.random_state is None
        return model.predict_proba(X)

    with global_state_untouched():
        assert np.array_equal(proba(0), proba(0))
        assert not np.array_equal(proba(0), proba(1))


# Errors


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"student": LogisticRegression()},
            "'student' parameter must be a KLClassifier or a Pipeline whose last step is one, itself",
        ),
        ({"student": make_pipeline(make_pipeline(KLClassifier()))}, "whose last step is one, itself"),
        ({"student": 3}, "'student' parameter"),
        ({"student": make_pipeline(StandardScaler(), LogisticRegression())}, "'student' parameter must be"),
        ({"student": KLClassifier(teacher=LogisticRegression())}, "must not have a 'teacher' of its own"),
        ({"teacher": 3}, "'teacher' parameter"),
        ({"teacher": None}, "'teacher' parameter"),
        ({"teacher": DecisionTreeClassifier}, "'teacher' parameter"),
        ({"report_fraction": 1.0}, "'report_fraction' parameter"),
        ({"report_fraction": 0}, "'report_fraction' parameter"),
        ({"random_state": -1}, "'random_state' parameter"),
        ({"student__lr": -1.0}, "'lr' parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_named(distiller, table, params, match):
    model = distiller().set_params(**params)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=match):
        model.fit(*table)
    assert vars(model) == before


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        ({"y": np.zeros(100)}, ValueError, "inconsistent numbers of samples"),
        ({"sample_weight": np.ones(100)}, ValueError, "sample_weight"),
        ({"sample_weight": -np.ones(120)}, ValueError, "sample_weight"),
        ({"y": ["a", 1] * 60}, TypeError, "uniformly strings or numbers"),
        ({"y": ["a", None] * 60}, ValueError, "contains None"),
        ({"y": np.linspace(0, 1, 120)}, ValueError, "Unknown label type"),
    ],
    ids=str,
)
def test_bad_labels_and_weights_are_told_before_any_work(distiller, table, data, error, match):
    def teacher(X):
        raise AssertionError("the teacher was asked")

    for fraction in (None, 0.3):
        with pytest.raises(error, match=match):
            distiller(teacher, report_fraction=fraction).fit(**{"X": table[0], "y": table[1], **data})


def test_a_weight_for_all_rows(distiller, table):
    assert np.array_equal(
        distiller(report_fraction=0.3).fit(*table, sample_weight=2.0).predict_proba(table[0]),
        distiller().fit(*table, sample_weight=np.full(120, 2.0)).predict_proba(table[0]),
    )


def test_a_class_without_weight(distiller, table):
    X, y = table
    model = distiller(report_fraction=0.3).fit(X, y, sample_weight=(y > 0).astype(float))
    assert model.classes_.tolist() == [0, 1, 2]
    assert set(model.report_) == set(MODELS)
    assert model.teacher_.classes_.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["category", "object", "str"])
def test_text_in_the_students_columns_is_told(distiller, dtype):
    X, y = mixed(60)
    with pytest.raises(ValueError, match="could not convert string to float|Cannot cast") as error:
        distiller(lambda X: np.full((len(X), 2), 0.5)).fit(X.astype({"city": dtype}), y)
    assert "encode the other columns in a Pipeline" in error.value.__notes__[0]


def test_several_labels_are_refused(distiller, table):
    with pytest.raises(ValueError, match="y should be a 1d array"):
        distiller().fit(table[0], np.eye(3)[table[1]])


def test_rows_that_are_not_in_memory_and_no_labels_are_told(distiller, table):
    blocks = RowBlocks.from_callable(lambda number: table, 1)
    for y in (None, table[1]):
        with pytest.raises(TypeError, match="'X' parameter must be rows in memory: an array.* Got RowBlocks"):
            distiller().fit(blocks, y)
    with pytest.raises(ValueError, match="Distiller estimator requires y to be passed, but the target y is None"):
        distiller().fit(table[0], None)


def test_unfitted(distiller, table):
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(distiller(), method)(table[0])


def test_a_failed_refit_keeps_the_old_model(distiller, table):
    X, y = table
    model = distiller(report_fraction=0.3).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert vars(model) == before


# Interrupts


class Interrupted(nn.Linear):
    """A linear network whose training is interrupted in a step, counted from 1."""

    def __init__(self, n_features, n_classes, step):
        super().__init__(n_features, n_classes)
        self.steps_to_go = step

    def forward(self, x):
        self.steps_to_go -= self.training
        if self.training and self.steps_to_go == 0:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.fixture
def interrupted(distiller):
    """Return ``interrupted(step, report_fraction)``: a distiller of four batches an epoch."""

    def make(step, report_fraction=None):
        student = {"module": Interrupted, "module__step": step, "batch_size": 30, "augment": None, "max_epochs": 9}
        return distiller(report_fraction=report_fraction, **student)

    return make


def test_an_interrupt_keeps_the_finished_epochs_and_is_raised_again(interrupted, table):
    model = interrupted(step=11)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert model.student_.interrupted_
    assert model.student_.n_iter_ == 2
    assert model.predict_proba(table[0]).shape == (120, 3)
    expected = clone(model.teacher).fit(*table)
    assert np.array_equal(model.teacher_.predict_proba(table[0]), expected.predict_proba(table[0]))


@pytest.mark.parametrize(("step", "report_fraction"), [(2, None), (11, 0.3)])
def test_an_interrupt_before_there_is_a_student_leaves_none(interrupted, table, step, report_fraction):
    model = interrupted(step, report_fraction)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert vars(model) == before


# As every estimator


def test_columns_are_known_as_the_student_knows_them(quick, table):
    X, y = mixed(60)
    model = Distiller(preprocessed(quick()), BOOSTING, report_fraction=None, random_state=0)
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")
    assert model.fit(X, y).n_features_in_ == 4
    assert model.feature_names_in_.tolist() == ["city", "age", "x", "flag"]
    model = Distiller(quick(), LogisticRegression(), report_fraction=None).fit(*table)
    assert model.n_features_in_ == 5
    assert not hasattr(model, "feature_names_in_")


def test_clone_pickle_and_parameters(distiller, table):
    X, y = table
    model = distiller(report_fraction=0.3).set_params(student__temperature=2.0, teacher__max_depth=2).fit(X, y)
    copied = clone(model)
    assert copied.student.temperature == 2.0
    assert copied.teacher.max_depth == 2
    assert not hasattr(copied, "student_")
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    assert model.student_.interrupted_ is False


def test_a_search_over_students_and_teachers(quick, table):
    X, y = table
    student = make_pipeline(StandardScaler(), quick(distill_weight=0.5))
    model = Distiller(student, DecisionTreeClassifier(random_state=0), report_fraction=None, random_state=0)
    grid = {"student__klclassifier__temperature": [1.0, 3.0], "teacher__max_depth": [2, 3]}
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_.predict(X).shape == (120,)


def test_weights_are_routed(distiller, table):
    with config_context(enable_metadata_routing=True):
        model = distiller().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_val_score(model, *table, cv=3, params={"sample_weight": np.ones(120)})
    assert len(scores) == 3


class Resampler(BaseEstimator):
    """A step like those of packages that balance classes: it returns other rows, in another order."""

    def fit_resample(self, X, y):
        return X[::-1], y[::-1]

    def fit_transform(self, X, y=None):
        return X[::-1]

    def transform(self, X):
        return X


@pytest.mark.parametrize("place", [0, 1])
def test_steps_that_resample_are_refused(place, quick, table):
    steps = [StandardScaler(), quick()]
    steps.insert(place, Resampler())
    with pytest.raises(ValueError, match="leaves rows as they are. Got Resampler.* which resamples them"):
        Distiller(make_pipeline(*steps), LogisticRegression()).fit(*table)
    inner = make_pipeline(*steps[:-1], StandardScaler())
    with pytest.raises(ValueError, match="Got Resampler.* as its step 'resampler', which resamples them"):
        Distiller(make_pipeline(inner, quick()), LogisticRegression()).fit(*table)


@pytest.mark.parametrize("weight", [[10**400] * 4, [object()] * 4, ["a"] * 4], ids=["huge", "objects", "texts"])
def test_weights_that_are_none_are_named(weight):
    distiller = Distiller(KLClassifier(), GaussianNB())
    with pytest.raises(ValueError, match="'sample_weight' parameter must be finite numbers"):
        distiller.fit(np.eye(4), [0, 1, 0, 1], sample_weight=weight)


def test_rows_of_several_lengths_are_named():
    with pytest.raises(ValueError, match="'X' parameter must be an array"):
        Distiller(KLClassifier(), GaussianNB()).fit([[1.0], [1.0, 2.0]], [0, 1])
