"""Networks and what they are made of, against torch and closed forms."""

import functools
import pickle
import re
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sklkl.modules import (
    ACTIVATIONS,
    MLP,
    ActivationName,
    Dropout,
    accepted,
    build_module,
    input_scaling,
    label_log_proba,
    log_softmax,
    softmax,
)

# both sides of the switches: 16 classes, 2048 elements
SHAPES = [(1, 2), (1024, 2), (1023, 2), (128, 16), (200, 16), (200, 17), (3, 400, 3), (2, 1), (5,), (0, 3), (3, 2, 2)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def logits_of(shape, dtype=torch.float64):
    return (3 * torch.randn(shape, generator=generator(), dtype=torch.float64)).to(dtype).requires_grad_()


# log_softmax, softmax, label_log_proba


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_softmax_is_torchs(shape, dtype):
    logits = logits_of(shape, dtype)
    actual = log_softmax(logits)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual, F.log_softmax(logits, -1))


@pytest.mark.parametrize("shape", SHAPES)
def test_log_softmax_has_torchs_gradient(shape):
    ours, theirs = logits_of(shape), logits_of(shape)
    direction = torch.randn(shape, generator=generator(1), dtype=torch.float64)
    log_softmax(ours).backward(direction)
    F.log_softmax(theirs, -1).backward(direction)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("rows", [1, 1024])
def test_log_softmax_of_a_masked_class_is_minus_infinity(rows):
    masked = torch.tensor([0.0, 0.0, -torch.inf]).repeat(rows, 1)
    log_proba = log_softmax(masked)
    assert (log_proba[:, 2] == -torch.inf).all()
    torch.testing.assert_close(log_proba[:, :2].exp(), torch.full((rows, 2), 0.5))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softmax_is_torchs_in_float64(shape, dtype):
    logits = logits_of(shape, dtype)
    actual = softmax(logits)
    assert actual.dtype == torch.float64
    torch.testing.assert_close(actual, F.softmax(logits.double(), -1))


def test_softmax_rows_sum_to_one_within_rounding():
    sums = softmax(logits_of((1000, 7), torch.float32)).sum(-1)
    assert (sums - 1).abs().max() < 2e-15  # 7 terms summed twice, each time rounded by at most 1.1e-16


@given(st.floats(-800, 800))
def test_label_log_proba_of_both_outcomes_are_probabilities(logit):
    log_proba = label_log_proba(torch.tensor([[logit]], dtype=torch.float64))
    assert log_proba.shape == (1, 1, 2)
    assert torch.isfinite(log_proba).all()
    assert log_proba.exp().sum().item() == pytest.approx(1, abs=4e-15)
    assert (log_proba[0, 0, 1] - log_proba[0, 0, 0]).item() == pytest.approx(logit, rel=1e-12, abs=1e-12)


def test_label_log_proba_gives_the_binary_cross_entropy():
    logits, on = logits_of((4, 3)), torch.tensor([[0, 1, 1]]).expand(4, 3)
    chosen = label_log_proba(logits).gather(-1, on[..., None])[..., 0]
    torch.testing.assert_close(-chosen, F.binary_cross_entropy_with_logits(logits, on.double(), reduction="none"))


# Dropout


def dropped(p, n=100_000, seed=0, dtype=torch.float32):
    return Dropout(p, generator=generator(seed))(torch.ones(n, dtype=dtype))


@pytest.mark.parametrize("p", [0.05, 0.1, 0.2, 0.5, 0.9])
def test_dropout_rate_is_within_five_standard_deviations(p):
    n = 100_000
    zeros = (dropped(p, n) == 0).sum().item()
    assert abs(zeros - n * p) < 5 * np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(p):
    n = 100_000
    assert abs(dropped(p, n).mean().item() - 1) < 5 * np.sqrt(p / (1 - p) / n)


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_gives_zero_or_the_scaled_value(p, dtype):
    values = dropped(p, dtype=dtype).unique()
    assert values.dtype == dtype
    assert values[0] == 0
    assert len(values) == 2
    assert values[1].item() == pytest.approx(1 / (1 - p), rel=2e-4)  # the rate is met to 2**-16


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 1023])
def test_dropout_of_any_number_of_elements(n):
    assert dropped(0.5, n).shape == (n,)


