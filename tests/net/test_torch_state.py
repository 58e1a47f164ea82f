"""torch's global state: the same numbers whatever the caller has set, all of which stays as it was."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB
from skorch.callbacks import Callback
from torch import nn

from sklkl import KLNet
from sklkl._utils.torch_state import OwnTorchState
from sklkl.data import Rows
from sklkl.distillation import Distillation
from sklkl.losses import row_shares


class Noisy(nn.Sequential):
    """A network that draws from torch's global state."""

    def __init__(self, n_features, n_classes):
        super().__init__(nn.Linear(n_features, 8), nn.Dropout(0.2), nn.Linear(8, n_classes))


@contextmanager
def _set(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


STATES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "float64": lambda: _set(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: _set(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "device": lambda: torch.device("meta"),
    "default device": lambda: _set(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: _set(torch.use_deterministic_algorithms, True, False),
}
each_state = pytest.mark.parametrize("state", STATES)
TEACHER = {"teacher": GaussianNB(), "augment": None, "distill_weight": "auto"}
KINDS = {
    "own": {"early_stopping": True, "kl_strength": 0.1, "kl_penalty": "vat", **TEACHER},
    "module": {"module": Noisy, "learning_rate": "onecycle", "kl_strength": 0.1, "kl_penalty": "prior"},
}


def snapshot():
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": str(torch.empty(0).device),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "errors": np.geterr(),
    }


@each_state
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_is_the_same_under_any_state_and_leaves_it(once, quick, table, state, kind):
    expected = once(kind, lambda: quick(**KINDS[kind]).fit(*table).predict_proba(table[0]))
    with STATES[state]():
        before = snapshot()
        clf = quick(**KINDS[kind]).fit(*table)
        assert snapshot() == before
    assert np.array_equal(clf.predict_proba(table[0]), expected)
    assert snapshot()["gradients"]


@each_state
def test_training_goes_on_outside_of_any_state(once, quick, table, state):
    uniform = {"teacher": lambda X: np.full((len(X), 3), 1 / 3), "augment": None, "distill_weight": 0.5}
    clf = quick(warm_start=True, **uniform)
    with STATES[state]():
        clf.fit(*table)
    clf.fit(*table)  # nothing that was made under the state is in the way
    expected = once("twice", lambda: quick(warm_start=True, **uniform).fit(*table).fit(*table).predict_proba(table[0]))
    assert np.array_equal(clf.predict_proba(table[0]), expected)


@pytest.mark.parametrize("state", sorted(STATES.keys() - {"float64", "bfloat16"}))  # a net has the caller's type
def test_a_net_is_the_same_under_any_state_and_leaves_it(once, quick_net, table32, state):
    expected = once("net", lambda: quick_net(kl_strength=0.1).fit(*table32).predict_proba(table32[0]))
    with STATES[state]():
        before = snapshot()
        proba = quick_net(kl_strength=0.1).fit(*table32).predict_proba(table32[0])
        assert snapshot() == before
    assert np.array_equal(proba, expected)


@each_state
def test_an_error_or_exit_leaves_the_state(quick, table, state):
    class Raises(Callback):
        def __init__(self, error):
            self.error = error

        def on_batch_end(self, net, **kwargs):
            torch.set_grad_enabled(False)  # as an interruption in no_grad's own code does
            np.seterr(all="ignore")  # and one in that of errstate
            raise self.error

    for error in (RuntimeError("mine"), SystemExit()):
        with STATES[state]():
            before = snapshot()
            with pytest.raises(type(error)):
                quick(callbacks=[Raises(error)]).fit(*table)
            assert snapshot() == before


def test_a_teacher_may_turn_gradients_off(quick, table):
    def teacher(X):
        torch.set_grad_enabled(False)  # and leaves it so
        return np.full((len(X), 3), 1 / 3)

    for weight in ("auto", 0.5):
        assert quick(teacher=teacher, augment=None, distill_weight=weight).fit(*table).n_iter_ > 0
        assert torch.is_grad_enabled()


def test_own_state_may_be_nested():
    with torch.inference_mode(), OwnTorchState(), torch.no_grad(), OwnTorchState():
        x = torch.ones(2, requires_grad=True)
        (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_tensors_that_are_kept_can_be_trained_with():
    with torch.inference_mode():
        row_shares(torch.zeros(97, 3), None)
        Distillation(classes=[0, 2])(torch.zeros(97, 3), torch.full((97, 2), 0.5))
    logits = torch.zeros(97, 3, requires_grad=True)
    (logits.sum(-1) @ row_shares(logits, None)).backward()
    Distillation(classes=[0, 2])(logits, torch.full((97, 2), 0.5)).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_rows_made_in_inference_mode_can_be_trained_with(quick_net, table32):
    with torch.inference_mode():
        X, y = torch.tensor(table32[0]), torch.tensor(table32[1])
        rows = Rows(X.clone(), y.clone(), weight=torch.ones(120))
    assert len(quick_net(classes=[0, 1, 2]).fit(rows, None).history) == 3


def test_a_net_takes_a_device_in_any_form(quick_net, table32):
    expected = quick_net().fit(*table32).predict_proba(table32[0])
    for device in (torch.device("cpu"), "cpu:0", torch.device("cpu", 0)):
        net = quick_net(device=device).fit(*table32)
        assert isinstance(net, KLNet)
        np.testing.assert_allclose(net.predict_proba(table32[0]), expected, rtol=1e-5)
