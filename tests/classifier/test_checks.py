"""scikit-learn's own checks, one test for each configuration."""

from unittest import SkipTest

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_classifiers_train, estimator_checks_generator
from torch import nn

from sklkl import Distiller, KLClassifier

# These compare weighted with repeated rows to 1e-7, which dropout, batches and a validation part cannot give.
NEED_NO_CHANCE = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
# small and short, for the speed
QUICK = {"hidden_layer_sizes": (32,), "max_epochs": 10, "kl_target": 0.3}
TAUGHT = {**QUICK, "teacher": LogisticRegression()}
# synthetic rows, and rows set aside to calibrate a teacher, are a matter of chance too
AS_GIVEN = {"augment": None, "calibrate_teacher": False}
EXACT = {"dropout": 0.0, "early_stopping": False, "batch_size": 1000, "dtype": "float64"}
# one of each kind: without anything to learn, learned from the rows, with another forward pass, with a gradient by x
KINDS_OF_PENALTY = ["confidence", "prior", "rdrop", "vat"]


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, n_classes))


def run_checks(estimator, among=None):
    """Return how many checks passed, and name and reason of those that failed; of the checks named only, if any are."""
    passed, failed = 0, []
    for candidate, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        if among is None or name in among:
            try:
                check(candidate)
                passed += 1
            except SkipTest:
                pass
            except AssertionError as error:
                failed.append((name, error))
    return passed, failed


@pytest.mark.parametrize(
    "params",
    [
        *({**QUICK, "kl_penalty": name, "kl_strength": 0.1} for name in KINDS_OF_PENALTY),
        {**QUICK, "module": Network},
        TAUGHT,
    ],
    ids=[*KINDS_OF_PENALTY, "module", "teacher"],
)
def test_passes_scikit_learns_checks(params):
    passed, failed = run_checks(KLClassifier(**params))
    assert [(name, reason) for name, reason in failed if name not in NEED_NO_CHANCE] == []
    assert passed >= (64 if "teacher" not in params else 60)  # partial_fit, several labels: not with this teacher


def test_learns_by_default_what_scikit_learns_check_asks_for():
    check_classifiers_train("KLClassifier", KLClassifier())


@pytest.mark.parametrize(
    "estimator",
    [
        KLClassifier(**EXACT),
        KLClassifier(**QUICK, **EXACT, kl_penalty="prior", kl_strength=0.1),  # the prior depends on the weights
        KLClassifier(**TAUGHT, **EXACT, **AS_GIVEN),
        Distiller(KLClassifier(**QUICK, **EXACT, **AS_GIVEN), LogisticRegression(), report_fraction=None),
    ],
    ids=["defaults", "prior", "teacher", "distiller"],
)
def test_passes_every_check_without_chance(estimator):
    assert run_checks(estimator, NEED_NO_CHANCE) == (2, [])


def test_a_distiller_passes_scikit_learns_checks():
    student = KLClassifier(**QUICK, augment=None)
    passed, failed = run_checks(Distiller(student, LogisticRegression(), report_fraction=None))
    assert [(name, reason) for name, reason in failed if name not in NEED_NO_CHANCE] == []
    assert passed >= 60


def test_a_distiller_with_its_report_passes_those_of_odd_data_and_of_state():
    among = {
        *("check_fit2d_1sample", "check_fit2d_1feature", "check_classifiers_one_label", "check_estimators_nan_inf"),
        *("check_fit_idempotent", "check_dict_unchanged", "check_estimators_pickle", "check_estimators_overwrite_params"),
    }
    passed, failed = run_checks(Distiller(KLClassifier(**QUICK), LogisticRegression()), among)
    assert failed == []
    assert passed >= len(among)
