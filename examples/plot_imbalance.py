"""
A rare class: weights, a prior, or another threshold?
=====================================================

Where one class is rare, it is often said that the classes must be weighted.
What do class weights and a KL penalty towards the class frequencies do to the
probabilities, and what to the decisions?
"""

# %%
# One digit in ten
# ----------------
# Is it a nine? One digit in ten is, and the network sees only four numbers,
# the mean brightness of each quarter of the image, so that there is a lot that
# it cannot know. Eight splits into halves.
#
# Class weights train for a world in which both classes are equally frequent.
# As this world is known, the probabilities can be brought back to the true
# one: the odds are divided by the ratio of the weights ("weights, undone").

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import StratifiedShuffleSplit

from sklkl import KLClassifier
from sklkl.inspection import ReliabilityDisplay
from sklkl.metrics import calibration_kl

images, digits = load_digits(return_X_y=True)
X = images.reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
y = (digits == 9).astype(int)
share = y.mean()

network = KLClassifier(
    hidden_layer_sizes=(64,),
    dropout=0.0,
    weight_decay=0.0,
    early_stopping=False,
    max_epochs=50,
    random_state=0,
)
prior = {"kl_penalty": "prior", "kl_strength": 0.1}
uniform = {"kl_penalty": "label_smoothing", "kl_strength": 0.1}
models = {
    "nothing": network,
    "class weights": clone(network).set_params(class_weight="balanced"),
    "prior": clone(network).set_params(**prior),
    "label smoothing": clone(network).set_params(**uniform),
}


def predicted(train, test):
    """Return the probability of a nine for the test rows by model."""
    proba = {}
    for name, model in models.items():
        model.fit(X[train], y[train])
        proba[name] = model.predict_proba(X[test])[:, 1]
        if name == "class weights":
            nine, other = share * proba[name], (1 - share) * (1 - proba[name])
            proba["weights, undone"] = nine / (nine + other)
    return proba


def figures(truth, p):
    """Return what the table has of a model on one split."""
    both = np.column_stack([1 - p, p])
    return [
        log_loss(truth, p),
        calibration_kl(truth, both),
        p.mean(),
        balanced_accuracy_score(truth, p > 0.5),
        balanced_accuracy_score(truth, p > share),
    ]


columns = ["log-loss", "calibr. KL", "mean p", "at 1/2", "at share"]
splits = StratifiedShuffleSplit(n_splits=8, test_size=0.5, random_state=0)
table = {}
for train, test in splits.split(X, y):
    predictions = predicted(train, test)
    for name, p in predictions.items():
        table.setdefault(name, []).append(figures(y[test], p))
table = {name: np.array(rows) for name, rows in table.items()}
mean = {name: rows.mean(0) for name, rows in table.items()}
error = {n: rows.std(0, ddof=1) / 8**0.5 for n, rows in table.items()}

print(f"share of nines {share:.3f}; means of 8 splits ± standard error")
print(f"{'':16s}" + "".join(f"{name:>14s}" for name in columns))
for name in table:
    pairs = zip(mean[name], error[name], strict=True)
    cells = "".join(f"{m:6.3f} ± {e:.3f}" for m, e in pairs)
    print(f"{name:16s}{cells}")

# %%
# Class weights nearly double the share of nines that the network expects
# ("mean p"), and most of the log-loss that they cost is miscalibration. When
# they are undone, the probabilities are nearly what they were without. The
# penalties cost something here, where the network is not too sure; the one
# towards the class frequencies leaves the share of nines where it is, and
# label smoothing, whose target is one half, raises it.
#
# The last of the splits in a picture:

axis = None
for name in ["nothing", "class weights", "label smoothing"]:
    display = ReliabilityDisplay.from_predictions(
        y[test],
        predictions[name],
        name=name,
        ax=axis,
        counts=False,
    )
    axis = display.ax_
axis.set_xlabel("predicted probability of a nine")
axis.set_ylabel("observed frequency of nines")
plt.show()

# %%
# The decisions
# -------------
# Why then are weights said to help? Because a nine is seldom more likely than
# not, and at a threshold of one half few are called so. The balanced accuracy,
# to which nines and others count the same, gains by weights. It gains as much
# without them, if the threshold is the share of nines instead: probabilities
# that are right serve any threshold, and any costs of a mistake.

fig, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
places = np.arange(len(table))
thresholds = {3: ("1/2", "o", "#0072B2"), 4: ("its share", "s", "#D55E00")}
for k, (threshold, marker, colour) in thresholds.items():
    axis.errorbar(
        [mean[name][k] for name in table],
        places,
        xerr=[error[name][k] for name in table],
        fmt=marker,
        color=colour,
        capsize=3,
        label=f"a nine if more likely than {threshold}",
    )
axis.set_xlabel("balanced accuracy of the test rows")
axis.set_yticks(places, list(table))
axis.invert_yaxis()
axis.grid(axis="y", alpha=0.3)
fig.legend(loc="outside upper center", ncols=2)
plt.show()
