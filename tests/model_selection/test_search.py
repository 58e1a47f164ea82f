"""The stacked searches give what scikit-learn's give, and train the candidates of a fold together."""

import pickle
import threading
import warnings
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Callback

from sklkl import KLClassifier
from sklkl._fit import plan
from sklkl.callbacks import BestWeights
from sklkl.model_selection import StackedGridSearchCV, StackedRandomizedSearchCV, _workers, one_standard_error
from sklkl.net import _steps
from sklkl.penalties import VirtualAdversarial

STRENGTHS = {"kl_strength": [0.0, 0.1, 0.5]}
TWO = {"kl_strength": [0.0, 0.5]}
OF_PIPELINE = {"klclassifier__kl_strength": [0.0, 0.5]}


@pytest.fixture
def double(quick):
    """Return ``double(**params)``: a quick classifier of float64, whose rounding does not show."""
    return lambda **params: quick(dtype="float64", **params)


@pytest.fixture
def halving(double):
    """Return ``halving(**params)``: a stacked search, in a pipeline, among strengths of which 0 is by far the best."""
    pipeline = make_pipeline(StandardScaler(), double(max_epochs=8, n_iter_no_change=None, early_stopping=True))
    grid = {"klclassifier__kl_strength": [0.0, 3.0, 30.0, 300.0]}
    return lambda **params: StackedGridSearchCV(pipeline, grid, scoring="neg_log_loss", cv=2, **params)


@pytest.fixture
def trainings(monkeypatch):
    """The numbers of classifiers that were fitted together, one for each call."""
    sizes, fit_together = [], plan.fit_together

    def watched(estimators, *args):
        sizes.append(len(estimators))
        return fit_together(estimators, *args)

    monkeypatch.setattr(plan, "fit_together", watched)
    return sizes


def assert_same_results(search, plain):
    """Compare all but times."""
    assert set(search.cv_results_) == {*plain.cv_results_, "stacked"}
    assert search.cv_results_["params"] == plain.cv_results_["params"]
    for name, expected in plain.cv_results_.items():
        if "_time" not in name and "param" not in name:
            np.testing.assert_allclose(search.cv_results_[name], expected, rtol=1e-9, atol=1e-10, err_msg=name)
    if search.refit or not search.multimetric_:
        assert search.best_params_ == plain.best_params_


def both(estimator, grid, X, y, fit_params=None, **params):
    """Return a stacked search and scikit-learn's, fitted and found to be the same."""
    params = {"scoring": "neg_log_loss", "cv": 2, "refit": False, **params}
    own = {"max_stack": params.pop("max_stack")} if "max_stack" in params else {}
    searches = [StackedGridSearchCV(estimator, grid, **params, **own), GridSearchCV(estimator, grid, **params)]
    stacked, plain = (search.fit(X, y, **(fit_params or {})) for search in searches)
    assert_same_results(stacked, plain)
    return stacked, plain


# The same as scikit-learn


def test_a_classifier(double, table, trainings):
    stacked, plain = both(double(), STRENGTHS, *table, return_train_score=True, refit=True)
    assert trainings == [3, 3]
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [3, 3, 3])
    np.testing.assert_allclose(stacked.predict_proba(table[0]), plain.predict_proba(table[0]))
    assert stacked.best_score_ == pytest.approx(plain.best_score_)


def test_a_pipeline(double, table, trainings):
    both(make_pipeline(StandardScaler(), double()), OF_PIPELINE, *table)
    assert trainings == [2, 2]


def test_a_pipeline_in_a_pipeline(double, table, trainings):
    inner = Pipeline([("scale", StandardScaler()), ("net", double())])
    both(Pipeline([("first", "passthrough"), ("last", inner)]), {"last__net__kl_strength": [0, 0.1]}, *table)
    assert trainings == [2, 2]


def assert_same_means(estimator, grid, X, y):
    """Return a stacked search of scikit-learn's means; ranks are chance where steps make nearly the same rows."""
    params = {"scoring": "neg_log_loss", "cv": 2, "refit": False}
    stacked, plain = (kind(estimator, grid, **params).fit(X, y) for kind in (StackedGridSearchCV, GridSearchCV))
    np.testing.assert_allclose(stacked.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    return stacked


def test_other_steps_make_other_rows(double, table, trainings):
    pipeline = Pipeline([("scale", None), ("net", double())])
    grid = {"scale": [StandardScaler(), MinMaxScaler()], "net__kl_strength": [0.0, 0.5]}
    stacked = assert_same_means(pipeline, grid, *table)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [2] * 4)
    assert trainings == [2] * 4


