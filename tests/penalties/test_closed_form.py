"""Each penalty against scipy's definition of the KL divergence; properties run over the registry."""

import pickle
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax, rel_entr
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from sklkl.data import Rows
from sklkl.penalties import PENALTIES, Confidence, LabelSmoothing, Penalty, PenaltyName, Prior, adapted, make_penalty

ROWS = Rows(torch.zeros(8, 1, dtype=torch.float64), torch.tensor([0, 1, 1, 1, 2, 2, 3, 3]))
FREQUENCIES = np.array([1, 3, 2, 2]) / 8
UNIFORM = np.full(4, 0.25)

# what each penalty is: the one line that a new penalty adds here
REFERENCES = {
    "confidence": lambda p: rel_entr(p, UNIFORM).sum(-1),
    "label_smoothing": lambda p: rel_entr(UNIFORM, p).sum(-1),
    "prior": lambda p: rel_entr(FREQUENCIES, p).sum(-1),
}
# the distribution that each penalty pulls to
TARGETS = {"prior": FREQUENCIES}

examples = settings(max_examples=20)
logits_arrays = arrays(np.float64, (3, 4), elements=st.floats(-30, 30))
# penalties that ask the network again have tests of their own, in test_consistency.py
PLAIN = [name for name, kind in PENALTIES.items() if not kind.needs_net]
each_penalty = pytest.mark.parametrize("name", PLAIN)


def fitted(name):
    return make_penalty(name).fit(ROWS, n_classes=4)


def log_proba_of(logits):
    return torch.log_softmax(logits if isinstance(logits, torch.Tensor) else torch.tensor(logits).double(), -1)


def gradient(penalty, logits):
    logits = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    penalty(torch.log_softmax(logits, -1), None).sum().backward()
    return logits.grad.numpy()


def test_every_penalty_has_a_reference():
    assert set(REFERENCES) == set(PLAIN)
    assert set(PENALTIES) - set(PLAIN) == {"rdrop", "vat"}


# Values


@each_penalty
@examples
@given(logits=logits_arrays)
def test_values_are_scipys(name, logits):
    actual = fitted(name)(log_proba_of(logits), None).numpy()
    np.testing.assert_allclose(actual, REFERENCES[name](np.exp(log_softmax(logits, -1))), rtol=1e-9, atol=1e-12)


@each_penalty
@examples
@given(logits=logits_arrays)
def test_never_negative_but_for_rounding(name, logits):
    assert (fitted(name)(log_proba_of(logits), None) >= -1e-12).all()


@each_penalty
def test_zero_at_the_target(name):
    target = torch.tensor(TARGETS.get(name, UNIFORM)).log()
    assert fitted(name)(target, None).item() == pytest.approx(0, abs=1e-14)


@each_penalty
def test_leading_axes_are_kept(name):
    log_proba = log_proba_of(torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    penalty = fitted(name)
    stacked = penalty(log_proba, None)
    assert stacked.shape == (2, 5, 3)
    torch.testing.assert_close(stacked[1, 2], penalty(log_proba[1, 2], None), rtol=1e-12, atol=1e-15)


@each_penalty
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_floating_type_is_kept(name, dtype):
    rows = Rows(torch.zeros(2, 1, dtype=dtype), torch.tensor([0, 1]))
    assert make_penalty(name).fit(rows, 2)(log_proba_of(torch.zeros(3, 2, dtype=dtype)), None).dtype == dtype


# Gradients


@each_penalty
def test_gradient_is_zero_at_the_target(name):
    np.testing.assert_allclose(gradient(fitted(name), np.log(TARGETS.get(name, UNIFORM))[None]), 0, atol=1e-14)


@each_penalty
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3, 1e30])
def test_gradient_is_finite(name, scale):
    logits = scale * np.array([[0.3, -1.0, 0.7, 0.0], [1.0, 1.0, 1.0, -1.0]])
    assert np.isfinite(gradient(fitted(name), logits)).all()


