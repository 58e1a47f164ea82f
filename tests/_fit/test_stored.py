"""Networks as plain data: those of an older format are read as they were."""

import copy
import pickle

import numpy as np
import torch

from sklkl._fit.stored import net_from_state, net_state
from sklkl.modules import MLP


def test_a_network_that_was_stored_without_steps_predicts_as_it_did(quick, make_table):
    X, y = make_table(200)
    clf = quick().fit(X, y)
    state = net_state(clf.net_)
    scaling, weights = state["module"]["params"]["scaling"], state["weights"]
    del scaling["buffers"]["steps"]
    n_outputs = X.shape[1] + len(scaling["buffers"]["ranked"])
    weights["0.weight"] = np.ascontiguousarray(weights["0.weight"][:, :n_outputs])
    older = net_from_state(state | {"format": 1}, n_classes=len(np.unique(y)))
    assert isinstance(older.module_, MLP)
    x = torch.as_tensor(X, dtype=torch.float32)
    views = clf.module_.scaling(x)[:, :n_outputs]
    older.module_.eval()
    torch.testing.assert_close(older.module_(x), older.module_.forward_scaled(views), rtol=0, atol=1e-5)


def test_so_many_columns_that_none_has_steps_are_stored_in_every_way(quick, tmp_path):
    X = np.random.RandomState(0).randn(60, 129)
    y = (X[:, 0] > 0).astype(int)
    clf = quick(max_epochs=2).fit(X, y)
    assert not len(clf.module_.scaling.steps)
    resumed = quick(max_epochs=2, checkpoint=tmp_path / "fit.ckpt").fit(X, y)
    for other in (resumed, pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        np.testing.assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
