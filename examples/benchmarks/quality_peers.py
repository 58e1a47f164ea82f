"""Classifiers of other packages for ``quality.py --peers``, with defaults; boosted trees stop early.

Each is imported only if it is asked for: lightgbm, xgboost, catboost, and pytabkit for RealMLP and TabM.
"""

from importlib import import_module

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split

N_TREES, PATIENCE = 2000, 50


class EarlyStopped(ClassifierMixin, BaseEstimator):
    """Boosted trees that stop by 15 % of the rows, which every package wants to be told in another way."""

    def __init__(self, package="lightgbm", random_state=None):
        self.package = package
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        common = codes if np.bincount(codes).min() > 1 else None
        X, X_val, y, y_val = train_test_split(X, codes, test_size=0.15, stratify=common, random_state=self.random_state)
        self.model_ = getattr(self, "_" + self.package)()
        self.model_.fit(X, y, eval_set=[(X_val, y_val)], **self.how_)
        return self

    def predict_proba(self, X):
        proba = np.zeros((len(X), len(self.classes_)))
        proba[:, self.model_.classes_.astype(int)] = self.model_.predict_proba(X)
        return proba

    def _lightgbm(self):
        package = import_module("lightgbm")
        self.how_ = {"callbacks": [package.early_stopping(PATIENCE, verbose=False)]}
        return package.LGBMClassifier(n_estimators=N_TREES, n_jobs=1, verbose=-1, random_state=self.random_state)

    def _xgboost(self):
        self.how_ = {"verbose": False}
        return import_module("xgboost").XGBClassifier(
            n_estimators=N_TREES, early_stopping_rounds=PATIENCE, n_jobs=1, random_state=self.random_state
        )

    def _catboost(self):
        self.how_ = {"early_stopping_rounds": PATIENCE, "verbose": False}
        return import_module("catboost").CatBoostClassifier(
            iterations=N_TREES, thread_count=1, random_seed=self.random_state, allow_writing_files=False
        )


def tabular_network(name):
    """Return a network of pytabkit with its tuned defaults."""
    return getattr(import_module("pytabkit"), name)(device="cpu", n_threads=1)


PEERS = {
    "lightgbm": EarlyStopped,
    "xgboost": lambda: EarlyStopped("xgboost"),
    "catboost": lambda: EarlyStopped("catboost"),
    "realmlp": lambda: tabular_network("RealMLP_TD_Classifier"),
    "tabm": lambda: tabular_network("TabM_D_Classifier"),
}