def test_other_steps_may_have_other_candidates(double, table):
    pipeline = Pipeline([("scale", None), ("net", double())])
    grids = [
        {"scale": [StandardScaler()], "net__kl_strength": [0.0, 0.1]},
        {"scale": [MinMaxScaler()], "net__kl_strength": [0.0, 0.5, 0.9]},
    ]
    assert_same_means(pipeline, grids, *table)


def test_the_last_step_is_searched(double, table, trainings):
    pipeline = Pipeline([("scale", StandardScaler()), ("last", double())])
    grid = [
        {"last": [double()], "last__kl_strength": [0.0, 0.1]},
        {"last": [LogisticRegression()], "last__C": [1.0, 10.0]},
    ]
    stacked, _ = both(pipeline, grid, *table)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [2, 2, 1, 1])
    assert trainings == [2, 2]


def test_another_estimator(table, trainings):
    stacked, _ = both(LogisticRegression(), {"C": [0.1, 1.0]}, *table)
    assert trainings == []
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [1, 1])


def test_several_metrics(double, table):
    scoring = {"loss": "neg_log_loss", "hits": "accuracy"}
    stacked, _ = both(double(), TWO, *table, scoring=scoring, refit="loss", return_train_score=True)
    assert stacked.multimetric_


def test_a_callable_refit_and_scorer(double, table):
    def scorer(estimator, X, y):
        return {"hits": accuracy_score(y, estimator.predict(X))}

    stacked, _ = both(double(), TWO, *table, scoring=scorer, refit=lambda results: 1)
    assert stacked.best_index_ == 1


def test_sample_weight(double, table, trainings):
    weight = np.random.RandomState(0).rand(len(table[0]))
    both(double(), TWO, *table, {"sample_weight": weight}, refit=True)
    assert trainings == [2, 2]


def test_groups(double, table, trainings):
    both(double(), TWO, *table, {"groups": np.arange(len(table[0])) % 7}, cv=GroupKFold(2))
    assert trainings == [2, 2]


def test_metadata_routing(double, table, trainings):
    weight = np.random.RandomState(0).rand(len(table[0]))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), double().set_fit_request(sample_weight=True)
        )
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        both(estimator, OF_PIPELINE, *table, {"sample_weight": weight}, scoring=scorer)
    assert trainings == [2, 2]


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
@pytest.mark.parametrize("number", [0, 1])
def test_an_invalid_candidate_fails_alone(double, table, number):
    grid = {"kl_strength": [0.0, 0.1]}
    grid["kl_strength"].insert(number, -1.0)
    searches = []
    for kind in (StackedGridSearchCV, GridSearchCV):
        search = kind(double(), grid, scoring="neg_log_loss", cv=2, refit=False)
        with pytest.warns(FitFailedWarning, match=r"(?s)2 fits failed.*'kl_strength' parameter of KLClassifier"):
            searches.append(search.fit(*table))
    assert_same_results(*searches)
    stacked = [2, 2]
    stacked.insert(number, 1)
    np.testing.assert_array_equal(searches[0].cv_results_["stacked"], stacked)


def test_an_invalid_candidate_may_raise(double, table):
    search = StackedGridSearchCV(double(), {"kl_strength": [0.0, -1.0]}, error_score="raise", cv=2)
    with pytest.raises(ValueError, match="'kl_strength' parameter of KLClassifier"):
        search.fit(*table)
    assert not plan.active_plans


def test_an_unknown_parameter(double, table):
    with pytest.raises(ValueError, match="Invalid parameter 'strength'"):
        StackedGridSearchCV(double(), {"strength": [0.0, 1.0]}, cv=2).fit(*table)


def test_several_grids(double, table, trainings):
    grids = [{"kl_strength": [0.0, 0.1]}, {"lr": [0.01, 0.1], "kl_penalty": ["label_smoothing"], "kl_strength": [0.1]}]
    both(double(learning_rate="constant"), grids, *table)
    assert trainings == [4, 4]


def test_what_cannot_share_a_stack(double, table):
    grid = {"hidden_layer_sizes": [(4,), (8,)], "kl_strength": [0.0, 0.1]}
    stacked, _ = both(double(), grid, *table)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [2, 2, 2, 2])


def test_several_members_share_no_stack_with_other_candidates(double, table):
    stacked, _ = both(double(), {"kl_strength": [0.0, 0.1], "n_members": [1, 2]}, *table)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [2, 1, 2, 1])


