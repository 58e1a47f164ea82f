"""What a training has come to."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from sklkl._fit.outcome import _data_fit
from sklkl._fit.training_set import Training
from sklkl.data import Rows, TrainingSet


def uniform(X):
    return np.full((len(X), 3), 1 / 3)


@pytest.mark.parametrize("weight", [None, 2.0])
def test_the_loss_at_the_end_is_that_of_rows_with_a_label(quick, table, weight):
    """The history has terms of the loss, whose means are over all rows: here 120 with a label and 240 without."""
    X, y = table
    weights = None if weight is None else np.where(y == 0, weight, 1.0)
    still = {"learning_rate": "constant", "lr": 1e-20, "dropout": 0.0, "max_epochs": 2}
    clf = quick(**still, teacher=uniform, distill_rows="unlabeled", augment="noise", augment_factor=2)
    clf.fit(X, y, sample_weight=weights)
    rows = Rows(X.astype("f4"), y, weight=weights).with_unlabeled(np.zeros((240, 5), "f4"))
    loss = _data_fit(clf.net_, Training(TrainingSet(rows), 0.5, 2))
    assert loss == pytest.approx(log_loss(y, clf.predict_proba(X), sample_weight=weights), rel=1e-5)
    assert clf.history_[-1, "train_data_fit"] == pytest.approx(loss / 3, rel=1e-5)
