"""What people who come from skorch expect: its data sets, labels, weights, criteria, scores and modes."""

import numpy as np
import pytest
import skorch
import torch
from sklearn.naive_bayes import GaussianNB
from skorch.callbacks import BatchScoring, Callback, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from sklkl import KLNet
from sklkl.callbacks import BestWeights
from sklkl.data import LazyRows, RowBlocks, Rows
from sklkl.losses import CrossEntropy
from sklkl.modules import MLP
from sklkl.net._datasets import trainable
from sklkl.penalties import Confidence

# Several labels a row


@pytest.fixture
def labels(table32):
    """Return an indicator of three labels."""
    y = table32[1]
    return np.stack([y == 0, y == 1, y > 0], axis=1).astype(np.int64)


def test_labels_are_predicted_as_an_indicator(quick_net, table32, labels):
    net = quick_net(multilabel=True, max_epochs=20).fit(table32[0], labels)
    predicted = net.predict(table32[0])
    assert np.array_equal(predicted, net.predict_proba(table32[0]) > 0.5)
    assert (predicted == labels).mean() > 0.8


@pytest.mark.parametrize("split", [{}, {"train_split": ValidSplit(4, stratified=True)}])
def test_skorchs_split_takes_labels(table32, labels, split):
    net = KLNet(
        MLP,
        module__n_features=5,
        module__n_classes=3,
        multilabel=True,
        max_epochs=2,
        verbose=0,
        random_state=0,
        **split,
    )
    assert "valid_loss" in net.fit(table32[0], labels).history[-1]
    assert net.train_split.stratified


@pytest.mark.parametrize("on_train", [True, False])
@pytest.mark.parametrize("use_caching", [True, False])
def test_labels_are_scored(quick, table, labels, on_train, use_caching):
    score = EpochScoring("f1_macro", lower_is_better=False, name="score", on_train=on_train, use_caching=use_caching)
    clf = quick(early_stopping=True, callbacks=[score], max_epochs=2).fit(table[0], labels)
    assert 0 < clf.history_[-1, "score"] <= 1


# Scores of rows, of which some have no label


@pytest.mark.parametrize(
    ("kind", "scoring", "use_caching"),
    [
        ("synthetic", "accuracy", True),
        ("synthetic", "neg_log_loss", False),
        ("given", "neg_log_loss", True),
        ("penalty", "accuracy", False),
    ],
)
def test_a_score_of_training_rows_counts_those_with_a_label(quick, table, kind, scoring, use_caching):
    X, y = table
    score = EpochScoring(scoring, on_train=True, name="score", lower_is_better=False, use_caching=use_caching)
    params = {"teacher": GaussianNB(), "distill_weight": 0.5}
    params = {"kl_penalty": "vat", "kl_strength": 0.1} if kind == "penalty" else params
    params |= {"early_stopping": False} | ({} if kind == "synthetic" else {"augment": None})
    clf = quick(callbacks=[score], optimizer="sgd", lr=1e-12, learning_rate="constant", dropout=0.0, **params)
    clf.fit(X, y, **({} if kind == "synthetic" else {"X_unlabeled": X[::-1] + 9}))
    right = clf.score(X, y) if scoring == "accuracy" else np.log(clf.predict_proba(X)[np.arange(120), y]).mean()
    assert clf.history_[-1, "score"] == pytest.approx(right, rel=1e-4)


def test_hooks_see_no_row_without_a_label(quick, table):
    class Looks(Callback):
        def on_epoch_begin(self, net, dataset_train=None, **kwargs):
            sizes.append(len(dataset_train))

        def on_batch_end(self, net, batch, training, y_pred, **kwargs):
            assert len(batch[0]) == len(batch[1]) == len(y_pred)
            assert (batch[1] >= 0).all()

    sizes, score = [], BatchScoring("accuracy", name="score", on_train=True)
    clf = quick(teacher=GaussianNB(), distill_weight=0.5, callbacks=[Looks(), score], batch_size=8, max_epochs=2).fit(
        *table
    )
    assert set(sizes) == {120}
    assert 0 < clf.history_[-1, "score"] <= 1
    assert clf.net_._labelled_rows is None


