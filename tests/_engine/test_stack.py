"""A stack's gradient and steps are those of autograd and of torch's optimiser, for each network on its own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sklkl._engine import AutogradPasses, MLPStack, StackAdamW, cross_entropy_gradient
from sklkl.modules import ACTIVATIONS, MLP

N_NETWORKS, N_ROWS, SIZES = 3, 20, (4, 6, 5, 3)


def networks(activation, sizes=SIZES):
    return [MLP(sizes[0], sizes[-1], sizes[1:-1], activation).double() for _ in range(N_NETWORKS)]


def stacked(modules, sizes=SIZES):
    stack = MLPStack(sizes, modules[0].activation, len(modules), torch.float64)
    for number, module in enumerate(modules):
        for layer, linear in enumerate(module.linears()):
            stack.weights[layer][number] = linear.weight.detach()
            stack.biases[layer][number] = linear.bias.detach()
    return stack


def linears_with(module, masks, x):
    """Return the logits of a network whose hidden layers' outputs have factors."""
    *hidden, last = module.linears()
    activation = ACTIVATIONS[next(name for name, kind in ACTIVATIONS.items() if kind is module.activation)]()
    for layer, mask in zip(hidden, masks, strict=True):
        x = activation(layer(x)) * mask
    return last(x)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [SIZES, (4, 6, 3), (4, 3)], ids=str)
def test_the_gradient_is_that_of_autograd(activation, sizes):
    modules = networks(activation, sizes)
    stack, x, y = stacked(modules, sizes), torch.randn(N_ROWS, 4).double(), torch.randint(3, (N_ROWS,))
    masks = [torch.randint(3, (N_ROWS, units)).double() for units in sizes[1:-1]]
    _, gradient = cross_entropy_gradient(
        stack.forward(x, masks), y, torch.full((N_ROWS,), 1 / N_ROWS, dtype=torch.float64)
    )
    stack.backward(gradient)
    weights, biases = stack.layers_of(stack.gradient)
    for number, module in enumerate(modules):
        F.cross_entropy(linears_with(module, masks, x), y).backward()
        for layer, linear in enumerate(module.linears()):
            torch.testing.assert_close(weights[layer][number], linear.weight.grad)
            torch.testing.assert_close(biases[layer][number], linear.bias.grad)


@pytest.mark.parametrize("n_networks", [1, 3])
@pytest.mark.parametrize("sizes", [(9, 6, 3), (9, 3)], ids=str)
def test_rows_of_some_inputs_are_those_whose_others_are_zero(sizes, n_networks):
    """Whatever the rows before had."""
    modules = networks("relu", sizes)[:n_networks]
    ours, whole = stacked(modules, sizes), stacked(modules, sizes)
    for features in (None, [2, 5], [0, 5, 8], [], None, [1]):
        some = torch.arange(9) if features is None else torch.tensor(features, dtype=torch.int64)
        x = torch.zeros(N_ROWS, 9).double()
        x[:, some] = torch.randn(N_ROWS, len(some)).double()
        gradient = torch.randn(n_networks, 3, N_ROWS).double()
        ours.select(None if features is None else some)
        torch.testing.assert_close(ours.forward(x[:, some]), whole.forward(x))
        for stack in (ours, whole):
            stack.backward(gradient)
        torch.testing.assert_close(ours.gradient, whole.gradient)


def test_logits_are_those_of_each_network():
    modules, x = networks("relu"), torch.randn(N_ROWS, 4).double()
    for logits, module in zip(stacked(modules).forward(x), modules, strict=True):
        torch.testing.assert_close(logits.mT, module(x))


