"""
Rows unlike any that were learned
=================================

A classifier gives every row to one of its classes, a row of none of them too. How far a prediction is from what is
usual, as a divergence, tells such rows from the others. Here two classifiers know the digits 0 to 4 and meet all ten.
"""

# %%
# Two references
# --------------
# A prediction can be compared with the uniform distribution: one that is close to it is unsure. Or with templates, the
# mean prediction for the training rows of each class: one that is far from all of them is unusual. Which is better
# depends on the classifier. The network is confident of nearly everything it knows, and its templates, which average
# the few doubtful rows in, suit no row; the forest's predictions vary more and its templates serve.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklkl import KLClassifier
from sklkl.preprocessing import ProbaDivergence

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
known = y_train < 5
usual = y_test < 5


def normality(classifier):
    """Return scores of the test rows, higher for more usual ones."""
    scores = {}
    for reference in ["uniform", "templates"]:
        transformer = ProbaDivergence(classifier, reference=reference, cv=None).fit(X_train[known], y_train[known])
        scores[f"KL to the {reference}"] = transformer.score_samples(X_test)
    scores["largest probability"] = transformer.estimator_.predict_proba(X_test).max(axis=1)
    return scores


classifiers = {
    "network": make_pipeline(StandardScaler(), KLClassifier(max_epochs=30, random_state=0)),
    "forest": RandomForestClassifier(random_state=0),
}
for model, classifier in classifiers.items():
    scores = normality(classifier)
    for name, score in scores.items():
        print(f"{model:8s} {name:22s} area under the ROC curve {roc_auc_score(usual, score):.3f}")

# %%
# The forest in pictures
# ----------------------
# Every digit from 5 to 9 is taken for one of those from 0 to 4, but its prediction is far from what is usual for that
# digit. Not all are: no score separates the two completely.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for name, score in scores.items():
    RocCurveDisplay.from_predictions(usual, score, name=name, ax=axes[0], curve_kwargs={"alpha": 0.8})
axes[0].set(title="known digits against unknown", xlabel="share of unknown digits let in", ylabel="share of known")

distance = -scores["KL to the templates"]
bins = np.linspace(0, distance.max(), 40)
for rows, label in [(usual, "0 to 4, known"), (~usual, "5 to 9, unknown")]:
    axes[1].hist(distance[rows], bins=bins, alpha=0.6, label=label)
axes[1].set(xlabel="KL to the nearest template, nats", ylabel="test rows")
axes[1].legend()
plt.show()
