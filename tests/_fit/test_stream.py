"""A stream of ``partial_fit`` that begins again skips what its checkpoint has learned, and ends as if never broken."""

import pickle
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from skorch.callbacks import Callback
from torch import nn

import sklkl._fit.checkpoint as module_of_checkpoints
import sklkl._fit.stream as module_of_streams
from sklkl import KLClassifier, load, save
from sklkl._fit.stream import Position
from sklkl._utils.plain_file import from_bytes, to_bytes
from sklkl.net import _loop, members_of

# what a stream that goes on says of its predictions, which one test asks for
pytestmark = pytest.mark.filterwarnings("ignore:The checkpoint has learned from:UserWarning")

X = np.random.RandomState(0).randn(600, 5)
Y = (X @ np.random.RandomState(1).randn(5, 3)).argmax(1)
PARTS = [slice(start, start + 40) for start in range(0, 600, 40)]
TEACHER = FrozenEstimator(LogisticRegression().fit(X, Y))


class Own(nn.Sequential):
    """Draws from torch's global state, and has statistics that are no parameters."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, n_classes))


def small(**params):
    layers = {} if params.get("module") else {"hidden_layer_sizes": (8,)}
    return KLClassifier(**{**layers, "random_state": 0, "batch_size": 16, **params})


def fed(clf, first=0, last=6, X=X, y=Y, **more):
    """Return a classifier that was given the parts of a stream from one number to another."""
    for part in PARTS[first:last]:
        clf.partial_fit(X[part], y[part], classes=range(3), **more)
    return clf


@pytest.fixture
def unbroken(once):
    """Return the network of a stream that was never broken."""
    return once("unbroken", lambda: fed(small()))


def assert_same(resumed, whole):
    for net, other in zip(members_of(resumed.net_), members_of(whole.net_), strict=True):
        for name in ("module_", "optimizer_"):
            first, second = (to_bytes(dict(getattr(one, name).state_dict())) for one in (net, other))
            assert first == second
        assert torch.equal(net.generator_.get_state(), other.generator_.get_state())
        histories = [
            [{k: v for k, v in record.items() if k != "dur"} for record in one.history] for one in (net, other)
        ]
        np.testing.assert_equal(*histories)
        assert (net.lr_, net.random_state) == (other.lr_, other.random_state)
    assert np.array_equal(resumed.predict_proba(X), whole.predict_proba(X))


CASES = {
    "kl_adaptive": {},
    "constant, sgd": {"learning_rate": "constant", "optimizer": "sgd"},
    "prior": {"kl_penalty": "prior", "kl_strength": 0.1},
    "rdrop": {"kl_penalty": "rdrop", "kl_strength": 0.1},
    "members": {"n_members": 3},
    "own": {"module": Own},
    "own, members": {"module": Own, "n_members": 2},
    "teacher": {"teacher": TEACHER, "augment_factor": 1},
}


@pytest.mark.parametrize("params", CASES.values(), ids=CASES)
def test_it_goes_on_as_if_nothing_had_been(tmp_path, params):
    path = tmp_path / "stream"
    whole = fed(small(**params), last=4)
    then = whole.predict_proba(X)
    fed(whole, first=4)
    fed(small(checkpoint=path, **params), last=4)
    again = fed(small(checkpoint=path, **params), last=1)
    assert again.n_iter_ == 4
    assert np.array_equal(again.predict_proba(X), then)
    assert_same(fed(again, first=1), whole)
    assert_same(fed(small(checkpoint=path, **params)), whole)


@pytest.mark.parametrize("kind", ["sparse", "frame", "weights", "multilabel"])
def test_it_goes_on_with_data_of_every_kind(tmp_path, kind):
    table, labels = X, Y
    if kind == "sparse":
        table = sparse.csr_array(np.where(X > 0.5, X, 0.0))
    elif kind == "frame":
        table = pytest.importorskip("pandas").DataFrame(X, columns=list("abcde"))
    elif kind == "multilabel":
        labels = np.stack([Y == 0, Y > 0], axis=1).astype(int)

    def given(clf, last=5):
        for number, part in enumerate(PARTS[:last]):
            weight = np.linspace(0.1, 1, 40) * number + 1 if kind == "weights" else None
            classes = range(2 if kind == "multilabel" else 3)
            clf.partial_fit(table[part], labels[part], classes=classes, sample_weight=weight)
        return clf

    given(small(checkpoint=tmp_path / "stream"), last=3)
    resumed, whole = given(small(checkpoint=tmp_path / "stream")), given(small())
    assert to_bytes(dict(resumed.module_.state_dict())) == to_bytes(dict(whole.module_.state_dict()))


@pytest.mark.parametrize("seed", [None, np.random.RandomState])
def test_random_numbers_go_on(tmp_path, seed):
    made = lambda path: small(  # noqa: E731
        checkpoint=path, teacher=TEACHER, augment_factor=1, random_state=None if seed is None else seed(3)
    )
    fed(made(tmp_path / "stream"), last=3)
    resumed = fed(made(tmp_path / "stream"))
    assert resumed.n_iter_ == 6
    if seed is not None:
        assert_same(resumed, fed(made(tmp_path / "whole")))


def test_the_last_calls_are_learned_again_where_not_each_is_kept(tmp_path, unbroken):
    made = lambda: small(checkpoint=tmp_path / "stream", checkpoint_every=3)  # noqa: E731
    fed(made(), last=2)
    assert not (tmp_path / "stream").exists()
    fed(made(), last=5)
    again = fed(made(), last=1)
    assert again.n_iter_ == 3
    assert_same(fed(again, first=1), unbroken)


def test_settings_that_are_changed_are_a_part_of_the_stream(tmp_path):
    def changed(path, lr=0.1, last=6):
        clf = fed(small(checkpoint=path, learning_rate="constant"), last=3)
        return fed(clf.set_params(lr=lr), 3, last)

    changed(tmp_path / "stream", last=5)
    assert_same(changed(tmp_path / "stream"), changed(None))
    with pytest.raises(ValueError, match="of the calls of partial_fit from 4 to 4 are not those that were learned"):
        changed(tmp_path / "stream", lr=0.2)


def copied_by_pickle(clf, folder):
    return pickle.loads(pickle.dumps(clf))


def copied_by_a_file(clf, folder):
    pytest.importorskip("skops")
    save(clf, folder / "clf", with_optimizer=True)
    return load(folder / "clf")


@pytest.mark.parametrize("copied", [copied_by_pickle, copied_by_a_file])
def test_a_copy_knows_how_far_it_has_come(tmp_path, copied, unbroken):
    clf = fed(small(checkpoint=str(tmp_path / "stream")), last=3)
    resumed = fed(copied(clf, tmp_path), first=3)
    assert np.array_equal(resumed.predict_proba(X), unbroken.predict_proba(X))
    assert fed(small(checkpoint=str(tmp_path / "stream")), last=1).n_iter_ == 6


def test_it_goes_on_after_a_fit(tmp_path):
    begun = small(max_epochs=2).fit(X, Y)
    after = lambda path, last=6: fed(pickle.loads(pickle.dumps(begun)).set_params(checkpoint=path), last=last)  # noqa: E731
    after(tmp_path / "stream", last=4)
    assert_same(after(tmp_path / "stream"), after(None))
    with pytest.raises(ValueError, match="'the net that is resumed' was one with the fingerprint"):
        fed(small(max_epochs=2, checkpoint=tmp_path / "stream"))


def test_each_clone_of_a_meta_estimator_has_a_file_in_a_folder(tmp_path):
    folder = f"{tmp_path / 'folder'}/"
    whole = fed(OneVsRestClassifier(small()))
    fed(OneVsRestClassifier(small(checkpoint=folder)), last=3)
    assert len(list((tmp_path / "folder").iterdir())) == 3
    resumed = fed(OneVsRestClassifier(small(checkpoint=folder)))
    assert np.array_equal(resumed.predict_proba(X), whole.predict_proba(X))


# What is refused


@pytest.mark.parametrize(
    ("params", "args", "words"),
    [
        ({"kl_strength": 0.2}, {}, "'kl_strength' was 0.0 and is 0.2"),
        ({}, {"X": X + 1}, "'X' was a ndarray of shape \\(40, 5\\) with the fingerprint"),
        ({}, {"y": 2 - Y}, "'y' was a ndarray"),
    ],
)
def test_another_stream_is_refused_at_once(tmp_path, params, args, words):
    path = tmp_path / "stream"
    fed(small(checkpoint=path), last=3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"{str(path)!r} is that of another stream: {words}"):
        fed(small(checkpoint=path, **params), **args)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("changed", "same", "found"), [(1, 2, 2), (3, 4, 4), (4, 5, 5), (5, None, None)])
def test_another_stream_is_found_out_early(tmp_path, changed, same, found):
    path, others = tmp_path / "stream", X.copy()
    fed(small(checkpoint=path), last=5)
    others[PARTS[changed]] += 1
    clf = small(checkpoint=path)
    if found is None:
        assert fed(clf, X=others).n_iter_ == 6
        return
    with pytest.raises(ValueError, match=f"of the calls of partial_fit from {same} to {found} are not those"):
        fed(clf, X=others)
    assert clf.n_iter_ == 5
    with pytest.raises(ValueError, match="is that of another stream"):  # which it stays
        clf.partial_fit(others[PARTS[found - 1]], Y[PARTS[found - 1]])


def test_a_file_is_that_of_a_fit_or_of_a_stream(tmp_path):
    fed(small(checkpoint=tmp_path / "stream"), last=1)
    small(checkpoint=tmp_path / "fit", max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match="which are not those of a fit"):
        small(checkpoint=tmp_path / "stream").fit(X, Y)
    with pytest.raises(ValueError, match="which are not those of a stream of partial_fit"):
        fed(small(checkpoint=tmp_path / "fit"))


def test_a_fit_in_between_begins_another_stream(tmp_path):
    clf = fed(small(checkpoint=tmp_path / "stream"), last=2)
    clf.set_params(checkpoint=None, max_epochs=1).fit(X, Y).set_params(checkpoint=tmp_path / "stream")
    with pytest.raises(ValueError, match="is that of another stream: .*'the net that is resumed' was none"):
        fed(clf)


def test_a_stream_without_a_checkpoint_remembers_nothing(table):
    assert "_position" not in vars(fed(small(), last=2))


def test_what_cannot_be_written_is_told_and_training_goes_on(tmp_path, file_size_limit, unbroken):
    path = tmp_path / "stream"
    clf = fed(small(checkpoint=path), last=2)
    before = path.read_bytes()
    with file_size_limit(1000), pytest.warns(UserWarning, match="could not be written .*File too large"):
        fed(clf, 2, 3)
    assert path.read_bytes() == before
    assert_same(fed(clf, 3), unbroken)
    with pytest.raises(FileNotFoundError, match="The folder of the 'checkpoint'"):
        fed(small(checkpoint=tmp_path / "none" / "stream"))


def test_an_error_leaves_the_position_as_it_was(tmp_path, unbroken):
    clf = fed(small(checkpoint=tmp_path / "stream"), last=3)
    with pytest.raises(ValueError, match="NaN"):
        clf.partial_fit(X[:40] * np.nan, Y[:40])
    assert_same(fed(clf, 3), unbroken)


def test_the_file_does_not_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(module_of_streams, "_FIRST", 4)
    monkeypatch.setattr(_loop, "N_EPOCHS_OF_STREAM", 4)
    clf, sizes = small(checkpoint=tmp_path / "stream"), []
    for number in range(12):
        clf.partial_fit(X[:20], Y[:20], classes=range(3))
        sizes += [(tmp_path / "stream").stat().st_size] if number in (5, 11) else []
    assert sizes[1] < 1.02 * sizes[0]
    marks = from_bytes((tmp_path / "stream").read_bytes())["marks"]
    assert [number for number, _ in marks] == [*range(1, 5), 8, 12]


def position_after(position, calls):
    """Return a position after further calls, each described by one text."""
    for call in calls:
        position = position.after({"X": (call, "")})
    return position


def test_marks_become_rare():
    begun, calls = Position("stream", "stream", {}), list("abcde" * 40)
    numbers, digests = zip(*position_after(begun, calls).marks, strict=True)
    assert numbers == (*range(1, 65), 128, 200)
    assert len(set(digests)) == len(digests)
    another = replace(begun, n_learned=200, marks=tuple(zip(numbers, digests, strict=True)))
    assert position_after(another, calls).digest == digests[-1]
    with pytest.raises(ValueError, match="of the calls of partial_fit from 65 to 128 are not those"):
        position_after(another, [*calls[:99], "another", *calls[100:]])


def test_what_is_predicted_before_it_has_come_as_far_is_said(tmp_path):
    fed(small(checkpoint=tmp_path / "stream"), last=3)
    with pytest.warns(UserWarning, match="has learned from 3 calls .* those of the network after all of them"):
        fed(small(checkpoint=tmp_path / "stream"), last=1)


class Interrupts(Callback):
    """The second network that begins an epoch is interrupted."""

    n_left = None

    def on_epoch_begin(self, net, **kwargs):
        if Interrupts.n_left is not None:
            Interrupts.n_left -= 1
            if Interrupts.n_left == 0:
                signal.raise_signal(signal.SIGINT)  # not an exception of its own, which asks for the end of a training


def test_all_networks_have_learned_from_a_call_or_none(tmp_path, monkeypatch):
    path, params = tmp_path / "stream", {"n_members": 2, "callbacks": [Interrupts()]}
    clf = fed(small(checkpoint=path, **params), last=2)
    before = path.read_bytes()
    monkeypatch.setattr(Interrupts, "n_left", 2)
    with pytest.raises(KeyboardInterrupt):
        fed(clf, 2, 3)
    monkeypatch.setattr(Interrupts, "n_left", None)
    assert path.read_bytes() == before
    whole = fed(small(**params))
    assert_same(fed(clf, 2), whole)
    assert_same(fed(small(checkpoint=path, **params)), whole)


def test_two_estimators_do_not_overwrite_each_others_file(tmp_path):
    first, second = small(checkpoint=tmp_path / "stream"), small(checkpoint=tmp_path / "stream")
    fed(first, last=1), fed(second, last=1)
    fed(first, 1, 3)
    before = (tmp_path / "stream").read_bytes()
    with pytest.warns(UserWarning, match="is written by another estimator or process, .* left to that"):
        fed(second, 3, 4)
    assert (tmp_path / "stream").read_bytes() == before
    assert_same(second, fed(fed(small(), last=1), 3, 4))


def test_a_copy_of_the_file_is_that_of_the_same_stream(tmp_path, unbroken):
    """As what a call has written that was interrupted before it knew."""
    path = tmp_path / "stream"
    clf = fed(small(checkpoint=path), last=2)
    path.write_bytes(path.read_bytes())
    assert_same(fed(clf, 2), unbroken)
    assert from_bytes(path.read_bytes())["marks"][-1][0] == 6


def test_a_file_without_what_the_optimizer_remembers_does_not_go_on(tmp_path):
    pytest.importorskip("skops")
    save(fed(small(checkpoint=tmp_path / "stream"), last=2), tmp_path / "clf")
    with pytest.raises(ValueError, match="is that of another stream"):
        fed(load(tmp_path / "clf"), 2, 3)


def test_one_network_in_several_processes_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr(module_of_checkpoints, "active_ranks", object)
    with pytest.raises(ValueError, match="'checkpoint' parameter of KLClassifier must be None where several processes"):
        fed(small(checkpoint=tmp_path / "stream"))
