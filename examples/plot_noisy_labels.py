"""
Labels of which some are wrong: a penalty or a teacher?
=======================================================

The more labels are wrong, the less a network should believe them. A KL penalty
keeps it from being sure of any; a teacher that averages wrong labels out gives
it better ones. What does each help, against the share of wrong labels?
"""

# %%
# Digits with flipped labels
# --------------------------
# Of the labels of 500 training rows a share is replaced by another digit. The
# test labels are right. Three splits, each with flips of its own. A network is
# trained either to the end, with nothing against overfitting, or with the
# defaults: dropout, weight decay, early stopping on a validation part whose
# labels are as wrong as the others.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier

X, y = load_digits(return_X_y=True)
shares, n_splits = [0.0, 0.15, 0.3, 0.45], 3

network = KLClassifier(
    hidden_layer_sizes=(64,),
    max_epochs=30,
    random_state=0,
)
to_the_end = clone(network).set_params(
    dropout=0.0,
    weight_decay=0.0,
    early_stopping=False,
)
smoothing = {"kl_penalty": "label_smoothing", "kl_strength": 0.3}
forest = ExtraTreesClassifier(30, min_samples_leaf=3, random_state=0)
taught = clone(network).set_params(teacher=forest)
models = {
    "to the end": to_the_end,
    "to the end, label smoothing 0.3": clone(to_the_end).set_params(
        **smoothing,
    ),
    "defaults": network,
    "defaults, label smoothing 0.3": clone(network).set_params(**smoothing),
    'forest as teacher, "auto"': taught,
    "forest as teacher, weight 0.7": clone(taught).set_params(
        distill_weight=0.7,
    ),
    "the forest itself": forest,
}


def measured(share, seed):
    """Return log-loss and accuracy of each model on one split."""
    X_train, X_test, y_train, y_test = train_test_split(
        X,
        y,
        train_size=500,
        stratify=y,
        random_state=seed,
    )
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(y_train)) < share
    y_train[wrong] = (y_train[wrong] + rng.integers(1, 10, wrong.sum())) % 10
    figures = []
    for model in models.values():
        proba = model.fit(X_train, y_train).predict_proba(X_test)
        accuracy = accuracy_score(y_test, proba.argmax(axis=1))
        figures.append([log_loss(y_test, proba), accuracy])
    return figures


results = np.array(
    [[measured(share, seed) for seed in range(n_splits)] for share in shares],
)
mean = results.mean(axis=1)  # share, model, measure
error = results.std(axis=1, ddof=1) / n_splits**0.5
print(f"{'log-loss, accuracy; wrong:':33s}", *[f"{s:>13.0%}" for s in shares])
for k, name in enumerate(models):
    cells = [f"{loss:7.3f} {accuracy:.3f}" for loss, accuracy in mean[:, k]]
    print(f"{name:33s}", *cells)


def show(names):
    """Draw the curves of some models."""
    fig, axes = plt.subplots(1, 2, figsize=(7.5, 4), layout="constrained")
    colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
    for name, colour, marker in zip(names, colours, "os^D", strict=True):
        model = list(models).index(name)
        for measure, axis in enumerate(axes):
            axis.errorbar(
                shares,
                mean[:, model, measure],
                error[:, model, measure],
                color=colour,
                marker=marker,
                capsize=3,
                label=name,
            )
    for axis, label in zip(axes, ["log-loss, nats", "accuracy"], strict=True):
        axis.set(xlabel="share of wrong labels", ylabel=f"test {label}")
        axis.set_xticks(shares)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=2)
    plt.show()


# %%
# Penalties
# ---------
# A network that is trained to the end learns the wrong labels by heart. A
# strong penalty keeps it from being sure of any: that saves log-loss where
# nearly half are wrong, and costs some where fewer are; the decisions are
# hardly better, as the network has still fitted the wrong labels. The defaults
# do far more, and beside them the penalty adds nothing: the validation part,
# wrong labels included, already says how sure one can be.

names = list(models)
show(names[:4])

# %%
# Teachers
# --------
# A forest whose leaves have at least three rows averages the wrong labels out.
# Its decisions suffer least, but its probabilities are underconfident. The
# network that it teaches has nearly the forest's accuracy and a lower
# log-loss, as far as the share is not extreme. The default, ``"auto"``, asks
# rows set aside what the teacher is worth; with wrong labels among these it is
# a little more cautious than a fixed weight.
#
# With nearly half of the labels wrong nothing repairs the log-loss: what is
# learned from such labels, rightly, is that no label is sure.

show([*names[4:6], "defaults", names[6]])
