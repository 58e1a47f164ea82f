"""
Learning something new without forgetting the old
=================================================

A network that is trained further forgets what it no longer sees. The cure is a teacher: the network as it was before,
from whose probabilities the new one is not to stray (`Li and Hoiem 2016 <https://arxiv.org/abs/1606.09282>`_). Which
rows carry the distillation loss makes all the difference, as handwritten digits show: first with new classes, then with
the old classes in a new guise. All numbers are means over five splits into training and test rows.
"""

# %%
# New classes
# -----------
# The network knows the digits 0 to 4; now come rows of 5 to 9. Every network here starts from the old weights
# (``init_from``) and gives probabilities to all ten classes (``teacher_classes``).

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
splits = [train_test_split(X, y, stratify=y, random_state=seed) for seed in range(5)]
settings = {"hidden_layer_sizes": (128,), "max_epochs": 40, "early_stopping": False, "random_state": 0}
settings |= {"learning_rate": "onecycle", "lr": 5e-3}


def going_on_from(before, **params):
    """Return an untrained network that starts as the one before, which is its teacher too."""
    return KLClassifier(init_from=before, **{"teacher": before, **settings, "augment": None, **params})


# %%
# There are two kinds of rows that a teacher can be asked about.
#
# - The new rows. The old network's probabilities for an 8 say how much it looks like a 3; with
#   ``teacher_classes="union"`` the new network is held to that, among the old classes only.
# - Old rows, whose labels are no longer needed, as ``X_unlabeled``. With ``distill_rows="unlabeled"`` only these carry
#   the distillation loss, and ``teacher_classes="closed"`` gives the new classes probability zero there.

no_teacher = {"teacher_classes": "union", "distill_weight": 0.0}
on_new_rows = {"teacher_classes": "union", "distill_weight": 0.5}
on_old_rows = {"teacher_classes": "closed", "distill_weight": 1.0, "distill_rows": "unlabeled"}

# parameters, number of old rows with a label, number of old rows without (None: all of them, about 680)
ways = {
    "new rows only, no teacher": (no_teacher, 0, 0),
    "new rows only, teacher": (on_new_rows, 0, 0),
    "25 labelled old rows, no teacher": (no_teacher, 25, 0),
    "25 unlabelled old rows, teacher": (on_old_rows, 0, 25),
    "the same and synthetic rows": ({**on_old_rows, "augment": "auto"}, 0, 25),
    "all old rows unlabelled, teacher": (on_old_rows, 0, None),
    "all old rows labelled, no teacher": (no_teacher, None, 0),
}


def new_classes(X_train, X_test, y_train, y_test):
    """Return for each way the accuracy on old digits, on new ones, and on old ones if the answer must be an old one."""
    old, new = np.flatnonzero(y_train < 5), np.flatnonzero(y_train >= 5)
    is_old = y_test < 5
    before = FrozenEstimator(KLClassifier(**settings).fit(X_train[old], y_train[old]))
    results = []
    for params, n_labelled, n_unlabeled in ways.values():
        rows = np.concatenate([new, old[:n_labelled]])
        unlabeled = None if n_unlabeled == 0 else X_train[old[:n_unlabeled]]
        network = going_on_from(before, **params).fit(X_train[rows], y_train[rows], X_unlabeled=unlabeled)
        right = network.predict(X_test) == y_test
        among_old = network.predict_proba(X_test[is_old])[:, :5].argmax(axis=1) == y_test[is_old]
        results.append([right[is_old].mean(), right[~is_old].mean(), among_old.mean()])
    return results


measures = ["old digits", "new digits", "old digits among old"]
accuracies = np.mean([new_classes(*split) for split in splits], axis=0)
print(f"{'':34s}" + "".join(f"{measure:>22s}" for measure in measures))
for name, values in zip(ways, accuracies, strict=True):
    print(f"{name:34s}" + "".join(f"{value:22.3f}" for value in values))