@each_penalty
def test_gradient_is_finite_where_a_class_is_masked(name):
    masked = np.array([[0.3, -np.inf, 0.7, 0.0], [-np.inf, 0.0, -np.inf, -np.inf]])
    assert np.isfinite(gradient(fitted(name), masked)).all()


def softmax(logits):
    return np.exp(log_softmax(logits, -1))


@examples
@given(logits=logits_arrays)
def test_logit_gradient_of_confidence(logits):
    log_p = log_softmax(logits, -1)
    p = np.exp(log_p)
    entropy = -(p * log_p).sum(-1, keepdims=True)
    np.testing.assert_allclose(gradient(Confidence(), logits), p * (log_p + entropy), rtol=1e-9, atol=1e-12)


@examples
@given(logits=logits_arrays)
def test_logit_gradient_of_label_smoothing(logits):
    np.testing.assert_allclose(gradient(LabelSmoothing(), logits), softmax(logits) - 1 / 4, atol=1e-12)


@examples
@given(logits=logits_arrays)
def test_logit_gradient_of_prior(logits):
    np.testing.assert_allclose(gradient(fitted("prior"), logits), softmax(logits) - FREQUENCIES, atol=1e-12)


# Probabilities of zero


def test_confidence_of_a_certain_prediction_is_log_of_the_number_of_classes():
    certain = torch.tensor([[0.0, -torch.inf, -torch.inf, -torch.inf]])
    assert Confidence()(certain, None).item() == pytest.approx(np.log(4))


@pytest.mark.parametrize("name", ["label_smoothing", "prior"])
def test_leaving_out_a_class_of_the_target_costs_infinitely_much(name):
    left_out = log_proba_of([[0.0, 0.0, 0.0, -torch.inf]])
    assert fitted(name)(left_out, None).item() == np.inf


def test_a_class_that_the_prior_leaves_out_may_be_left_out():
    prior = Prior([0.5, 0.5, 0.0]).fit(ROWS, 3)
    assert prior(log_proba_of([[0.0, 0.0, -torch.inf]]), None).item() == pytest.approx(0, abs=1e-14)


@each_penalty
def test_nan_stays_nan(name):
    assert fitted(name)(torch.tensor([[torch.nan, 0.0, 0.0, 0.0]]), None).isnan().all()


# Confidence: the threshold


def test_an_entropy_above_the_threshold_costs_nothing():
    penalty = Confidence(entropy_threshold=0.5).fit(ROWS, 4)
    log_proba = log_proba_of([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]])
    entropy = -(log_proba.exp() * log_proba).sum(-1)
    np.testing.assert_allclose(penalty(log_proba, None), [0, 0.5 - entropy[1]], rtol=1e-6)
    assert (gradient(penalty, np.zeros((1, 4))) == 0).all()


@pytest.mark.parametrize("threshold", [0, -1.0, np.nan, np.inf, "low"])
def test_a_bad_threshold_is_refused(threshold):
    with pytest.raises(ValueError, match=rf"'entropy_threshold'.*must be None or a float.*Got {threshold!r}"):
        Confidence(entropy_threshold=threshold).fit(ROWS, 4)


# Prior: what it learns


def test_prior_counts_weights():
    rows = Rows(torch.zeros(3, 1), torch.tensor([0, 1, 1]), weight=torch.tensor([2.0, 1.0, 5.0]))
    assert Prior().fit(rows, 3).prior_.tolist() == [0.25, 0.75, 0.0]


def test_prior_accumulates_over_partial_fits():
    parts = [ROWS.take(torch.arange(i, j)) for i, j in [(0, 1), (1, 6), (6, 8)]]
    prior = Prior()
    for part in parts:
        prior = (prior.partial_fit if hasattr(prior, "prior_") else prior.fit)(part, 4)
    np.testing.assert_allclose(prior.prior_, FREQUENCIES)
    assert prior(torch.tensor(FREQUENCIES).log(), None).item() == pytest.approx(0, abs=1e-14)


