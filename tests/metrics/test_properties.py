"""What holds for every metric, whatever the rows: found by search for a counterexample."""

import math
from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sklkl.metrics import (
    calibration_kl,
    d2_kl_score,
    inception_score,
    mean_js_divergence,
    mean_kl_divergence,
    mean_reverse_kl_divergence,
    prior_shift_kl,
    teacher_agreement,
)


def top1(y_true, y_proba, *, labels=None, **options):
    """Labels or soft labels as a teacher."""
    truth = np.eye(len(labels))[[labels.index(y) for y in y_true]] if np.ndim(y_true) == 1 else y_true
    return teacher_agreement(truth, y_proba, **options).top1


# metric: its least and greatest value, exact or up to rounding
BOUNDS = {
    mean_kl_divergence: (0, math.inf),
    mean_reverse_kl_divergence: (0, math.inf),
    mean_js_divergence: (0, math.log(2)),
    calibration_kl: (0, math.inf),
    prior_shift_kl: (0, math.inf),
    d2_kl_score: (-math.inf, 1),
    top1: (0, 1),
}


@st.composite
def problems(draw):
    """Return labels of names, predictions with ties and zeros, whole weights, and all names."""
    k, n = draw(st.integers(2, 4)), draw(st.integers(2, 10))
    names = [f"class {i}" for i in range(k)]
    row = st.lists(st.integers(0, 4), min_size=k, max_size=k).filter(any)
    counts = np.array(draw(st.lists(row, min_size=n, max_size=n)), dtype=float)
    y = draw(st.lists(st.sampled_from(names), min_size=n, max_size=n))
    weight = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(lambda w: np.count_nonzero(w) > 1))
    return np.array(y), counts / counts.sum(1, keepdims=True), np.array(weight), names


def same(a, b):
    return np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


# Every example is tried on all metrics and kinds of truth.
examples = settings(max_examples=12)


def truths(y, proba, names):
    """Labels, and soft labels of the other end of the table."""
    return y, proba[::-1].copy(), np.eye(len(names))[[names.index(label) for label in y]]


@examples
@given(problems())
def test_weights_are_repetitions(problem):
    y, proba, weight, names = problem
    for metric, truth in product(BOUNDS, truths(y, proba, names)):
        weighted = metric(truth, proba, sample_weight=weight, labels=names)
        repeated = metric(np.repeat(truth, weight, axis=0), np.repeat(proba, weight, axis=0), labels=names)
        assert same(weighted, repeated), metric


@examples
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(problem, random):
    y, proba, weight, names = problem
    order = np.array(random.sample(range(len(y)), len(y)))
    for metric, truth in product(BOUNDS, truths(y, proba, names)):
        value = metric(truth, proba, sample_weight=weight, labels=names)
        assert same(value, metric(truth[order], proba[order], sample_weight=weight[order], labels=names)), metric


@examples
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(problem, random):
    y, proba, weight, names = problem
    proba = (proba + np.eye(len(names))[proba.argmax(1)]) / 2  # of tied classes the first counts: no ties here
    order = random.sample(range(len(names)), len(names))
    renamed = [names[i] for i in order]
    for metric, truth in product(BOUNDS, truths(y, proba, names)):
        value = metric(truth, proba, sample_weight=weight, labels=names)
        turned = truth if truth.ndim == 1 else truth[:, order]
        assert same(value, metric(turned, proba[:, order], sample_weight=weight, labels=renamed)), metric


@examples
@given(problems(), st.sampled_from([0.0, 0.1]))
def test_bounds(problem, smoothing):
    y, proba, weight, names = problem
    for metric, truth in product(BOUNDS, truths(y, proba, names)):
        least, greatest = BOUNDS[metric]
        options = {} if metric is top1 else {"smoothing": smoothing}
        value = metric(truth, proba, sample_weight=weight, labels=names, **options)
        assert least <= value <= greatest + 1e-12, metric
        assert math.isfinite(value) or not smoothing, metric


@examples
@given(problems())
def test_one_hot_rows_are_labels(problem):
    y, proba, weight, names = problem
    one_hot = np.eye(len(names))[[names.index(label) for label in y]]
    for metric in BOUNDS:
        value = metric(y, proba, sample_weight=weight, labels=names)
        assert same(value, metric(one_hot, proba, sample_weight=weight, labels=names))


@examples
@given(problems())
def test_inception_score_is_between_one_and_the_number_of_classes(problem):
    _, proba, weight, names = problem
    assert 1 <= inception_score(proba, sample_weight=weight) <= len(names) * (1 + 1e-12)
