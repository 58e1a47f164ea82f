"""
Columns in any unit
===================

A network learns badly from columns whose units differ: a large one saturates
it, a small one is not seen. The built-in network of
:class:`sklkl.KLClassifier` scales its inputs itself, by what it learns from
the training rows. Here the wines of scikit-learn are measured in other units,
and then from another zero.
"""

# %%
# Each column is multiplied by a number of its own, or shifted by a thousand of
# its standard deviations. The classifiers have their default parameters, and
# no scaler before them.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from sklkl import KLClassifier

X, y = load_wine(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.4, stratify=y, random_state=0
)
factors = 10 ** np.random.RandomState(0).uniform(-4, 4, X.shape[1])
moves = {
    "as given": lambda X: X,
    "other units": lambda X: X * factors,
    "another zero": lambda X: X + 1000 * X_train.std(axis=0),
}
classifiers = {
    "KLClassifier": KLClassifier(random_state=0),
    "scale_inputs=False": KLClassifier(scale_inputs=False, random_state=0),
    "MLPClassifier": MLPClassifier(random_state=0),
}
losses = {}
for name, classifier in classifiers.items():
    with warnings.catch_warnings():
        # two of them say that they have not converged
        warnings.simplefilter("ignore")
        probas = [
            classifier.fit(move(X_train), y_train).predict_proba(move(X_test))
            for move in moves.values()
        ]
    losses[name] = [
        log_loss(y_test, np.clip(proba, 1e-15, 1)) for proba in probas
    ]
    print(f"{name:20s}", " ".join(f"{loss:8.3f}" for loss in losses[name]))

# %%
# What the network sees of a column, proline here, are three views of it: one
# that is scaled by the interquartile range, with outliers clipped smoothly,
# the normal score of the rank, and four steps, each at a quantile.
# They are the same whatever the unit.
clf = KLClassifier(random_state=0).fit(X_train, y_train)
column = X.shape[1] - 1
middle = np.median(X_train, axis=0)
rows = torch.tensor(np.repeat(middle[None], 300, axis=0)).float()
rows[:, column] = torch.linspace(0, 2500, 300)
views = clf.module_.scaling(rows).detach()

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
places = np.arange(len(moves))
colours = ["#0072B2", "#56B4E9", "#999999"]
for i, (name, values) in enumerate(losses.items()):
    bars = {"width": 0.25, "label": name, "color": colours[i]}
    left.bar(places + 0.27 * (i - 1), values, **bars)
left.set(
    yscale="log",
    ylim=(0.005, 300),
    ylabel="log-loss on new rows (nats)",
    xticks=places,
    xticklabels=moves,
)
left.axhline(np.log(3), color="black", lw=0.8, ls=":")
left.legend(loc="upper left", frameon=False)
scaled = {"color": "#0072B2", "label": "smoothly clipped"}
ranked = {"color": "#D55E00", "ls": "--", "label": "normal score of the rank"}
right.plot(rows[:, column], views[:, column], **scaled)
right.plot(rows[:, column], views[:, X.shape[1] + column], **ranked)
steps = views[:, 2 * X.shape[1] :].reshape(300, 4, X.shape[1])[..., column]
stepped = {"color": "#999999", "lw": 0.8, "label": "steps at quantiles"}
right.plot(rows[:, column], steps[:, 0], **stepped)
right.plot(rows[:, column], steps[:, 1:], **stepped | {"label": None})
bottom = np.full(len(X_train), -3.3)
right.plot(X_train[:, column], bottom, "|", color="black", alpha=0.4)
right.set(xlabel="proline, as given", ylabel="what the network sees")
right.set(ylim=(-3.6, 3))
right.legend(loc="lower right", bbox_to_anchor=(1, 0.1), frameon=False)
plt.show()

# %%
# The dotted line is the loss of equal probabilities. Marks at the bottom of
# the right picture are the training rows.