def test_fit_forgets_what_was_counted_before():
    prior = Prior().fit(ROWS, 4).fit(ROWS.take(torch.tensor([0])), 4)
    assert prior.prior_.tolist() == [1, 0, 0, 0]


def test_prior_of_a_multilabel_indicator_is_one_of_each_label():
    rows = Rows(torch.zeros(4, 1), torch.tensor([[0, 1], [1, 1], [0, 1], [0, 0]]))
    assert Prior().fit(rows, 2).prior_.tolist() == [[0.75, 0.25], [0.25, 0.75]]


def test_prior_of_a_multilabel_indicator_counts_weights():
    weight = torch.tensor([1.0, 3.0])
    rows = Rows(torch.zeros(2, 1), torch.tensor([[0, 1], [1, 1]]), weight=weight)
    assert Prior().fit(rows, 2).prior_.tolist() == [[0.25, 0.75], [0.0, 1.0]]


@each_penalty
def test_a_penalty_of_labels_is_one_of_two_classes_each(name):
    rows = Rows(torch.zeros(4, 1, dtype=torch.float64), torch.tensor([[0, 1], [1, 1], [0, 1], [0, 0]]))
    labels = make_penalty(name).fit(rows, 2)
    log_proba = log_proba_of(np.random.RandomState(0).randn(5, 2, 2))
    alone = make_penalty(name).fit(Rows(rows.X, rows.y[:, 1].clone()), 2)
    np.testing.assert_allclose(labels(log_proba, None)[:, 1], alone(log_proba[:, 1], None), rtol=1e-12)


@pytest.mark.parametrize("y", [[0, 1, -100, 1], [[0], [1], [-100], [1]]], ids=["classes", "labels"])
def test_prior_does_not_count_rows_without_a_label(y):
    prior = Prior().fit(Rows(torch.zeros(4, 1), torch.tensor(y)), 2).prior_
    torch.testing.assert_close(prior.flatten(), torch.tensor([1 / 3, 2 / 3]))


def test_a_given_prior_is_used_as_it_is():
    prior = Prior(class_prior=[0.5, 0.5, 0, 0]).fit(ROWS, 4)
    assert prior.prior_.tolist() == [0.5, 0.5, 0, 0]
    assert prior.partial_fit(ROWS, 4).prior_.tolist() == [0.5, 0.5, 0, 0]


@pytest.mark.parametrize(
    "class_prior",
    [[0.5, 0.5], [0.5, 0.6, 0, 0], [1.5, -0.5, 0, 0], [np.nan, 1, 0, 0], [[0.25] * 4], "even", {0: 1}, [[0.5], [1, 2]]],
    ids=str,
)
def test_a_bad_prior_is_refused(class_prior):
    with pytest.raises(ValueError, match=r"'class_prior'.*must be 4 non-negative numbers that sum to 1.*Got"):
        Prior(class_prior=class_prior).fit(ROWS, 4)


def test_prior_needs_class_codes():
    with pytest.raises(ValueError, match="class codes"):
        Prior().fit(Rows(torch.zeros(2, 1)), 2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32])
def test_prior_of_codes_of_any_type(dtype):
    assert torch.equal(Prior().fit(Rows(ROWS.X, ROWS.y.to(dtype)), 4).prior_, Prior().fit(ROWS, 4).prior_)


@pytest.mark.parametrize("change", [4, 0.5])
def test_prior_refuses_other_codes(change):
    with pytest.raises(ValueError, match="The .y. parameter of Prior must be class codes from 0 to 3. Got others"):
        Prior().fit(Rows(ROWS.X, ROWS.y + change), 4)


def test_prior_is_fitted_first():
    with pytest.raises(NotFittedError, match="This Prior is not fitted yet"):
        Prior()(torch.zeros(2, 3), None)