@pytest.mark.parametrize("n_networks", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_further_passes_are_as_the_first_and_add_their_gradient(n_networks, activation):
    modules, x = networks(activation)[:n_networks], torch.randn(n_networks, N_ROWS, 4).double()
    stack, moved = stacked(modules), x.clone().requires_grad_()
    masks = [torch.randint(2, (N_ROWS, units)).double() for units in SIZES[1:-1]]
    factors, passes = torch.randn(n_networks, N_ROWS, 3).double(), AutogradPasses(stack)
    stack.forward(x, masks)
    stack.backward(factors.mT)
    expected = 3 * stack.gradient
    for _ in range(2):
        logits = passes.forward(moved, masks)
        torch.testing.assert_close(logits.mT, stack.forward(x, masks))
        logits.backward(factors)
    assert moved.grad.abs().sum() > 0
    passes.add_gradient()
    torch.testing.assert_close(stack.gradient, expected)
    passes.add_gradient()  # of a step without further passes
    torch.testing.assert_close(stack.gradient, expected)


def test_every_network_may_have_masks_of_its_own():
    modules, x = networks("tanh"), torch.randn(N_ROWS, 4).double()
    masks = [torch.randint(2, (N_NETWORKS, N_ROWS, units)).double() for units in SIZES[1:-1]]
    for number, logits in enumerate(stacked(modules).forward(x, masks)):
        torch.testing.assert_close(logits.mT, linears_with(modules[number], [mask[number] for mask in masks], x))


@pytest.mark.parametrize(
    "strength", [0.0, 0.3, torch.tensor([0.0, 0.1, 2.0]).double().view(3, 1, 1)], ids=["0", "0.3", "each"]
)
def test_the_gradient_by_the_logits(strength):
    logits = torch.randn(3, 4, N_ROWS, dtype=torch.float64, requires_grad=True)
    y, shares = torch.randint(4, (N_ROWS,)), torch.rand(N_ROWS).double()
    log_p = logits.log_softmax(-2)
    confidence = (log_p.exp() * log_p).sum(-2) + np.log(4)
    fit = -log_p.gather(-2, y.expand(3, 1, -1)).squeeze(-2)
    expected = {"data_fit": fit @ shares, "kl_penalty": torch.as_tensor(strength).flatten() * (confidence @ shares)}
    sum(expected.values()).sum().backward()
    terms, gradient = cross_entropy_gradient(logits.detach(), y, shares, strength)
    torch.testing.assert_close(gradient, logits.grad)
    torch.testing.assert_close(terms, {name: expected[name].detach() for name in terms})
    assert ("kl_penalty" in terms) is (strength is not 0.0)  # noqa: F632


def test_a_class_of_probability_zero():
    logits = torch.tensor([[[0.0], [-torch.inf], [1.0]]])
    terms, gradient = cross_entropy_gradient(logits, torch.tensor([0]), torch.ones(1), 0.5)
    assert all(torch.isfinite(values).all() for values in (gradient, *terms.values()))
    assert gradient[0, 1, 0] == 0


def test_a_strength_beyond_the_floating_type_is_no_error_of_torch():
    """Training then ends with the message that no epoch was finite."""
    logits = torch.tensor([[[0.0], [1.0]]])
    terms, gradient = cross_entropy_gradient(logits, torch.tensor([0]), torch.ones(1), 1e300)
    assert not torch.isfinite(terms["kl_penalty"])
    assert not torch.isfinite(gradient).any()


@pytest.mark.parametrize(("n_networks", "alike"), [(1, False), (3, False), (3, True)])
def test_steps_are_those_of_torch(n_networks, alike):
    """Each network has its own options and rate; those that are alike are stepped on as one."""
    modules, numbers = networks("relu")[:n_networks], [1, 1, 1] if alike else [0, 1, 2]
    options = [{"lr": 0.01 * (i + 1), "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1 * i} for i in numbers]
    torchs = [torch.optim.AdamW(module.parameters(), **own) for module, own in zip(modules, options, strict=False)]
    stack = stacked(modules)
    ours = StackAdamW(stack, options[:n_networks])
    ours.compare()
    for _ in range(3):
        stack.gradient.normal_()
        for number, module in enumerate(modules):
            for p, gradient in zip(module.parameters(), stack.network(stack.gradient, number), strict=True):
                p.grad = gradient
            torchs[number].step()
        ours.step_at(np.array([own["lr"] for own in options[:n_networks]]))
    for number, module in enumerate(modules):
        torch.testing.assert_close(stack.network(stack.flat, number), [p.detach() for p in module.parameters()])


@pytest.mark.parametrize("n_networks", [1, 2])
def test_a_step_on_the_meta_device_reads_nothing_back(n_networks):
    stack = MLPStack(SIZES, MLP(1, 1).activation, n_networks, device="meta")
    x, y = torch.empty(N_ROWS, 4, device="meta"), torch.empty(N_ROWS, dtype=torch.int64, device="meta")
    masks = [torch.empty(N_ROWS, units, device="meta") for units in SIZES[1:-1]]
    terms, gradient = cross_entropy_gradient(stack.forward(x, masks), y, torch.empty(N_ROWS, device="meta"), 0.1)
    stack.backward(gradient)
    options = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
    StackAdamW(stack, [options] * n_networks).step()
    assert {values.device.type for values in terms.values()} == {"meta"}


@pytest.mark.parametrize("n_networks", [1, 3])
@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_a_gradient_on_the_meta_device_reads_nothing_back(n_networks, strength):
    stack = MLPStack(SIZES, ACTIVATIONS["relu"], n_networks, device="meta")
    x, y = torch.empty(N_ROWS, 4, device="meta"), torch.empty(N_ROWS, dtype=torch.long, device="meta")
    masks = [torch.empty(N_ROWS, units, device="meta") for units in SIZES[1:-1]]
    logits = stack.forward(x, masks)
    terms, gradient = cross_entropy_gradient(logits, y, torch.empty(N_ROWS, device="meta"), strength)
    stack.backward(gradient)
    assert {values.device.type for values in (*terms.values(), gradient, stack.gradient)} == {"meta"}
    assert {tuple(values.shape) for values in terms.values()} == {(n_networks,)}
