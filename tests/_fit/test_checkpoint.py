"""A fit that was killed goes on from its checkpoint, and its result is that of one that was not, to the bit."""

import copy
import threading

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler
from torch import nn

import sklkl._fit.checkpoint as module_of_checkpoints
from sklkl import Distiller, KLClassifier
from sklkl._fit.checkpoint import FitCheckpoint
from sklkl._utils.plain_file import from_bytes, to_bytes
from sklkl._utils.replacing import replace_file
from sklkl.model_selection import StackedGridSearchCV
from sklkl.net import members_of

WEIGHTS = np.random.RandomState(1).randn(5, 3)
X = np.random.RandomState(0).randn(260, 5)
PROBA = np.exp(X @ WEIGHTS) / np.exp(X @ WEIGHTS).sum(1, keepdims=True)
Y = (PROBA.cumsum(1) < np.random.RandomState(2).rand(260, 1)).sum(1)
MORE = np.random.RandomState(3).randn(50, 5)
SOURCE = np.random.RandomState(4)


class Killed(BaseException):
    """Nothing catches it."""


@pytest.fixture
def killed(monkeypatch):
    """Return ``killed(fit, n_writes)``: a fit that ends at once after that many files were written."""

    def kill(fit, n_writes, error=Killed):
        written = []

        def write(path, data):
            replace_file(path, data)
            written.append(path)
            if len(written) == n_writes:
                raise error

        with monkeypatch.context() as patched:
            patched.setattr(module_of_checkpoints, "replace_file", write)
            with pytest.raises(error):
                fit()

    return kill


def small(**params):
    layers = {} if params.get("module") else {"hidden_layer_sizes": (8,)}
    return KLClassifier(**{**layers, "max_epochs": 4, "random_state": 0, **params})


@pytest.fixture
def unbroken(once):
    """Return what is fitted without a checkpoint."""
    return once("unbroken", lambda: small().fit(X, Y))


def record_of(epoch):
    return {name: value for name, value in epoch.items() if name != "dur"}


def assert_same(resumed, whole):
    for net, other in zip(members_of(resumed.net_), members_of(whole.net_), strict=True):
        for part in ("module_", "optimizer_"):
            first, second = (to_bytes(dict(getattr(one, part).state_dict())) for one in (net, other))
            assert first == second
        assert torch.equal(net.generator_.get_state(), other.generator_.get_state())
        np.testing.assert_equal(list(map(record_of, net.history)), list(map(record_of, other.history)))
        assert (net.lr_, net.random_state, net.has_learned_) == (other.lr_, other.random_state, other.has_learned_)
    assert (resumed.distill_weight_, resumed.n_iter_) == (whole.distill_weight_, whole.n_iter_)


def proba_of(rows):
    """Return the true probabilities, as a teacher that is of use."""
    scores = np.exp(np.asarray(rows) @ WEIGHTS)
    return scores / scores.sum(1, keepdims=True)


def other_rows(X, factor, random_state):
    """Return other rows in each call, as a function of ``augment`` should not."""
    return X + SOURCE.randn(*X.shape)


class Own(nn.Sequential):
    """Draws from torch's global state, and has statistics that are no parameters."""

    def __init__(self, n_features, n_classes):
        super().__init__(
            nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_classes)
        )


class Losses(Callback):
    """Has a list that others hold too."""

    def __init__(self, losses):
        self.losses = losses

    def on_epoch_end(self, net, **kwargs):
        self.losses.append(net.history[-1, "train_loss"])


class Holding(Callback):
    def __init__(self, value):
        self.value = value


