"""
Learning something new without forgetting the old
=================================================

A network that is trained further forgets what it no longer sees. The cure is a
teacher: the network as it was before, from whose probabilities the new one is
not to stray (`Li and Hoiem 2016 <https://arxiv.org/abs/1606.09282>`_). Which
rows carry the distillation loss makes all the difference, as handwritten
digits show: first with new classes, then with the old classes in a new guise.
Everything is done with five splits into training and test rows.
"""

# %%
# New classes
# -----------
# The network knows the digits 0 to 4; now come rows of 5 to 9. How many of the
# old digits does it still know afterwards? Every network here starts from the
# old weights (``init_from``) and gives probabilities to all ten classes
# (``teacher_classes``).

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
splits = [
    train_test_split(X, y, stratify=y, random_state=seed) for seed in range(5)
]
settings = {"hidden_layer_sizes": (128,), "max_epochs": 20, "random_state": 0}
settings |= {"early_stopping": False, "learning_rate": "onecycle", "lr": 5e-3}


def going_on_from(before, **params):
    """Return a network that starts as the one before, its teacher."""
    params = {"teacher": before, "augment": None} | params
    return KLClassifier(init_from=before, **settings, **params)


# %%
# There are two kinds of rows that a teacher can be asked about.
#
# - The new rows. The old network's probabilities for an 8 say how much it
#   looks like a 3; with ``teacher_classes="union"`` the new network is held to
#   that, among the old classes only.
# - Old rows, whose labels are no longer needed, as ``X_unlabeled``. With
#   ``distill_rows="unlabeled"`` only these carry the distillation loss, and
#   ``teacher_classes="closed"`` gives the new classes probability zero there.

no_teacher = {"teacher_classes": "union", "distill_weight": 0.0}
on_new_rows = {"teacher_classes": "union", "distill_weight": 0.5}
on_old_rows = {"teacher_classes": "closed", "distill_weight": 1.0}
on_old_rows |= {"distill_rows": "unlabeled"}
synthetic = {"augment": "auto"}

# parameters; number of old rows with a label; and without. There are about 680
ways = {
    "no old rows, no teacher": (no_teacher, 0, 0),
    "no old rows, teacher on the new": (on_new_rows, 0, 0),
    "25 labelled old rows, no teacher": (no_teacher, 25, 0),
    "25 unlabelled old rows, teacher": (on_old_rows, 0, 25),
    "the same and synthetic rows": (on_old_rows | synthetic, 0, 25),
    "all old rows unlabelled, teacher": (on_old_rows, 0, 1000),
    "all old rows labelled, no teacher": (no_teacher, 1000, 0),
}


def new_classes(X_train, X_test, y_train, y_test):
    """Return three accuracies for each way.

    These are on old digits, on new digits, and on old digits when the answer
    has to be an old one.
    """
    old, new = np.flatnonzero(y_train < 5), np.flatnonzero(y_train >= 5)
    is_old, results = y_test < 5, []
    before = KLClassifier(**settings).fit(X_train[old], y_train[old])
    for params, n_labelled, n_unlabelled in ways.values():
        rows = np.concatenate([new, old[:n_labelled]])
        shown = X_train[old[:n_unlabelled]] if n_unlabelled else None
        network = going_on_from(FrozenEstimator(before), **params)
        network.fit(X_train[rows], y_train[rows], X_unlabeled=shown)
        right = network.predict(X_test) == y_test
        best_old = network.predict_proba(X_test[is_old])[:, :5].argmax(axis=1)
        among_old = (best_old == y_test[is_old]).mean()
        results.append(
            [right[is_old].mean(), right[~is_old].mean(), among_old]
        )
    return results


measures = ["old digits", "new digits", "old among old"]
accuracies = np.array([new_classes(*split) for split in splits])
print(f"{'means of five splits':34s}" + "".join(f"{m:>15s}" for m in measures))
for name, values in zip(ways, accuracies.mean(axis=0), strict=True):
    print(f"{name:34s}" + "".join(f"{value:15.3f}" for value in values))

# %%
# The picture has the means and, as bars, the smallest and the largest of the
# five splits.

# blue, orange and green of Okabe and Ito, which everybody can tell apart
colours = ["#0072B2", "#E69F00", "#009E73"]


def with_range(axis, x, values, horizontal=False, **style):
    """Draw the means of the splits, and bars from smallest to largest."""
    mean = values.mean(axis=0)
    ends = [mean - values.min(axis=0), values.max(axis=0) - mean]
    points = (mean, x, None, ends) if horizontal else (x, mean, ends)
    axis.errorbar(*points, capsize=3, **style)


