"""A classifier with a teacher: what the teacher may be, how often it is asked, what its weight does, and no leak."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from sklkl import KLClassifier, KLNet
from sklkl.distillation import DISTILL_DIVERGENCES
from sklkl.metrics import get_scorer
from sklkl.modules import MLP


class Counting:
    """A function from rows to probabilities that remembers how many rows it saw at a time."""

    def __init__(self, n_classes=3):
        self.seen, self.n_classes = [], n_classes

    def __call__(self, X):
        self.seen.append(len(X))
        logits = np.asarray(X)[:, : self.n_classes]
        return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def softmax(X):
    return Counting()(X)


@pytest.fixture
def taught(quick):
    """Return ``taught(**params)``: a quick classifier that learns from its teacher alone, on the given rows alone."""

    def make(**params):
        steady = {"distill_weight": 1.0, "augment": None, "early_stopping": False, "dropout": 0.0}
        return quick(**{**steady, "calibrate_teacher": False, **params})

    return make


@pytest.fixture
def patient(taught):
    """Like ``taught``, and trained until it is as good as its teacher."""
    return lambda **params: taught(**{"max_epochs": 40, "weight_decay": 0.0, **params})


# Kinds of teacher

TEACHERS = {
    "estimator": LogisticRegression(C=0.3),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression(C=0.3)),
    "function": softmax,
    "net": KLNet(MLP, module__n_features=5, module__n_classes=3, max_epochs=6, verbose=0, train_split=None),
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_the_student_gets_its_teachers_probabilities(patient, table, kind):
    X, y = table
    student = patient(teacher=TEACHERS[kind], distill_weight=1.0).fit(X, y)
    assert student.history_[-1]["train_distillation"] < 0.02
    assert student.history_[0]["train_distillation"] > 0.05


def test_an_estimator_is_cloned_with_its_weights(taught, table):
    X, y = table
    w = np.random.RandomState(0).randint(1, 4, size=120)
    teacher = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2, random_state=0))
    student = taught(teacher=teacher).fit(X, y, sample_weight=w)
    with pytest.raises(NotFittedError):
        teacher.predict(X)
    proba = teacher.fit(X, y, decisiontreeclassifier__sample_weight=w).predict_proba(X)
    by_array = taught().fit(X, y, sample_weight=w, teacher_proba=proba)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_a_number_is_the_weight_of_every_row(taught, table, teacher_cv):
    X, y = table
    student = taught(teacher=LogisticRegression(), teacher_cv=teacher_cv)
    expected = clone(student).fit(X, y, sample_weight=np.full(120, 9.0)).predict_proba(X)
    assert np.array_equal(clone(student).fit(X, y, sample_weight=9.0).predict_proba(X), expected)
    assert not np.array_equal(student.fit(X, y).predict_proba(X), expected)  # it counts for a regularised teacher


# a class without weight: by weights of rows or of classes, with each way to a soft target and to calibration
WITHOUT_WEIGHT = [{}, {"teacher_cv": 3}, {"calibrate_teacher": True}, {"distill_weight": "auto"}]


@pytest.mark.parametrize(
    ("params", "by_class"), [*((params, False) for params in WITHOUT_WEIGHT), (WITHOUT_WEIGHT[-1], True)], ids=str
)
def test_a_class_without_weight_has_the_probability_0(patient, table, params, by_class):
    X, y = table
    student = patient(teacher=LogisticRegression(), max_epochs=15, **params)
    if by_class:
        student.set_params(class_weight={0: 0.0}).fit(X, y)
    else:
        student.fit(X, y, sample_weight=(y > 0).astype(float))
    assert student.classes_.tolist() == [0, 1, 2]
    assert student.predict_proba(X[y > 0])[:, 0].max() < 0.1


def test_a_class_without_weight_in_an_array_with_a_zero_is_the_same(taught, table):
    X, y = table
    weight = (y > 0).astype(float)
    student = taught(teacher=LogisticRegression()).fit(X, y, weight)
    proba = np.c_[np.zeros(120), LogisticRegression().fit(X[y > 0], y[y > 0]).predict_proba(X)]
    by_array = taught().fit(X, y, weight, teacher_proba=proba)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-5)


def test_class_weights_are_weights_of_the_teacher_too(taught, table):
    X, y = table
    weight = {0: 1000.0, 1: 1e-3, 2: 1e-3}
    student = taught(teacher=LogisticRegression(), class_weight=weight, max_epochs=15).fit(X, y)
    assert (student.predict(X) == 0).mean() > 0.9
    by_hand = LogisticRegression().fit(X, y, [weight[label] for label in y]).predict_proba(X)
    by_array = taught(class_weight=weight, max_epochs=15).fit(X, y, teacher_proba=by_hand)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), atol=1e-3)


def test_a_frozen_teacher_is_bit_equal_before_and_after(taught, table):
    X, y = table
    forest = RandomForestClassifier(5, random_state=0).fit(X[:60], y[:60])
    bits, proba = pickle.dumps(forest), forest.predict_proba(X)
    student = taught(teacher=FrozenEstimator(forest)).fit(X, y, np.ones(120))
    assert pickle.dumps(forest) == bits
    assert np.array_equal(forest.predict_proba(X), proba)
    by_array = taught().fit(X, y, np.ones(120), teacher_proba=proba)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-5)


def test_a_network_is_left_as_it_is(taught, table):
    X, y = table
    module = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)).train()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    student = taught(teacher=module).fit(X, y)
    assert module.training
    assert all(torch.equal(values, before[name]) for name, values in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    theirs = {id(p) for p in module.parameters()}
    assert not any(id(p) in theirs for p in student.module_.parameters())
    assert len(list(student.module_.parameters())) == 4
    with torch.no_grad():
        proba = module.eval()(torch.tensor(X).float()).softmax(-1).numpy()
    by_array = taught().fit(X, y, teacher_proba=proba)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-4)


def test_a_classifier_of_this_package_can_teach(taught, quick, table):
    X, y = table
    old = quick(max_epochs=20).fit(X, y)
    student = taught(teacher=FrozenEstimator(old)).fit(X, y)
    by_array = taught().fit(X, y, teacher_proba=old.predict_proba(X))
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-5)
    assert taught(teacher=quick()).fit(X, y).n_iter_ == 3


class Foreign:
    """A fitted model of the labels a, b and c that scikit-learn does not know, as are those of other libraries."""

    def __init__(self, X, letters):
        self.model = LogisticRegression().fit(X, letters)
        self.classes_ = ["c", "b", "a"]

    def predict_proba(self, X):
        return self.model.predict_proba(X)[:, ::-1]


class ForeignWithFit(Foreign):
    def fit(self, X, y):
        raise AssertionError("it is frozen")


FOREIGN = {"bare": Foreign, "frozen": lambda *data: FrozenEstimator(Foreign(*data))}
FOREIGN["frozen, with a fit"] = lambda *data: FrozenEstimator(ForeignWithFit(*data))


@pytest.mark.parametrize("kind", FOREIGN)
def test_any_model_with_predict_proba_can_teach(taught, table, kind):
    X, y = table[0], np.array(["a", "b", "c"])[table[1]]
    student = taught(teacher=FOREIGN[kind](X, y), class_weight={"a": 2.0})
    by_array = taught(class_weight={"a": 2.0})
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    expected = by_array.fit(X, y, teacher_proba=proba).predict_proba(X)
    np.testing.assert_allclose(clone(student).fit(X, y).predict_proba(X), expected, rtol=1e-5)
    first = student.set_params(class_weight=None, max_epochs=100).partial_fit(X, y, classes=["a", "b", "c"])
    assert first.history_[-1]["train_distillation"] > 0


# How often it is asked


def test_a_teacher_is_asked_once_a_fit_in_bounded_batches(taught):
    X = np.random.RandomState(0).randn(20_500, 3)
    teacher = Counting()
    taught(teacher=teacher, max_epochs=2, batch_size=5000).fit(X, np.arange(20_500) % 3)
    assert teacher.seen == [10_000, 10_000, 500]


def test_a_teacher_without_weight_is_never_asked(quick, table):
    X, y = table
    teacher = Counting()
    with pytest.warns(UserWarning, match="'teacher' parameter of KLClassifier has no effect; distill_weight > 0"):
        ignored = quick(teacher=teacher, distill_weight=0.0).fit(X, y, X_unlabeled=X)
    assert teacher.seen == []
    assert np.array_equal(ignored.predict_proba(X), quick().fit(X, y).predict_proba(X))
    assert "train_distillation" not in ignored.history_[-1]
    quick(distill_weight=0.0).fit(X, y, teacher_proba=np.full((120, 3), np.nan))  # nor looked at


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_its_weight_is_that_of_the_labels(taught, table, weight):
    """With all weight on the teacher labels do not matter, else they do."""
    X, y = table
    proba = softmax(X)
    shuffled = np.random.RandomState(0).permutation(y)
    clf = taught(distill_weight=weight)
    same = np.array_equal(
        clf.fit(X, y, teacher_proba=proba).predict_proba(X),
        clone(clf).fit(X, shuffled, teacher_proba=proba).predict_proba(X),
    )
    assert same == (weight == 1.0)
    assert clf.distill_weight_ == weight


@pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
def test_the_terms_add_up_and_are_never_negative(taught, table, divergence):
    X, y = table
    clf = taught(distill_weight=0.95, distill_divergence=divergence, temperature=3.0, kl_strength=0.1, max_epochs=10)
    history = clf.fit(X, y, teacher_proba=softmax(X)).history_
    for epoch in history:
        terms = [epoch[f"train_{name}"] for name in ("data_fit", "distillation", "kl_penalty")]
        assert min(terms) >= 0
        assert sum(terms) == pytest.approx(epoch["train_loss"])
    assert history[-1]["train_distillation"] < history[0]["train_distillation"]


def test_temperature_and_divergence_reach_the_loss(taught, table):
    X, y = table
    proba = {
        params: taught(distill_divergence=params[0], temperature=params[1]).fit(X, y, teacher_proba=softmax(X))
        for params in [("forward_kl", 1.0), ("forward_kl", 4.0), ("reverse_kl", 1.0), ("js", 1.0)]
    }
    assert len({clf.predict_proba(X).tobytes() for clf in proba.values()}) == 4


# No leak


def memorised(n_rows=600):
    random = np.random.RandomState(0)
    return random.randn(n_rows, 4), random.randint(2, size=n_rows)


@pytest.mark.parametrize(
    ("teacher", "teacher_cv"), [(KNeighborsClassifier(1), 3), (DecisionTreeClassifier(random_state=0), None)], ids=repr
)
def test_a_teacher_that_memorises_does_not_help_on_random_labels(quick, teacher, teacher_cv):
    X, y = memorised()
    student = quick(teacher=teacher, teacher_cv=teacher_cv, distill_weight=0.9, augment_factor=1, max_epochs=15)
    scores = cross_validate(student, X, y, cv=2, scoring=["accuracy", "neg_log_loss"])
    three_deviations = 3 * 0.5 / np.sqrt(len(y))
    assert abs(scores["test_accuracy"].mean() - 0.5) < three_deviations
    assert -scores["test_neg_log_loss"].mean() > np.log(2) - 0.01


def test_no_leak_in_a_search_nor_by_choosing_the_weight(quick):
    X, y = memorised(400)
    student = quick(teacher=KNeighborsClassifier(1), distill_weight="auto", max_epochs=5)
    scoring = ["neg_log_loss", "accuracy"]
    search = GridSearchCV(student, {"temperature": [1.0, 2.0]}, cv=2, scoring=scoring, refit=False).fit(X, y)
    assert search.cv_results_["mean_test_neg_log_loss"].max() < -np.log(2) + 0.02
    assert np.abs(search.cv_results_["mean_test_accuracy"] - 0.5).max() < 3 * 0.5 / np.sqrt(400)


def test_a_frozen_teacher_that_saw_the_rows_does_leak(taught):
    """The guard above can fail."""
    X, y = memorised(60)
    frozen = FrozenEstimator(DecisionTreeClassifier(random_state=0).fit(X, y))
    student = taught(teacher=frozen, hidden_layer_sizes=(64,), max_epochs=80, kl_target=0.01)
    assert student.fit(X[:30], y[:30], X_unlabeled=X[30:]).score(X[30:], y[30:]) > 0.9


def test_out_of_fold_targets_are_scikit_learns(taught, table):
    X, y = table
    forest = DecisionTreeClassifier(max_depth=3, random_state=0)
    proba = cross_val_predict(forest, X, y, cv=3, method="predict_proba")
    student = taught(teacher=forest, teacher_cv=3).fit(X, y)
    by_array = taught().fit(X, y, teacher_proba=proba)
    np.testing.assert_allclose(student.predict_proba(X), by_array.predict_proba(X), rtol=1e-5)


# Choosing the weight, calibration


def noisy(seed=0, n_rows=500):
    random = np.random.RandomState(seed)
    X = random.randn(n_rows, 4)
    clean = (X[:, 0] + X[:, 1] > 0).astype(int)
    return X, np.where(random.uniform(size=n_rows) < 0.3, 1 - clean, clean), clean


def test_a_random_teacher_gets_no_weight(quick):
    X, y, clean = noisy()
    wrong = np.random.RandomState(1).dirichlet([0.3, 0.3], size=500)
    clf = quick(distill_weight="auto", max_epochs=10, calibrate_teacher=False)
    assert clf.fit(X, clean, teacher_proba=wrong).distill_weight_ == 0


def test_a_good_teacher_gets_some(quick):
    X, y, clean = noisy()
    good = np.where(clean[:, None] == [0, 1], 0.7, 0.3)
    clf = quick(distill_weight="auto", hidden_layer_sizes=(64,), max_epochs=20)
    assert clf.fit(X, y, teacher_proba=good).distill_weight_ > 0


def test_calibration_takes_back_what_the_teacher_is_too_sure_of(patient):
    X, y, clean = noisy(n_rows=300)
    sure = FrozenEstimator(LogisticRegression().fit(X, clean))
    student = patient(teacher=sure, max_epochs=15)
    loss = {
        calibrated: log_loss(y, student.set_params(calibrate_teacher=calibrated).fit(X, y).predict_proba(X))
        for calibrated in (False, True)
    }
    assert loss[True] < loss[False] - 0.1


def test_calibration_of_a_teacher_that_is_asked_out_of_fold(taught, trained_on):
    """Naive Bayes counts a column that comes five times five times, and is far too sure."""
    X, y, _ = noisy()
    X = np.repeat(X, 5, axis=1)
    loss, confidence = {}, {}
    for calibrated in (False, True):
        taught(teacher=GaussianNB(), teacher_cv=3, calibrate_teacher=calibrated).fit(X, y)
        proba = trained_on[-1].columns["teacher_proba"].numpy()
        loss[calibrated], confidence[calibrated] = log_loss(y, proba), proba.max(1).mean()
    assert loss[True] < loss[False] - 0.1
    assert confidence[True] < confidence[False] - 0.05
    assert confidence[True] == pytest.approx(0.7, abs=0.1)  # the labels are right in seven of ten rows


def test_the_weight_is_a_number_without_a_teacher(quick, table):
    assert quick().fit(*table).distill_weight_ == 0.5


# Generations, going on, streams


@pytest.mark.parametrize("policy", ["common", "union"])
def test_the_second_generation_hears_of_all_classes(taught, table, trained_on, policy):
    """The first teacher knows two classes of three, its student knows all."""
    X, y = table
    clf = taught(teacher_classes=policy, distill_weight=0.6, n_generations=2, dtype="float64")
    proba = pd.DataFrame(np.full((120, 2), 0.5), columns=[0, 1])
    net = clf.fit(X, y, teacher_proba=proba).net_
    (batch,) = trained_on[1].split([0, 120])
    p = batch.columns["teacher_proba"]
    log_q = net.module_(batch[0]).log_softmax(-1).detach()
    assert (p > 0).all()
    expected = 0.6 * (p * (p.log() - log_q)).sum(1)
    found = net.loss_terms(net.module_(batch[0]), batch)["distillation"].detach()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


def test_generations_are_self_distillation(quick, taught, table):
    X, y = table
    clf = taught(distill_weight=0.8, n_generations=3).fit(X, y)
    assert "train_distillation" in clf.history_[-1]
    assert clf.n_iter_ == 3
    once = quick(dropout=0.0).fit(X, y)
    assert "train_distillation" not in once.history_[-1]
    assert not np.array_equal(once.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("n_generations", [1, 3])
def test_as_many_networks_are_trained_as_generations(quick, table, trained_on, n_generations):
    clf = quick(n_generations=n_generations).fit(*table)
    assert len(trained_on) == n_generations
    assert clf.n_iter_ == 3


def test_a_generation_has_the_one_before_as_its_teacher(patient, table):
    X, y = table
    first = patient(teacher=softmax, max_epochs=5).fit(X, y)
    second = patient(teacher=softmax, max_epochs=5, n_generations=2).fit(X, y)
    again = patient(max_epochs=5).fit(X, y, teacher_proba=first.predict_proba(X))
    assert again.history_[-1]["train_distillation"] == pytest.approx(
        second.history_[-1]["train_distillation"], abs=0.05
    )


def test_generations_of_labels(taught, table):
    X, Y = table[0], np.eye(3, dtype=int)[table[1]]
    assert taught(n_generations=2).fit(X, Y).history_[-1]["train_distillation"] > 0


def test_warm_start_goes_on_with_the_teacher(patient, table):
    X, y = table
    clf = patient(teacher=softmax, warm_start=True, max_epochs=5).fit(X, y)
    first = clf.history_[-1]["train_distillation"]
    clf.set_params(temperature=1.0, max_epochs=40).fit(X, y)
    assert clf.n_iter_ == 45
    assert clf.history_[-1]["train_distillation"] < first


def test_a_stream_with_a_teacher_that_is_ready(taught, table):
    X, y = table
    for teacher in (FrozenEstimator(LogisticRegression().fit(X, y)), softmax, nn.Linear(5, 3)):
        clf = taught(teacher=teacher, max_epochs=100)  # the default, as a stream has none
        clf.partial_fit(X, y, classes=range(3)).partial_fit(X[:9], y[:9])
        assert clf.n_iter_ == 2
        assert clf.history_[-1]["train_distillation"] > 0


def test_a_teacher_that_would_be_fitted_to_every_part_is_no_stream(quick):
    clf = quick(teacher=LogisticRegression())
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError) as error:
        clf.partial_fit([[0.0]], [0], classes=[0, 1])
    assert "partial_fit needs a teacher that is ready" in str(error.value.__cause__)
    assert hasattr(quick(), "partial_fit")


def test_a_stream_sets_no_rows_aside_to_see_what_its_teacher_is_worth(quick, table):
    auto, half = (KLClassifier((8,), teacher=softmax, distill_weight=w, random_state=0) for w in ("auto", 0.5))
    for clf in (auto, half):
        clf.partial_fit(*table, classes=range(3))
    assert auto.distill_weight_ == 0.5
    assert np.array_equal(auto.predict_proba(table[0]), half.predict_proba(table[0]))


# As every estimator


def test_a_seed_decides(quick, table, global_state_untouched):
    X, y = table
    with global_state_untouched():
        first, again, other = (
            quick(teacher=DecisionTreeClassifier(max_depth=2, random_state=0), random_state=seed).fit(X, y)
            for seed in (0, 0, 1)
        )
    assert np.array_equal(first.predict_proba(X), again.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))


def test_parameters_of_the_teacher(quick, table):
    clf = quick(teacher=DecisionTreeClassifier())
    assert clf.get_params()["teacher__max_depth"] is None
    clf.set_params(teacher__max_depth=2)
    assert clone(clf).teacher.max_depth == 2
    grid = [{"teacher__max_depth": [1], "distill_weight": [0.2]}, {"teacher__max_depth": [3], "distill_weight": [0.9]}]
    search = GridSearchCV(clf, grid, cv=2).fit(*table)
    assert search.best_estimator_.teacher.max_depth in (1, 3)


@pytest.mark.parametrize(
    "teacher", [LogisticRegression(), nn.Linear(5, 3), softmax], ids=["estimator", "net", "function"]
)
def test_pickle(taught, table, teacher):
    X, y = table
    clf = taught(teacher=teacher).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), clf.predict_proba(X))
    assert clone(clf).fit(X, y).n_iter_ == 3


# Metadata routing


@pytest.mark.parametrize(("piped", "n_jobs"), [(False, 1), (True, 2)])
def test_teacher_proba_is_sliced_per_fold(taught, table, piped, n_jobs):
    X, y = table
    proba = np.random.RandomState(0).dirichlet([1, 1, 1], size=120)
    # threads: processes are slow to start, and have a test of their own
    with config_context(enable_metadata_routing=True), parallel_config("threading"):
        student = taught().set_fit_request(teacher_proba=True)
        model = make_pipeline(StandardScaler(with_mean=False, with_std=False), student) if piped else student
        name = "klclassifier__temperature" if piped else "temperature"
        scoring = get_scorer("neg_teacher_kl")
        search = GridSearchCV(model, {name: [1.0, 2.0]}, cv=2, scoring=scoring, n_jobs=n_jobs, refit=False)
        search.fit(X, y, teacher_proba=proba)
        result = cross_validate(
            model, X, y, cv=2, scoring=scoring, params={"teacher_proba": proba}, n_jobs=n_jobs,
            return_estimator=True, return_indices=True,
        )  # fmt: skip
    np.testing.assert_allclose(result["test_score"].mean(), search.cv_results_["mean_test_score"][0])
    for fold, fitted in enumerate(result["estimator"]):
        train = result["indices"]["train"][fold]
        by_hand = taught().fit(X[train], y[train], teacher_proba=proba[train])
        np.testing.assert_allclose(fitted.predict_proba(X), by_hand.predict_proba(X), rtol=1e-5)


def test_frames_are_sliced_with_their_names(taught, table):
    X, y = table
    proba = pd.DataFrame(softmax(X), columns=[0, 1, 2])[[2, 0, 1]]
    with config_context(enable_metadata_routing=True):
        student = taught().set_fit_request(teacher_proba=True)
        scorer = get_scorer("neg_teacher_kl")
        named = cross_validate(student, X, y, cv=2, scoring=scorer, params={"teacher_proba": proba})
        plain = cross_validate(student, X, y, cv=2, scoring=scorer, params={"teacher_proba": softmax(X)})
    np.testing.assert_allclose(named["test_score"], plain["test_score"])


def test_a_classifier_without_its_frozen_teacher_is_smaller_and_predicts_the_same(taught, table):
    X, y = table
    clf = taught(teacher=FrozenEstimator(RandomForestClassifier(20, random_state=0).fit(X, y))).fit(X, y)
    size, proba = len(pickle.dumps(clf)), clf.predict_proba(X)
    clf.set_params(teacher=None)
    assert len(pickle.dumps(clf)) < size / 2
    assert np.array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), proba)


@pytest.mark.parametrize("params", [{}, {"teacher_cv": KFold(3, shuffle=True)}], ids=["teacher", "splits"])
def test_a_seed_decides_what_teacher_and_splits_draw(quick, table, params):
    teacher = DecisionTreeClassifier(max_depth=3, max_features=1)  # draws, and is faster than a forest
    clf = quick(teacher=teacher, distill_weight=0.5, augment=None, **params)
    first, again, other = (clf.set_params(random_state=seed).fit(*table).predict_proba(table[0]) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
