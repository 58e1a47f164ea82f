"""
How strong should a KL penalty be?
==================================

A network that is trained long enough becomes more confident than it should be. A KL penalty works against that, and its
strength is a hyperparameter. Here are three penalties on handwritten digits, once with clean labels and once with 30 %
of the training labels replaced at random, and what the history tells of one training.
"""

# %%
# Data
# ----
# A third of the digits to train on: few rows, so that there is something to overfit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklkl import KLClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
rng = np.random.RandomState(0)
y_noisy = np.where(rng.rand(len(y_train)) < 0.3, rng.randint(10, size=len(y_train)), y_train)

# %%
# Strength against test log-loss
# ------------------------------
# The same small network for every strength, trained to the end: early stopping, dropout and weight decay, which are on
# by default, would hide what the penalty does.

strengths = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0]
penalties = ["confidence", "label_smoothing", "prior"]


plain = {"hidden_layer_sizes": (128,), "dropout": 0.0, "weight_decay": 0.0, "early_stopping": False}
plain |= {"learning_rate": "onecycle", "lr": 5e-3}


def test_log_loss(labels, penalty, strength):
    penalised = {"kl_penalty": penalty, "kl_strength": strength} if strength else {}
    clf = KLClassifier(random_state=0, **penalised, **plain)
    return log_loss(y_test, clf.fit(X_train, labels).predict_proba(X_test))


fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, labels, title in zip(axes, [y_train, y_noisy], ["clean labels", "30 % random labels"], strict=True):
    for penalty, marker in zip(penalties, "os^", strict=True):
        losses = [test_log_loss(labels, penalty, strength) for strength in strengths]
        axis.plot(strengths, losses, marker=marker, label=penalty, alpha=0.8)
        best = int(np.argmin(losses))
        print(f"{title:20s} {penalty:16s} strength 0: {losses[0]:.3f}, best: {losses[best]:.3f} at {strengths[best]:g}")
    axis.set(xlabel="kl_strength", ylabel="test log-loss, nats", title=title)
    axis.set_xscale("symlog", linthresh=0.01)
    axis.set_xticks(strengths, [f"{strength:g}" for strength in strengths])
    axis.set_ylim(bottom=0)
axes[0].legend(title="kl_penalty")

# %%
# With clean labels there is little to gain, and a strength of 0.3 already does harm. With noisy labels the best one is
# larger, by a few times for two of the penalties, but it does not help without end. No strength is right for both:
# search it by log-loss. The class frequencies of the digits are nearly uniform, so ``"prior"`` and
# ``"label_smoothing"`` are almost the same here.
#
# What the penalty weighs
# -----------------------
# The history has every term of the loss under its own name, the strength included, so that the terms add up to
# ``train_loss``.

clf = KLClassifier(kl_strength=0.3, random_state=0, **plain | {"early_stopping": True, "n_iter_no_change": None})
clf.fit(X_train, y_noisy)
history = clf.history_
fit, penalty = (np.array(history[:, name]) for name in ["train_data_fit", "train_kl_penalty"])

fig, axis = plt.subplots(figsize=(7, 4), layout="constrained")
epochs = np.arange(1, len(history) + 1)
axis.stackplot(epochs, fit, penalty, labels=["data fit", "KL penalty"], alpha=0.6)
axis.plot(epochs, history[:, "valid_loss"], "k--", label="validation log-loss")
axis.set(xlabel="epoch", ylabel="nats per row", title="confidence penalty of strength 0.3, 30 % random labels")
axis.legend()
plt.show()