NOISE = {"max_epochs": 30, "n_iter_no_change": 3}
FOREST = RandomForestClassifier(5, random_state=0)
TWO = {"max_epochs": 3, "n_members": 2}
HALF = {"teacher": FOREST, "distill_weight": 0.5}
CASES = {
    "kl_adaptive": ({}, 3),
    "onecycle": ({"learning_rate": "onecycle"}, 3),
    "constant, all rows": ({"learning_rate": "constant", "early_stopping": False}, 3),
    "in the rise of the rate": ({"batch_size": 256}, 2),
    "sgd, rdrop": ({"optimizer": "sgd", "kl_penalty": "rdrop", "kl_strength": 0.1}, 3),
    "prior, not averaged": ({"kl_penalty": "prior", "kl_strength": 0.1, "averaged_epochs": 1}, 3),
    "LBFGS": ({"optimizer": torch.optim.LBFGS, "optimizer__max_iter": 2, "learning_rate": "constant", "lr": 0.1}, 3),
    "own": ({"module": Own}, 3),
    "own, averaged, of two members": ({"module": Own, "n_members": 2, "averaged_epochs": 2}, 7),
    "stack": ({"n_members": 3}, 3),
    "stack that learns from each other": ({"n_members": 3, "codistill_strength": 0.5}, 3),
    "stack some of which have stopped": ({**NOISE, "n_members": 4}, 8),
    "stack, onecycle": ({**NOISE, "n_members": 4, "learning_rate": "onecycle", "lr": 0.05}, 7),
    "teacher that is fitted": (HALF, 2),
    "teacher whose worth is found": ({"teacher": proba_of}, 2),
    "teacher for other rows": ({**HALF, "distill_rows": "unlabeled", "n_members": 2}, 2),
    "teacher out of fold": ({"teacher": LogisticRegression(), "teacher_cv": 3, "distill_weight": 0.5}, 2),
    "second generation": ({"n_generations": 2}, 7),
    "between generations of two": ({**TWO, "n_generations": 3, "teacher": proba_of, "augment": None}, 4),
    "scheduler": ({"callbacks": [LRScheduler("StepLR", step_size=2)], "learning_rate": "constant"}, 3),
}
RESUMED = pytest.mark.parametrize(("params", "n_writes"), CASES.values(), ids=CASES)


@RESUMED
def test_it_goes_on_as_if_nothing_had_been(killed, tmp_path, params, n_writes):
    path, labels = tmp_path / "fit", np.random.RandomState(4).randint(3, size=260) if "n_iter" in str(params) else Y
    fit = lambda **more: small(**copy.deepcopy(params), **more).fit(X, labels)  # noqa: E731
    whole = fit()
    killed(lambda: fit(checkpoint=path), n_writes)
    assert_same(fit(checkpoint=path), whole)
    written = path.stat().st_mtime_ns
    assert_same(fit(checkpoint=path), whole)  # which has ended
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize("kind", ["unlabeled", "multilabel", "sparse", "validation part", "frame"])
def test_it_goes_on_with_data_of_every_kind(killed, tmp_path, kind):
    pd = pytest.importorskip("pandas")
    params, args, more = {"early_stopping": True}, (X, Y), {}
    if kind == "unlabeled":
        params, more = {"kl_penalty": "vat", "kl_strength": 0.1}, {"X_unlabeled": MORE}
    elif kind == "multilabel":
        args = X, np.stack([Y == 0, Y > 0], axis=1).astype(int)
    elif kind == "sparse":
        args = sparse.csr_array(np.where(X > 0.5, X, 0.0)), Y
    elif kind == "validation part":
        more = {"sample_weight": np.linspace(0, 1, 260), "X_val": X[:60], "y_val": Y[:60]}
    else:
        args = pd.DataFrame(X, columns=list("abcde")), pd.Series(Y).map({0: "x", 1: "y", 2: "z"})
    fit = lambda path=None: small(**params, checkpoint=path).fit(*args, **more)  # noqa: E731
    killed(lambda: fit(tmp_path / "fit"), 3)
    assert_same(fit(tmp_path / "fit"), fit())


def test_it_may_be_killed_many_times_and_needs_no_seed(killed, tmp_path):
    fit = small(random_state=None, checkpoint=tmp_path / "fit", checkpoint_every=2, max_epochs=9).fit
    for n_writes in (2, 1, 1):
        killed(lambda: fit(X, Y), n_writes)  # noqa: B023
    seed = from_bytes((tmp_path / "fit").read_bytes())["begun_with"]
    random_state = np.random.RandomState()
    random_state.set_state(seed)
    assert_same(fit(X, Y), small(random_state=random_state, max_epochs=9).fit(X, Y))


