"""The distillation term against the definitions in ``sklkl.divergences`` and against gradients in closed form."""

import re
from itertools import product

import numpy as np
import pytest
import torch

from sklkl import KLNet
from sklkl.data import Batches, Rows
from sklkl.distillation import DISTILL_DIVERGENCES, DISTILL_ROWS, Distillation, soften
from sklkl.divergences import js_divergence, kl_divergence
from sklkl.modules import MLP

SMOOTHING = 1e-3


def smoothed(p):
    return (1 - SMOOTHING) * p + SMOOTHING / p.shape[-1]


# what each divergence is: the one line that a new one adds here
REFERENCES = {
    "forward_kl": lambda p, q: kl_divergence(p, q),
    "reverse_kl": lambda p, q: kl_divergence(q, smoothed(p)),
    "js": lambda p, q: js_divergence(p, q),
}
each_divergence = pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
each_temperature = pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])

ZEROS = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)


def double(values, **kwargs):
    return torch.tensor(np.asarray(values), dtype=torch.float64, **kwargs)


def gradient(function, logits):
    logits = logits.detach().clone().requires_grad_()
    function(logits).sum().backward()
    return logits.grad


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logits_of_rows(seed):
    """Logits of hundreds of rows in random order: the largest, among which are equal ones, those between, and tiny."""
    random = np.random.RandomState(seed)
    corners = list(product([-20.0, 0.0, 20.0], repeat=4))
    rows = np.vstack([corners, random.uniform(-20, 20, (100, 4)), random.randn(100, 4), 1e-8 * random.randn(20, 4)])
    return double(random.permutation(rows))


LOGITS, TEACHER = logits_of_rows(0), logits_of_rows(1)


def test_every_divergence_has_a_reference():
    assert set(REFERENCES) == set(DISTILL_DIVERGENCES)


# Values


@each_divergence
@each_temperature
def test_values_are_those_of_the_divergences(divergence, temperature):
    p = torch.softmax(TEACHER / temperature, -1)
    q = torch.softmax(LOGITS / temperature, -1)
    actual = Distillation(divergence, temperature)(LOGITS, torch.softmax(TEACHER, -1))
    expected = temperature**2 * REFERENCES[divergence](p, q)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-9)


@each_divergence
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_never_negative_and_zero_at_the_teacher(divergence, dtype):
    logits = 3 * random(10_000, 4).to(dtype)
    p = logits.softmax(-1)
    values = Distillation(divergence, 5.0)(logits, p)
    assert (values >= 0).all()
    if divergence != "reverse_kl":  # whose teacher is smoothed
        assert values.max() < 1e-4


@each_divergence
def test_leading_axes_and_the_floating_type_are_kept(divergence):
    distillation = Distillation(divergence, 2.0)
    logits, p = random(2, 5, 3, 4), random(2, 5, 3, 4, seed=1).softmax(-1)
    stacked = distillation(logits, p)
    assert stacked.shape == (2, 5, 3)
    torch.testing.assert_close(stacked[1, 2], distillation(logits[1, 2], p[1, 2]))
    assert distillation(logits.float(), p.float()).dtype == torch.float32


@each_divergence
def test_log_probabilities_are_valid_logits(divergence):
    logits, p = random(5, 3), random(5, 3, seed=1).softmax(-1)
    distillation = Distillation(divergence, 3.0)
    torch.testing.assert_close(distillation(logits, p), distillation(logits.log_softmax(-1), p))


@each_divergence
def test_nan_stays_nan(divergence):
    assert Distillation(divergence)(double([[np.nan, 0.0]]), double([[0.5, 0.5]])).isnan().all()


# Gradients


@each_temperature
def test_logit_gradient_of_forward_kl(temperature):
    p = torch.softmax(TEACHER, -1)
    actual = gradient(lambda z: Distillation("forward_kl", temperature)(z, p), LOGITS)
    p_t = torch.softmax(TEACHER / temperature, -1)
    q_t = torch.softmax(LOGITS / temperature, -1)
    torch.testing.assert_close(actual, temperature * (q_t - p_t), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("divergence", ["reverse_kl", "js"])
@each_temperature
def test_logit_gradient_is_that_of_the_definition(divergence, temperature):
    logits, teacher = 2 * random(6, 4), 2 * random(6, 4, seed=1)
    p_t = torch.softmax(teacher / temperature, -1)
    distillation = Distillation(divergence, temperature)
    actual = gradient(lambda z: distillation(z, teacher.softmax(-1)), logits)
    expected = gradient(
        lambda z: temperature**2 * REFERENCES[divergence](p_t, torch.softmax(z / temperature, -1)), logits
    )
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-10)


