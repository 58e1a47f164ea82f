"""
A forest's knowledge in a small network
=======================================

Trees find thresholds that a network learns slowly; a network predicts in a
fraction of a forest's time. A small network that learns from the probabilities
of a forest, also those of rows that nobody labelled, has something of both.
"""

# %%
# What a teacher adds
# -------------------
# A pattern made for trees: a chessboard of 6 x 6 fields of which 1,000 points
# are known, 5 % of them with the wrong label. The forest gives the student
# probabilities for these points and for five times as many new ones near them,
# which is what ``teacher`` does by default.

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
    """Return points in 6 x 6 fields and their colours, 5 % of them wrong."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n_rows, 2))
    colour = np.floor(3 * X).sum(axis=1) % 2 == 1
    return X, colour ^ (rng.random(n_rows) < 0.05)


X, y = chessboard(1000, seed=0)
X_test, y_test = chessboard(10_000, seed=1)

teacher = RandomForestClassifier(random_state=0).fit(X, y)
small = KLClassifier(
    hidden_layer_sizes=(128, 128),
    dropout=0.0,
    learning_rate="onecycle",
    random_state=0,
)
alone = clone(small).fit(X, y)
taught = clone(small).set_params(
    teacher=FrozenEstimator(teacher),
    distill_weight=0.9,
)
taught.fit(X, y)

fig, axes = plt.subplots(
    2,
    2,
    figsize=(7, 6.4),
    sharex=True,
    sharey=True,
    layout="constrained",
)
axes[0, 0].scatter(*X.T, c=y, cmap="RdBu", s=6)
axes[0, 0].set_title("1,000 points, 5 % wrong")
models = {
    "forest, the teacher": teacher,
    "network, labels only": alone,
    "network, taught": taught,
}
for axis, (name, model) in zip(axes.flat[1:], models.items(), strict=True):
    display = DecisionBoundaryDisplay.from_estimator(
        model,
        X,
        response_method="predict_proba",
        class_of_interest=True,
        plot_method="pcolormesh",
        shading="auto",
        cmap="RdBu",
        vmin=0,
        vmax=1,
        grid_resolution=150,
        eps=0,
        ax=axis,
        xlabel="",
        ylabel="",
    )
    loss = log_loss(y_test, model.predict_proba(X_test))
    axis.set_title(f"{name}\nlog-loss {loss:.2f} nats")
for axis in axes.flat:
    axis.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1))
    axis.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axis.label_outer()
fig.supxlabel("first feature")
fig.supylabel("second feature")
fig.colorbar(display.surface_, ax=axes, label="probability of blue")
plt.show()

# %%
# From the labels alone the network learns some of the fields, mostly those at
# the edges; taught, it draws nearly all of them. Three boards with other
# points and other networks:

losses = []
for seed in range(3):
    X, y = chessboard(1000, seed=10 + seed)
    forest = RandomForestClassifier(random_state=seed).fit(X, y)
    alone.set_params(random_state=seed).fit(X, y)
    taught.set_params(random_state=seed, teacher=FrozenEstimator(forest))
    taught.fit(X, y)
    board = [forest, alone, taught]
    losses.append([log_loss(y_test, m.predict_proba(X_test)) for m in board])
change = np.subtract(losses, np.transpose(losses)[1][:, None])
error = change.std(axis=0, ddof=1) / len(change) ** 0.5
for name, loss, m, e in zip(
    models,
    np.mean(losses, axis=0),
    change.mean(axis=0),
    error,
    strict=True,
):
    print(f"{name:21s} log-loss {loss:.3f}, change {m:+.3f} ± {e:.3f}")

# %%
# The forest is made for this pattern. The network that it teaches goes more
# than half of the way from the network of labels alone to it. On a board of
# 4 x 4 fields there is hardly a way to go: the network sees each column also
# as steps at four of its quantiles, and finds such fields by itself.
#
# What it costs and gains
# -----------------------
# Now three real sets, of digits the first 600. :class:`sklkl.Distiller` trains
# teacher and student, and measures both on rows held out, beside a student
# without a teacher. Its report has the time per row when all these rows are
# predicted at once; the time of a row that comes alone is measured here. All
# figures are means of three splits.

sets = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
}
small = KLClassifier(
    hidden_layer_sizes=(64, 64),
    learning_rate="onecycle",
    distill_weight=0.5,
    device="cpu",
)
student = make_pipeline(StandardScaler(), small)


def milliseconds_for_one(model, X):
    """Return the median time of the prediction of one row."""
    times = []
    for row in range(10):
        start = time.perf_counter()
        model.predict_proba(X[row : row + 1])
        times.append(1e3 * (time.perf_counter() - start))
    return np.median(times)


def measured(X, y, seed):
    """Return the figures of each model on one split."""
    distiller = Distiller(
        student,
        RandomForestClassifier(n_estimators=50),
        report_fraction=0.3,
        random_state=seed,
    ).fit(X, y)
    students_time = milliseconds_for_one(distiller.student_, X)
    alone = {"teacher": milliseconds_for_one(distiller.teacher_, X)}
    return [
        (
            report["log_loss"],
            report["accuracy"],
            1e3 * report["seconds_per_row"],
            alone.get(model, students_time),
        )
        for model, report in distiller.report_.items()
    ]


models = ["teacher", "student", "student without teacher"]
results = {}
print(f"{'means of 3 splits':40s} log-loss  accuracy  ms a row: all  one")
for name, load in sets.items():
    X, y = (values[:600] for values in load(return_X_y=True))
    runs = [measured(X, y, seed) for seed in range(3)]
    results[name] = np.mean(runs, axis=0)
    for model, figures in zip(models, results[name], strict=True):
        loss, accuracy, at_once, alone = figures
        print(
            f"{name:14s} {model:25s} {loss:8.3f} {accuracy:9.3f}",
            f"{at_once:13.4f} {alone:5.2f}",
        )

# %%
# In accuracy they are alike, but the forest's probabilities are worse: it is
# underconfident, and where its trees agree, the other classes have a
# probability of 0. If the row is of such a class after all, as it happens on
# breast cancer, the log-loss is infinite. The student learns from
# probabilities that are corrected, given 200 rows, and needs a fraction of the
# time, the least for a row that comes alone.
#
# Its gain over the network without a teacher is not certain: there is one on
# wine, and a small one on digits; on breast cancer the labels alone do better.
# The default, ``distill_weight="auto"``, asks rows set aside what a teacher is
# worth.


def bars(heights, labels, colours, text, top=np.inf):
    """Draw bars in a group for each set, their heights written above them."""
    fig, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    width = 0.8 / len(labels)
    for k, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        shift = (k - (len(labels) - 1) / 2) * width
        drawn = axis.bar(
            np.arange(len(sets)) + shift,
            np.minimum(heights[:, k], top),
            width,
            label=label,
            color=colour,
            edgecolor="white",
        )
        words = [f"{height:{text}}" for height in heights[:, k]]
        words = [word.replace("inf", "∞") for word in words]
        axis.bar_label(drawn, words, fontsize=8)
    axis.set_xticks(np.arange(len(sets)), list(sets))
    fig.legend(loc="outside upper center", ncols=2)
    return axis


figures = np.array(list(results.values()))  # set, model, measure
colours = ["#D55E00", "#0072B2", "#999999"]
axis = bars(figures[:, :, 0], models, colours, ".3f", top=0.45)
axis.set(ylabel="log-loss of held-out rows, nats", ylim=(0, 0.5))
plt.show()

# %%
# The times, on a logarithmic scale:

times = np.concatenate([figures[:, :2, 3], figures[:, :2, 2]], axis=1)
kinds = [
    "teacher, one row alone",
    "student, one row alone",
    "teacher, all rows at once",
    "student, all rows at once",
]
colours = ["#D55E00", "#0072B2", "#E69F00", "#56B4E9"]
axis = bars(times, kinds, colours, ".2g")
axis.set(ylabel="time of a prediction, ms per row", yscale="log")
axis.set_ylim(top=3 * times.max())
plt.show()