def test_a_list_of_a_callback_is_filled(killed, tmp_path):
    losses = []
    fit = lambda: small(callbacks=[Losses(losses)], checkpoint=tmp_path / "fit").fit(X, Y)  # noqa: E731
    killed(fit, 4)
    losses.clear()  # as in another process
    assert losses == [] != fit().history_[:, "train_loss"]
    assert losses == fit().history_[:, "train_loss"]


def test_training_begins_at_the_last_epoch_that_was_kept(killed, tmp_path):
    kept = {"checkpoint": tmp_path / "fit", "checkpoint_every": 2, "max_epochs": 6}
    fit = lambda: small(**kept, callbacks=[Losses(seen)]).fit(X, Y)  # noqa: E731
    seen = []
    killed(fit, 3)
    assert len(seen) == 4
    assert from_bytes((tmp_path / "fit").read_bytes())["state"]["epochs"] == 4


def test_training_that_is_resumed_by_a_warm_start_goes_on(killed, tmp_path):
    first = small(warm_start=True).fit(X, Y)
    fit = lambda path=None: copy.deepcopy(first).set_params(checkpoint=path).fit(X, Y)  # noqa: E731
    killed(lambda: fit(tmp_path / "fit"), 4)
    assert_same(fit(tmp_path / "fit"), fit())
    killed(lambda: small(checkpoint=tmp_path / "other").fit(X, Y), 4)
    with pytest.raises(ValueError, match="'the net that is resumed' was none"):
        fit(tmp_path / "other")


# Teachers


def test_a_teacher_is_not_asked_again(killed, tmp_path):
    asked = []

    def teacher(rows):
        asked.append(len(rows))
        return proba_of(rows)

    fit = lambda: small(teacher=teacher, checkpoint=tmp_path / "fit").fit(X, Y)  # noqa: E731
    killed(fit, 1)
    assert asked
    asked.clear()
    assert fit().distill_weight_ > 0
    assert fit().distill_weight_ > 0
    assert asked == []


def test_synthetic_rows_must_be_the_same(killed, tmp_path):
    fit = small(teacher=proba_of, distill_weight=0.5, augment=other_rows, checkpoint=tmp_path / "fit").fit
    killed(lambda: fit(X, Y), 2)
    with pytest.raises(ValueError, match="'augment' parameter of KLClassifier must be a function of its arguments"):
        fit(X, Y)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_distiller_goes_on_with_its_student(killed, once, tmp_path, place):
    path = tmp_path / place
    if place == "folder":
        path.mkdir()
    student = make_pipeline(StandardScaler(), small(distill_weight=0.5, max_epochs=4))
    distiller = Distiller(student, RandomForestClassifier(5), random_state=0)
    whole = once("distiller", lambda: copy.deepcopy(distiller).fit(X, Y))
    distiller.set_params(student__klclassifier__checkpoint=path)
    killed(lambda: copy.deepcopy(distiller).fit(X, Y), 2)
    resumed = distiller.fit(X, Y)
    assert_same(resumed.student_[-1], whole.student_[-1])
    assert np.array_equal(resumed.teacher_.predict_proba(X), whole.teacher_.predict_proba(X))
    assert resumed.report_["student"]["log_loss"] == whole.report_["student"]["log_loss"]


# Other fits


@pytest.mark.parametrize(
    ("params", "args", "words"),
    [
        ({"kl_strength": 0.2}, (X, Y), "'kl_strength' was 0.0 and is 0.2"),
        ({"random_state": 1}, (X, Y), "'random_state' was 0 and is 1"),
        ({"optimizer__eps": 0.1}, (X, Y), "'optimizer__eps' was left out and is 0.1"),
        ({}, (X + 1, Y), "'X' was a ndarray of shape \\(260, 5\\) with the fingerprint"),
        ({}, (X, Y[::-1]), "'y' was a ndarray"),
        ({}, (X, Y, np.arange(260)), "'sample_weight' was None and is a ndarray"),
    ],
)
def test_another_fit_is_refused_by_name(killed, tmp_path, params, args, words):
    path = tmp_path / "fit"
    killed(lambda: small(checkpoint=path).fit(X, Y), 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"{str(path)!r} is that of another fit: {words}"):
        small(checkpoint=path, **params).fit(*args)
    assert path.read_bytes() == before


