"""
What a fit, a search and a model look like
==========================================

:mod:`sklkl.inspection` draws what the package measures, in the manner of scikit-learn's displays: ``from_estimator``
computes and draws, the display keeps the numbers, and ``plot`` draws them again. Handwritten digits, 30 % of whose
training labels are replaced at random, give them something to show.
"""

# %%
# A training
# ----------
# Above the loss with its terms, which add up, and the log-loss of the validation part; below what the learning rate
# did. Both losses are those of noisy labels. The validation part is measured with the mean of the weights of the last
# epochs, and without penalty or dropout. The dotted line is the epoch whose weights were kept.

import matplotlib.pyplot as plt
import numpy as np
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
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
rng = np.random.RandomState(0)
y_noisy = np.where(rng.rand(len(y_train)) < 0.3, rng.randint(10, size=len(y_train)), y_train)

clf = KLClassifier(hidden_layer_sizes=(128,), kl_strength=0.1, random_state=0).fit(X_train, y_noisy)
TrainingDisplay.from_estimator(clf)
plt.show()

# %%
# A search
# --------
# Mean and standard error over the folds. Those of all strengths go up and down together, as some folds are harder than
# others: differences between strengths are better known than the bars say.

pipeline = make_pipeline(StandardScaler(), KLClassifier(hidden_layer_sizes=(128,), random_state=0))
search = StackedGridSearchCV(
    pipeline,
    {"klclassifier__kl_strength": [0, 0.01, 0.03, 0.1, 0.3, 1]},
    scoring=["neg_log_loss", "accuracy"],
    refit="neg_log_loss",
    cv=5,
)
search.fit(X_train, y_noisy)
StrengthCurveDisplay.from_estimator(search, metrics=["neg_log_loss", "accuracy"])
plt.show()

# %%
# Calibration
# -----------
# On clean labels: does a prediction of 70 % come true in 70 % of the cases? Points above the diagonal are of a model
# that is less sure than it could be; the test labels are clean, and the model has learned to expect noise.

none = pipeline.fit(X_train, y_noisy)
models = {"strength 0": none, "searched": search}
axis = None
for name, model in models.items():
    display = ReliabilityDisplay.from_estimator(model, X_test, y_test, name=name, ax=axis, counts=axis is None)
    axis = display.ax_
    print(f"{name:12s} test log-loss {log_loss(y_test, model.predict_proba(X_test)):.3f}")
plt.show()

# %%
# Classes, or models, against each other
# --------------------------------------
# How far the mean predictions for the digits are from each other: where that is small, two digits are taken for one
# another.

DivergenceMatrixDisplay.from_estimator(search, X_test, y_test)
plt.show()

# %%
# A distillation
# --------------
# What the student of a forest costs, and what it gives, on rows held out. The labels of these are as noisy as those of
# all others.

student = KLClassifier(hidden_layer_sizes=(64,), random_state=0)
distiller = Distiller(student, RandomForestClassifier(random_state=0), random_state=0).fit(X_train, y_noisy)
DistillationDisplay.from_estimator(distiller)
plt.show()

# %%
# Drift
# -----
# New digits, written with a paler pen on one side. Which pixels have drifted, and what moved in the first of them?

paler = X_test.copy()
paler[:, 2::8] = np.floor(paler[:, 2::8] * 0.7)
names = [f"row {row}, column {column}" for row in range(8) for column in range(8)]
detector = DriftDetector(null="asymptotic").fit(X_train)
report = detector.detect(paler)
display = DriftDisplay(report).plot(max_columns=12)
plt.show()

# %%
# One column of them:

display.plot_shares(int(display.columns_[0]))
plt.show()
