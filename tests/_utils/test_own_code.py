"""A user's code is known by its instructions, also where it refers to other code of the user's by name."""

import importlib
import sys
from functools import partial
from types import ModuleType

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from sklkl._utils.own_code import code_fingerprint
from sklkl.modules import MLP

HELPERS = """
FACTOR = 2

def scale(x):
    return x * 2
"""
NETWORK = """
import torch
from torch import nn

import helpers_of_test

class Block(nn.Module):
    def forward(self, x):
        return helpers_of_test.scale(x).relu()

class Network(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.layers = nn.Sequential(Block(), nn.Linear(n_features, n_classes))

    def forward(self, x):
        return self.layers(x)

    @staticmethod
    def unused(x):
        return x

def factory(n_features, n_classes):
    return Network(n_features, n_classes)
"""


def imported(folder, network=NETWORK, helpers=HELPERS):
    """Return a module of this code, written to a folder from which modules are imported."""
    for name, code in {"helpers_of_test": helpers, "network_of_test": network}.items():
        (folder / f"{name}.py").write_text(code)
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module("network_of_test")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return ``written(network, helpers)``: a module of this code."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield partial(imported, tmp_path)
    for name in ("helpers_of_test", "network_of_test"):
        sys.modules.pop(name, None)


KINDS = {
    "class": lambda module: module.Network,
    "instance": lambda module: module.Network(2, 3),
    "factory": lambda module: module.factory,
    "partial": lambda module: partial(module.factory, n_classes=3),
    "method": lambda module: module.Network(2, 3).forward,
}
CHANGES = {
    "forward of an inner class": (("x).relu()", "x).tanh()"), None),
    "what another file has": (None, ("x * 2", "x * 3")),
    "another method": (("return x\n", "return -x\n"), None),
}


def changed(code, change):
    assert change is None or change[0] in code
    return code if change is None else code.replace(*change)


@pytest.mark.parametrize("kind", ["class", "instance", "factory", "partial"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen(written, kind, change):
    before = code_fingerprint([KINDS[kind](written())])
    after = code_fingerprint([KINDS[kind](written(*map(changed, (NETWORK, HELPERS), change)))])
    assert before != after


@pytest.mark.parametrize("kind", KINDS)
def test_comments_places_and_what_is_not_referred_to_do_not_matter(written, kind):
    before = code_fingerprint([KINDS[kind](written())])
    assert before
    network = "# A comment.\n\n" + NETWORK + "\ndef other():\n    return 1\n"
    assert code_fingerprint([KINDS[kind](written(network, HELPERS + "\n# Another one.\n"))]) == before


def test_it_is_the_same_in_another_process(written, fresh_process):
    assert fresh_process["own code"] == code_fingerprint([written().Network])


@pytest.mark.parametrize("value", [MLP, nn.Linear, torch.optim.SGD, LogisticRegression(), None, "adam", print], ids=str)
def test_code_of_libraries_is_not_looked_at(value):
    assert code_fingerprint([value]) == ""


def test_attributes_are_no_globals_and_defaults_count(monkeypatch):
    def found(default, body):
        module = ModuleType("of_a_user")
        monkeypatch.setitem(sys.modules, "of_a_user", module)
        code = f"class Net:\n def run(self, p={default}):\n  return self.train(p)\ndef train(p):\n return {body}\n"
        exec(compile(code, "of_a_user.py", "exec"), vars(module))
        return code_fingerprint([module.Net])

    assert found(0.1, "p") == found(0.1, "2 * p")
    assert found(0.1, "p") != found(0.9, "p")