@each_divergence
@each_temperature
def test_gradcheck(divergence, temperature):
    distillation = Distillation(divergence, temperature)
    assert torch.autograd.gradcheck(lambda z: distillation(z, ZEROS), random(3, 3).requires_grad_())


@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_rounding_near_the_teacher_costs_no_gradient(temperature):
    """A value that rounding makes negative is shown as 0, but its row still learns."""
    logits = random(200, 3)
    p = (logits + 1e-3 * random(200, 3, seed=1)).softmax(-1)
    distillation = Distillation("forward_kl", temperature)
    exact = gradient(lambda z: distillation(z, p), logits)
    rounded = gradient(lambda z: distillation(z, p.float()), logits.float())
    assert (distillation(logits.float(), p.float()) == 0).any()  # else this tests nothing
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=1e-6 * temperature)


# The edges


@each_divergence
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4, 1e30])
def test_finite_where_the_teacher_has_zeros(divergence, dtype, scale):
    p = ZEROS.to(dtype)
    logits = (scale * torch.tensor([[1.0, -1.0, 0.5], [0.3, 0.2, 0.1], [0.0, 1.0, -2.0]])).to(dtype)
    distillation = Distillation(divergence, 2.0)
    assert distillation(logits, p).isfinite().all()
    assert gradient(lambda z: distillation(z, p), logits).isfinite().all()


@each_divergence
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_finite_where_the_student_masks_what_the_teacher_rules_out(divergence, temperature):
    p, logits = double([[0.25, 0.75, 0.0]]), double([[0.3, 0.1, -np.inf]])
    distillation = Distillation(divergence, temperature)
    value = distillation(logits, p)
    assert value.isfinite().all()
    assert gradient(lambda z: distillation(z, p), logits).isfinite().all()
    if divergence != "reverse_kl":
        torch.testing.assert_close(value, distillation(logits[:, :2], p[:, :2]))


def test_a_masked_class_that_the_teacher_wants_costs_infinitely_much_but_for_bounded_divergences():
    p, logits = double([[0.5, 0.5]]), double([[0.0, -np.inf]])
    assert Distillation("forward_kl")(logits, p).item() == np.inf
    assert Distillation("js")(logits, p).item() < np.log(2)
    assert Distillation("reverse_kl")(logits, p).item() == pytest.approx(np.log(2), abs=1e-3)


@each_divergence
def test_one_hot_teachers(divergence):
    p, logits = torch.eye(3, dtype=torch.float64), random(3, 3)
    q = logits.softmax(-1)
    torch.testing.assert_close(Distillation(divergence)(logits, p), REFERENCES[divergence](p, q))
    if divergence == "forward_kl":
        torch.testing.assert_close(Distillation()(logits, p), -q.diagonal().log())


@each_divergence
def test_a_row_of_zeros_is_left_out(divergence):
    p, logits = double([[0.0, 0.0]]), double([[0.3, 0.1]])
    assert Distillation(divergence, 2.0)(logits, p).item() == 0
    assert (gradient(lambda z: Distillation(divergence, 2.0)(z, p), logits) == 0).all()


# Classes the teacher knows


@each_divergence
def test_the_student_is_renormalised_over_the_classes_the_teacher_knows(divergence):
    logits, p = random(5, 4), random(5, 2, seed=1).softmax(-1)
    some = Distillation(divergence, 2.0, classes=[3, 1])
    torch.testing.assert_close(some(logits, p), Distillation(divergence, 2.0)(logits[:, [3, 1]], p))
    grad = gradient(lambda z: some(z, p), logits)
    assert (grad[:, [0, 2]] == 0).all()
    assert (grad[:, [1, 3]] != 0).all()


# Multilabel targets: two classes a label


