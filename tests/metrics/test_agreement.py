"""Agreement of student and teacher."""

import math

import numpy as np
import pytest

from sklkl.metrics import TeacherAgreement, teacher_agreement

from . import oracles


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    return random.dirichlet(np.ones(3), 40), random.dirichlet(np.ones(3), 40), random.random(40)


def test_values(pair):
    t, p, w = pair
    for weight in (None, w):
        expected = (oracles.mean(oracles.kl(t, p), weight), oracles.mean(oracles.js(t, p), weight))
        agreement = teacher_agreement(t, p, sample_weight=weight)
        assert isinstance(agreement, TeacherAgreement)
        assert agreement == pytest.approx((*expected, oracles.top1(t, p, weight)), rel=1e-12)
        assert 0 < agreement.top1 < 1


def test_a_copy_agrees_exactly(pair):
    assert teacher_agreement(pair[0], pair[0]) == (0, 0, 1)
    assert teacher_agreement(pair[0], pair[0].astype(np.float32)).top1 == 1


def test_the_first_of_tied_classes_counts():
    assert teacher_agreement([[0.4, 0.4, 0.2]], [[0.5, 0.3, 0.2]]).top1 == 1
    assert teacher_agreement([[0.4, 0.4, 0.2]], [[0.3, 0.5, 0.2]]).top1 == 0


def test_one_column_is_the_second_of_two_classes():
    assert teacher_agreement([0.2, 0.9], [0.4, 0.3]).top1 == 0.5
    assert teacher_agreement([0.2, 0.9], [[0.8, 0.2], [0.1, 0.9]]).kl == pytest.approx(0, abs=1e-30)


def test_zeros_and_smoothing():
    agreement = teacher_agreement([[0.5, 0.5]], [[1.0, 0.0]])
    assert agreement.kl == math.inf
    assert agreement.js < math.log(2)
    assert math.isfinite(teacher_agreement([[0.5, 0.5]], [[1.0, 0.0]], smoothing=0.1).kl)


def test_nan_is_no_disagreement(pair):
    t, p, _ = pair
    assert np.isnan(teacher_agreement(np.where(t == t[3, 1], np.nan, t), p)).all()
    assert np.isnan(teacher_agreement(t, np.where(p == p[3, 1], np.nan, p))).all()


def test_errors_name_the_teacher(pair):
    t, p, _ = pair
    for teacher, message in [
        (t[:5], "'teacher_proba' and 'y_proba' parameters .* Got 5 and 40 rows"),
        (t[:, :2] / t[:, :2].sum(1, keepdims=True), "'teacher_proba' parameter must be of 3 classes.* Got 2 classes"),
        (-t, r"'teacher_proba' parameter must be .* Got \[-.* in row 0 instead"),
        (2 * t, "'teacher_proba' parameter must be .* Got .* of the sum 2 in row 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            teacher_agreement(teacher, p)