fig, axis = plt.subplots(figsize=(8, 4), layout="constrained")
places = np.arange(len(ways))
for values, measure, marker in zip(accuracies.T, measures, "os^", strict=True):
    axis.plot(values, places, marker, label=measure, alpha=0.8, markersize=8)
axis.set_yticks(places, list(ways))
axis.invert_yaxis()
axis.grid(axis="y", alpha=0.3)
axis.set(xlabel="test accuracy", xlim=(-0.03, 1.03), title="digits 0 to 4, then 5 to 9")
axis.legend(loc="lower left")

# %%
# Without old rows no old digit is recognised any more: no row says that an old class may still be right. The teacher's
# word on the new rows does keep the old digits apart from each other, which is what Li and Hoiem measure, but that is
# of use only if somebody else says that a digit is an old one. What it takes are old rows, not their labels: the old
# network's probabilities are worth as much. Synthetic rows near a few old ones, labelled by the old network, add to
# that.
#
# Known classes in a new guise
# ----------------------------
# The network knows upright digits; now come digits turned by 90 degrees, on which it is mostly wrong. This time both
# know the same classes, and the question is which rows carry the distillation loss.


def turned(X):
    """Return the images turned by 90 degrees."""
    return np.rot90(X.reshape(-1, 8, 8), axes=(1, 2)).reshape(len(X), -1)


counts = [0, 30, 100, 300]
heard_on = {"turned and upright rows": "all", "upright rows only": "unlabeled"}


def new_guise(X_train, X_test, y_train, y_test):
    """Return the accuracy before, then those on upright and turned digits by the rows with the distillation loss."""
    before = FrozenEstimator(KLClassifier(**settings).fit(X_train, y_train))

    def after(n_upright, distill_rows):
        distilled = n_upright > 0 or distill_rows == "all"
        params = {"distill_rows": distill_rows, "distill_weight": 0.5} if distilled else {"teacher": None}
        upright = X_train[:n_upright] if n_upright else None
        network = going_on_from(before, **params).fit(turned(X_train), y_train, X_unlabeled=upright)
        return network.score(X_test, y_test), network.score(turned(X_test), y_test)

    afterwards = [[after(n, distill_rows) for n in counts] for distill_rows in heard_on.values()]
    return before.score(X_test, y_test), afterwards


upright_before, afterwards = zip(*(new_guise(*split) for split in splits), strict=True)
accuracies = np.mean(afterwards, axis=0)
print(f"before: {np.mean(upright_before):.3f} of the upright digits are recognised")

fig, axis = plt.subplots(figsize=(7, 4), layout="constrained")
print("distillation loss on     upright rows  accuracy upright  turned")
for name, values, colour in zip(heard_on, accuracies, ["C1", "C0"], strict=True):
    for n, (upright, turned_ones) in zip(counts, values, strict=True):
        print(f"{name:24s} {n:12d}  {upright:16.3f}  {turned_ones:6.3f}")
    axis.plot(values[:, 0], color=colour, marker="o", label=f"upright digits, teacher on {name}")
    axis.plot(values[:, 1], color=colour, marker="s", linestyle="--", label=f"turned digits, teacher on {name}")
axis.set_xticks(range(len(counts)), counts)
axis.set(
    xlabel="unlabelled upright rows", ylabel="test accuracy", ylim=(0, 1.03), title="upright digits, then turned ones"
)
axis.legend(loc="lower right", fontsize="small")

# %%
# Without upright rows the blue lines begin with no teacher at all: turned digits are learned, upright ones forgotten.
# The distillation loss on every row holds the network to what the teacher thinks of turned digits, where it is wrong,
# and more than half of them stay unlearned, however many upright rows there are. With ``distill_rows="unlabeled"`` the
# labels say what turned digits are, and the teacher what upright ones are: 300 upright rows without labels keep nearly
# all of the old accuracy and cost nothing of the new.
plt.show()
