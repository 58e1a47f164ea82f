"""
Survey points near the road
===========================

A model is fitted where points could be had, and used everywhere: the features
are distributed differently, what they say of the outcome is not. This is
covariate shift. Rows that resemble those of the target count more if they are
weighted by the ratio of the two densities, which
:class:`sklkl.drift.DensityRatioWeighter` estimates without any label of the
target. Here the rows are places in the mountains of Tennessee, from an
elevation model that matplotlib ships, and the question is which are high.
"""

# %%
# A corner and the whole map
# --------------------------
# 400 survey points, most of them near the north-western corner; the target
# are all places alike. A place is high if it is above the median, 516 m.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cbook import get_sample_data
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklkl import KLClassifier
from sklkl.drift import DensityRatioWeighter

with get_sample_data("jacksboro_fault_dem.npz") as file:
    height = file["elevation"]
north, east = np.indices(height.shape)
# in degrees from the north-western corner; columns and rows are 1/1200 apart
places = np.column_stack([east.ravel(), north.ravel()]) / 1200
is_high = (height > np.median(height)).ravel()
near = np.exp(-np.hypot(*places.T) / 0.06)


def drawn(seed):
    """Return survey points, and places of the target with their labels."""
    rng = np.random.default_rng(seed)
    survey = rng.choice(len(places), 400, p=near / near.sum())
    target = rng.choice(len(places), 2000)
    return survey, target


# %%
# A model that is too simple, and one that is not
# -----------------------------------------------
# A logistic regression in two coordinates cannot follow the land. A network
# can, where it has points. Each with the weights and without.

small = {"hidden_layer_sizes": 64, "dropout": 0.0, "max_epochs": 50}
MODELS = {
    "logistic regression": lambda: LogisticRegression(),
    "network": lambda: KLClassifier(**small, random_state=0),
}
losses, sizes = [], []
for seed in range(6):
    survey, target = drawn(seed)
    X, y = places[survey], is_high[survey]
    weighter = DensityRatioWeighter(LogisticRegression(), random_state=0)
    weighter.fit(X, y, X_target=places[target])
    sizes.append(weighter.effective_sample_size_)
    row = []
    for make in MODELS.values():
        for weight in (None, weighter.weights_):
            model = make().fit(X, y, sample_weight=weight)
            proba = model.predict_proba(places[target])
            row.append(log_loss(is_high[target], proba))
    losses.append(row)
losses = np.array(losses).reshape(-1, len(MODELS), 2)


def shown(values):
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {error:.3f}"


print("log-loss on the whole map, nats, 6 draws: mean ± standard error")
print(f"{'':20s} {'unweighted':>15s} {'weighted':>15s} {'gain':>15s}")
of_models = losses.transpose(1, 2, 0)
for name, (before, after) in zip(MODELS, of_models, strict=True):
    cells = map(shown, (before, after, before - after))
    print(f"{name:20s} " + " ".join(f"{cell:>15s}" for cell in cells))
chance = log_loss(is_high, np.full(len(is_high), is_high.mean()))
print(f"without any model: {chance:.3f}; ", end="")
print(f"400 weighted rows are worth {np.mean(sizes):.0f} of equal weight")

# %%
# What the weights do
# -------------------
# The last draw. Far points are few and get large weights (areas of the
# circles). The line of the logistic regression between low and high then is
# the best for the whole map, not for its corner.

plain = LogisticRegression().fit(X, y)
lines = [(plain, "unweighted", "-"), (weighter, "weighted", "--")]
grid = places.reshape(*height.shape, 2)
fig, axis = plt.subplots(figsize=(7.5, 6), layout="constrained")
image = axis.pcolormesh(*grid.transpose(2, 0, 1), height, cmap="Greys_r")
fig.colorbar(image, label="height, m")
for kind, colour, label in [(0, "#56B4E9", "low"), (1, "#E69F00", "high")]:
    chosen = y == kind
    area = 12 * weighter.weights_[chosen]
    style = {
        "c": colour,
        "label": f"{label}: survey",
        "edgecolors": "k",
        "lw": 0.4,
    }
    axis.scatter(*X[chosen].T, s=area, **style)
for model, label, line in lines:
    proba = model.predict_proba(places)[:, 1].reshape(height.shape)
    options = {"levels": [0.5], "colors": "#D55E00", "linewidths": 2.5}
    axis.contour(*grid.transpose(2, 0, 1), proba, linestyles=line, **options)
    axis.plot([], [], line, color="#D55E00", lw=2.5, label=label)
axis.set(xlabel="degrees east of the corner", ylabel="degrees south of it")
axis.invert_yaxis()
fig.legend(loc="outside upper center", ncols=4)
plt.show()

# %%
# Without weights the simple model is worse on the whole map than none at all.
# With them it is a little better than none: the weights make it the best line
# there is, and there is no good one. The network learns the land itself, where
# it has points: its gain is smaller, and not two standard errors. The price is
# in the last line of the table: most rows hardly count.
