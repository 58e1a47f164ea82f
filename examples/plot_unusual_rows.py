"""
Rows unlike any that were learned
=================================

A classifier gives every row to one of its classes, a row of none of them too.
How far a prediction is from what is usual, as a divergence, tells such rows
from the others. The largest probability does so as well, and needs no
divergence. When does a divergence tell more?
"""

# %%
# Two references
# --------------
# A prediction can be compared with the uniform distribution: one that is close
# to it is unsure. Or with templates, the mean prediction for the training rows
# of each class: one that is far from all of them is unusual. A network and a
# forest know the digits 0 to 5 and meet all ten. In a second case nobody can
# tell 0 from 1: a coin decides which of the two a training row is called. To
# be unsure is then usual.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklkl import KLClassifier
from sklkl.preprocessing import ProbaDivergence

X, digit = load_digits(return_X_y=True)
small = {"hidden_layer_sizes": 64, "max_epochs": 30}
MODELS = {
    "network": lambda seed: KLClassifier(**small, random_state=seed),
    "forest": lambda seed: RandomForestClassifier(random_state=seed),
}
CASES = {"all classes differ": False, "two are the same": True}
SCORES = ["KL to the uniform", "KL to the templates", "largest probability"]


def areas(make, coin, seed):
    """Return for each score the area under the ROC curve of known digits."""
    split = {"stratify": digit, "random_state": seed}
    X_train, X_test, y, y_test = train_test_split(X, digit, **split)
    if coin:
        flips = np.random.default_rng(seed).integers(0, 2, len(y))
        y = np.where(y < 2, flips, y)
    X_train, y = X_train[y < 6], y[y < 6]
    classifier = FrozenEstimator(make(seed).fit(X_train, y))
    scores = []
    for reference in ("uniform", "templates"):
        divergence = ProbaDivergence(classifier, reference=reference, cv=None)
        scores.append(divergence.fit(X_train, y).score_samples(X_test))
    scores.append(classifier.predict_proba(X_test).max(axis=1))
    return [roc_auc_score(y_test < 6, score) for score in scores]


n_seeds = 5
found = {}
for case, coin in CASES.items():
    for model, make in MODELS.items():
        values = [areas(make, coin, seed) for seed in range(n_seeds)]
        found[case, model] = np.array(values)
print(f"area under the ROC curve, {n_seeds} seeds: mean ± standard error")
print(f"{'':28s}" + "".join(f"{name:>20s}" for name in SCORES))
for (case, model), values in found.items():
    error = values.std(0, ddof=1) / np.sqrt(n_seeds)
    pairs = zip(values.mean(0), error, strict=True)
    cells = "".join(f"{f'{m:.3f} ± {e:.3f}':>20s}" for m, e in pairs)
    print(f"{case:20s}{model:8s}{cells}")

# %%
# Each point is a seed. Where all classes differ the divergence from the
# uniform distribution tells no more than the largest probability, and the
# templates tell less: those of the network, which average its few doubtful
# rows in, suit no row.

colours = ["#0072B2", "#D55E00", "#009E73"]
fig, axes = plt.subplots(1, 2, sharey=True, layout="constrained")
fig.set_size_inches(10, 4.2)
for axis, case in zip(axes, CASES, strict=True):
    for place, model in enumerate(MODELS):
        for k, (colour, marker) in enumerate(zip(colours, "osx", strict=True)):
            values = found[case, model][:, k]
            x = place + 0.2 * (k - 1) + np.linspace(-0.04, 0.04, n_seeds)
            label = SCORES[k] if place == 0 else None
            style = {"color": colour, "marker": marker, "label": label}
            axis.scatter(x, values, 30, alpha=0.8, **style)
    axis.set_xticks(range(len(MODELS)), MODELS)
    axis.set(title=case, xlabel="classifier", xlim=(-0.5, 1.5))
axes[0].set_ylabel("area under the ROC curve")
handles = axes[0].get_legend_handles_labels()
fig.legend(*handles, loc="outside lower center", ncols=3)
plt.show()

# %%
# Where two classes are the same, the largest probability takes their rows,
# which are usual, for unusual ones. Their templates are unsure too, so the
# divergence from those does not; even that from the uniform distribution, to
# which all classes count, is fooled less. The forest, whose largest
# probability depends on how many trees know a row at all, gains little.
# :ref:`sphx_glr_auto_examples_plot_disagreement.py` asks several networks in
# the same case.
