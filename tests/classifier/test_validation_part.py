"""A validation part of the user's own: ``fit(..., X_val=..., y_val=...)``."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from sklkl import Distiller


@pytest.fixture
def quick(quick):
    """The log-loss on the validation part is then the one in the history."""
    return partial(quick, calibrate=False)


@pytest.fixture
def parts(make_table):
    """80 rows to train on and 40 for validation: X, y, X_val, y_val."""
    X, y = make_table(120)
    return X[:80], y[:80], X[80:], y[80:]


def fitted(clf, X, y, X_val, y_val, sample_weight_val=None, **others):
    return clf.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val, **others)


def valid_loss(clf):
    """The lowest validation loss, which is that of the weights that are kept."""
    return min(clf.history_[:, "valid_loss"])


# What it does


def test_the_best_weights_are_those_of_lowest_loss_on_it(quick, parts):
    clf = fitted(quick(max_epochs=10), *parts)
    assert valid_loss(clf) == pytest.approx(log_loss(parts[3], clf.predict_proba(parts[2])), rel=1e-5)


def test_every_row_of_x_trains(quick, parts):
    plain = quick(early_stopping=False, max_epochs=1).fit(*parts[:2])
    own = fitted(quick(max_epochs=1), *parts)
    assert own.history_[0]["train_loss"] == plain.history_[0]["train_loss"]


def test_it_ends_training(quick, parts):
    X, y, X_val, y_val = parts
    wrong = (y_val + 1) % 3  # the better on X, the worse on it
    clf = fitted(quick(max_epochs=60, n_iter_no_change=2, kl_target=0.3), X, y, X_val, wrong)
    assert clf.n_iter_ < 60


@pytest.mark.parametrize(
    "change",
    {
        "frame": lambda X: pd.DataFrame(X).add_prefix("c"),
        "list": np.ndarray.tolist,
        "float32": lambda X: X.astype("f4"),
        "big-endian": lambda X: X.astype(">f8"),
        "csr": sparse.csr_array,
        "csc": sparse.csc_matrix,
    }.items(),
    ids=lambda item: item[0],
)
def test_containers(quick, parts, change):
    X, y, X_val, y_val = parts
    change = change[1]
    clf = fitted(quick(), change(X), y, change(X_val), y_val)
    assert valid_loss(clf) == pytest.approx(log_loss(y_val, clf.predict_proba(change(X_val))), rel=1e-5)


@pytest.mark.parametrize("change", [sparse.csr_matrix, sparse.coo_array], ids=["csr", "coo"])
def test_a_sparse_part_beside_dense_rows(quick, parts, change):
    X, y, X_val, y_val = parts
    expected = fitted(quick(), *parts).history_[:, "valid_loss"]
    assert fitted(quick(), X, y, change(X_val), y_val).history_[:, "valid_loss"] == pytest.approx(expected)


def test_labels_of_any_type(quick, parts):
    X, y, X_val, y_val = parts
    names = np.array(["a", "b", "c"])
    expected = fitted(quick(), *parts).history_[:, "valid_loss"]
    for labels in (names[y_val], names[y_val].tolist(), pd.Series(names[y_val], dtype="category")):
        assert fitted(quick(), X, names[y], X_val, labels).history_[:, "valid_loss"] == expected


def test_classes_that_it_lacks_do_not_matter(quick, parts):
    X, y, X_val, y_val = parts
    known = y_val != 2
    clf = fitted(quick(), X, y, X_val[known], y_val[known])
    assert clf.classes_.tolist() == [0, 1, 2]
    assert valid_loss(clf) == pytest.approx(
        log_loss(y_val[known], clf.predict_proba(X_val[known]), labels=[0, 1, 2]), rel=1e-5
    )


def test_multilabel(quick, parts):
    X, y, X_val, y_val = parts
    Y, Y_val = ((labels[:, None] == [0, 1, 2]).astype(int) for labels in (y, y_val))
    clf = fitted(quick(), X, Y, X_val, Y_val)
    proba = clf.predict_proba(X_val)
    by_hand = -np.log(np.where(Y_val, proba, 1 - proba)).sum(1).mean()
    assert valid_loss(clf) == pytest.approx(by_hand, rel=1e-5)
    assert (
        fitted(quick(), X, Y, X_val, sparse.csr_array(Y_val)).history_[:, "valid_loss"] == clf.history_[:, "valid_loss"]
    )


class Pixels(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(4, n_classes))

    def forward(self, x):
        return self.layers(x)


def test_inputs_of_a_higher_rank(quick, parts):
    X, y, X_val, y_val = parts
    images, images_val = X[:, :4].reshape(-1, 2, 2), X_val[:, :4].reshape(-1, 2, 2)
    clf = fitted(quick(module=Pixels), images, y, images_val, y_val)
    assert valid_loss(clf) == pytest.approx(log_loss(y_val, clf.predict_proba(images_val)), rel=1e-5)
    with pytest.raises(ValueError, match=r"'X_val' parameter must be of rows of shape \(2, 2\), as X. Got .*\(2, 1\)"):
        fitted(quick(module=Pixels), images, y, images_val[:, :, :1], y_val)


# Weights


def test_a_row_of_weight_two_counts_as_two_rows(quick, parts):
    X, y, X_val, y_val = parts
    weight = np.arange(len(y_val)) % 3
    weighted = fitted(quick(), *parts, sample_weight_val=weight).history_[:, "valid_loss"]
    repeated = fitted(quick(), X, y, X_val.repeat(weight, axis=0), y_val.repeat(weight)).history_[:, "valid_loss"]
    assert weighted == pytest.approx(repeated)
    for factor in (1e-300, 1e300):
        assert fitted(quick(), *parts, sample_weight_val=weight * factor).history_[:, "valid_loss"] == pytest.approx(
            repeated
        )


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 1: 0.5}, {2: 0.0}])
def test_class_weights_are_those_of_the_training_rows(quick, parts, class_weight):
    X, y, X_val, y_val = parts
    clf = fitted(quick(class_weight=class_weight, max_epochs=5), *parts)
    by_class = (
        len(y) / (3 * np.bincount(y)) if class_weight == "balanced" else [class_weight.get(c, 1) for c in range(3)]
    )
    expected = log_loss(y_val, clf.predict_proba(X_val), sample_weight=np.take(by_class, y_val))
    assert valid_loss(clf) == pytest.approx(expected, rel=1e-5)


# Other parameters


def test_auto_is_true_and_false_is_an_error(quick, parts):
    auto, true = (fitted(quick(early_stopping=value), *parts) for value in ("auto", True))
    assert auto.history_[:, "valid_loss"] == true.history_[:, "valid_loss"]
    with pytest.raises(ValueError, match=r"'early_stopping' parameter .* must be 'auto' or True .*'X_val'.* Got False"):
        fitted(quick(early_stopping=False), *parts)


def test_the_share_set_aside_does_not_matter(quick, parts):
    with pytest.warns(UserWarning, match="'validation_fraction' .* has no effect; leaving out 'X_val'"):
        one, other = (fitted(quick(validation_fraction=share), *parts) for share in (0.1, 0.9))
    assert np.array_equal(one.predict_proba(parts[2]), other.predict_proba(parts[2]))


def test_warm_start(quick, parts):
    clf = quick(warm_start=True)
    assert fitted(fitted(clf, *parts), *parts).n_iter_ == 6
    X, y, X_val, y_val = parts
    with pytest.raises(ValueError, match="X_val has 4 features, but KLClassifier is expecting 5"):
        fitted(clf, X, y, X_val[:, :4], y_val)


def test_generations_share_it(quick, parts):
    clf = fitted(quick(n_generations=2), *parts)
    assert valid_loss(clf) == pytest.approx(log_loss(parts[3], clf.predict_proba(parts[2])), rel=1e-5)


@pytest.mark.parametrize("calibrate_teacher", [True, False])
@pytest.mark.parametrize("distill_weight", ["auto", 0.5])
def test_a_teacher_is_fitted_to_every_row_of_x_and_calibrated_on_it(quick, parts, distill_weight, calibrate_teacher):
    fits, predictions = [], []

    class Teacher(DecisionTreeClassifier):
        def fit(self, X, y, sample_weight=None):
            fits.append(X)
            return super().fit(X, y, sample_weight)

        def predict_proba(self, X):
            predictions.append(X)
            return super().predict_proba(X)

    teacher = Teacher(max_depth=3, random_state=0)
    clf = quick(teacher=teacher, distill_weight=distill_weight, calibrate_teacher=calibrate_teacher, augment=None)
    fitted(clf, *parts)
    assert fits
    assert all(np.array_equal(rows, parts[0]) for rows in fits)
    asked = calibrate_teacher or distill_weight == "auto"
    assert any(np.array_equal(rows, parts[2]) for rows in predictions) == asked
    assert "valid_loss" in clf.history_[-1]


def test_probabilities_that_were_given_cannot_be_calibrated_on_it(quick, parts):
    X, y, X_val, y_val = parts
    proba = np.eye(3)[y]
    assert "valid_loss" in fitted(quick(), *parts, teacher_proba=proba).history_[-1]
    with pytest.raises(ValueError, match="'calibrate_teacher' cannot be True with 'teacher_proba'"):
        fitted(quick(calibrate_teacher=True), *parts, teacher_proba=proba)


def test_a_class_that_only_the_teacher_knows(quick, parts):
    X, y, X_val, y_val = parts
    known, teacher = y < 2, LogisticRegression().fit(X, y)
    clf = quick(teacher=FrozenEstimator(teacher), teacher_classes="union", class_weight={0: 2.0, 1: 1.0, 2: 1.0})
    assert fitted(clf, X[known], y[known], X_val, y_val).classes_.tolist() == [0, 1, 2]


# What is refused, before anything is trained


class Never(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("nothing should be trained")


REFUSED = {
    "no labels": ({"y_val": None}, ValueError, "'X_val' and 'y_val' together. Got y_val = None"),
    "no inputs": ({"X_val": None}, ValueError, "'X_val' and 'y_val' together. Got X_val = None"),
    "weights alone": (
        {"X_val": None, "y_val": None, "sample_weight_val": [1]},
        ValueError,
        "Got X_val and y_val = None",
    ),
    "width": ({"X_val": np.zeros((40, 4))}, ValueError, "X_val has 4 features, but KLClassifier is expecting 5"),
    "length": (
        {"y_val": [0, 1, 2]},
        ValueError,
        "'y_val' parameters must be of the same length. Got 40 and 3",
    ),
    "NaN": ({"X_val": np.full((40, 5), np.nan)}, ValueError, "X_val contains NaN"),
    "rank": ({"X_val": np.zeros((40, 5, 1))}, ValueError, "X_val cannot be used: Found array with dim 3"),
    "text": (
        {"X_val": np.full((40, 5), "a")},
        ValueError,
        "X_val must be an array, .* of numbers. could not convert string",
    ),
    "empty": ({"X_val": np.zeros((0, 5)), "y_val": []}, ValueError, r"X_val cannot be used: Found array with 0 sample"),
    "dict": ({"X_val": {"x": 1}}, TypeError, "The 'X_val' parameter must be an array.* Got dict"),
    "unknown label": ({"y_val": np.full(40, 7)}, ValueError, r"y_val has labels \[7\] that are not among the classes"),
    "label of another type": ({"y_val": np.full(40, "a")}, ValueError, "y_val has labels"),
    "missing label": ({"y_val": [None] * 40}, ValueError, "y_val contains None: row 0 has no label"),
    "mixed labels": ({"y_val": ["a", 1] * 20}, TypeError, "The 'y_val' parameter must be labels"),
    "numbers": ({"y_val": np.arange(40) + 0.5}, ValueError, "y_val cannot be used: Unknown label type"),
    "indicator": (
        {"y_val": np.eye(40, 3, dtype=int)},
        ValueError,
        "'y_val' parameter must be one label for each",
    ),
    "weights": (
        {"sample_weight_val": -np.ones(40)},
        ValueError,
        "'sample_weight_val' parameter must be finite",
    ),
    "no weight": ({"sample_weight_val": np.zeros(40)}, ValueError, "'sample_weight_val' .* and not all zero"),
    "few weights": ({"sample_weight_val": np.ones(3)}, ValueError, "'sample_weight_val' parameter must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(quick, parts, case):
    change, kind, message = REFUSED[case]
    clf = quick(teacher=Never())
    with pytest.raises(kind, match=message):
        fitted(clf, *parts[:2], **{"X_val": parts[2], "y_val": parts[3], **change})
    assert not hasattr(clf, "n_features_in_")


def test_other_columns(quick, parts):
    X, y, X_val, y_val = parts
    frame, other = pd.DataFrame(X).add_prefix("a"), pd.DataFrame(X_val).add_prefix("b")
    with pytest.raises(ValueError, match="X_val cannot be used: The feature names should match"):
        fitted(quick(), frame, y, other, y_val)
    with pytest.raises(ValueError, match="y_val has 2 columns, but the labels are"):
        fitted(quick(), X, np.eye(3, dtype=int)[y], X_val, np.eye(2, dtype=int)[y_val % 2])


# scikit-learn's ways to pass it


def test_a_pipeline_transforms_it_as_it_does_x(quick, parts):
    X, y, X_val, y_val = parts
    scaler = StandardScaler().fit(X)
    expected = fitted(quick(), scaler.transform(X), y, scaler.transform(X_val), y_val)
    with config_context(enable_metadata_routing=True):
        clf = quick().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), clf, transform_input=["X_val"]).fit(X, y, X_val=X_val, y_val=y_val)
        search = GridSearchCV(pipeline, {"klclassifier__kl_strength": [0.1]}, cv=2)
        search.fit(X, y, X_val=X_val, y_val=y_val)
    assert np.array_equal(pipeline.predict_proba(X_val), expected.predict_proba(scaler.transform(X_val)))
    assert "valid_loss" in search.best_estimator_[-1].history_[-1]


def test_it_is_routed_in_a_cross_validation(quick, parts):
    X, y, X_val, y_val = parts
    with config_context(enable_metadata_routing=True):
        clf = quick().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        params = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.ones(len(y_val))}
        result = cross_validate(clf, X, y, cv=2, params=params, return_estimator=True, error_score="raise")
    assert all("valid_loss" in fold.history_[-1] for fold in result["estimator"])


def test_a_predefined_split(quick, parts):
    X, y, X_val, y_val = parts
    rows, labels = np.vstack([X, X_val]), np.concatenate([y, y_val])
    train, valid = next(PredefinedSplit(np.repeat([-1, 0], [len(X), len(X_val)])).split())
    clf = quick().fit(rows[train], labels[train], X_val=rows[valid], y_val=labels[valid])
    assert np.array_equal(clf.predict_proba(X), fitted(quick(), *parts).predict_proba(X))


# Distiller


def test_a_distiller_transforms_it_for_the_student(quick, parts):
    X, y, X_val, y_val = parts
    student = make_pipeline(StandardScaler(), quick(augment=None))
    distiller = Distiller(student, DecisionTreeClassifier(max_depth=3), report_fraction=0.2, random_state=0)
    fitted(distiller, *parts, sample_weight_val=np.ones(len(y_val)))
    final = distiller.student_[-1]
    assert valid_loss(final) == pytest.approx(log_loss(y_val, distiller.predict_proba(X_val)), rel=1e-5)
    with pytest.raises(ValueError, match="X_val has 4 features, but StandardScaler is expecting 5"):
        fitted(clone(distiller), X, y, X_val[:, :4], y_val)
    with pytest.raises(ValueError, match=r"y_val has labels \[7\]"):
        fitted(clone(distiller), X, y, X_val, np.full(len(y_val), 7))


def test_a_distillers_report_without_a_class(quick, parts):
    """The only row of a class may be held out for the report, which the validation part then loses there too."""
    X, y, X_val, y_val = parts
    y, y_val = (np.where(np.arange(len(labels)) == 3, 5, labels) for labels in (y, y_val))
    student = quick(augment=None, max_epochs=1, calibrate_teacher=False)
    for seed in (2, 3):  # it is trained on, and held out
        distiller = Distiller(student, GaussianNB(), report_fraction=0.5, random_state=seed)
        fitted(distiller, X, y, X_val, y_val, sample_weight_val=np.ones(len(y_val)))
        assert distiller.classes_.tolist() == [0, 1, 2, 5]