@each_divergence
def test_labels_are_two_classes_each(divergence):
    log_proba, p = random(5, 3, 2).log_softmax(-1), random(5, 3, 2, seed=1).softmax(-1)
    values = Distillation(divergence, 2.0)(log_proba, p)
    assert values.shape == (5, 3)
    torch.testing.assert_close(values[:, 1], Distillation(divergence, 2.0)(log_proba[:, 1], p[:, 1]))


# Soften


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0, 7.0, 50.0])
def test_softened_probabilities_are_those_of_the_divided_logits(temperature):
    logits = LOGITS / 4
    torch.testing.assert_close(
        soften(logits.softmax(-1), temperature), (logits / temperature).softmax(-1), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 100.0])
def test_softening_keeps_zeros_sums_and_order(temperature):
    p = torch.tensor([[0.0, 1e-30, 0.4, 0.6], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    soft = soften(p, temperature)
    assert soft.isfinite().all()
    assert torch.equal(soft == 0, p == 0) or temperature < 1  # small ones may vanish
    torch.testing.assert_close(soft.sum(-1), torch.tensor([1.0, 0.0, 1.0]))
    assert soft[0, 3] > soft[0, 2]


# Parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("divergence", value) for value in ("kl", None, ["js"])),
        *(("temperature", value) for value in (0, -1.0, np.nan, np.inf, "2", None)),
        *(("classes", value) for value in ([], [0, 0], [-1, 0], [0.0, 1.0], "ab", [[0]], 3)),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(name, value):
    with pytest.raises(
        ValueError, match=f"The '{name}' parameter of Distillation must be .* Got {re.escape(repr(value))}"
    ):
        Distillation(**{name: value})


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("shape", [(6, 1), (1, 3), (3,), (5, 3), (6, 4), (2, 6, 3)])
def test_probabilities_of_another_shape_are_refused(shape, temperature):
    with pytest.raises(
        ValueError, match=r"The 'teacher_proba' .* of shape \(6, 3\), a probability for each .* Got Tensor of"
    ):
        Distillation(temperature=temperature)(torch.zeros(6, 3), torch.full(shape, 1 / 3))


def test_an_array_is_refused():
    with pytest.raises(
        ValueError, match="The 'teacher_proba' parameter of Distillation must be a tensor .* Got ndarray"
    ):
        Distillation()(torch.zeros(6, 3), np.full((6, 3), 1 / 3))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float64, torch.float32])
@pytest.mark.parametrize("divergence", DISTILL_DIVERGENCES)
def test_the_loss_is_of_the_type_of_the_logits_whatever_the_teachers(divergence, dtype, temperature):
    loss, logits, hard = Distillation(divergence, temperature), random(6, 3), torch.eye(3)[[0, 1, 2, 2, 0, 1]]
    for own in (torch.float64, torch.float32):
        values = loss(logits.to(own), hard.to(dtype))
        assert values.dtype is own
        torch.testing.assert_close(values, loss(logits.to(own), hard.to(own)))


@pytest.mark.parametrize("weight", [-0.1, 1.1, np.nan])
def test_a_net_refuses_a_bad_weight(weight):
    with pytest.raises(ValueError, match="The 'distill_weight' parameter of KLNet must be a number from 0 to 1"):
        KLNet(MLP, module__n_features=2, module__n_classes=2, distill_weight=weight).initialize()


