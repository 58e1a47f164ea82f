"""Halving: the better half of the nets that compete is trained on, each as alone."""

import numpy as np

from sklkl import KLClassifier
from sklkl._fit import halving
from sklkl._fit.parameters import FitData
from sklkl._fit.row_losses import logits_of
from sklkl._fit.together import fit_together

STRENGTHS = (0.0, 30.0, 3.0, 300.0)
# Of four, two are left after an epoch and one after two; a net without others to compete with is trained to its end.
EPOCHS = [8, 1, 2, 1]
BETTER = (0.0, 3.0)


def fitted(table, halve_after, *, seeds=(0,), **params):
    X, y = table
    params = {"hidden_layer_sizes": (8,), "max_epochs": 8, "n_iter_no_change": None, "early_stopping": True, **params}
    classifiers = [KLClassifier(kl_strength=s, random_state=seed, **params) for seed in seeds for s in STRENGTHS]
    assert fit_together(classifiers, FitData(X, y), halve_after=halve_after) == [None] * len(classifiers)
    return classifiers


def n_epochs(classifiers):
    return [len(classifier.history_) for classifier in classifiers]


def test_the_better_half_is_trained_on(table):
    assert n_epochs(fitted(table, 1)) == EPOCHS


def test_the_next_halving_comes_after_twice_as_many_epochs(table):
    assert n_epochs(fitted(table, 3)) == [8, 3, 6, 3]


def test_nets_of_a_seed_compete_with_each_other(table):
    assert n_epochs(fitted(table, 1, seeds=(0, 1))) == EPOCHS * 2


def test_nets_of_seeds_of_their_own_compete_with_all(table):
    assert sorted(n_epochs(fitted(table, 1, seeds=(None,)))) == sorted(EPOCHS)


def test_nets_are_compared_at_their_temperatures(table, monkeypatch):
    compared = []
    monkeypatch.setattr(halving, "likely_temperature", lambda net, rows: compared.append(net.kl_strength) or 1.0)
    fitted(table, 4)
    assert sorted(compared) == sorted([*STRENGTHS, *BETTER])  # after four epochs, and after eight


def test_nets_without_a_temperature_are_compared_as_they_are(table, monkeypatch):
    monkeypatch.setattr(halving, "likely_temperature", None)
    assert n_epochs(fitted(table, 1, calibrate=False)) == EPOCHS


def test_who_is_left_is_as_trained_without_halving(table):
    halved, whole = (fitted(table, after, dtype="float64")[0] for after in (1, None))
    np.testing.assert_allclose(halved.predict_proba(table[0]), whole.predict_proba(table[0]), rtol=1e-9)


def test_without_a_validation_part_all_are_trained_to_their_end(table):
    assert n_epochs(fitted(table, 1, early_stopping=False)) == [8] * 4


def test_a_net_that_is_not_finite_is_the_worst(table, monkeypatch):
    def logits(net, rows):
        return logits_of(net, rows) * (1.0 if net.kl_strength else np.nan)

    monkeypatch.setattr(halving, "logits_of", logits)
    assert n_epochs(fitted(table, 1))[0] == 1
