"""scikit-learn's own checks, one test for each configuration."""

from unittest import SkipTest

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_classifiers_train, estimator_checks_generator
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl.penalties import PENALTIES

# These compare weighted with repeated rows to 1e-7, which dropout, batches and a validation part cannot give.
NEED_NO_CHANCE = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
# small and short, for the speed
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 4, "kl_target": 0.3}
SHORT = {"hidden_layer_sizes": (8,), "max_epochs": 1}
TAUGHT = {**QUICK, "teacher": LogisticRegression()}
# synthetic rows, and rows set aside to calibrate or weigh a teacher, are a matter of chance too
AS_GIVEN = {"augment": None, "calibrate_teacher": False, "distill_weight": 0.5}
EXACT = {"dropout": 0.0, "early_stopping": False, "batch_size": 1000, "dtype": "float64"}
# Checks in which it matters from how little is learned, and how; the others ask the same of every configuration. Only
# the plain one of each: rows in a file or of another type are read before anything is learned.
OF_FEW_ROWS = {"check_classifiers_one_label", "check_fit2d_1sample", "check_fit2d_1feature"}
OF_SCORES = {"check_classifiers_train", "check_classifiers_classes"}
OF_TRAINING = {
    *("check_class_weight_classifiers", "check_fit_idempotent", "check_estimators_pickle"),
    *("check_methods_subset_invariance", *OF_SCORES, *OF_FEW_ROWS),
}


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, n_classes))


# Some checks set the one, others call partial_fit, which has no use for the other.
idle_in_checks = pytest.mark.filterwarnings(
    "ignore:The '(n_iter_no_change|max_epochs)' parameter of KLClassifier has no effect"
)


def run_checks(estimator, among=None, but=()):
    """Return how many checks passed, and name and reason of those that failed; of the checks named only, if any are."""
    passed, failed = 0, []
    for candidate, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        if name not in but and (among is None or (name in among and not check.keywords)):
            try:
                check(candidate)
                passed += 1
            except SkipTest:
                pass
            except AssertionError as error:
                failed.append((name, error))
    return passed, failed


@idle_in_checks
@pytest.mark.parametrize(
    "estimator",
    [
        KLClassifier(**QUICK, kl_strength=0.1),
        KLClassifier(**QUICK, n_members=2),
        KLClassifier(**QUICK, module=Network, kl_penalty="vat", kl_strength=0.1),
    ],
    ids=["classifier", "members", "module"],
)
def test_passes_those_checks_that_depend_on_training(estimator):
    assert run_checks(estimator, OF_TRAINING) == (len(OF_TRAINING), [])


@idle_in_checks
def test_a_distiller_passes_those_checks_that_depend_on_training():
    """Those of the scores fit it nine times: without the report, whose students are others."""
    student = KLClassifier(**QUICK, augment_factor=1)
    others = OF_TRAINING - OF_SCORES - {"check_class_weight_classifiers"}  # it has no class_weight
    assert run_checks(Distiller(student, LogisticRegression()), others) == (len(others), [])
    alone = Distiller(student, LogisticRegression(), report_fraction=None)
    assert run_checks(alone, OF_SCORES) == (len(OF_SCORES), [])


@idle_in_checks
@pytest.mark.parametrize(
    "estimator",
    [
        KLClassifier(**SHORT, kl_strength=0.1),
        Distiller(KLClassifier(**SHORT, **AS_GIVEN), LogisticRegression(), report_fraction=None),
    ],
    ids=["classifier", "distiller"],
)
def test_passes_those_checks_that_do_not(estimator):
    passed, failed = run_checks(estimator, but=NEED_NO_CHANCE | OF_TRAINING)
    assert failed == []
    assert passed >= (47 if isinstance(estimator, Distiller) else 50)  # partial_fit, several labels: not by a distiller


@idle_in_checks
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_passes_the_checks_of_few_rows(penalty):
    assert run_checks(KLClassifier(**QUICK, kl_penalty=penalty, kl_strength=0.1), OF_FEW_ROWS) == (3, [])


def test_learns_by_default_what_scikit_learns_check_asks_for():
    check_classifiers_train("KLClassifier", KLClassifier())


@pytest.mark.parametrize(
    "estimator",
    [
        KLClassifier(**QUICK, **EXACT, kl_penalty="prior", kl_strength=0.1),  # the prior depends on the weights
        KLClassifier(**TAUGHT, **EXACT, **AS_GIVEN),
        Distiller(KLClassifier(**QUICK, **EXACT, **AS_GIVEN), LogisticRegression(), report_fraction=None),
    ],
    ids=["prior", "teacher", "distiller"],
)
def test_passes_every_check_without_chance(estimator):
    assert run_checks(estimator, NEED_NO_CHANCE) == (2, [])