def test_dropout_elements_are_independent_of_their_neighbours():
    kept = (dropped(0.5) > 0).double() - 0.5
    for lag in range(1, 9):  # four elements share a random word
        assert abs((kept[lag:] * kept[:-lag]).mean().item()) < 5 * 0.25 / np.sqrt(len(kept))


def test_dropout_scales_the_gradient_by_its_mask():
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.3, generator=generator())(x)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_the_same_generator_gives_the_same_mask():
    assert torch.equal(dropped(0.5, seed=1), dropped(0.5, seed=1))
    assert not torch.equal(dropped(0.5, seed=1), dropped(0.5, seed=2))


def test_every_call_draws_a_new_mask():
    layer, x = Dropout(0.5, generator=generator()), torch.ones(1000)
    assert not torch.equal(layer(x), layer(x))


def test_a_generator_of_its_own_leaves_the_global_state_alone(global_state_untouched):
    with global_state_untouched():
        dropped(0.5)


def test_without_a_generator_dropout_is_torchs():
    x = torch.ones(1000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        ours = Dropout(0.5)(x)
        torch.manual_seed(0)
        assert torch.equal(ours, F.dropout(x, 0.5))


@pytest.mark.parametrize("layer", [Dropout(0.5, generator()).eval(), Dropout(0.5).eval(), Dropout(0.0, generator())])
def test_dropout_is_the_identity_in_evaluation_and_at_rate_zero(layer):
    x = torch.randn(100, generator=generator())
    assert torch.equal(layer(x), x)


# MLP


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(), (8,), (4, 6, 3)])
def test_mlp_shape_and_backward(activation, sizes):
    net = MLP(5, 3, hidden_layer_sizes=sizes, activation=activation, dropout=0.1)
    logits = net(torch.randn(7, 5, generator=generator()))
    assert logits.shape == (7, 3)
    logits.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net[-1].parameters())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_survives_pickling(activation):
    net = MLP(5, 3, hidden_layer_sizes=(8,), activation=activation).eval()
    x = torch.randn(7, 5, generator=generator())
    assert torch.equal(pickle.loads(pickle.dumps(net))(x), net(x))


def test_mlp_is_its_closed_form():
    net = MLP(5, 3, hidden_layer_sizes=(8,), activation="tanh")
    x = torch.randn(7, 5, generator=generator())
    hidden = torch.tanh(x @ net[0].weight.T + net[0].bias)
    torch.testing.assert_close(net(x), hidden @ net[-1].weight.T + net[-1].bias)


def test_mlp_computes_in_the_type_of_its_input():
    net = MLP(5, 3, hidden_layer_sizes=(8,))
    x = torch.randn(7, 5, generator=generator(), dtype=torch.float64)
    actual = net(x)
    assert actual.dtype == torch.float64
    assert net[0].weight.dtype == torch.float32
    torch.testing.assert_close(actual, net.double()(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mlp_gives_the_same_in_numpy_as_in_torch(activation, dtype):
    net = MLP(5, 3, hidden_layer_sizes=(8, 4), activation=activation, dropout=0.5).eval()
    x = torch.cat([torch.randn(20, 5, generator=generator()) * scale for scale in (0.01, 1, 30, 1000)]).to(dtype)
    actual = net.forward_numpy(x.numpy())
    assert actual.dtype == x.numpy().dtype
    # no layer makes its input larger, and each adds the rounding of at most 8 terms
    error = np.abs(actual - net(x).detach().numpy()).max(1) / (1 + np.abs(x.numpy()).max(1))
    assert error.max() < 50 * torch.finfo(dtype).eps


def test_mlp_has_a_dropout_layer_after_each_hidden_layer_only():
    layers = [layer for layer in MLP(5, 3, hidden_layer_sizes=(8, 4), dropout=0.3) if isinstance(layer, Dropout)]
    assert [layer.p for layer in layers] == [0.3, 0.3]
    assert not any(isinstance(layer, Dropout) for layer in MLP(5, 3, hidden_layer_sizes=(8, 4)))


# accepted, build_module


class OneArgument(nn.Linear):
    def __init__(self, n_classes, scale=1):
        super().__init__(2, n_classes)
        self.scale = scale


def takes_everything(**kwargs):
    return nn.Linear(kwargs["n_features"], kwargs["n_classes"])


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (lambda: None, set()),
        (lambda n_classes: None, {"n_classes"}),
        (lambda *, n_features: None, {"n_features"}),
        (lambda n_classes, /: None, set()),
        (lambda *n_classes: None, set()),
        (lambda **anything: None, {"n_features", "n_classes"}),
        (OneArgument, {"n_classes"}),
        (functools.partial(OneArgument, scale=2), {"n_classes"}),
    ],
)
def test_accepted_are_the_arguments_in_the_signature(factory, expected):
    assert set(accepted(factory, n_features=1, n_classes=2)) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "module",
    [MLP, OneArgument, takes_everything, functools.partial(OneArgument, scale=3), lambda: nn.Linear(2, 3)],
    ids=["class", "subset", "function", "partial", "lambda"],
)
def test_build_module_from_a_class_or_factory(module, dtype):
    net = build_module(module, 2, 3, dtype)
    assert net(torch.zeros(4, 2, dtype=dtype)).shape == (4, 3)
    assert {p.dtype for p in net.parameters()} == {dtype}


