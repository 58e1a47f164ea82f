"""What a training has come to."""

import numpy as np
import pytest
from sklearn.metrics import log_loss


def uniform(X):
    return np.full((len(X), 3), 1 / 3)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_terms_of_the_loss_are_means_over_all_rows(quick, table, weight):
    """Here 120 with a label and 240 without, which weigh as much as the others do on average."""
    X, y = table
    weights = None if weight is None else np.where(y == 0, weight, 1.0)
    still = {"learning_rate": "constant", "lr": 1e-20, "dropout": 0.0, "max_epochs": 2}
    clf = quick(**still, teacher=uniform, distill_rows="unlabeled", augment="noise", augment_factor=2)
    clf.fit(X, y, sample_weight=weights)
    loss = log_loss(y, clf.predict_proba(X), sample_weight=weights)
    assert clf.history_[-1, "train_data_fit"] == pytest.approx(loss / 3, rel=1e-5)
