"""Training on blocks: as in memory where one block has all rows, and what cannot be done so is refused by name."""

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring
from torch import nn

from sklkl import Distiller, KLClassifier
from sklkl._fit import blocks as of_fit
from sklkl.data import RowBlocks, _streamed
from sklkl.model_selection import StackedGridSearchCV


def in_blocks(*arrays, size=100, **params):
    """The rows of arrays, so many in a block."""
    n_blocks = -(-len(arrays[0]) // size)
    read = lambda number: tuple(values[number * size : (number + 1) * size] for values in arrays)  # noqa: E731
    return RowBlocks.from_callable(read, n_blocks, **params)


@pytest.fixture
def large(make_table):
    """400 rows, labels and weights, of which some are 0."""
    X, y = make_table(400)
    return X, np.array(["red", "green", "blue"])[y], np.random.RandomState(1).randint(0, 4, 400).astype(float)


def linear(n_features, n_classes):
    return nn.Linear(n_features, n_classes)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": False},
        {"class_weight": "balanced", "learning_rate": "onecycle"},
        {"class_weight": {"red": 3}, "kl_penalty": "prior", "kl_strength": 0.1},
        {"module": linear, "kl_penalty": "vat", "kl_strength": 0.1},
    ],
    ids=["default", "no validation", "balanced", "prior", "module"],
)
def test_one_block_is_as_rows_in_memory(quick, large, params, same_but_for_rounding):
    X, y, weight = large
    given = (X, y) if params == {} else (X, y, weight)
    params = {"dtype": "float64", **params}
    clf, expected = quick(**params).fit(in_blocks(*given, size=400)), quick(**params).fit(*given)
    same_but_for_rounding(clf.predict_proba(X), expected.predict_proba(X))
    assert clf.history_[-1].keys() == expected.history_[-1].keys()
    assert clf.classes_.tolist() == expected.classes_.tolist()


@pytest.mark.parametrize("joined", [1, 10**6])
@pytest.mark.parametrize("order", ["any", "own"])
def test_several_blocks_are_learned(quick, large, joined, order, monkeypatch):
    monkeypatch.setattr(_streamed, "JOINED", joined)
    X, y, weight = large
    source = in_blocks(X, y, weight)
    if order == "own":
        source = RowBlocks.from_callable(lambda: (block for _, block in in_blocks(X, y, weight).blocks()))
    clf = quick(max_epochs=20).fit(source)
    assert clf.score(source) > 0.8
    assert clf.score(source) == pytest.approx(clf.score(X, y, weight))
    assert np.array_equal(clf.predict(source), clf.predict(X))
    assert np.allclose(clf.predict_proba(source), clf.predict_proba(X), atol=1e-6)
    assert clf.n_features_in_ == 5
    first, again = (quick().fit(source).predict_proba(X) for _ in range(2))
    assert np.array_equal(first, again)


def test_validation_rows_are_few_never_trained_on_and_always_the_same(quick, large, monkeypatch):
    monkeypatch.setattr(of_fit, "_VALIDATED", 5 * 40)  # less than 15 % of the rows, as the blocks are small
    X, y, _ = large
    task, source = [], in_blocks(X, y, size=20)
    make = of_fit.task_of_blocks
    monkeypatch.setattr("sklkl._fit.fitting.task_of_blocks", lambda *args: task.append(make(*args)) or task[0])
    quick(max_epochs=2).fit(source)
    data = task[0].training.data
    assert abs(len(data.valid) - 40) <= 3  # of each of the three classes its share, but for rounding
    assert len(data.train) + len(data.valid) == 400
    for _ in range(2):
        trained_on = torch.cat([rows.X for rows in data.train.read(None)])
        both = torch.cat([trained_on, data.valid.X])
        assert len({tuple(row) for row in both.tolist()}) == len(both) == 400
    assert data.train.counted.weight.sum() == len(data.train)