def test_a_network_of_the_same_name_that_was_changed_is_refused(killed, tmp_path, monkeypatch):
    fit = small(checkpoint=tmp_path / "fit", module=Own).fit
    killed(lambda: fit(X, Y), 3)
    monkeypatch.setattr(Own, "forward", lambda self, x: super(Own, self).forward(-x), raising=False)
    with pytest.raises(ValueError, match="is that of another fit: the code of 'module' was changed"):
        fit(X, Y)


def test_a_fit_that_has_ended_makes_room_for_another_one(tmp_path):
    path = tmp_path / "fit"
    small(checkpoint=path).fit(X, Y)
    assert_same(small(checkpoint=path, kl_strength=0.1).fit(X, Y), small(kl_strength=0.1).fit(X, Y))


def test_how_it_is_kept_does_not_matter(killed, tmp_path, unbroken):
    killed(lambda: small(checkpoint=tmp_path / "fit").fit(X, Y), 3)
    (tmp_path / "fit").rename(tmp_path / "moved")
    assert_same(small(checkpoint=str(tmp_path / "moved"), checkpoint_every=3).fit(X, Y), unbroken)


def test_what_is_no_checkpoint_is_refused(tmp_path, killed):
    path = tmp_path / "fit"
    killed(lambda: small(checkpoint=path).fit(X, Y), 3)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="'checkpoint' .* is damaged, or no checkpoint: BadZipFile"):
        small(checkpoint=path).fit(X, Y)
    path.write_bytes(to_bytes({"format": 1}))
    with pytest.raises(ValueError, match="is damaged, or no checkpoint: its parts are format"):
        small(checkpoint=path).fit(X, Y)
    content = from_bytes(data)
    content["state"]["generator"] = torch.zeros(3)
    path.write_bytes(to_bytes(content))
    with pytest.raises(ValueError, match="What the 'checkpoint' has is not the state of such a network"):
        small(checkpoint=path).fit(X, Y)
    path.write_bytes(to_bytes(from_bytes(data) | {"format": 2}))
    with pytest.raises(ValueError, match="is of format 2; this version knows 1"):
        small(checkpoint=path).fit(X, Y)


def test_data_that_no_other_process_can_compare_are_refused(tmp_path):
    class Odd(list):
        def __reduce_ex__(self, protocol):
            raise TypeError

    with pytest.raises(TypeError, match="'X' parameter of fit must be data that another process can compare"):
        small(checkpoint=tmp_path / "fit").fit(Odd(X.tolist()), Y)


def test_one_network_in_several_processes_has_none(monkeypatch, tmp_path):
    monkeypatch.setattr(module_of_checkpoints, "active_ranks", object)
    with pytest.raises(ValueError, match="'checkpoint' parameter of KLClassifier must be None where several processes"):
        small(checkpoint=tmp_path / "fit").fit(X, Y)


# Folders


GRID = {"kl_strength": [0.0, 0.1], "dropout": [0.1, 0.3]}
PAIR = {"kl_strength": [0.0, 0.1]}


def scores_of(search):
    return {name: values for name, values in search.cv_results_.items() if "time" not in name}


