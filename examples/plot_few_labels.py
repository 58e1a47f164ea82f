"""
Few labels, many rows
=====================

Rows are cheap and labels are not. Two ways to learn from rows without a label:
``"vat"``, a KL penalty on predictions that change when a row changes a little,
and a teacher that spreads the labels to neighbours. What does each give,
against the number of labels?
"""

# %%
# The ways
# --------
# Five hundred handwritten digits, of which 20 to 300 have a label; the others
# of the 1,797 are the test rows. Three splits.
#
# The terms of the loss are means over all rows of a batch, with a label or
# without. So the fewer have one, the less the labels weigh beside a penalty on
# all rows, and a strength that is right for 300 labels drowns 20. Here it is
# in proportion to the share of rows with a label. ``max_epochs`` counts passes
# over the rows with labels, the network sees at most as many again without.
#
# The teacher is scikit-learn's ``LabelSpreading``, which needs rows without
# labels when it is fitted; it comes ready, in a ``FrozenEstimator``.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading

from sklkl import KLClassifier

X, y = load_digits(return_X_y=True)
X /= 16
n_rows, n_splits, numbers = 500, 3, [20, 50, 100, 300]
network = KLClassifier(hidden_layer_sizes=(64,), random_state=0)


def fitted(X_train, y_train, X_unlabeled):
    """Return a model of each way."""
    n_labels = len(y_train)
    spreading = LabelSpreading(gamma=30, max_iter=100)
    unknown = np.full(len(X_unlabeled), -1)
    spreading.fit(
        np.concatenate([X_train, X_unlabeled]),
        np.concatenate([y_train, unknown]),
    )
    long = clone(network).set_params(max_epochs=30 * n_rows // n_labels)
    strength = 2 * n_labels / n_rows
    vat = clone(long).set_params(kl_penalty="vat", kl_strength=strength)
    taught = clone(long).set_params(
        teacher=FrozenEstimator(spreading),
        distill_weight=0.5,
    )
    return {
        "labels alone": clone(long).fit(X_train, y_train),
        '"vat"': vat.fit(X_train, y_train, X_unlabeled=X_unlabeled),
        "taught": taught.fit(X_train, y_train, X_unlabeled=X_unlabeled),
        "the teacher itself": spreading,
    }


def measured(n_labels, seed):
    """Return log-loss and accuracy of each way on one split."""
    options = {"stratify": y, "random_state": seed}
    X_some, X_test, y_some, y_test = train_test_split(
        X,
        y,
        train_size=n_rows,
        **options,
    )
    X_train, X_unlabeled, y_train, _ = train_test_split(
        X_some,
        y_some,
        train_size=n_labels,
        **options | {"stratify": y_some},
    )
    figures = {}
    for name, model in fitted(X_train, y_train, X_unlabeled).items():
        proba = model.predict_proba(X_test)
        accuracy = accuracy_score(y_test, proba.argmax(axis=1))
        figures[name] = [log_loss(y_test, proba), accuracy]
    return figures


runs = [[measured(n, seed) for seed in range(n_splits)] for n in numbers]
ways = list(runs[0][0])
results = np.array([[list(run.values()) for run in row] for row in runs])
mean = results.mean(axis=1)  # number of labels, way, measure
error = results.std(axis=1, ddof=1) / n_splits**0.5
print(f"{'log-loss, accuracy; labels:':28s}", *[f"{n:>13d}" for n in numbers])
for k, name in enumerate(ways):
    cells = [f"{loss:7.3f} {right:.3f}" for loss, right in mean[:, k]]
    print(f"{name:28s}", *cells)

# %%
# The teacher draws on the shape of the data: twenty labels take it far, though
# its probabilities are poor. The network that it teaches has nearly its
# accuracy and much better probabilities, as half of the loss of a row with a
# label is still that of the label. ``"vat"`` asks for less, no other model,
# and gives less: with 20 or 50 labels it is no use, with 100 and 300 it gains
# both accuracy and log-loss. What the teacher adds to the accuracy shrinks as
# labels become more.

fig, axes = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
looks = list(zip(ways, colours, "os^D", strict=True))
for measure, label in enumerate(["log-loss, nats", "accuracy"]):
    for k, (name, colour, marker) in enumerate(looks):
        axes[measure].errorbar(
            numbers,
            mean[:, k, measure],
            error[:, k, measure],
            color=colour,
            marker=marker,
            capsize=3,
            label=name,
        )
    axes[measure].set(xlabel="rows with a label", ylabel=f"test {label}")
    axes[measure].set_xscale("log")
    axes[measure].set_xticks(numbers, [str(n) for n in numbers])
    axes[measure].minorticks_off()
handles, labels = axes[0].get_legend_handles_labels()
fig.legend(handles, labels, loc="outside upper center", ncols=2)
plt.show()