def test_class_shares_of_an_indicator_are_exact(quick, make_table, same_but_for_rounding):
    X, _ = make_table(90)
    Y = (X[:, :3] > [0, 0.5, 3]).astype(int)
    params = {"kl_penalty": "prior", "kl_strength": 0.1, "early_stopping": False, "dtype": "float64"}
    clf, expected = quick(**params).fit(in_blocks(X, Y, size=30)), quick(**params).fit(X, Y)
    same_but_for_rounding(clf.net_.penalty_.prior_, expected.net_.penalty_.prior_)
    assert clf.predict(X).shape == (90, 3)


def test_classes_that_are_given_have_outputs(quick, large):
    X, y, _ = large
    clf = quick().fit(in_blocks(X, y, classes=["blue", "green", "red", "violet"]))
    assert clf.classes_.tolist() == ["blue", "green", "red", "violet"]
    with pytest.raises(ValueError, match="labels .*'red'.* not among the classes") as error:
        quick().fit(in_blocks(X, y, classes=["blue", "green"]))
    assert "block 0" in error.value.__notes__[0]


def test_callbacks_a_part_of_ones_own_and_warm_starts(quick, large):
    X, y, weight = large
    scores = [EpochScoring("accuracy", name="valid_acc"), EpochScoring("accuracy", name="train_acc", on_train=True)]
    clf = quick(callbacks=scores).fit(in_blocks(X, y))
    assert {"valid_acc", "train_acc"} <= clf.history_[-1].keys()
    params = {"class_weight": "balanced", "dtype": "float64"}
    given = {"X_val": X[:50], "y_val": y[:50], "sample_weight_val": weight[:50]}
    clf, expected = quick(**params).fit(in_blocks(X, y, size=400), **given), quick(**params).fit(X, y, **given)
    assert clf.history_[-1]["valid_loss"] == pytest.approx(expected.history_[-1]["valid_loss"], rel=1e-6)
    clf = quick(warm_start=True).fit(in_blocks(X, y))
    assert clf.fit(in_blocks(X, y)).n_iter_ == 6


