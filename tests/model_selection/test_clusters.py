"""Searches on a cluster, as a user has it through joblib."""

import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklkl.model_selection import StackedGridSearchCV, _workers

KINDS = [GridSearchCV, StackedGridSearchCV]


@pytest.fixture(scope="module")
def dask():
    """A client of a Dask cluster: another process, slow to start, that does two things at a time."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture
def search(quick, table):
    """Return ``search(kind)``, the scores that a search finds."""

    def run(kind, n_jobs):
        found = kind(quick(dtype="float64"), {"kl_strength": [0.0, 0.1]}, cv=3, n_jobs=n_jobs, scoring="neg_log_loss")
        return found.fit(*table).cv_results_["mean_test_score"]

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_on_a_dask_cluster_finds_what_one_here_does(
    kind, dask, search, table, same_but_for_rounding, monkeypatch
):
    # not in processes of this machine
    monkeypatch.setattr(_workers, "ProcessPoolExecutor", None)
    with parallel_config(backend="dask", scatter=list(table)):
        there = search(kind, n_jobs=-1)
    same_but_for_rounding(there, search(kind, n_jobs=1))