@pytest.mark.filterwarnings("ignore:The 'kl_penalty' parameter of KLClassifier has no effect")
@pytest.mark.parametrize(
    ("penalty", "grid"),
    [("rdrop", {}), ("vat", {}), (VirtualAdversarial(n_iterations=2), {"kl_penalty__epsilon": [0.1, 1.0]})],
    ids=["rdrop", "vat", "its parameters"],
)
def test_penalties_that_need_further_passes(double, table, monkeypatch, penalty, grid):
    clf, cv = double(kl_penalty=penalty, early_stopping=False), [(np.arange(80), np.arange(80, 120))]
    params = {"scoring": "neg_log_loss", "cv": cv, "refit": False}
    grid = {**grid, **STRENGTHS}
    stacked = StackedGridSearchCV(clf, grid, **params).fit(*table).cv_results_
    monkeypatch.setattr(_steps, "why_autograd", lambda *args: "to compare")
    plain = GridSearchCV(clf, grid, **params).fit(*table).cv_results_
    np.testing.assert_allclose(stacked["mean_test_score"], plain["mean_test_score"], rtol=1e-9)
    assert stacked["stacked"].tolist() == [1, 2, 2] * (len(stacked["stacked"]) // 3)


def test_string_labels(double, table):
    X, y = table
    stacked, _ = both(double(), TWO, X, np.array(["red", "green", "blue"])[y], refit=True)
    assert set(stacked.classes_) == {"red", "green", "blue"}


def test_a_frame(double, table, trainings):
    X = pd.DataFrame(table[0], columns=list("abcde"))
    stacked, _ = both(double(), TWO, X, pd.Series(table[1]).astype(str), refit=True)
    assert trainings == [2, 2]
    assert stacked.feature_names_in_.tolist() == list("abcde")


def test_a_randomized_search(double, table, trainings):
    searches = [
        kind(double(), {"kl_strength": loguniform(0.01, 1)}, n_iter=3, cv=2, random_state=0, refit=False).fit(*table)
        for kind in (StackedRandomizedSearchCV, RandomizedSearchCV)
    ]
    assert_same_results(*searches)
    assert trainings == [3, 3]


def test_drawn_once_without_a_seed(double, table, trainings):
    search = StackedRandomizedSearchCV(double(), {"kl_strength": loguniform(0.01, 1)}, n_iter=3, cv=2, refit=False)
    search.fit(*table)
    assert trainings == [3, 3]


# What is trained together


def test_max_stack(double, table):
    stacked, _ = both(double(), STRENGTHS, *table, max_stack=2)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [2, 2, 1])


def test_a_stack_of_rows_that_are_moved_counts_those_of_each_network(double, make_table):
    X, y = make_table(60, n_features=3000)
    sizes = {}
    for penalty in ("label_smoothing", "vat"):
        clf = double(kl_penalty=penalty, max_epochs=1, early_stopping=False, batch_size=1000)
        grid = {"kl_strength": [0.1, 0.5, 1.0]}
        search = StackedGridSearchCV(clf, grid, cv=[(range(60), range(60))], refit=False).fit(X, y)
        sizes[penalty] = search.cv_results_["stacked"].tolist()
    assert sizes == {"label_smoothing": [3] * 3, "vat": [1] * 3}


def test_halving(halving, table):
    """The worse candidates cost less, and which is the best one is the same."""
    searches = [halving(halve_after=after, refit=False) for after in (None, 1)]
    whole, halved = (search.fit(*table).cv_results_["mean_test_score"] for search in searches)
    assert halved[0] == pytest.approx(whole[0])
    assert (halved[1:] != whole[1:]).all()
    assert searches[1].best_index_ == 0


def test_processes(halving, table, trainings, other_process, monkeypatch):
    """They halve as this one does."""
    executor = Mock(wraps=other_process, shutdown=Mock())
    kind = Mock(return_value=executor)
    monkeypatch.setattr(_workers, "ProcessPoolExecutor", kind)
    here, there = (halving(halve_after=1, n_jobs=n_jobs).fit(*table).cv_results_ for n_jobs in (None, 2))
    assert kind.call_args.args == (2,)
    executor.shutdown.assert_called_once_with(kill_workers=False)
    assert trainings == [4, 4]
    np.testing.assert_array_equal(there["stacked"], [4] * 4)
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-9, atol=1e-10)


def test_halving_needs_a_validation_part(quick, table):
    search = StackedGridSearchCV(make_pipeline(quick(early_stopping=False)), {}, halve_after=2)
    with pytest.raises(ValueError, match="'halve_after' parameter of StackedGridSearchCV must be None where early"):
        search.fit(*table)


def test_halving_looks_at_each_candidate(quick, table):
    search = StackedGridSearchCV(quick(early_stopping=False), {"early_stopping": [True]}, cv=2, refit=False)
    with pytest.warns(UserWarning, match="candidates that can be trained together would"):
        search.set_params(halve_after=2).fit(*table)


