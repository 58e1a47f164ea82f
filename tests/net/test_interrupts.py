"""An interruption is raised whenever it comes, and what was learned before it is kept; a callback may end training."""

import ctypes
import importlib
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

import sklkl
from sklkl import KLClassifier
from sklkl._utils import seeding
from sklkl._utils.torch_state import insist
from sklkl.callbacks import StopTraining
from sklkl.net._interrupts import asks_to_stop
from sklkl.net._net import import_whole

HOOKS = ["on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
FIRST = {"on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end"}  # before an epoch is finished
each_hook = pytest.mark.parametrize("hook", HOOKS)


def python_handler(number, frame):
    raise KeyboardInterrupt


def careless_handler(*arguments):
    python_handler(*arguments)


HANDLERS = [signal.default_int_handler, python_handler, careless_handler, lambda *_: careless_handler(*_)]


@pytest.fixture(autouse=True)
def _handler():
    """Let an alarm be what Ctrl-C is."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def press():
    signal.raise_signal(signal.SIGALRM)


def on(hook, action, epoch=None):
    """Return a callback that acts in one hook, in an epoch counted from 1 or in all."""

    def act(self, net, **kwargs):
        if epoch is None or len(net.history) == epoch:
            action()

    return type("Acts", (Callback,), {hook: act})()


def fitted_before(clf, table):
    """Return what an estimator has, after a fit."""
    return dict(vars(clf.fit(*table)))


def unchanged(clf, before):
    return vars(clf).keys() == before.keys() and all(vars(clf)[name] is value for name, value in before.items())


# An interruption


# every hook with one kind of handler, and one hook with every kind
@pytest.mark.parametrize(
    ("hook", "handler"), [*((hook, HANDLERS[0]) for hook in HOOKS), *(("on_batch_end", kind) for kind in HANDLERS[1:])]
)
def test_an_interrupt_in_any_hook_is_raised(quick, table, hook, handler):
    signal.signal(signal.SIGALRM, handler)
    clf = quick()
    before = fitted_before(clf, table)
    clf.callbacks = [on(hook, press)]
    before["callbacks"] = clf.callbacks
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    if hook in FIRST:
        assert unchanged(clf, before)
    else:
        assert clf.interrupted_
        assert clf.n_iter_ == (3 if hook == "on_train_end" else 1)
        assert clf.net_ is not before["net_"]
        assert not clf.module_.training


@pytest.mark.parametrize("early_stopping", [False, True])  # and so with a temperature, or without
@pytest.mark.parametrize("hook", HOOKS[1:])
def test_an_interrupt_in_the_second_epoch_keeps_what_was_learned(quick, table, hook, early_stopping):
    """A callback for every batch takes autograd, whose training is the same but for rounding."""
    params = {"max_epochs": 2, "early_stopping": early_stopping}
    with pytest.raises(KeyboardInterrupt):
        (clf := quick(callbacks=[on(hook, press, epoch=2)], **params)).fit(*table)
    assert clf.interrupted_
    assert clf.n_iter_ == (1 if hook in FIRST else 2)
    same = quick(callbacks=[on("on_epoch_end", stop, clf.n_iter_)], **params).fit(*table)
    np.testing.assert_allclose(clf.predict_proba(table[0]), same.predict_proba(table[0]), rtol=1e-5)


def test_a_second_interrupt_before_there_is_a_temperature_keeps_what_was_learned(quick, table, monkeypatch):
    monkeypatch.setattr("sklkl._fit.calibration.likely_temperature", lambda *_: press())
    with pytest.raises(KeyboardInterrupt):
        (clf := quick(callbacks=[on("on_epoch_end", press, epoch=2)], early_stopping=True)).fit(*table)
    assert clf.interrupted_
    assert clf.n_iter_ == 2


def test_two_interrupts_in_a_row_keep_what_was_learned(quick, table):
    callbacks = [on("on_epoch_end", press, epoch=2), on("on_train_end", press), on("on_train_end", press)]
    with pytest.raises(KeyboardInterrupt):
        (clf := quick(callbacks=callbacks)).fit(*table)
    assert clf.interrupted_
    assert clf.n_iter_ == 2


def test_other_callbacks_end_in_good_order_after_an_interrupt(quick, table):
    ended = []
    callbacks = [on("on_train_end", press), on("on_train_end", lambda: ended.append(True))]
    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=callbacks).fit(*table)
    assert ended == [True]


def test_an_error_at_the_end_does_not_hide_an_interrupt(quick, table):
    def fail():
        raise RuntimeError("mine")

    clf = quick(callbacks=[on("on_epoch_end", press, epoch=2), on("on_train_end", fail)])
    with pytest.raises(KeyboardInterrupt) as caught:
        clf.fit(*table)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_error_of_another_callback_does_not_hide_an_interrupt(quick, table):
    def fail():
        raise RuntimeError("mine")

    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=[on("on_epoch_end", press), on("on_epoch_end", fail)]).fit(*table)


def test_an_interrupt_in_a_teachers_fit_leaves_the_estimator_as_it_was(quick, table):
    class Slow(GaussianNB):
        def fit(self, X, y, sample_weight=None):
            press()
            return super().fit(X, y, sample_weight)

    clf = quick()
    before = fitted_before(clf, table)
    clf.teacher = before["teacher"] = Slow()
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert unchanged(clf, before)


def test_an_interrupt_in_a_later_generation_keeps_one_that_has_learned(quick, table):
    count = iter(range(100))
    presses = on("on_batch_begin", lambda: press() if next(count) == 3 else None)
    clf = quick(n_generations=3, early_stopping=False, callbacks=[presses])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert clf.interrupted_
    assert clf.n_iter_ == 3


def test_an_interrupt_in_partial_fit_leaves_the_net_before(quick, table):
    clf = quick(max_epochs=100).partial_fit(*table, classes=[0, 1, 2])
    net, expected = clf.net_, clf.predict_proba(table[0])
    clf.callbacks = [on("on_batch_end", press)]
    with pytest.raises(KeyboardInterrupt):
        clf.partial_fit(*table)
    assert clf.net_ is net
    assert np.array_equal(clf.predict_proba(table[0]), expected)


def test_an_interrupt_in_another_thread_is_raised_there(quick, table):
    def interrupt_this_thread():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(threading.get_ident()), ctypes.py_object(KeyboardInterrupt)
        )
        sum(range(10**5))

    def train():
        try:
            clf.fit(*table)
        except KeyboardInterrupt:
            seen.append(clf.interrupted_)

    seen, clf = [], quick(callbacks=[on("on_epoch_end", interrupt_this_thread, epoch=2)])
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [True]


def test_an_interrupt_that_a_callback_handles_and_raises_again_is_one(quick, table):
    class Tidy(Callback):
        def on_epoch_end(self, net, **kwargs):
            try:
                press()
            except KeyboardInterrupt:
                raise KeyboardInterrupt("tidied up") from None

    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=[Tidy()]).fit(*table)


def test_a_key_that_a_library_turns_into_an_exception_is_an_interrupt(quick, table):
    import asyncio.runners

    source = "def read():\n    raise KeyboardInterrupt"
    names = {"__name__": asyncio.runners.__name__}
    exec(source, names)
    with pytest.raises(KeyboardInterrupt):
        quick(callbacks=[on("on_epoch_end", names["read"])]).fit(*table)


# what puts weights in place between epochs, and the best ones at the end
@pytest.mark.parametrize(("owner", "n_before"), [("net._weight_average", 1), ("callbacks", 0)])
def test_an_interrupt_of_a_step_that_is_taken_again_is_raised(quick, table, monkeypatch, owner, n_before):
    taken = []

    def interrupted(step):
        taken.append(insist(step))
        return len(taken) > n_before

    clf = quick(early_stopping=True, averaged_epochs=2)
    monkeypatch.setattr(f"sklkl.{owner}.insist", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert clf.interrupted_


# The wish of a callback


def stop():
    raise KeyboardInterrupt


ERROR = KeyboardInterrupt("enough")


def stop_with_an_object():
    raise ERROR


def stop_here():
    raise StopTraining


@each_hook
@pytest.mark.parametrize("action", [stop, stop_with_an_object, stop_here])
def test_a_callback_may_end_training_in_any_hook(quick_net, table32, hook, action):
    net = quick_net(callbacks=[on(hook, action)]).fit(*table32)
    assert not net.interrupted_
    assert len(net.history) == {"on_epoch_end": 1, "on_train_end": 3}.get(hook, 0)


def test_a_callback_may_end_training_while_an_interrupt_is_handled(quick_net, table32):
    try:
        press()
    except KeyboardInterrupt:
        net = quick_net(callbacks=[on("on_epoch_end", stop)]).fit(*table32)
    assert len(net.history) == 1


def test_early_stopping_inside_another_callback_may_end_training(quick_net, table32):
    class Wrapped(Callback):
        def __init__(self, inner):
            self.inner = inner

        def on_train_begin(self, net, **kwargs):
            self.inner.on_train_begin(net)

        def on_epoch_end(self, net, **kwargs):
            self.inner.on_epoch_end(net)

    stopper = EarlyStopping("train_loss", patience=1, threshold=0.99, sink=lambda text: None)
    net = quick_net(callbacks=[Wrapped(stopper)], max_epochs=9).fit(*table32)
    assert len(net.history) == 2


def test_a_callback_in_a_thread_may_end_training(quick_net, table32):
    nets = []
    thread = threading.Thread(target=lambda: nets.append(quick_net(callbacks=[on("on_epoch_end", stop)]).fit(*table32)))
    thread.start()
    thread.join()
    assert len(nets[0].history) == 1


def test_what_is_raised_between_instructions_is_no_wish():
    with pytest.raises(KeyboardInterrupt) as caught:
        press()
    assert not asks_to_stop(caught.value, Callback())


def test_a_step_that_must_be_taken_is_taken_again_when_interrupted():
    taken = []

    def step():
        taken.append(len(taken))
        if len(taken) < 4:
            press()

    assert insist(step)
    assert taken == [0, 1, 2, 3]
    assert not insist(step)


SLOW = """
import time
for part in range(40):
    time.sleep(0.01)
"""


def test_an_interrupt_spoils_no_import(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(KeyboardInterrupt):
        import_whole("slow_to_import")
    import_whole("slow_to_import")
    assert importlib.import_module("slow_to_import").part == 39
    import_whole("no_such_module")  # is an error for who uses it


FIRST_FIT = """
import signal
from sklkl import KLClassifier
X, y = [[0.0], [1.0]] * 10, [0, 1] * 10
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    KLClassifier(max_epochs=10**6, n_iter_no_change=None).fit(X, y)
except KeyboardInterrupt:
    print(KLClassifier(max_epochs=1).fit(X, y).n_iter_)
"""


@pytest.mark.faults
def test_the_first_fit_of_a_process_may_be_interrupted():
    """Which is in the middle of what torch imports for its first optimiser."""
    folder = str(Path(sklkl.__file__).parents[1])
    command = [sys.executable, "-W", "ignore", "-c", FIRST_FIT]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    assert done.stdout.split() == ["1"], done.stderr


class Striking(nn.Identity):
    """Is interrupted on the way to a mode, the third time that it is to have it: after the first epoch."""

    mode, n_left = False, 3

    def train(self, mode=True):
        Striking.n_left -= mode is Striking.mode
        if mode is Striking.mode and Striking.n_left == 0:
            press()
        return super().train(mode)


def striking(n_features, n_classes):
    return nn.Sequential(nn.Linear(n_features, 4), Striking(), nn.Dropout(0.5), nn.Linear(4, n_classes))


@pytest.mark.parametrize("mode", [True, False])
def test_all_layers_predict_after_an_interruption_between_them(table, monkeypatch, mode):
    monkeypatch.setattr(Striking, "mode", mode)
    monkeypatch.setattr(Striking, "n_left", 3)
    clf = KLClassifier(module=striking, max_epochs=6, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*table)
    assert clf.n_iter_ >= 1
    assert not any(layer.training for layer in clf.module_.modules())


# At random times


class Noisy(nn.Sequential):
    """A network that draws from torch's global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 8), nn.Dropout(0.2), nn.Linear(8, n_classes))


class Batches(Callback):
    def on_batch_end(self, net, **kwargs):
        pass


SMALL = {"hidden_layer_sizes": (8,)}
KINDS = [
    SMALL,
    {**SMALL, "early_stopping": True},
    {**SMALL, "learning_rate": "constant", "callbacks": [Batches()]},
    {"module": Noisy},
    {**SMALL, "teacher": GaussianNB(), "augment": None},
    {**SMALL, "kl_penalty": "vat", "kl_strength": 0.1, "callbacks": [EarlyStopping("train_loss", patience=10**9)]},
]


def outcome(clf, table, seconds, interval):
    """Return what is wrong after a fit that was interrupted at a random time; alone it would take seconds."""
    before, errors = dict(vars(clf)), np.geterr()
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, interval)
        clf.fit(*table)
        return "returned"
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    learned = vars(clf).get("interrupted_") and clf.net_ is not before.get("net_") and clf.n_iter_ >= 1
    if not (learned or unchanged(clf, before)):
        return "neither as it was nor marked as interrupted"
    if not (torch.is_grad_enabled() and np.geterr() == errors and seeding._borrowing.acquire(blocking=False)):
        return "global state"
    seeding._borrowing.release()
    return None if np.isfinite(clf.predict_proba(table[0])).all() else "predictions"


