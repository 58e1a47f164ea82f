"""scikit-learn's own checks, one test for each configuration."""

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl.penalties import PENALTIES

# These compare weighted with repeated rows to 1e-7, which dropout, batches and a validation part cannot give.
NEED_NO_CHANCE = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}
# small and short, for the speed
QUICK = {"hidden_layer_sizes": (64,), "max_epochs": 20, "kl_target": 0.1}
TAUGHT = {**QUICK, "teacher": LogisticRegression()}
# synthetic rows, and rows set aside to calibrate a teacher, are a matter of chance too
AS_GIVEN = {"augment": None, "calibrate_teacher": False}
EXACT = {"dropout": 0.0, "early_stopping": False, "batch_size": 1000, "dtype": "float64"}


class Network(nn.Sequential):
    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, n_classes))


def run_checks(estimator):
    """Return how many checks passed, and name and reason of those that failed."""
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    passed = sum(result["status"] == "passed" for result in results)
    failed = [(result["check_name"], result["exception"]) for result in results if result["status"] == "failed"]
    return passed, failed


@pytest.mark.parametrize(
    "params",
    [
        {},
        *({**QUICK, "kl_penalty": name, "kl_strength": 0.1} for name in PENALTIES),
        {**QUICK, "module": Network},
        TAUGHT,
    ],
    ids=["defaults", *PENALTIES, "module", "teacher"],
)
def test_passes_scikit_learns_checks(params):
    passed, failed = run_checks(KLClassifier(**params))
    assert [(name, reason) for name, reason in failed if name not in NEED_NO_CHANCE] == []
    assert passed >= (64 if "teacher" not in params else 60)  # partial_fit, several labels: not with this teacher


@pytest.mark.parametrize(
    "params",
    [
        EXACT,
        {**QUICK, **EXACT, "kl_penalty": "prior", "kl_strength": 0.1},  # the prior depends on the weights
        {**TAUGHT, **EXACT, **AS_GIVEN},
    ],
    ids=["defaults", "prior", "teacher"],
)
def test_passes_every_check_without_chance(params):
    passed, failed = run_checks(KLClassifier(**params))
    assert failed == []
    assert passed >= (66 if "teacher" not in params else 62)


def test_a_distiller_passes_scikit_learns_checks():
    passed, failed = run_checks(Distiller(KLClassifier(**QUICK), LogisticRegression()))
    assert [(name, reason) for name, reason in failed if name not in NEED_NO_CHANCE] == []
    assert passed >= 60


def test_a_distiller_passes_every_check_without_chance():
    student = KLClassifier(**QUICK, **EXACT, **AS_GIVEN, random_state=0)
    passed, failed = run_checks(Distiller(student, LogisticRegression(), report_fraction=None))
    assert failed == []
    assert passed >= 62
