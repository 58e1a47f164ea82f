"""
How strong should a KL penalty be?
==================================

A network that is trained long enough becomes more confident than it should be.
A KL penalty works against that, and its strength is a hyperparameter. Here are
two penalties on handwritten digits, once with clean labels and once with
30 % of the training labels drawn anew at random, and what the history tells of
one training.
"""

# %%
# Strength against test log-loss
# ------------------------------
# A third of the digits to train on: few rows, so that there is something to
# overfit. The same small network for every strength, trained to the end: early
# stopping, dropout and weight decay, which are on by default, would hide what
# the penalty does. Four splits, each with a network, and noise, of its own.
# What counts is the change from no penalty on the same split, as the splits
# differ more than the strengths. All strengths are trained in a stack.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier
from sklkl.inspection import TrainingDisplay
from sklkl.model_selection import StackedGridSearchCV

X, y = load_digits(return_X_y=True)
strengths = [0.0, 0.01, 0.03, 0.1, 0.3]
penalties = ["confidence", "label_smoothing"]
n_splits = 4

plain = KLClassifier(
    hidden_layer_sizes=(128,),
    dropout=0.0,
    weight_decay=0.0,
    early_stopping=False,
    learning_rate="onecycle",
    lr=5e-3,
)


def split(seed, noise):
    """Return training and test rows, labels with noise in the former only."""
    order = np.random.RandomState(seed).permutation(len(y))
    train, test = train_test_split(
        order,
        train_size=600,
        stratify=y[order],
        random_state=seed,
    )
    rng = np.random.RandomState(seed)
    labels = y.copy()
    redrawn = train[rng.rand(len(train)) < noise]
    labels[redrawn] = rng.randint(10, size=len(redrawn))
    return labels, train, test


def test_log_loss(seed, noise):
    """Return the test log-loss on one split, by penalty and strength."""
    labels, train, test = split(seed, noise)
    search = StackedGridSearchCV(
        clone(plain).set_params(random_state=seed),
        [
            {"kl_strength": [0.0]},
            {"kl_penalty": penalties, "kl_strength": strengths[1:]},
        ],
        scoring="neg_log_loss",
        refit=False,
        cv=[(train, test)],
    )
    losses = -search.fit(X, labels).cv_results_["mean_test_score"]
    penalised = losses[1:].reshape(len(penalties), -1)
    return [[losses[0], *row] for row in penalised]


fig, axes = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
titles = {0.0: "clean labels", 0.3: "30 % drawn at random"}
colours = ["#0072B2", "#D55E00"]
looks = list(zip(penalties, colours, "os", strict=True))
places = np.arange(len(strengths))
print(f"{'change, strength':16s}", *[f"{s:14g}" for s in strengths])
for axis, (noise, title) in zip(axes, titles.items(), strict=True):
    runs = np.array([test_log_loss(seed, noise) for seed in range(n_splits)])
    changes = runs - runs[:, :, :1]
    means = changes.mean(axis=0)
    errors = changes.std(axis=0, ddof=1) / n_splits**0.5
    print(f"{title}: log-loss without penalty {runs[:, 0, 0].mean():.3f}")
    axis.axhline(0, color="0.6", linewidth=1)
    for k, (penalty, colour, marker) in enumerate(looks):
        mean, error = means[k], errors[k]
        cells = zip(mean, error, strict=True)
        row = [f"{m:+.3f} ± {e:.3f}" for m, e in cells]
        print(f"{penalty:16s}", *row)
        axis.errorbar(
            places + 0.08 * (k - 0.5),
            mean,
            error,
            color=colour,
            marker=marker,
            capsize=3,
            label=penalty,
        )
    axis.set(xlabel="kl_strength", title=title)
    axis.set_xticks(places, [f"{strength:g}" for strength in strengths])
axes[0].set_ylabel("change of test log-loss, nats")
handles, labels = axes[0].get_legend_handles_labels()
fig.legend(handles, labels, loc="outside upper center", ncols=2)
plt.show()

# %%
# With clean labels there is little to gain, and a strength of 0.3 does much
# harm. With noisy labels there is more to gain, and label smoothing's best
# strength is larger, but here too 0.3 is too much. What helps with noisy
# labels may do harm with clean ones, as its strength of 0.1 does: search it by
# log-loss. ``"label_smoothing"`` acts at smaller strengths than
# ``"confidence"``, which is bounded.
# :ref:`sphx_glr_auto_examples_plot_noisy_labels.py` goes on from here.
#
# What the penalty weighs
# -----------------------
# The history has every term of the loss under its own name, the strength
# included, so that the terms add up to ``train_loss``.
# :class:`~sklkl.inspection.TrainingDisplay` draws them beside the log-loss of
# a validation part, which has no penalty.

labels, train, _ = split(0, 0.3)
network = clone(plain).set_params(
    kl_strength=0.3,
    early_stopping=True,
    n_iter_no_change=None,
    random_state=0,
)
display = TrainingDisplay.from_estimator(network.fit(X[train], labels[train]))
display.axes_[0].set_title("confidence 0.3, 30 % drawn at random")
plt.show()