def outcomes(table, n, longest, interval=0.0):
    """Interrupt long fits at random times; return what went wrong."""
    chance, wrong, state = random.Random(0), [], torch.get_rng_state()
    classifiers = [KLClassifier(max_epochs=1, random_state=0, **kind).fit(*table) for kind in KINDS]
    for number in range(n):
        clf = classifiers[number % len(KINDS)].set_params(max_epochs=3000, n_iter_no_change=None)
        wrong.append(outcome(clf, table, 1e-5 + longest * chance.random() ** 2, interval))
        if not torch.equal(torch.get_rng_state(), state):
            wrong.append("random state")
    return [problem for problem in wrong if problem is not None]


@pytest.fixture
def dropped(monkeypatch):
    """Return the errors that Python itself drops, since they strike in a destructor."""
    errors = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: errors.append(unraisable.exc_type))
    return errors


def test_no_interrupt_at_a_random_time_is_lost(table, dropped):
    assert outcomes(table, n=60, longest=0.03) == ["returned"] * dropped.count(KeyboardInterrupt)


@pytest.mark.faults
def test_no_interrupt_of_many_is_lost(table, dropped):
    assert outcomes(table, n=1000, longest=0.06) == ["returned"] * dropped.count(KeyboardInterrupt)


def only_inside_fit(number, frame):
    while frame is not None:
        if frame.f_code is KLClassifier.fit.__code__:
            raise KeyboardInterrupt
        frame = frame.f_back


@pytest.mark.faults
def test_no_interrupt_is_lost_where_others_follow(table):
    signal.signal(signal.SIGALRM, only_inside_fit)
    assert outcomes(table, n=1000, longest=0.06, interval=0.003) == []
