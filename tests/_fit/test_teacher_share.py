"""How much of the soft targets is the teacher's."""

import numpy as np
import pytest
import torch

from sklkl._fit.teacher_share import best_share, clearly_loses, clearly_worse, mixed


def models(n_rows=20_000, share=0.5, seed=0):
    """Probabilities of two models that know different things, and classes drawn from their mixture."""
    random = np.random.RandomState(seed)
    alone, teacher = (torch.tensor(2 * random.randn(n_rows, 3)).softmax(-1) for _ in range(2))
    truth = mixed(alone, teacher, share).numpy()
    return alone, teacher, torch.from_numpy((truth.cumsum(1) < random.uniform(size=(n_rows, 1))).sum(1))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_known_share_is_recovered(share):
    assert best_share(*models(share=share)) == pytest.approx(share, abs=0.03)


def test_a_teacher_that_adds_nothing_has_none():
    alone, teacher, y = models(share=0.0)
    assert best_share(alone, teacher, y) == 0
    assert best_share(alone, alone, y) == 0
    assert best_share(alone, torch.zeros_like(alone), y) == 0


def test_a_teacher_that_knows_all_has_nearly_all():
    assert best_share(*models(share=1.0)) > 0.97


def test_a_gain_that_may_be_chance_is_none():
    """On few rows; the same share, found on many, counts."""
    found = [best_share(*models(20, share=0.05, seed=seed)) for seed in range(100)]
    assert np.mean(np.array(found) == 0) > 0.5
    assert best_share(*models(50_000, share=0.05)) > 0
    assert best_share(*models(50_000, share=0.02)) == 0


def test_a_weight_is_so_many_rows():
    alone, teacher, y = models(400)
    weight = torch.from_numpy(np.random.RandomState(1).randint(4, size=400))
    repeated = [values.repeat_interleave(weight, dim=0) for values in (alone, teacher, y)]
    assert best_share(alone, teacher, y, weight) == pytest.approx(best_share(*repeated), rel=1e-3)
    assert best_share(alone, teacher, y, 1e-9 * weight) == pytest.approx(best_share(*repeated), rel=1e-3)
    assert best_share(alone, teacher, y) != pytest.approx(best_share(*repeated), rel=1e-3)


def test_several_labels_share_one_number():
    alone, teacher, y = models(4000)
    binary = [torch.stack([1 - p, p], dim=-1) for p in (alone, teacher)]
    on = torch.nn.functional.one_hot(y, 3)
    assert 0.2 < best_share(*binary, on) < 0.8


def test_rows_of_which_the_teacher_says_nothing_stay_so():
    alone, teacher, _ = models(4)
    teacher[2] = 0
    found = mixed(alone, teacher, 0.25)
    torch.testing.assert_close(found[[0, 1, 3]], (0.75 * alone + 0.25 * teacher)[[0, 1, 3]])
    assert (found[2] == 0).all()


# What a teacher was told


def answers(right, n_rows=400, confidence=0.9, seed=0):
    """Probabilities of two classes that are confident, and on a share of the rows right; classes; no weights."""
    random = np.random.RandomState(seed)
    y = random.randint(2, size=n_rows)
    on = np.where(random.uniform(size=n_rows) < right, y, 1 - y)
    proba = np.where(np.eye(2, dtype=bool)[on], confidence, 1 - confidence)
    return torch.from_numpy(proba), torch.from_numpy(y), None


@pytest.mark.parametrize("confidence", [0.7, 1.0])
def test_a_teacher_that_was_told_something_else_is_worse_on_what_it_knows(confidence):
    assert clearly_worse(answers(0.7, confidence=confidence), answers(0.9, 100, confidence=confidence))
    assert not clearly_worse(answers(1.0, confidence=confidence), answers(0.9, 100, confidence=confidence))


def test_one_row_of_probability_zero_does_not_outweigh_the_others():
    known, unseen = answers(0.6), answers(1.0, 100, confidence=0.99)
    unseen[0][0] = 1 - torch.nn.functional.one_hot(unseen[1][0], 2)
    assert clearly_worse(known, unseen)


def test_rows_that_are_compared_have_weights():
    proba, y, _ = known = answers(0.7)
    right = (proba.argmax(1) == y).double()
    assert clearly_worse(known, answers(0.9, 100))
    assert not clearly_worse((proba, y, right), answers(0.9, 100))
    assert clearly_worse((proba, y, 1e-9 * (2 - right)), answers(0.9, 100))


def test_labels_of_their_own_are_compared_together():
    proba, y, _ = answers(0.7)
    good, codes, _ = answers(0.9, 100)
    assert clearly_worse(
        (torch.stack([proba, proba], 1), torch.stack([y, y], 1), None), (good[:, None], codes[:, None], None)
    )


@pytest.mark.parametrize("weight", [None, torch.ones(20_000)])
def test_a_student_loses_that_is_worse_by_more_than_chance(weight):
    alone, teacher, y = models(share=0.1)
    assert clearly_loses(teacher, alone, y, weight)
    assert not clearly_loses(alone, teacher, y, weight)
    assert not clearly_loses(alone, alone, y, weight)