fig, axis = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
for k, measure in enumerate(measures):
    style = {"fmt": "os^"[k], "color": colours[k], "label": measure}
    places = np.arange(len(ways)) + 0.2 * (k - 1)
    with_range(axis, places, accuracies[:, :, k], horizontal=True, **style)
for place in np.arange(len(ways) - 1) + 0.5:
    axis.axhline(place, color="0.85", lw=0.8)
axis.set_yticks(range(len(ways)), list(ways))
axis.set(xlabel="test accuracy", xlim=(-0.03, 1.03))
axis.invert_yaxis()
fig.legend(loc="outside upper right", ncols=3, title="accuracy on")
plt.show()

# %%
# Without old rows no old digit is recognised any more: no row says that an old
# class may still be right. The teacher's word on the new rows does keep the
# old digits apart from each other, which is what Li and Hoiem measure, but
# that is of use only if somebody else says that a digit is an old one. What it
# takes are old rows, not their labels: the old network's probabilities are
# worth as much. Synthetic rows near a few old ones, labelled by the old
# network, add to that.
#
# Known classes in a new guise
# ----------------------------
# The network knows upright digits; now come digits turned by 90 degrees, on
# which it is mostly wrong. This time both know the same classes, and the
# question is which rows carry the distillation loss.


def turned(X):
    """Return the images turned by 90 degrees."""
    return np.rot90(X.reshape(-1, 8, 8), axes=(1, 2)).reshape(len(X), -1)


counts = [0, 30, 100, 300]
asked_on = {"all rows": "all", "upright rows only": "unlabeled"}


def new_guise(X_train, X_test, y_train, y_test):
    """Return accuracies on upright and turned digits: before, and after.

    The latter by the rows with the distillation loss and their number.
    """
    tests = [X_test, turned(X_test)]
    before = KLClassifier(**settings).fit(X_train, y_train)

    def after(n_upright, distill_rows):
        params = {"distill_rows": distill_rows, "distill_weight": 0.5}
        if n_upright == 0 and distill_rows == "unlabeled":
            params = {"teacher": None}  # there is nothing to ask it about
        network = going_on_from(FrozenEstimator(before), **params)
        upright = X_train[:n_upright] if n_upright else None
        network.fit(turned(X_train), y_train, X_unlabeled=upright)
        return [network.score(test, y_test) for test in tests]

    afterwards = [
        [after(n, rows) for n in counts] for rows in asked_on.values()
    ]
    return [before.score(test, y_test) for test in tests], afterwards


results = zip(*(new_guise(*split) for split in splits), strict=True)
before, afterwards = (np.array(part) for part in results)
print("teacher asked on   upright rows   upright  turned")
print(f"{'before':31s} {before[:, 0].mean():9.3f} {before[:, 1].mean():7.3f}")
for name, values in zip(asked_on, afterwards.mean(axis=0), strict=True):
    for n, (upright, askew) in zip(counts, values, strict=True):
        print(f"{name:18s} {n:12d} {upright:9.3f} {askew:7.3f}")

# %%
# Again with the means and the range of five splits; grey is the network
# before it has seen any turned digit.

fig, axes = plt.subplots(
    1, 2, figsize=(8, 3.8), sharey=True, layout="constrained"
)
places = np.arange(len(counts))
for k, guise in enumerate(["upright digits", "turned digits"]):
    axes[k].axhline(before[:, k].mean(), color="0.5", ls=":", label="before")
    for i, name in enumerate(asked_on):
        style = {"fmt": ["s--", "o-"][i], "color": colours[1 - i]}
        values = afterwards[:, i, :, k]
        label = f"after, teacher asked on {name}"
        with_range(axes[k], places, values, label=label, **style)
    axes[k].set_xticks(places, counts)
    axes[k].set(title=guise, xlabel="upright rows without labels")
axes[0].set(ylabel="test accuracy", ylim=(0, 1.03))
lines = axes[0].get_legend_handles_labels()
fig.legend(*lines, loc="outside upper center", ncols=3)
plt.show()

# %%
# Without upright rows the blue lines begin with no teacher at all: turned
# digits are learned, nearly half of the upright ones forgotten. A teacher
# asked on all rows holds the network to what it thinks of turned digits, where
# it is wrong, and more than half of them stay unlearned, however many upright
# rows there are. With ``distill_rows="unlabeled"`` the labels say what turned
# digits are, and the teacher what upright ones are: 300 upright rows without
# labels keep 0.94 of the old 0.97 and cost nothing of the new.
