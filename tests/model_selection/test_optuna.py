"""The example of a search by Optuna, which ends fits that are behind."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "tuning_with_optuna.py"


def test_candidates_are_given_up_by_the_losses_of_their_epochs(quick, table):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    prune, n_epochs = runpy.run_path(str(EXAMPLE))["Prune"], []

    def objective(trial):
        # the first candidate learns, the others cannot
        lr = trial.suggest_float("lr", 1e-9, 1e-9) if trial.number else 0.05
        clf = quick(learning_rate="constant", lr=lr, max_epochs=5, early_stopping=True, callbacks=[prune(trial)])
        n_epochs.append(len(clf.fit(*table).history_))
        return clf.history_[-1, "valid_loss"]

    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    study.optimize(objective, n_trials=3)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert n_epochs == [5]