@pytest.mark.parametrize(
    ("params", "given", "name"),
    [
        ({"n_members": 2}, {}, "n_members"),
        ({"n_generations": 2}, {}, "n_generations"),
        ({"checkpoint": "file"}, {}, "checkpoint"),
        ({"teacher": DummyClassifier()}, {}, "teacher"),
        ({}, {"teacher_proba": np.ones((400, 3)) / 3}, "teacher_proba"),
        ({}, {"X_unlabeled": np.zeros((3, 5))}, "X_unlabeled"),
        ({}, {"y": np.zeros(400)}, "y"),
        ({}, {"sample_weight": np.ones(400)}, "sample_weight"),
    ],
)
def test_what_needs_all_rows_is_refused_before_any_is_read(quick, params, given, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of .* must be .* where X is RowBlocks"):
        quick(**params).fit(RowBlocks.from_callable(len, 1), **given)


def test_a_stream_takes_one_block_at_a_time(quick, large):
    X, y, _ = large
    with pytest.raises(TypeError, match="'X' parameter must be an array.* Got RowBlocks"):
        quick().partial_fit(in_blocks(X, y), y, classes=["blue", "green", "red"])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("passes", [[2, 0, 0], [2, 1, 1], [2, 3, 3], [2, 2, 2, 1]], ids=str)
def test_blocks_of_a_generator_that_come_or_go_are_told(quick, large, passes, early_stopping):
    X, y, _ = large
    left = iter(passes)
    source = RowBlocks.from_callable(lambda: iter([(X, y)] * next(left)))
    with pytest.raises(ValueError, match=f"the same in each pass over them: 2. Got {passes[-1]} instead"):
        quick(early_stopping=early_stopping).fit(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (RowBlocks.from_callable(lambda number: ([[0.0]], None), 1), "'y' parameter of RowBlocks must be labels"),
        (RowBlocks.from_callable(lambda number: ([[0.0]], [0]), 1, classes=[]), "'classes' parameter .* Got none"),
    ],
)
def test_labels_are_needed_to_fit(quick, source, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(source)


def test_predictions_need_no_labels_and_scores_do(quick, large):
    X, y, _ = large
    clf = quick().fit(X, y)
    unlabelled = RowBlocks.from_callable(lambda number: (X[: 400 * number], None), 2)
    np.testing.assert_array_equal(clf.predict(unlabelled), clf.predict(X[:400]))
    with pytest.raises(ValueError, match="labels in each block that is scored") as found:
        clf.score(unlabelled)
    assert "block 0" in found.value.__notes__[0]
    with pytest.raises(ValueError, match="Input X contains NaN") as found:
        clf.predict(RowBlocks.from_callable(lambda number: (X + [0, np.nan][number], None), 2))
    assert "block 1" in found.value.__notes__[0]


@pytest.mark.parametrize("method", ["predict", "score"])
def test_no_rows_are_refused(quick, large, method):
    X, y, _ = large
    with pytest.raises(ValueError, match="must be RowBlocks with rows.* Got none"):
        getattr(quick().fit(X, y), method)(RowBlocks.from_callable(lambda number: (X[:0], y[:0]), 1))


@pytest.mark.parametrize(
    "use",
    [
        lambda blocks: StackedGridSearchCV(KLClassifier(), {"kl_strength": [0, 1]}, cv=2).fit(blocks),
        lambda blocks: make_pipeline(StandardScaler(), KLClassifier()).fit(blocks),
        lambda blocks: Distiller(KLClassifier(), DummyClassifier()).fit(blocks, [0, 1]),
        lambda blocks: train_test_split(blocks),
    ],
    ids=["search", "Pipeline", "Distiller", "split"],
)
def test_what_takes_rows_in_memory_refuses_blocks_by_name(use):
    with pytest.raises((TypeError, ValueError), match="'X' parameter must be .*Got RowBlocks"):
        use(RowBlocks.from_callable(len, 1))


def changing(X, y):
    state = [len(X)]

    def blocks():
        state[0] -= 1
        yield X[: state[0]], y[: state[0]]

    return RowBlocks.from_callable(blocks)


BAD = {
    "columns": (lambda X, y, n: (X[:, : 5 - n], y), ValueError, "X has 4 features", 1),
    "NaN": (lambda X, y, n: (np.where(n, np.nan, X), y), ValueError, "Input X contains NaN", 1),
    "weights": (lambda X, y, n: (X, y, -np.ones(400)), ValueError, "'sample_weight' parameter must be 400 numbers", 0),
    "lengths": (lambda X, y, n: (X, y[1:]), ValueError, "inconsistent numbers of samples", 0),
    "sparse": (lambda X, y, n: (pytest.importorskip("scipy.sparse").csr_array(X), y), ValueError, "dense in each", 0),
    "a missing label": (lambda X, y, n: (X, np.where(y == "red", None, y)), ValueError, "Input y contains None", 0),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_error_says_in_which_block(quick, large, kind):
    X, y, _ = large
    make, error, message, block = BAD[kind]
    with pytest.raises(error, match=message) as found:
        quick().fit(RowBlocks.from_callable(lambda number: make(X, y, number), 2))
    assert f"block {block}" in found.value.__notes__[0]


def test_other_sources_that_cannot_be_learned(quick, large):
    X, y, _ = large
    with pytest.raises(ValueError, match="the same rows in each pass"):
        quick().fit(changing(X, y))
    with pytest.raises(ValueError, match="RowBlocks with rows of positive weight"):
        quick().fit(RowBlocks.from_callable(lambda: iter([(X, y, np.zeros(400))])))
    with pytest.raises(ValueError, match="uniformly strings or numbers, in all blocks"):
        quick().fit(RowBlocks.from_callable(lambda number: (X, y if number else np.arange(400) % 2), 2))
    with pytest.raises(ValueError, match="an indicator of 2, as in other blocks"):
        quick().fit(RowBlocks.from_callable(lambda number: (X[:2], np.eye(2 + number, dtype=int)[:2]), 2))
