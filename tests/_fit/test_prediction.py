"""Predictions batch by batch: the same for any number of rows at once, and nothing is changed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations


class Tied(nn.Module):
    """One layer under two names, a buffer, and a tensor that torch does not know of."""

    def __init__(self):
        super().__init__()
        self.first = self.second = nn.Linear(5, 5)
        self.out = nn.Linear(5, 3)
        self.register_buffer("scale", torch.full((5,), 0.7))
        self.shift = torch.full((5,), 0.1)

    def forward(self, x):
        return self.out(torch.tanh(self.second(self.first(x) * self.scale + self.shift)))


class Recurrent(nn.Module):
    """A network over the features one by one: its layer keeps a list of weights of its own."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 6, batch_first=True)
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        return self.out(self.rnn(x[:, :, None])[0][:, -1])


def sequential(*layers):
    return nn.Sequential(nn.Linear(5, 64), *layers, nn.Linear(64, 3))


WIDENED = {
    "linear": lambda: nn.Linear(5, 3),
    "layers": lambda: sequential(nn.ReLU(), nn.Dropout(0.5)),
    "batch norm": lambda: sequential(nn.BatchNorm1d(64), nn.ReLU()),
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 64)), nn.ReLU(), nn.Linear(64, 3)),
    "attention": lambda: nn.Sequential(
        nn.Unflatten(1, (5, 1)), nn.TransformerEncoderLayer(1, 1, 8, batch_first=True), nn.Flatten(), nn.Linear(5, 3)
    ),
    "tied": Tied,
    "recurrent": Recurrent,
}


class Listed(nn.Module):
    """A network that finds its layer through a list."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)
        self.layers = [self.layer]

    def forward(self, x):
        return self.layers[0](x)


class Casting(nn.Linear):
    """A network that knows one floating type only."""

    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        return super().forward(x.float())


class Ending(nn.Linear):
    """A network whose logits are of one floating type only."""

    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        return super().forward(x).float()


class Unknown(nn.Linear):
    """A network that multiplies with a tensor that torch does not know of."""

    def __init__(self):
        super().__init__(5, 3)
        self.turn = torch.eye(5)

    def forward(self, x):
        return super().forward(x @ self.turn)


class Scripted(nn.Module):
    """A network of which a part was compiled ahead."""

    def __init__(self):
        super().__init__()
        self.part = torch.jit.trace(nn.Linear(5, 3), torch.zeros(2, 5))

    def forward(self, x):
        return self.part(x)


NOT_WIDENED = {"listed": Listed, "casting": Casting, "ending": Ending, "unknown": Unknown}


@pytest.fixture
def fitted(quick, table):
    """Return ``fitted(module)``: a classifier around a network of the user's own."""
    return lambda module, **params: quick(module=module, **params).fit(*table)


def watched(clf):
    """Return a list that will hold the floating type and the number of rows of everything that the network is given."""
    seen = []
    clf.module_.register_forward_pre_hook(lambda module, args: seen.append((args[0].dtype, len(args[0]))))
    return seen


# Any number of rows


@pytest.mark.parametrize("kind", WIDENED)
def test_a_row_gets_the_same_alone_and_among_many(fitted, table, kind):
    X, _ = table
    clf = fitted(WIDENED[kind])
    seen = watched(clf)
    proba = clf.predict_proba(X)
    assert seen == [(torch.float64, 120)]
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(1), 1, rtol=0, atol=1e-15)
    for n_rows in (1, 7, 17):
        np.testing.assert_allclose(clf.predict_proba(X[:n_rows]), proba[:n_rows], rtol=0, atol=1e-12)
    with torch.no_grad():  # float64 is near the network's own type
        expected = clf.module_.eval()(torch.tensor(X).float()).double().softmax(-1)
    np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", NOT_WIDENED)
