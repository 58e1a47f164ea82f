"""A search by Optuna that gives up candidates early, by their validation loss.

A callback tells Optuna the validation log-loss of each epoch, and ends a fit
that is behind the median of those before. Needs ``pip install optuna``.

    python examples/tuning_with_optuna.py
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from skorch.callbacks import Callback

from sklkl import KLClassifier

try:
    import optuna
except ImportError:
    optuna = None


class Prune(Callback):
    """End a fit that Optuna does not think worth going on with."""

    def __init__(self, trial):
        self.trial = trial

    def on_epoch_end(self, net, **kwargs):
        epoch = len(net.history)
        self.trial.report(net.history[-1, "valid_loss"], epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned(f"after {epoch} epochs")


def classifier(params, callbacks=None):
    return KLClassifier(
        hidden_layer_sizes=(params["units"],),
        kl_strength=params["kl_strength"],
        max_epochs=20,
        random_state=0,
        callbacks=callbacks,
    )


def objective(trial, X, y):
    params = {
        "units": trial.suggest_int("units", 4, 128, log=True),
        "kl_strength": trial.suggest_float("kl_strength", 1e-3, 1, log=True),
    }
    clf = classifier(params, [Prune(trial)]).fit(X, y)
    return min(clf.history_[:, "valid_loss"])


def main():
    if optuna is None:
        print("Optuna is not installed, so there is nothing to show.")
        return
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=2),
    )
    study.optimize(lambda trial: objective(trial, X, y), n_trials=20)
    states = optuna.trial.TrialState
    for state in (states.COMPLETE, states.PRUNED):
        trials = study.get_trials(states=[state])
        epochs = sum(len(trial.intermediate_values) for trial in trials)
        counts = f"{len(trials):3d} trials, {epochs:4d} epochs"
        print(f"{state.name.lower():9s} {counts}")
    best = classifier(study.best_params).fit(X, y)
    print(f"best: {study.best_params}")
    print(f"test log-loss {log_loss(y_test, best.predict_proba(X_test)):.4f}")


if __name__ == "__main__":
    main()
