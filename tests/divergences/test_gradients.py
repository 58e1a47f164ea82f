"""Gradients in PyTorch: right where they exist, finite at zeros and at masked logits."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import sklkl.divergences as d
from sklkl.divergences import DIVERGENCES

from .oracles import random_rows

everyone = pytest.mark.parametrize("name", DIVERGENCES)
INF = float("inf")

ZEROS = {
    "p": ([0, 0.4, 0.6], [0.2, 0.3, 0.5]),
    "q": ([0.2, 0.3, 0.5], [0, 0.4, 0.6]),
    "both": ([0, 0.4, 0.6], [0, 0.3, 0.7]),
    "both, equal": ([0, 0.4, 0.6], [0, 0.4, 0.6]),
    "none, equal": ([0.1, 0.3, 0.6], [0.1, 0.3, 0.6]),
    "disjoint": ([1, 0, 0], [0, 0.5, 0.5]),
}


def tensors(*arrays):
    return [torch.tensor(np.asarray(a), dtype=torch.float64, requires_grad=True) for a in arrays]


@everyone
@pytest.mark.parametrize("from_", ["probs", "log_probs", "logits"])
def test_gradcheck(name, from_):
    p, q = random_rows(2, 3, seed=1), random_rows(2, 3, seed=2)
    if from_ != "probs":
        p, q = np.log(p), np.log(q)
    assert gradcheck(lambda p, q: DIVERGENCES[name](p, q, from_=from_), tensors(p, q))


@everyone
def test_gradcheck_near_equality_and_with_options(name):
    p = np.log(random_rows(1, 4, seed=1))
    options = {"from_": "logits", "smoothing": 0.1}
    assert gradcheck(lambda p, q: DIVERGENCES[name](p, q, **options), tensors(p, p + [[0.01, 0.03, 0, 0]]))


@pytest.mark.parametrize("alpha", [0, 0.3, 2, 3.5])
def test_gradcheck_of_other_orders(alpha):
    rows = tensors(random_rows(2, 3, seed=1), random_rows(2, 3, seed=2))
    for function in (d.renyi_divergence, d.tsallis_divergence, d.alpha_divergence):
        assert gradcheck(lambda p, q, f=function: f(p, q, alpha=alpha), rows)


def test_second_derivatives_of_kl():
    a, b = tensors(*np.log([random_rows(2, 3, seed=1), random_rows(2, 3, seed=2)]))
    assert gradgradcheck(lambda a, b: d.kl_divergence(a, b, from_="logits"), (a, b))


def test_hessian_of_kl_at_equality_is_the_fisher_information():
    (z,) = tensors([0.3, -0.2, 0.5])
    hessian = torch.autograd.functional.hessian(lambda b: d.kl_divergence(z.detach(), b, from_="logits"), z)
    p = z.detach().softmax(-1)
    torch.testing.assert_close(hessian, torch.diag(p) - torch.outer(p, p))


def test_gradient_of_kl_to_logits_is_student_minus_teacher():
    a, b = tensors(np.log(random_rows(4, 5, seed=1)), np.log(random_rows(4, 5, seed=2)))
    d.kl_divergence(a.detach(), b, from_="logits").sum().backward()
    torch.testing.assert_close(b.grad, (b.softmax(-1) - a.softmax(-1)).detach())


@everyone
def test_gradient_is_finite_at_zeros_and_masks(name):
    for case, probs in ZEROS.items():
        with np.errstate(divide="ignore"):
            logs = np.log(probs)
        for from_, rows in (("probs", probs), ("log_probs", logs), ("logits", logs)):
            p, q = tensors(*rows)
            DIVERGENCES[name](p, q, from_=from_).backward()
            assert torch.isfinite(p.grad).all(), (case, from_)
            assert torch.isfinite(q.grad).all(), (case, from_)


@pytest.mark.parametrize("alpha", [0, 0.3, 2, 3.5, INF])
def test_gradient_of_renyi_is_finite_at_zeros(alpha):
    for case, rows in ZEROS.items():
        p, q = tensors(*rows)
        d.renyi_divergence(p, q, alpha=alpha).backward()
        assert torch.isfinite(p.grad).all(), case
        assert torch.isfinite(q.grad).all(), case


@pytest.mark.parametrize("function", [d.entropy, d.kl_to_uniform])
def test_gradient_of_entropy_at_one_hot(function):
    (p,) = tensors([1.0, 0.0, 0.0])
    function(p).backward()
    assert torch.isfinite(p.grad).all()


def test_a_zero_in_the_teacher_gives_the_student_no_gradient():
    _, q = tensors([0, 0.4, 0.6], [0.2, 0.3, 0.5])
    d.kl_divergence(torch.tensor([0, 0.4, 0.6], dtype=torch.float64), q).backward()
    torch.testing.assert_close(q.grad, torch.tensor([0, -4 / 3, -1.2], dtype=torch.float64))


def test_float32_subnormal_probabilities_have_finite_gradients():
    a = torch.tensor([[0.0, -90.0, -100.0], [0.0, -95.0, 1.0]], requires_grad=True)
    b = torch.tensor([[0.0, -91.0, -99.0], [1.0, -80.0, 0.0]], requires_grad=True)
    for name, function in DIVERGENCES.items():
        a.grad = b.grad = None
        function(a.softmax(-1), b.softmax(-1)).sum().backward()
        assert torch.isfinite(a.grad).all(), name
        assert torch.isfinite(b.grad).all(), name


def symmetric_gaussian_kl(mean_p, root_p, mean_q, root_q):
    return d.gaussian_kl(mean_p, root_p @ root_p.mT, mean_q, root_q @ root_q.mT)


CLOSED_FORMS = {
    "bernoulli": (d.bernoulli_kl, [[0.3, 0.5]], [[0.6, 0.52]]),
    "poisson": (d.poisson_kl, [3.0], [5.0]),
    "exponential": (d.exponential_kl, [[2.0, 2.0]], [[3.0, 2.1]]),
    "laplace": (d.laplace_kl, [0.0, 1.0], [1.0, 2.0]),
    "diagonal gaussian": (d.diagonal_gaussian_kl, [[0.0, 1.0], [1.0, 2.0]], [[0.5, 2.0], [1.1, 4.0]]),
    "gaussian": (symmetric_gaussian_kl, [[0.0, 0.0], np.eye(2) + 0.1], [[1.0, -1.0], [[2.0, 0.5], [0.5, 1.0]]]),
    "dirichlet": (d.dirichlet_kl, [[1.0, 2.0, 3.0]], [[2.0, 2.0, 2.0]]),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_gradcheck_of_closed_forms(name):
    function, p, q = CLOSED_FORMS[name]
    assert gradcheck(function, tensors(*p, *q))