@pytest.mark.parametrize(
    ("kind", "grid", "params", "n_writes"),
    [
        (GridSearchCV, PAIR, {}, [8]),  # in the second fit
        (StackedGridSearchCV, GRID, {}, [4, 3]),  # in the first stack, and when one of its candidates has ended
        (StackedGridSearchCV, GRID, {"halve_after": 2}, [6, 2]),
    ],
)
def test_a_search_goes_on(killed, tmp_path, kind, grid, params, n_writes):
    folder = tmp_path / "folder"
    fitted = {"max_epochs": 5, "early_stopping": bool(params)}  # halving compares by validation parts
    search = lambda path: kind(small(checkpoint=path, **fitted), grid, cv=2, **params)  # noqa: E731
    whole = search(None).fit(X, Y)
    for number in n_writes:
        killed(lambda: search(f"{folder}/").fit(X, Y), number)
    resumed = search(f"{folder}/").fit(X, Y)
    np.testing.assert_equal(scores_of(resumed), scores_of(whole))
    assert_same(resumed.best_estimator_, whole.best_estimator_)
    n_files = 2 * len(whole.cv_results_["params"]) + 1  # two folds, and the best on all rows
    assert len(list(folder.iterdir())) == n_files


def test_what_has_ended_in_a_folder_is_not_trained_again(tmp_path, trained_on):
    fit = lambda **params: small(checkpoint=tmp_path, **params).fit(X, Y)  # noqa: E731
    fit(), fit(kl_strength=0.1)
    trained_on.clear()
    fit(), fit(kl_strength=0.1)
    assert trained_on == []
    with pytest.raises(ValueError, match="'random_state' parameter of KLClassifier must be an int"):
        fit(random_state=None)


# Troubles


def test_a_full_disk_ends_no_training(killed, tmp_path, file_size_limit, unbroken):
    path = tmp_path / "fit"
    killed(lambda: small(checkpoint=path).fit(X, Y), 3)
    before = path.read_bytes()
    with file_size_limit(1000), pytest.warns(UserWarning, match="could not be written .*File too large"):
        clf = small(checkpoint=path).fit(X, Y)
    assert_same(clf, unbroken)
    assert path.read_bytes() == before
    assert_same(small(checkpoint=path).fit(X, Y), clf)


def test_a_file_that_cannot_be_begun_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="The folder of the 'checkpoint'"):
        small(checkpoint=tmp_path / "none" / "fit").fit(X, Y)


@pytest.mark.parametrize("n_members", [1, 3])
def test_an_interruption_leaves_what_goes_on(killed, tmp_path, n_members):
    clf = small(checkpoint=tmp_path / "fit", n_members=n_members)
    killed(lambda: clf.fit(X, Y), 4, error=KeyboardInterrupt)
    assert clf.interrupted_
    assert clf.n_iter_ == 3
    assert_same(clf.fit(X, Y), small(n_members=n_members).fit(X, Y))


def test_an_interruption_while_a_net_is_put_back_leaves_a_whole_one(killed, monkeypatch, tmp_path):
    clf = small(checkpoint=tmp_path / "fit", averaged_epochs=1, calibrate=False)
    killed(lambda: clf.fit(X, Y), 4, error=KeyboardInterrupt)
    load, calls = torch.optim.AdamW.load_state_dict, []

    def interrupted(optimizer, state):
        calls.append(load(optimizer, state))
        if len(calls) == 1:
            raise KeyboardInterrupt

    again = small(checkpoint=tmp_path / "fit", averaged_epochs=1, calibrate=False)
    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "load_state_dict", interrupted)
        with pytest.raises(KeyboardInterrupt):
            again.fit(X, Y)
    assert np.array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert_same(again.fit(X, Y), small(averaged_epochs=1, calibrate=False).fit(X, Y))


def test_a_frozen_teacher_is_known_by_what_it_has_learned(killed, tmp_path):
    teachers = [FrozenEstimator(RandomForestClassifier(5, random_state=seed).fit(X, Y)) for seed in (0, 0, 1)]
    fit = lambda teacher: small(teacher=teacher, checkpoint=tmp_path / "fit").fit(X, Y)  # noqa: E731
    killed(lambda: fit(teachers[0]), 2)
    with pytest.raises(ValueError, match="'teacher' was FrozenEstimator"):
        fit(teachers[2])
    fit(teachers[1])


