"""
What a fit, a search and a model look like
==========================================

:mod:`sklkl.inspection` draws what the package measures, in the manner of
scikit-learn's displays: ``from_estimator`` computes and draws, the display
keeps the numbers, and ``plot`` draws them again. Here they are, for a network
that learns handwritten digits from 600 rows.
"""

# %%
# A training
# ----------
# Above the loss with its terms, which add up, and the log-loss of the
# validation part; below what the learning rate did. The validation part is
# measured with the mean of the weights of the last epochs, and without penalty
# or dropout. The dotted line is the epoch whose weights were kept.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import Distiller, KLClassifier
from sklkl.drift import DriftDetector
from sklkl.inspection import (
    DistillationDisplay,
    DivergenceMatrixDisplay,
    DriftDisplay,
    ReliabilityDisplay,
    StrengthCurveDisplay,
    TrainingDisplay,
)
from sklkl.model_selection import StackedGridSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, stratify=y, random_state=0
)

small = KLClassifier(hidden_layer_sizes=(128,), max_epochs=50, random_state=0)
penalty = {"kl_penalty": "label_smoothing", "kl_strength": 0.1}
network = clone(small).set_params(**penalty)
TrainingDisplay.from_estimator(clone(network).fit(X_train, y_train))
plt.show()

# %%
# A search
# --------
# Mean and standard error over the folds. The scores of all strengths go up and
# down together, as some folds are harder than others: differences between
# strengths are better known than the bars say.

# it has no effect at strength 0, as is meant here
warnings.filterwarnings("ignore", "The 'kl_penalty' parameter")
pipeline = make_pipeline(StandardScaler(), network)
search = StackedGridSearchCV(
    pipeline,
    {"klclassifier__kl_strength": [0, 0.003, 0.01, 0.03, 0.1, 0.3]},
    scoring=["neg_log_loss", "accuracy"],
    refit="neg_log_loss",
    cv=5,
)
search.fit(X_train, y_train)
metrics = ["neg_log_loss", "accuracy"]
StrengthCurveDisplay.from_estimator(search, metrics=metrics)
plt.show()

# %%
# Calibration
# -----------
# Does a prediction of 70 % come true in 70 % of the cases? Points above the
# diagonal are of a model that is less sure than it could be, points below of
# one that is too sure, and thin lines say what chance explains.

models = {
    "no penalty": make_pipeline(StandardScaler(), small).fit(X_train, y_train),
    "strength searched": search,
}
axes = None
for name, model in models.items():
    display = ReliabilityDisplay.from_estimator(
        model, X_test, y_test, name=name, ax=axes, counts=axes is None
    )
    axes = display.ax_
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{name:18s} test log-loss {loss:.3f}")
plt.show()

# %%
# Classes, or models, against each other
# --------------------------------------
# How far the mean predictions for the digits are from each other: where that
# is small, two digits are taken for one another.

display = DivergenceMatrixDisplay.from_estimator(search, X_test, y_test)
display.ax_.set(xlabel="digit of the column", ylabel="digit of the row")
plt.show()

# %%
# A distillation
# --------------
# What the student of a forest costs, and what it gives, on rows held out.

forest = RandomForestClassifier(random_state=0)
distiller = Distiller(small, forest, random_state=0).fit(X_train, y_train)
fig, axes = plt.subplots(2, 1, figsize=(7, 4.4), layout="constrained")
DistillationDisplay.from_estimator(distiller, ax=axes)
plt.show()

# %%
# Drift
# -----
# New digits, of which the third column of pixels is a little paler. Which
# pixels have drifted?

names = [f"row {i}, column {j}" for i in range(8) for j in range(8)]
paler = pd.DataFrame(X_test, columns=names)
paler.iloc[:, 2::8] = np.floor(0.9 * paler.iloc[:, 2::8])
detector = DriftDetector(null="asymptotic")
report = detector.fit(pd.DataFrame(X_train, columns=names)).detect(paler)
display = DriftDisplay(report).plot(max_columns=12)
plt.show()

# %%
# What moved in the first of them:

display.plot_shares(int(display.columns_[0]))
plt.show()