def test_a_network_that_knows_one_type_is_used_in_that(fitted, table, kind):
    X, _ = table
    clf = fitted(NOT_WIDENED[kind])
    with torch.no_grad():
        expected = clf.module_.eval()(torch.tensor(X).float()).double().softmax(-1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=0, atol=1e-6)
    for n_rows in (1, 7, 17):  # float32: to seven digits of the logits
        np.testing.assert_allclose(clf.predict_proba(X[:n_rows]), expected[:n_rows], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, which some still use
def test_a_network_that_is_compiled_in_part_is_used_in_its_type(quick, table):
    X, _ = table
    clf = quick(module=nn.Linear(5, 3)).fit(*table)
    clf.net_.module_ = Scripted()
    seen = watched(clf)
    assert clf.predict_proba(X).shape == (120, 3)
    assert seen == [(torch.float32, 120)]


@pytest.mark.parametrize("n_rows", [1, 120, 100_000])
@pytest.mark.parametrize("kind", ["layers", "casting"])
def test_the_type_is_decided_on_the_first_batch_for_all(fitted, table, kind, n_rows):
    clf = fitted({**WIDENED, **NOT_WIDENED}[kind])
    seen = watched(clf)
    clf.predict(np.resize(table[0], (n_rows, 5)))
    if kind == "casting":
        first, *seen = seen
        assert first[0] == torch.float64
    assert {dtype for dtype, _ in seen} == {torch.float32 if kind == "casting" else torch.float64}
    assert sum(rows for _, rows in seen) == n_rows
    assert max(rows for _, rows in seen) <= 2**18 / 5


@pytest.mark.parametrize("dtype", ["f4", "f2", "i4", "bool"])
def test_of_short_numbers_a_network_is_given_its_own_type(fitted, table, dtype):
    X = table[0].astype(dtype)
    clf = fitted(WIDENED["layers"])
    seen = watched(clf)
    proba = clf.predict_proba(X)
    assert seen == [(torch.float32, 120)]
    np.testing.assert_allclose(proba, clf.predict_proba(X.astype(float)), rtol=0, atol=1e-5)


def test_a_network_of_float64_is_used_as_it_is(fitted, table):
    clf = fitted(WIDENED["layers"], dtype="float64")
    seen = []
    clf.module_.register_forward_hook(lambda module, args, output: seen.append(module))
    clf.predict(table[0])
    assert seen == [clf.module_]


@pytest.mark.parametrize("kind", [None, "layers", "recurrent", "casting"])
def test_rows_anywhere_in_memory_get_the_same(quick, table, odd, kind):
    X, y = table
    module = None if kind is None else {**WIDENED, **NOT_WIDENED}[kind]
    clf = quick(module=module).fit(X, y)
    for rows, exact in [(X, kind != "casting"), (X.astype(np.float32), False)]:
        expected = clf.predict_proba(rows)
        np.testing.assert_allclose(clf.predict_proba(odd(rows)), expected, rtol=0, atol=1e-12 if exact else 1e-6)


class Failing(nn.Linear):
    """A network that fails once it is told to."""

    fails = False

    def __init__(self):
        super().__init__(5, 3)

    def forward(self, x):
        if self.fails:
            raise RuntimeError("mine")
        return super().forward(x)


def test_an_error_of_the_network_is_shown_as_it_is(fitted, table):
    clf = fitted(Failing)
    clf.module_.fails = True
    with pytest.raises(RuntimeError, match="^mine$") as error:
        clf.predict(table[0])
    assert error.value.__context__ is None
    clf.module_.fails = False
    assert clf.predict(table[0]).shape == (120,)


def test_digits_that_float32_would_lose_are_seen(fitted, table):
    """Two rows that are one in float32."""
    clf = fitted(WIDENED["linear"])
    X = np.repeat(table[0][:1], 2, axis=0)
    X[1] += 1e-9
    first, second = clf.predict_proba(X)
    assert 0 < np.abs(first - second).max() < 1e-8


# Nothing is changed


@pytest.mark.parametrize("kind", [*WIDENED, *NOT_WIDENED])
def test_the_network_is_left_as_it_is(fitted, table, kind):
    clf = fitted({**WIDENED, **NOT_WIDENED}[kind])
    module = clf.module_.train()
    state = module.state_dict(keep_vars=True)
    tensors = {name: (id(values), values.dtype, values.clone()) for name, values in state.items()}
    attributes = {name: dict(vars(part)) for name, part in module.named_modules()}
    clf.predict(table[0])
    assert not any(part.training for part in module.modules())
    for name, values in module.state_dict(keep_vars=True).items():
        assert (id(values), values.dtype) == tensors[name][:2]
        assert torch.equal(values, tensors[name][2])
    for name, part in module.named_modules():
        after = {**vars(part), "training": True}
        assert after.keys() == attributes[name].keys()
        assert all(after[key] is value for key, value in attributes[name].items())


def test_it_goes_on_learning_after_a_prediction(fitted, table):
    first, second = fitted(WIDENED["recurrent"]), fitted(WIDENED["recurrent"])
    first.predict(table[0])
    for clf in (first, second):
        clf.partial_fit(*table)
    assert np.array_equal(first.predict_proba(table[0]), second.predict_proba(table[0]))


def test_threads_do_not_see_each_others_network(fitted, table):
    """Rows in float64 and rows in float32, which take the network in different types, at the same time."""
    X, _ = table
    clf = fitted(WIDENED["layers"])
    inputs = [X, X.astype(np.float32)]
    expected = [clf.predict_proba(rows) for rows in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: clf.predict_proba(inputs[number % 2]), range(200)))
    assert {p.dtype for p in clf.module_.parameters()} == {torch.float32}
    for number, answer in enumerate(answers):
        np.testing.assert_allclose(answer, expected[number % 2], rtol=0, atol=1e-6 if number % 2 else 1e-12)


class Writing(nn.Linear):
    """A network that writes to its input."""

    def __init__(self, casting=False):
        super().__init__(5, 3)
        self.casting = casting

    def forward(self, x):
        x = x.mul_(2) if not self.training else 2 * x
        return super().forward(x.float() if self.casting else x)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("n_rows", [1, 120])
@pytest.mark.parametrize("casting", [False, True])
def test_a_network_that_writes_to_its_input_does_not_write_to_x(fitted, table, dtype, n_rows, casting):
    X = np.ascontiguousarray(table[0][:n_rows], dtype=dtype)
    before = X.copy()
    clf = fitted(Writing, module__casting=casting)
    with torch.no_grad():
        expected = nn.Linear.forward(clf.module_, 2 * torch.tensor(X).float()).softmax(-1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, rtol=0, atol=1e-6)
    clf.predict(X)
    assert np.array_equal(X, before)


# What is not finite


@pytest.mark.parametrize("module", [None, WIDENED["layers"]], ids=["own", "user"])
def test_logits_that_are_not_finite_are_refused(quick, table, module):
    X, y = table
    own = {"activation": "identity", "scale_inputs": False}
    clf = quick(**own if module is None else {"module": module}).fit(X, y)
    with torch.no_grad():
        clf.module_[-1].weight.fill_(1e30)
        clf.module_[-1].bias.fill_(1e30)
        clf.module_[0].bias.fill_(1e30)
    for n_rows, method in [(1, "predict"), (16, "predict_proba"), (17, "predict_log_proba")]:
        with pytest.raises(ValueError, match="logits are not finite"):
            getattr(clf, method)(X[:n_rows] * 1e300)