@pytest.mark.parametrize(("n_members", "before"), [(1, 0), (1, 1), (2, 0)])
def test_whether_it_is_shown_does_not_matter(killed, tmp_path, capsys, before, n_members):
    fit = lambda verbose: small(checkpoint=tmp_path / "fit", n_members=n_members, verbose=verbose).fit(X, Y)  # noqa: E731
    killed(lambda: fit(before), 3)
    assert_same(fit(1 - before), small(n_members=n_members).fit(X, Y))


def test_teachers_of_a_grid_have_files_of_their_own(tmp_path):
    teachers = [FrozenEstimator(small(max_epochs=2).fit(X, labels)) for labels in (Y, (Y + 1) % 3)]
    search = lambda path: GridSearchCV(  # noqa: E731
        small(checkpoint=path, distill_weight=1.0, max_epochs=2), {"teacher": teachers}, cv=2
    )
    np.testing.assert_equal(scores_of(search(tmp_path).fit(X, Y)), scores_of(search(None).fit(X, Y)))


def test_a_parameter_that_cannot_be_compared_has_no_file_in_a_folder(tmp_path):
    def teacher_with(lock):
        return lambda rows: proba_of(rows) if lock else None

    with pytest.raises(TypeError, match="'teacher' parameter of KLClassifier must be what other processes can compare"):
        small(checkpoint=tmp_path, teacher=teacher_with(threading.Lock())).fit(X, Y)
    assert list(tmp_path.iterdir()) == []


def test_a_random_state_that_has_moved_on_is_another_one(killed, tmp_path):
    fit = small(checkpoint=tmp_path / "fit", random_state=np.random.RandomState(0)).fit
    killed(lambda: fit(X, Y), 3)
    with pytest.raises(ValueError, match="'random_state' was RandomState.* and is another one of that name"):
        fit(X, Y)


@pytest.mark.parametrize("value", [np.complex64(1j), np.datetime64("2020-01-01"), np.zeros(2, "i4,f4")])
def test_a_callback_may_hold_what_no_file_keeps(tmp_path, value):
    assert small(checkpoint=tmp_path / "fit", callbacks=[Losses([]), Holding(value)]).fit(X, Y).n_iter_ == 4


# Two processes


def put(data, path):
    """Write a file as another process does."""
    other = path.with_name("other")
    other.write_bytes(data)
    other.replace(path)


@pytest.fixture
def ended(tmp_path):
    """Return the file of a fit that has ended."""
    small(checkpoint=tmp_path / "ended").fit(X, Y)
    return (tmp_path / "ended").read_bytes()


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path, ended):
    class Writes(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 3:
                put(ended, path)

    path = tmp_path / "fit"
    with pytest.warns(UserWarning, match="is written by another process too, and is left to that; training") as told:
        clf = small(checkpoint=path, callbacks=[Writes()]).fit(X, Y)
    assert len(told) == 1
    assert_same(clf, small(callbacks=[]).fit(X, Y))
    assert path.read_bytes() == ended


def test_a_file_that_another_process_begins_is_left_to_it(tmp_path, ended):
    def augment(rows, factor, random_state):
        put(ended, path)
        return rows

    path = tmp_path / "fit"
    taught = {"teacher": proba_of, "augment": augment, "distill_weight": 0.5}
    with pytest.warns(UserWarning, match="is written by another process too"):
        assert_same(small(checkpoint=path, **taught).fit(X, Y), small(**taught).fit(X, Y))
    assert path.read_bytes() == ended


def test_equal_candidates_of_a_search_share_a_file(tmp_path):
    grid = {"kl_strength": [0.1, 0.1]}
    StackedGridSearchCV(small(checkpoint=tmp_path, max_epochs=2), grid, cv=2).fit(X, Y)  # without a warning


def test_a_file_that_is_left_to_another_process_is_not_removed(tmp_path):
    path = tmp_path / "stack"
    checkpoint = FitCheckpoint(str(path), 1, {})
    checkpoint.begin_training(0, [])
    put(b"of another process", path)
    with pytest.warns(UserWarning, match="is written by another process too"):
        checkpoint.remove()
    assert path.exists()