# A step of the net: the mean over rows, not over rows and classes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("alpha", "temperature"), [(0.3, 1.0), (0.5, 4.0), (1.0, 2.0), (0.0, 2.0)])
def test_the_gradient_of_a_step_written_out_by_hand(weighted, alpha, temperature):
    X, p = random(7, 3), random(7, 4, seed=1).softmax(-1)
    y = torch.tensor([0, 1, 2, 3, 0, 1, 2])
    w = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 1.0], dtype=torch.float64) if weighted else torch.ones(7).double()
    net = KLNet(
        torch.nn.Linear(3, 4).double(), distill_weight=alpha, distillation=Distillation("forward_kl", temperature),
        classes=[0, 1, 2, 3], verbose=0,
    ).initialize()  # fmt: skip
    rows = Rows(X, y, weight=w if weighted else None, teacher_proba=p)
    (batch,) = Batches(rows, 10)
    step = net.train_step_single(batch)

    z = X @ net.module_.weight.T.detach() + net.module_.bias.detach()
    q, q_t = z.softmax(-1), (z / temperature).softmax(-1)
    p_t = (p.log() / temperature).softmax(-1)
    hot = torch.eye(4, dtype=torch.float64)[y]
    by_logit = (1 - alpha) * (q - hot) + alpha * temperature * (q_t - p_t)
    expected = ((w / w.sum())[:, None] * by_logit).T @ X
    torch.testing.assert_close(net.module_.weight.grad, expected)

    row = -(1 - alpha) * (hot * q.log()).sum(-1) + alpha * temperature**2 * (p_t * (p_t / q_t).log()).sum(-1)
    assert step["loss"].item() == pytest.approx((w * row).sum().item() / w.sum().item())
    assert set(step["terms"]) == {"data_fit", "distillation"}


def test_a_row_without_a_label_carries_the_distillation_term_only():
    X, p = random(4, 3), random(4, 2, seed=1).softmax(-1)
    rows = Rows(X, torch.tensor([0, -100, 1, -100]), teacher_proba=p)
    net = KLNet(torch.nn.Linear(3, 2).double(), distill_weight=0.25, classes=[0, 1], verbose=0).initialize()
    terms = net.loss_terms(net.module_(X), next(iter(Batches(rows, 4))))
    assert (terms["data_fit"] != 0).tolist() == [True, False, True, False]
    torch.testing.assert_close(terms["distillation"], 0.25 * Distillation()(net.module_(X), p))


@pytest.mark.parametrize("distill_rows", DISTILL_ROWS)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_which_rows_carry_which_term(distill_rows, temperature):
    """With "unlabeled" a row is either taught, at the teacher's weight, or fitted to its label, at the weight 1."""
    X, p = random(4, 3), random(4, 2, seed=1).softmax(-1)
    rows = Rows(X, torch.tensor([0, -100, 1, -100]), teacher_proba=p)
    net = KLNet(
        torch.nn.Linear(3, 2).double(), distill_weight=0.2, distill_rows=distill_rows, classes=[0, 1], verbose=0,
        distillation=Distillation(temperature=temperature),
    ).initialize()  # fmt: skip
    terms = net.loss_terms(net.module_(X), next(iter(Batches(rows, 4))))
    z = (X @ net.module_.weight.T + net.module_.bias).detach()
    p_t = p ** (1 / temperature) / (p ** (1 / temperature)).sum(-1, keepdim=True)
    taught = 0.2 * temperature**2 * (p_t * (p_t.log() - (z / temperature).log_softmax(-1))).sum(-1)
    fitted = -z.log_softmax(-1)[torch.arange(4), torch.tensor([0, 0, 1, 0])] * torch.tensor([1, 0, 1, 0])
    if distill_rows == "unlabeled":
        taught = taught * torch.tensor([0, 1, 0, 1])
    else:
        fitted = 0.8 * fitted
    torch.testing.assert_close(terms["distillation"].detach(), taught)
    torch.testing.assert_close(terms["data_fit"].detach(), fitted)


def test_a_net_refuses_unknown_rows_to_distil():
    with pytest.raises(ValueError, match="'distill_rows' parameter of KLNet must be one of 'all', 'unlabeled'. Got"):
        KLNet(MLP, module__n_features=2, module__n_classes=2, distill_rows="some").initialize()


def test_without_a_label_but_with_a_penalty():
    """Penalties are charged for rows with a label only, unless they are made for others too."""
    X = random(4, 3)
    net = KLNet(
        torch.nn.Linear(3, 2).double(), kl_penalty="confidence", kl_strength=0.5, classes=[0, 1], verbose=0,
        train_split=None, max_epochs=1, iterator_train__shuffle=False,
    )  # fmt: skip
    rows = Rows(X, torch.tensor([0, -100, 1, -100]), teacher_proba=random(4, 2, seed=1).softmax(-1))
    net.fit(rows, None)
    terms = net.loss_terms(net.module_(X), next(iter(Batches(rows, 4))))
    assert (terms["kl_penalty"] != 0).tolist() == [True, False, True, False]