def test_a_prior_may_be_a_tensor():
    given = torch.full((4,), 0.25, requires_grad=True)
    assert not Prior(given).fit(ROWS, 4).prior_.requires_grad


@pytest.mark.parametrize("shape", [(8, 3), (8, 2, 3)])
def test_prior_of_integer_inputs_is_floating(shape):
    assert Prior().fit(Rows(torch.zeros(shape, dtype=torch.int64), ROWS.y), 4).prior_.is_floating_point()


# Objects


@each_penalty
def test_clone_get_params_and_pickle(name):
    penalty = fitted(name)
    copy = clone(penalty)
    assert type(copy) is type(penalty)
    assert copy.get_params() == penalty.get_params()
    log_proba = log_proba_of([[0.0, 1.0, 2.0, 3.0]])
    assert torch.equal(pickle.loads(pickle.dumps(penalty))(log_proba, None), penalty(log_proba, None))


@each_penalty
def test_fit_returns_the_penalty_itself(name):
    penalty = make_penalty(name)
    assert penalty.fit(ROWS, 4) is penalty


def test_make_penalty_copies_an_object():
    mine = Confidence(entropy_threshold=0.3)
    made = make_penalty(mine)
    assert made is not mine
    assert made.entropy_threshold == 0.3


class Quadratic(BaseEstimator):
    """A user's own penalty that is no KL divergence."""

    def fit(self, rows, n_classes):
        return self

    def __call__(self, log_proba, batch):
        return (log_proba.exp() - 1 / log_proba.shape[-1]).square().sum(-1)


def test_make_penalty_takes_any_object_with_the_two_methods():
    assert isinstance(make_penalty(Quadratic()), Quadratic)


@pytest.mark.parametrize(
    "penalty",
    ["entropy", 3, None, Confidence, object(), lambda log_proba, batch: 0],
    ids=lambda wrong: type(wrong).__name__,
)
def test_make_penalty_refuses_what_is_none(penalty):
    with pytest.raises(ValueError, match=r"'kl_penalty' parameter must be one of \[.*'confidence'.*Got"):
        make_penalty(penalty)


@each_penalty
def test_runs_on_the_meta_device(name):
    penalty = make_penalty(name).fit(ROWS.to("meta"), 4)
    assert penalty(torch.zeros(3, 4, device="meta").log_softmax(-1), None).device.type == "meta"


def test_names_that_type_checkers_know():
    assert set(get_args(PenaltyName)) == set(PENALTIES)


class Array(Penalty):
    """A penalty whose parameter is an array."""

    def __init__(self, values=None):
        self.values = values


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Confidence(), Confidence(), True),
        (Confidence(0.5), Confidence(0.5), True),
        (Confidence(0.5), Confidence(0.6), False),
        (Confidence(), LabelSmoothing(), False),
        (Array(np.arange(3)), Array(np.arange(3)), True),
        (Array(np.arange(3)), Array(np.arange(4)), False),
        (Array(torch.ones(2)), Array(torch.ones(2)), True),
        (Array(torch.ones(2)), Array(np.ones(2)), False),
        (Array(torch.Generator().manual_seed(1)), Array(torch.Generator().manual_seed(1)), True),
        (Array(torch.Generator().manual_seed(1)), Array(torch.Generator().manual_seed(2)), False),
        (Quadratic(), Quadratic(), True),
        (Quadratic(), Confidence(), False),
    ],
)
def test_penalties_are_compared_by_value(one, other, same):
    assert adapted(one).has_parameters_of(adapted(other)) is same


def test_an_adapted_object_has_the_whole_interface():
    mine = Quadratic()
    penalty = adapted(mine)
    log_proba = torch.tensor([[0.9, 0.1]]).log()
    assert torch.equal(penalty.fit(ROWS, 4).partial_fit(ROWS, 4)(log_proba, None), mine(log_proba, None))
    assert not penalty.needs_net
    assert not penalty.uses_unlabeled
    penalty.check_net(None)
    assert adapted(Confidence()).needs_net is False