def test_build_module_passes_further_arguments_on():
    assert build_module(OneArgument, 2, 3, torch.float32, scale=7).scale == 7


def test_build_module_copies_an_instance_and_leaves_it_alone():
    instance = nn.Linear(2, 3)
    weights = instance.weight.detach().clone()
    net = build_module(instance, 2, 3, torch.float64)
    assert net is not instance
    assert torch.equal(net.weight, weights.double())
    net.weight.data.zero_()
    assert torch.equal(instance.weight, weights)
    assert instance.weight.dtype == torch.float32


def test_build_module_refuses_arguments_for_an_instance():
    with pytest.raises(
        ValueError, match=r"'module' parameter must be a class if \[.*\] are .* Got an instance of Linear"
    ):
        build_module(nn.Linear(2, 3), 2, 3, torch.float32, scale=2)


@pytest.mark.parametrize("returned", [3, None, nn.Linear], ids=str)
def test_build_module_refuses_what_is_no_network(returned):
    with pytest.raises(ValueError, match=r"'module' parameter must make a torch.nn.Module\. Got"):
        build_module(lambda: returned, 2, 3, torch.float32)


def test_the_activations_that_type_checkers_know_are_those_of_the_registry():
    assert set(get_args(ActivationName)) == set(ACTIVATIONS)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="'activation' parameter of MLP must be one of 'elu', .* Got 'sine' instead"):
        MLP(3, 2, activation="sine")


# What comes from a loop of one's own


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_whole_numbers_are_numbers_of_the_type_of_the_weights(dtype, scaled):
    x = torch.tensor([[1, 0, 3], [2, 5, 1]]).to(dtype)
    scaling = input_scaling(np.random.RandomState(0).randn(50, 3)) if scaled else None
    network = MLP(3, 2, hidden_layer_sizes=(4,), scaling=scaling).eval()
    found = network(x)
    assert torch.equal(found, network(x.float()))
    np.testing.assert_allclose(network.forward_numpy(x.numpy()), found.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_features", 0),
        ("n_features", "4"),
        ("n_classes", 2.0),
        ("hidden_layer_sizes", 8),
        ("hidden_layer_sizes", (8, -1)),
        ("hidden_layer_sizes", "8"),
    ],
)
def test_sizes_that_are_none_are_refused(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MLP must be .* Got {re.escape(repr(value))}"):
        MLP(**{"n_features": 4, "n_classes": 2, name: value})


@pytest.mark.parametrize("p", [1.5, -0.1, np.nan, "a", None])
def test_a_rate_of_dropout_that_is_none_is_refused(p):
    with pytest.raises(ValueError, match="The 'p' parameter of Dropout must be a number from 0 to 1. Got"):
        Dropout(p)


def test_dropout_under_another_default_device():
    x, expected = torch.ones(8, 3), Dropout(0.5, torch.Generator())(torch.ones(8, 3))
    with torch.device("meta"):
        assert torch.equal(Dropout(0.5, torch.Generator())(x), expected)