@pytest.mark.parametrize(
    ("params", "grid", "need"),
    [
        ({}, {"kl_strength": [0.0, 0.1]}, "a validation part, by early_stopping=True"),
        ({"early_stopping": True}, {"hidden_layer_sizes": [(4,), (8,)]}, "candidates that can be trained together"),
        ({"early_stopping": True, "max_epochs": 2}, {"kl_strength": [0.0, 0.1]}, "an epoch before the last of 2"),
        ({"early_stopping": True, "max_epochs": 3}, {"kl_strength": [0.0, 0.1]}, None),
    ],
    ids=["no rows aside", "no company", "no epoch", "halved"],
)
def test_halving_that_has_no_effect_is_told_once(quick, table, params, grid, need):
    search = StackedGridSearchCV(quick(**params), grid, cv=2, halve_after=2, refit=False)
    table = table if params else (table[0][:30], table[1][:30])  # of so few rows none is set aside
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*table)
    found = [warning for warning in caught if "halve_after" in str(warning.message)]
    assert len(found) == (need is not None)
    if need is not None:
        assert f"of StackedGridSearchCV has no effect; {need}" in str(found[0].message)


@pytest.mark.parametrize(("name", "value"), [("max_stack", 0), ("max_stack", "all"), ("n_repeats", 0)])
def test_invalid_parameters(double, table, name, value):
    search = StackedGridSearchCV(double(), STRENGTHS, **{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of StackedGridSearchCV must be"):
        search.fit(*table)


def test_equal_candidates(double, table, trainings):
    both(double(), {"kl_strength": [0.1, 0.1]}, *table)
    assert trainings == [2, 2]


def test_equal_folds(double, table, trainings):
    train, test = np.arange(80), np.arange(80, 120)
    both(double(), TWO, *table, cv=[(train, test), (train, test[:20])])
    assert trainings == [2, 2]


def test_without_a_seed(double, table, trainings):
    params = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    search = StackedGridSearchCV(double(random_state=None), {"kl_strength": [0.1, 0.1]}, **params)
    scores = search.fit(*table).cv_results_["mean_test_score"]
    assert trainings == [2, 2]
    assert scores[0] != scores[1]


def test_what_cannot_be_pickled(double, table, trainings):
    class Local(BestWeights):
        pass

    both(double(callbacks=[Local()]), {"kl_strength": [0.0, 0.1]}, *table)
    assert trainings == []


def test_a_fit_of_ones_own(double, table, trainings):
    class Own(KLClassifier):
        def fit(self, X, y):
            return super().fit(X, y)

    both(Own((8,), max_epochs=3, random_state=0, dtype="float64"), {"kl_strength": [0.0, 0.1]}, *table)
    assert trainings == []


def test_a_teacher_of_the_same_parameters(double, table):
    both(double(early_stopping=False), {"teacher": [None, double()]}, *table, cv=KFold(2))


def test_failing_together_is_fitting_alone(double, table, monkeypatch):
    def fail(*args):
        raise RuntimeError

    monkeypatch.setattr(plan, "fit_together", fail)
    stacked, _ = both(double(), TWO, *table)
    np.testing.assert_array_equal(stacked.cv_results_["stacked"], [1, 1])


# Where it is used


def test_in_a_pipeline_and_cross_validated(double, table):
    scores = [
        cross_val_score(make_pipeline(StandardScaler(), kind(double(), TWO, cv=2)), *table, cv=2)
        for kind in (StackedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores)


def test_a_search_in_a_search(double, table):
    inner = StackedGridSearchCV(double(), TWO, cv=2, scoring="neg_log_loss")
    plain = GridSearchCV(double(), TWO, cv=2, scoring="neg_log_loss")
    params = {"cv": StratifiedKFold(2), "refit": False}
    a = StackedGridSearchCV(inner, {"estimator__dropout": [0.0, 0.5]}, **params).fit(*table)
    b = GridSearchCV(plain, {"estimator__dropout": [0.0, 0.5]}, **params).fit(*table)
    assert_same_results(a, b)


def test_searches_in_threads(double, table):
    results, params = {}, {"cv": 2, "scoring": "neg_log_loss", "refit": False}

    def search(seed):
        found = StackedGridSearchCV(double(random_state=seed), TWO, **params).fit(*table)
        results[seed] = found.cv_results_["mean_test_score"]

    threads = [threading.Thread(target=search, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (0, 1):
        plain = GridSearchCV(double(random_state=seed), TWO, **params).fit(*table)
        np.testing.assert_allclose(results[seed], plain.cv_results_["mean_test_score"])


def test_nothing_is_left(double, table, global_state_untouched):
    estimator = double()
    before = estimator.get_params()
    with global_state_untouched():
        search = StackedGridSearchCV(estimator, STRENGTHS, cv=2).fit(*table)
    assert not plan.active_plans
    assert estimator.get_params() == before
    assert not hasattr(estimator, "net_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(table[0]), search.predict(table[0]))
    assert repr(clone(search)) == repr(search)


def test_an_interruption_leaves_nothing(double, table, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(plan, "fit_together", interrupt)
    with pytest.raises(KeyboardInterrupt):
        StackedGridSearchCV(double(), STRENGTHS, cv=2).fit(*table)
    assert not plan.active_plans


def test_an_ordinary_fit_hashes_nothing(double, table, monkeypatch):
    monkeypatch.setattr(plan.joblib, "hash", None)
    double().fit(*table)


# What does not belong together


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
@pytest.mark.parametrize("values", [["auto", "munge"], ["munge", "auto"]], ids=str)
def test_a_candidate_that_is_refused_alone_is_refused_beside_others(double, table, values):
    """Rows are not shared with one whose parameters want others."""
    search = StackedGridSearchCV(double(), {"augment": values}, cv=2, refit=False).fit(*table)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [value == "munge" for value in values]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_whose_training_fails_leaves_the_stack_to_the_others(double, table):
    clf = double(learning_rate="constant", early_stopping=False)
    search = StackedGridSearchCV(clf, {"lr": [1e-2, 1e-1, 1e10]}, cv=2, refit=False).fit(*table)
    assert search.cv_results_["stacked"][:2].tolist() == [3, 3]
    assert np.isfinite(search.cv_results_["mean_test_score"][:2]).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_stack_that_cannot_be_trained_leaves_the_others_theirs(double, table):
    """Two masks need dropout, which the penalty finds missing when training begins."""
    grid = {"dropout": [0.0, 0.3], "kl_strength": [0.1, 0.5]}
    search = StackedGridSearchCV(double(kl_penalty="rdrop"), grid, cv=2, refit=False).fit(*table)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, True, False, False]
    assert search.cv_results_["stacked"].tolist() == [1, 1, 2, 2]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_fold_that_cannot_be_trained_leaves_the_others_theirs(double, table):
    rows, weight = np.arange(120), np.repeat([1.0, 0.0], 60)
    search = StackedGridSearchCV(double(), STRENGTHS, cv=[(rows[:60], rows[:60]), (rows[60:], rows[:60])], refit=False)
    results = search.fit(*table, sample_weight=weight).cv_results_
    assert np.isfinite(results["split0_test_score"]).all()
    assert results["stacked"].tolist() == [3, 3, 3]


class Shakes(MinMaxScaler):
    """A step that gives other rows each time."""

    def transform(self, X):
        return super().transform(X) + 1e-3 * np.random.default_rng().normal(size=np.shape(X))


def test_steps_that_give_other_rows_each_time_end_the_plan(double, table, trainings):
    grid = {"klclassifier__kl_strength": [0.0, 0.1, 0.2, 0.3, 0.4]}
    search = StackedGridSearchCV(make_pipeline(Shakes(), double()), grid, cv=2, refit=False).fit(*table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert trainings == [5, 5]  # of the first candidate's rows, which no other candidate sees


class Freezes(Callback):
    def on_train_begin(self, net, **kwargs):
        net.module_.linears()[0].requires_grad_(False)


def test_callbacks_are_followed(double, table):
    """What they change in one net cannot be had in a stack."""
    clf = double(callbacks=[Freezes()])
    stacked, _ = both(clf, TWO, *table)
    assert stacked.cv_results_["stacked"].tolist() == [1, 1]


def test_one_standard_error_is_of_numbers():
    results = {"param_class_weight": [None, "balanced"], "mean_test_score": [0.1, 0.2]}
    results |= {f"{kind}_test_score": [0.1, 0.1] for kind in ("std", "split0", "split1")}
    with pytest.raises(ValueError, match="values are numbers"):
        one_standard_error("class_weight")(results)


def test_one_standard_error_is_of_one_of_the_scores():
    results = {"param_kl_strength": [0.0, 0.1], "mean_test_accuracy": [0.1, 0.2], "mean_test_f1": [0.1, 0.2]}
    with pytest.raises(ValueError, match=r"'metric' .* one of .* \['accuracy', 'f1'\]. Got 'score' instead"):
        one_standard_error("kl_strength")(results)