# Modes


@pytest.mark.parametrize("kind", ["few rows", "validation", "teacher", "generations", "stream", "net"])
def test_the_network_is_in_evaluation_mode_after_every_fit(quick, quick_net, table32, kind):
    X, y = table32
    params = {
        "validation": {"early_stopping": True},
        "teacher": {"teacher": GaussianNB()},
        "generations": {"n_generations": 2},
        "stream": {"max_epochs": 100},
    }.get(kind, {})
    clf = quick_net() if kind == "net" else quick(dropout=0.5, **params)
    clf = clf.partial_fit(X, y, classes=[0, 1, 2]) if kind == "stream" else clf.fit(X, y)
    assert not any(layer.training for layer in clf.module_.modules())


# Data sets


class Stream(IterableDataset):
    """Rows that come one after the other, nobody knows how many."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __iter__(self):
        return zip(torch.tensor(self.X), torch.tensor(self.y), strict=True)


@pytest.mark.parametrize("learning_rate", ["constant", "onecycle", "kl_adaptive"])
def test_a_data_set_without_a_length(quick_net, table32, learning_rate):
    params = {"dataset": Dataset, "iterator_train": DataLoader, "iterator_valid": DataLoader, "classes": [0, 1, 2]}
    net = quick_net(learning_rate=learning_rate, max_epochs=10, **params).fit(Stream(*table32), None)
    assert net.history[:, "train_batch_count"] == [4] * 10
    assert net.history[-1, "train_loss"] < net.history[0, "train_loss"]
    assert net.predict_proba(Stream(*table32)).shape == (120, 3)
    assert net.iterator_train__shuffle


class StreamOfBatches(Stream):
    def __iter__(self):
        return zip(torch.tensor(self.X).split(40), torch.tensor(self.y).split(40), strict=True)


@pytest.mark.parametrize("callbacks", [None, [BestWeights()]], ids=["", "best weights"])
def test_a_data_set_of_batches(quick_net, table32, callbacks):
    data = StreamOfBatches(*table32)
    params = {"dataset": Dataset, "iterator_train": DataLoader, "iterator_valid": DataLoader, "classes": [0, 1, 2]}
    params |= {"batch_size": None, "train_split": predefined_split(data), "callbacks": callbacks}
    net = quick_net(learning_rate="kl_adaptive", max_epochs=10, **params).fit(data, None)
    assert net.history[:, "train_batch_count"] == [3] * 10
    assert net.history[-1, "valid_loss"] < net.history[0, "valid_loss"]
    assert net.rule_params_ == ({"keeps_best": True} if callbacks else {})


@pytest.mark.parametrize(
    ("params", "size"), [({"batch_size": 7}, 7), ({"batch_size": -1}, 96), ({"iterator_train__batch_size": 5}, 5)]
)
def test_the_rate_knows_how_many_rows_a_step_has(quick_net, table32, params, size):
    net = quick_net(callbacks=[BestWeights()], train_split=ValidSplit(5), max_epochs=1, **params).fit(*table32)
    assert net.rule_params_ == {"keeps_best": True, "batch_size": size}


def test_an_iterator_that_gives_nothing_is_refused(quick_net, table32):
    X, y = table32
    params = {"dataset": Dataset, "iterator_train": DataLoader, "classes": [0, 1, 2]}
    with pytest.raises(ValueError, match="gave no batch in epoch 1"):
        quick_net(**params).fit(Stream(X[:0], y[:0]), None)


# Criteria


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 5.0, 0.5])])
@pytest.mark.parametrize("given", ["class", "instance"])
def test_torchs_cross_entropy_is_that_of_skorch(quick_net, table32, weight, given):
    own = nn.CrossEntropyLoss(weight=weight)
    criterion = {"criterion": own} if given == "instance" else {"criterion": nn.CrossEntropyLoss}
    criterion |= {"criterion__weight": weight} if given == "class" and weight is not None else {}
    torch.manual_seed(0)
    module = MLP(5, 3, hidden_layer_sizes=(8,))
    common = {"max_epochs": 3, "batch_size": 40, "lr": 0.01, "train_split": None, "verbose": 0, **criterion}
    ours = KLNet(module, iterator_train__shuffle=False, **common).initialize()
    theirs = skorch.NeuralNetClassifier(module, optimizer=torch.optim.Adam, **common).initialize()
    theirs.module_.load_state_dict(state := {k: v.clone() for k, v in ours.module_.state_dict().items()})
    theirs.partial_fit(*table32)
    ours.module_.load_state_dict(state)
    ours.partial_fit(*table32)
    np.testing.assert_allclose(ours.history[:, "train_loss"], theirs.history[:, "train_loss"], rtol=1e-4)
    assert own.reduction == "mean"


def test_a_criterion_of_one_number_is_refused(quick_net, table32):
    class Mean(CrossEntropy):
        def forward(self, log_proba, y):
            return super().forward(log_proba, y).mean()

    with pytest.raises(
        ValueError, match="The 'criterion' parameter of KLNet must be one that returns a value for each"
    ):
        quick_net(criterion=Mean).fit(*table32)


# Labels and weights


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.uint8, np.float64, np.float32])
@pytest.mark.parametrize("iterator", [{}, {"iterator_train": DataLoader, "iterator_valid": DataLoader}])
def test_codes_of_any_type(quick_net, table32, dtype, iterator):
    X, y = table32
    expected = quick_net(iterator_train__shuffle=False, batch_size=120, **iterator).fit(X, y).history[:, "train_loss"]
    net = quick_net(iterator_train__shuffle=False, batch_size=120, **iterator).fit(X, y.astype(dtype))
    np.testing.assert_allclose(net.history[:, "train_loss"], expected, rtol=1e-6)


def test_booleans_are_two_classes(quick_net, table32):
    X, y = table32
    net = quick_net(module__n_classes=2).fit(X, y > 0)
    assert net.history[-1, "train_loss"] == pytest.approx(
        quick_net(module__n_classes=2).fit(X, (y > 0).astype(int)).history[-1, "train_loss"]
    )


@pytest.mark.parametrize("change", [lambda y: y * 2, lambda y: y - 1, lambda y: y + 0.5])
def test_other_labels_are_refused(quick_net, table32, change):
    with pytest.raises(ValueError, match="The 'y' parameter of KLNet must be class codes"):
        quick_net().fit(table32[0], change(table32[1]))


def test_text_as_labels_is_refused(quick_net, table32):
    with pytest.raises(TypeError, match="must be numeric arrays. Got one of dtype <U"):
        quick_net().fit(table32[0], table32[1].astype(str))


def test_row_weights_are_taken_by_fit(quick_net, table32):
    X, y = table32
    weight = np.random.RandomState(0).rand(120)
    net = quick_net().fit(X, y, sample_weight=weight)
    rows = Rows(X, y, weight=(weight / weight.mean()).astype(np.float32))
    np.testing.assert_allclose(net.history[:, "train_loss"], quick_net().fit(rows, y).history[:, "train_loss"])
    assert "weight" not in net.get_params()


@pytest.mark.parametrize(
    "weight", [np.ones(119), -np.ones(120), np.zeros(120), np.full(120, np.nan), np.ones((120, 1))]
)
def test_bad_row_weights_are_refused(quick_net, table32, weight):
    with pytest.raises(ValueError, match="The 'sample_weight' parameter of KLNet must be 120 finite numbers"):
        quick_net().fit(*table32, sample_weight=weight)


BY_ENGINE = {"optimizer": torch.optim.AdamW, "optimizer__fused": True}


@pytest.mark.parametrize("params", [{}, BY_ENGINE], ids=["autograd", "engine"])
@pytest.mark.parametrize("dtype", [np.float64, np.int64, bool, np.float16])
def test_columns_of_any_type(quick_net, table32, dtype, params):
    X, y = table32
    columns = {"weight": (np.arange(120) % 3 > 0).astype(np.float32), "teacher_proba": np.eye(3, dtype=np.float32)[y]}
    expected = quick_net(**params).fit(Rows(X, y, **columns), y)
    net = quick_net(**params).fit(Rows(X, y, **{name: values.astype(dtype) for name, values in columns.items()}), y)
    np.testing.assert_allclose(net.history[:, "train_loss"], expected.history[:, "train_loss"], rtol=1e-4)
    np.testing.assert_allclose(net.predict_proba(X), expected.predict_proba(X), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weight", -np.ones(120)),
        ("weight", np.full(120, np.nan)),
        ("weight", np.zeros(120)),
        ("weight", np.ones((120, 1))),
        ("teacher_proba", np.zeros((120, 3)) - 1),
        ("teacher_proba", np.full((120, 3), np.nan)),
        ("teacher_proba", np.ones((120, 3))),
        ("teacher_proba", np.ones(120)),
    ],
)
@pytest.mark.parametrize("part", ["train", "split", "valid"])
def test_columns_that_are_none_are_refused(quick_net, table32, name, values, part):
    X, y = table32
    rows = Rows(X, y, **{name: values})
    split = {"train": None, "split": ValidSplit(5), "valid": predefined_split(rows)}[part]
    net = quick_net(train_split=split)
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Rows must be .* Got a column of shape"):
        net.fit(Rows(X, y) if part == "valid" else rows, y)
    assert not len(net.history)


def test_rows_without_a_teacher_have_zeros(quick_net, table32):
    X, y = table32
    proba = np.eye(3)[y] * (np.arange(120) % 2)[:, None]
    history = quick_net(distill_weight=1.0).fit(Rows(X, y, teacher_proba=proba), y).history
    assert history[-1, "train_distillation"] < history[0, "train_distillation"]


def test_a_table_stays_where_it_is_whatever_the_type_of_its_labels(table32):
    X, y = table32
    rows = trainable(LazyRows(X, y.astype(np.int32), torch.float32))
    assert type(rows) is LazyRows
    assert rows.table is X
    assert rows.y.dtype is torch.int64


# Parameters of the penalty


def test_parameters_of_the_penalty_are_the_nets(quick_net, table32):
    net = quick_net(kl_penalty="confidence", kl_penalty__entropy_threshold=0.5, kl_strength=0.1)
    assert net.kl_penalty.entropy_threshold == 0.5
    assert net.get_params()["kl_penalty__entropy_threshold"] == 0.5
    mine = Confidence(0.3)
    net.set_params(kl_penalty=mine).set_params(kl_penalty__entropy_threshold=0.7).fit(*table32)
    assert net.penalty_.entropy_threshold == 0.7
    assert mine.entropy_threshold == 0.3
    net.set_params(kl_penalty__entropy_threshold=0.2).partial_fit(*table32)
    assert net.penalty_.entropy_threshold == 0.2
    with pytest.raises(ValueError, match="Invalid parameter 'other'"):
        net.set_params(kl_penalty__other=1)


# Rows that are in no memory


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict_proba"])
def test_blocks_of_rows_are_for_the_classifier(quick_net, table32, method):
    net, blocks = quick_net().initialize(), RowBlocks.from_callable(lambda number: table32, 1)
    with pytest.raises(TypeError, match="Got RowBlocks instead, .* with a network of your own as its 'module'"):
        getattr(net, method)(blocks)


def test_rows_that_have_labels_need_no_others(quick_net, table32):
    assert len(quick_net(classes=[0, 1, 2]).fit(Rows(*table32)).history) == 3
