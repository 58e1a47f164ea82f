"""
Members that disagree
=====================

What several networks disagree about they have not learned:
:meth:`sklkl.KLClassifier.predict_uncertainty` is the mean divergence of eight
members' predictions from their mean. It is small for rows that are doubtful
for good reasons, which all members know to be doubtful. Does it find the rows
to look at again, and rows of no known class?
"""

# %%
# Six digits, two of them the same to the labels
# ----------------------------------------------
# The classifier learns the digits 0 to 5 by the names a to f, but a coin
# decides for each 0 and 1 which of the two it is called: nobody can tell a
# from b. It meets all ten digits then, 6 to 9 for the first time.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier

X, digit = load_digits(return_X_y=True)
groups = {
    "0, 1: a coin": [0, 1],
    "2 to 5": [2, 3, 4, 5],
    "6 to 9: new": [6, 7, 8, 9],
}


def measured(seed):
    """Return the digits of test rows, and three measures of doubt by name."""
    parts = train_test_split(X, digit, test_size=0.5, random_state=seed)
    X_train, X_test, known, shown = parts
    rng = np.random.default_rng(seed)
    known = np.where(known < 2, rng.integers(0, 2, len(known)), known)
    learned = known < 6
    small = {"hidden_layer_sizes": 64, "max_epochs": 30}
    clf = KLClassifier(**small, n_members=8, random_state=seed)
    clf.fit(X_train[learned], np.array(list("abcdef"))[known[learned]])
    proba = clf.predict_proba(X_test)
    entropy = -(proba * np.log(proba.clip(1e-300))).sum(1)
    return shown, {
        "disagreement": clf.predict_uncertainty(X_test),
        "entropy": entropy,
        "1 - largest probability": 1 - proba.max(1),
    }


runs = [measured(seed) for seed in range(5)]
aucs = {name: [] for name in runs[0][1]}
for shown, doubts in runs:
    for name, doubt in doubts.items():
        aucs[name].append(roc_auc_score(shown >= 6, doubt))
print("new digits against known ones, 5 seeds: area under the ROC curve")
for name, values in aucs.items():
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    print(f"{name:24s} {np.mean(values):.3f} ± {error:.3f}")
for name in ("entropy", "disagreement"):
    print(f"mean {name}, nats:")
    for group, which in groups.items():
        means = [d[name][np.isin(s, which)].mean() for s, d in runs]
        print(f"    digits {group:16s} {np.mean(means):.3f}")

# %%
# Doubt and ignorance
# -------------------
# The coin's digits have an entropy of a coin, log 2 = 0.69 nats, and so do
# many new ones: by entropy they are the same. The members agree about the
# first and disagree about the second.

shown, doubts = runs[0]
colours = ["#0072B2", "#999999", "#D55E00"]
styles = zip(groups.items(), colours, "sox", strict=True)
fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for (group, which), colour, marker in styles:
    rows = np.isin(shown, which)
    x, y = doubts["entropy"][rows], doubts["disagreement"][rows]
    style = {"color": colour, "marker": marker, "label": group}
    axes[0].scatter(x, y, 16, alpha=0.6, **style)
axes[0].set(xlabel="entropy of the mean, nats", ylabel="disagreement, nats")
axes[0].legend(title="digits, first seed", loc="upper left")
lines = zip(
    doubts.items(),
    ["#0072B2", "#E69F00", "#009E73"],
    ["-", "--", ":"],
    strict=True,
)
for (name, doubt), colour, line in lines:
    curve = {"color": colour, "linestyle": line, "lw": 2}
    options = {"name": name, "ax": axes[1], "curve_kwargs": curve}
    RocCurveDisplay.from_predictions(shown >= 6, doubt, **options)
axes[1].set(
    xlabel="share of known digits put aside",
    ylabel="share of new digits found",
)
plt.show()

# %%
# Where nothing is doubtful for good reasons the three measures order rows much
# alike: :ref:`sphx_glr_auto_examples_plot_unusual_rows.py` has that case. And
# eight networks cost more than one.
