"""Rows without a label: given ones and synthetic ones, their weights, and what the loss makes of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.multioutput import MultiOutputClassifier
from torch import nn

from sklkl.penalties import Penalty


def softmax(X):
    logits = np.asarray(X.todense() if sparse.issparse(X) else X)[:, :3]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.fixture
def taught(quick):
    def make(**params):
        steady = {"distill_weight": 1.0, "augment": None, "early_stopping": False, "dropout": 0.0, "teacher": softmax}
        return quick(**{**steady, "calibrate_teacher": False, **params})

    return make


# Rows that were given


@pytest.mark.parametrize("train", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "extra", [np.asarray, sparse.csr_array, sparse.coo_array, pd.DataFrame, np.ndarray.tolist],
    ids=["dense", "csr", "coo", "frame", "list"],
)  # fmt: skip
def test_every_container_of_rows_without_a_label(taught, table, trained_on, train, extra):
    X, y = table
    more = np.random.RandomState(1).randn(30, 5)
    clf = taught(teacher=nn.Linear(5, 3), max_epochs=1).fit(train(X), y, X_unlabeled=extra(more))
    rows = trained_on[0]
    assert len(rows) == 150
    assert (rows.y[120:] == -100).all()
    stored = rows.X.toarray() if sparse.issparse(rows.X) else rows.X.numpy()
    np.testing.assert_allclose(stored, np.vstack([X, more]), rtol=1e-6)
    assert clf.n_features_in_ == 5


def test_frames_reach_the_teacher_as_frames(taught, table):
    X, y = pd.DataFrame(table[0], columns=list("abcde")), table[1]
    teacher = RandomForestClassifier(3, random_state=0)  # warns about missing names, and warnings are errors here
    clf = taught(teacher=teacher, augment="munge").fit(X, y, X_unlabeled=X[:10])
    assert clf.feature_names_in_.tolist() == list("abcde")


def test_they_are_labelled_by_the_teacher(taught, table, trained_on):
    X, y = table
    taught().fit(X, y, X_unlabeled=X[:7] + 1)
    np.testing.assert_allclose(trained_on[0].columns["teacher_proba"], softmax(np.vstack([X, X[:7] + 1])), rtol=1e-5)


def test_they_weigh_as_much_as_the_average_row(taught, table, trained_on):
    X, y = table
    weight = np.arange(120.0)
    taught().fit(X, y, weight, X_unlabeled=X[:7])
    rows = trained_on[0]
    assert len(rows) == 119 + 7
    np.testing.assert_allclose(rows.weight[-7:], np.arange(1.0, 120).mean())


def test_they_carry_the_distillation_term_only(taught, table, trained_on):
    X, y = table
    net = taught(distill_weight=0.5, kl_strength=0.1).fit(X, y, X_unlabeled=X + 1).net_
    (batch,) = trained_on[0].split([0, 240])
    terms = net.loss_terms(net.module_(batch[0]), batch)
    assert (terms["data_fit"][120:] == 0).all()
    assert (terms["kl_penalty"][120:] == 0).all()
    assert (terms["distillation"][120:] > 0).all()
    assert (terms["data_fit"][:120] > 0).all()
    net.module_.zero_grad()
    (terms["data_fit"] + terms["kl_penalty"])[120:].sum().backward()
    assert all((p.grad == 0).all() for p in net.module_.parameters())


class FarFromLabels(Penalty):
    """Infinite on every row that has no label."""

    def __call__(self, log_proba, batch):
        values = log_proba.exp().square().sum(-1)
        return values.where(batch[1] >= 0, torch.inf)


def test_an_infinite_penalty_on_them_counts_nothing(taught, table):
    X, y = table
    clf = taught(kl_penalty=FarFromLabels(), kl_strength=0.1).fit(X, y, X_unlabeled=X + 1)
    assert np.isfinite(clf.history_[:, ("train_loss", "train_kl_penalty")]).all()
    assert clf.history_[-1, "train_kl_penalty"] > 0


@pytest.mark.parametrize(
    "none", [[], np.zeros((0, 5)), pd.DataFrame(np.zeros((0, 5))), sparse.csr_array((0, 5))], ids=type
)
@pytest.mark.parametrize("teacher", [softmax, None], ids=["teacher", "none"])
def test_no_rows_without_a_label(quick, taught, once, table, none, teacher):
    X, y = table
    clf = quick() if teacher is None else taught(teacher=teacher, distill_weight=0.5)
    expected = once(teacher, lambda: clf.fit(X, y).predict_proba(X))
    assert np.array_equal(clf.fit(X, y, X_unlabeled=none).predict_proba(X), expected)


def test_more_rows_help_a_small_sample(taught, make_table):
    X, y = make_table(600)
    teacher = FrozenEstimator(LogisticRegression().fit(X, y))
    clf = taught(teacher=teacher, max_epochs=40, hidden_layer_sizes=(32,))
    few = clf.fit(X[:12], y[:12]).predict_proba(X[300:])
    more = clf.fit(X[:12], y[:12], X_unlabeled=X[12:300]).predict_proba(X[300:])
    assert log_loss(y[300:], more) < 0.8 * log_loss(y[300:], few)


def test_rows_without_a_label_of_several_labels(taught, table, trained_on):
    X, Y = table[0], np.eye(3, dtype=int)[table[1]]
    teacher = MultiOutputClassifier(LogisticRegression())
    clf = taught(teacher=teacher, distill_weight=0.5, augment="noise").fit(X, Y, X_unlabeled=X[:9])
    rows = trained_on[0]
    assert len(rows) == 120 + 9 + 600
    assert (rows.y[120:] == -100).all()
    assert rows.columns["teacher_proba"].shape == (729, 3, 2)
    assert clf.predict_proba(X).shape == (120, 3)


@pytest.mark.parametrize("distill_weight", [0.5, "auto"])
@pytest.mark.filterwarnings("ignore:1 classes have one row only")  # of the row that cannot be set aside
def test_a_row_alone_in_its_class_has_no_out_of_fold_target(taught, table, trained_on, distill_weight):
    X, y = table[0], np.where(np.arange(120) == 7, 9, table[1])
    taught(teacher=LogisticRegression(), teacher_cv=3, distill_weight=distill_weight).fit(X, y)
    taught_rows = [rows for rows in trained_on if "teacher_proba" in rows.columns]  # "auto" trains on labels alone too
    assert taught_rows
    for rows in taught_rows:
        targets = rows.columns["teacher_proba"].sum(1)
        np.testing.assert_allclose(targets, rows.y != 3, atol=1e-6)
        assert (rows.y == 3).sum() == 1


class Rowwise(nn.Linear):
    """A linear network that counts the rows that it learns from, whoever uses it."""

    learned = 0

    def __init__(self, n_features, n_classes):
        super().__init__(n_features, n_classes)

    def forward(self, x):
        Rowwise.learned += len(x) * self.training
        return super().forward(x)


@pytest.mark.parametrize(
    ("params", "n_more"),
    [({}, 50), ({}, 120), ({}, 1000), ({"augment": "munge", "augment_factor": 9}, 0), ({"augment": "noise"}, 300)],
    ids=str,
)
def test_rows_without_a_label_at_most_double_the_work(taught, table, params, n_more):
    X, y = table
    more = np.resize(X, (n_more, 5)) + 1
    clf = taught(module=Rowwise, dropout=0.3, learning_rate="constant", max_epochs=12, n_iter_no_change=None, **params)
    Rowwise.learned = 0
    clf.fit(X, y, X_unlabeled=more)
    n_rows = 120 + n_more + params.get("augment_factor", 5) * 120 * ("augment" in params)
    assert Rowwise.learned == clf.n_iter_ * n_rows
    assert Rowwise.learned < 2 * 12 * 120 + n_rows  # a pass that was begun is finished
    assert Rowwise.learned >= min(2 * 120, n_rows) * 12  # and what is allowed is used


# Several labels


@pytest.mark.parametrize("kind", ["forest", "logits", "probabilities", "classifier", "array", "list"])
def test_teachers_of_several_labels(taught, quick, once, table, kind):
    X, Y = table[0], np.stack([table[1] > 0, table[1] == 1], axis=1).astype(int)
    forest = once("forest", lambda: RandomForestClassifier(20, max_depth=3, random_state=0).fit(X, Y))
    on = np.column_stack([p[:, 1] for p in forest.predict_proba(X)])
    teachers = {
        "forest": FrozenEstimator(forest), "logits": nn.Linear(5, 2), "classifier": quick(),
        "probabilities": lambda X: np.column_stack([p[:, 1] for p in forest.predict_proba(X)]),
    }  # fmt: skip
    given = {"array": on, "list": np.stack([1 - on, on], axis=-1)}.get(kind)
    clf = taught(teacher=teachers.get(kind), max_epochs=60).fit(X, Y, teacher_proba=given)
    assert clf.history_[-1]["train_distillation"] < 0.5 * clf.history_[0]["train_distillation"]
    if kind not in ("logits", "classifier"):
        assert np.abs(clf.predict_proba(X) - on).mean() < 0.12


# Synthetic rows


@pytest.mark.parametrize("augment", ["munge", "noise"])
def test_synthetic_rows_are_labelled_too(taught, table, trained_on, augment):
    X, y = table
    X = np.column_stack([X, np.eye(2)[y % 2], y])
    taught(augment=augment, augment_factor=3).fit(X, y)
    rows = trained_on[0]
    assert len(rows) == 480
    new = rows.X[120:].numpy()
    assert np.isin(new[:, 5:7], [0, 1]).all()
    assert (new[:, 5:7].sum(1) == 1).all()
    assert np.isin(new[:, 7], [0, 1, 2]).all()
    np.testing.assert_allclose(rows.columns["teacher_proba"][120:], softmax(new), rtol=1e-4)


def test_a_function_makes_rows(taught, table, trained_on):
    X, y = table
    taught(augment=lambda X, factor, random_state: X[:factor] + 100.0, augment_factor=4).fit(X, y)
    assert len(trained_on[0]) == 124
    np.testing.assert_allclose(trained_on[0].X[120:], X[:4] + 100, rtol=1e-5)


def test_the_validation_part_has_no_synthetic_rows(taught, table, trained_on):
    X, y = table
    clf = taught(early_stopping=True, augment="munge", augment_factor=2).fit(X, y)
    assert len(trained_on[0]) == 3 * 102
    assert "valid_loss" in clf.history_[-1]


def test_auto_makes_rows_for_a_dense_table_with_a_teacher(taught, table, trained_on):
    X, y = table
    taught(augment="auto", augment_factor=2).fit(X, y)
    taught(augment="auto", teacher=LogisticRegression()).fit(sparse.csr_array(X), y)
    taught(augment="auto", teacher=None).fit(X, y, teacher_proba=softmax(X))
    taught(augment="auto", teacher=lambda X: np.ones((len(X), 1))).fit(X[:1], y[:1])
    assert [len(rows) for rows in trained_on] == [360, 120, 120, 1]


@pytest.mark.parametrize(("n_rows", "trained"), [(20_000, 40_000), (20_001, 20_001)])
def test_auto_makes_no_rows_for_a_long_table(taught, trained_on, n_rows, trained):
    X = np.random.RandomState(0).randn(n_rows, 3)
    factor = {"augment_factor": 1} if trained > n_rows else {}
    clf = taught(augment="auto", max_epochs=1, hidden_layer_sizes=(2,), batch_size=20_000, **factor)
    clf.fit(X, np.arange(n_rows) % 3)
    assert len(trained_on[0]) == trained


def test_one_row_of_weight(taught, table):
    X, y = table
    weight = (np.arange(120) == 3).astype(float)
    assert taught(augment="auto").fit(X, y, weight).n_iter_ == 3
    with pytest.raises(ValueError, match="needs at least two rows"):
        taught(augment="munge").fit(X, y, weight)


def test_images_have_no_neighbours_but_functions_may_make_some(quick, trained_on):
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(8, 2)

        def forward(self, x):
            return self.out(x.flatten(1))

    X, y = np.random.RandomState(0).randn(40, 2, 4), np.arange(40) % 2
    clf = quick(module=Flat, teacher=Flat(), distill_weight=0.5).fit(X, y, X_unlabeled=X[:5])
    assert len(trained_on[0]) == 45
    assert torch.is_tensor(trained_on[0].X)
    with pytest.raises(ValueError, match="X of 3 dimensions"):
        clf.set_params(augment="munge").fit(X, y)


def test_labels_alone_are_learned_on_labelled_rows_only(taught, table, trained_on):
    X, y = table
    useful = FrozenEstimator(LogisticRegression(max_iter=500).fit(X, y))
    taught(teacher=useful, distill_weight="auto", augment="munge", augment_factor=2).fit(X, y)
    assert [len(rows) for rows in trained_on[:2]] == [102, 306]
