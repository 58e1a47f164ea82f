"""
A forest's knowledge in a small network
=======================================

Trees find thresholds that a network learns slowly; a network predicts in a fraction of a forest's time. A small network
that learns from the probabilities of a forest, also those of rows that nobody labelled, has something of both.
"""

# %%
# What a teacher adds
# -------------------
# A pattern made for trees: a chessboard of which 600 points are known, 5 % of them with the wrong label. The forest
# gives the student probabilities for these points and for five times as many new ones near them, which is what
# ``teacher`` does by default.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import Distiller, KLClassifier


def chessboard(n_rows, seed):
    """Return points in a square of 4 x 4 fields and their colours, 5 % of them wrong."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    colour = np.floor(2 * X).sum(axis=1) % 2 == 1
    return X, colour ^ (rng.random(n_rows) < 0.05)


X, y = chessboard(600, seed=0)
X_test, y_test = chessboard(10_000, seed=1)

teacher = RandomForestClassifier(random_state=0).fit(X, y)
small = KLClassifier(hidden_layer_sizes=(128, 128), dropout=0.0, learning_rate="onecycle", random_state=0)
alone = clone(small).fit(X, y)
taught = clone(small).set_params(teacher=FrozenEstimator(teacher), distill_weight=0.9).fit(X, y)

fig, axes = plt.subplots(1, 4, figsize=(12, 3.4), sharey=True, layout="compressed")
axes[0].scatter(*X.T, c=y, cmap="RdBu", s=6)
axes[0].set(title="600 points, 5 % wrong", ylabel="second feature", yticks=[-1, 0, 1])
models = {"forest, the teacher": teacher, "network, labels only": alone, "network, taught": taught}
for axis, (name, model) in zip(axes[1:], models.items(), strict=True):
    display = DecisionBoundaryDisplay.from_estimator(
        model, X, response_method="predict_proba", class_of_interest=True, plot_method="pcolormesh", shading="auto",
        cmap="RdBu", vmin=0, vmax=1, grid_resolution=150, eps=0, ax=axis, xlabel="", ylabel="",
    )  # fmt: skip
    axis.set_title(f"{name}\nlog-loss {log_loss(y_test, model.predict_proba(X_test)):.2f} nats")
for axis in axes:
    axis.set(xlabel="first feature", aspect="equal", xlim=(-1, 1), ylim=(-1, 1), xticks=[-1, 0, 1])
fig.colorbar(display.surface_, ax=axes, label="probability of blue", pad=0.01)

# %%
# Taught, the network draws the board as well as the forest, and more smoothly. A teacher helps where a network is too
# small, or its rows are too few, to find the pattern alone. One with six times the weights needs no teacher here:

large = clone(small).set_params(hidden_layer_sizes=(384, 256))
for name, model in {"labels only": clone(large), "taught": clone(large).set_params(teacher=taught.teacher)}.items():
    print(f"large network, {name}: log-loss {log_loss(y_test, model.fit(X, y).predict_proba(X_test)):.2f} nats")

# %%
# What it costs and gains
# -----------------------
# Now three real sets, of digits the first 600. :class:`sklkl.Distiller` trains teacher and student, and measures both
# on rows held out, beside a student without a teacher. Its report has the time per row when all these rows are
# predicted at once; the time of a row that comes alone is measured here. All figures are means of three splits.

sets = {"digits": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}
small = KLClassifier(hidden_layer_sizes=(64, 64), learning_rate="onecycle", distill_weight=0.5, device="cpu")
student = make_pipeline(StandardScaler(), small)


def milliseconds_for_one(model, X):
    """Return the median time of the prediction of one row."""
    times = []
    for row in range(20):
        start = time.perf_counter()
        model.predict_proba(X[row : row + 1])
        times.append(1e3 * (time.perf_counter() - start))
    return np.median(times)


def measured(X, y, seed):
    """Return log-loss, accuracy, and milliseconds per row, many at once or one alone, of each model."""
    distiller = Distiller(student, RandomForestClassifier(), report_fraction=0.3, random_state=seed).fit(X, y)
    students_time = milliseconds_for_one(distiller.student_, X)
    alone = {"teacher": milliseconds_for_one(distiller.teacher_, X)}
    return [
        (report["log_loss"], report["accuracy"], 1e3 * report["seconds_per_row"], alone.get(model, students_time))
        for model, report in distiller.report_.items()
    ]


models = ["teacher", "student", "student without teacher"]
results = {}
print(f"{'means of 3 splits':40s} log-loss  accuracy  ms a row: at once   alone")
for name, load in sets.items():
    X, y = (values[:600] for values in load(return_X_y=True))
    results[name] = np.mean([measured(X, y, seed) for seed in range(3)], axis=0)
    for model, (loss, accuracy, at_once, alone) in zip(models, results[name], strict=True):
        print(f"{name:14s} {model:25s} {loss:8.3f} {accuracy:9.3f} {at_once:18.4f} {alone:7.2f}")

# %%
# The forest is the more accurate by a point or two on digits and wine, but its probabilities are worse: it is
# underconfident, and where its trees agree, the other classes have a probability of 0. If the row is of such a class
# after all, as it happens on breast cancer, the log-loss is infinite. The student learns from probabilities that are
# corrected, given 200 rows, and needs a fraction of the time, the least for a row that comes alone.
#
# Its gain over the network without a teacher is not certain: there is one on digits; on breast cancer, and more so on
# wine, the labels alone do better. The default, ``distill_weight="auto"``, asks rows set aside what a teacher is worth.


def bars(axis, heights, labels, colours, text, top=np.inf):
    """Draw bars in a group for each set, with their heights written above them."""
    width = 0.8 / len(labels)
    for k, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        places = np.arange(len(sets)) + (k - (len(labels) - 1) / 2) * width
        drawn = axis.bar(places, np.minimum(heights[:, k], top), width, label=label, color=colour)
        axis.bar_label(drawn, [format(height, text).replace("inf", "∞") for height in heights[:, k]], fontsize=8)
    axis.set_xticks(np.arange(len(sets)), list(sets))
    axis.legend(fontsize=8)


figures = np.array(list(results.values()))  # set, model, measure
times = np.concatenate([figures[:, :2, 3], figures[:, :2, 2]], axis=1)
fig, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
bars(axes[0], figures[:, :, 0], models, ["C3", "C0", "C7"], ".3f", top=0.45)
axes[0].set(title="log-loss of held-out rows", ylabel="nats", ylim=(0, 0.5))
kinds = ["teacher, one row alone", "student, one row alone", "teacher, all rows at once", "student, all rows at once"]
bars(axes[1], times, kinds, ["C3", "C0", "#eea0a0", "#9cc9e8"], ".2g")
axes[1].set(title="time of a prediction", ylabel="ms per row", yscale="log", ylim=(0.003, 1000))
plt.show()
