"""Searches in processes and on a cluster, as a user has it through joblib."""

from pathlib import Path

import pytest
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV

from sklkl.model_selection import StackedGridSearchCV, _workers

KINDS = [GridSearchCV, StackedGridSearchCV]
pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def dask():
    """A client of a Dask cluster: two threads in one process, as each process takes seconds to start."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}  # not a port that another test has
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def ray():
    """Ray in two processes, with its backend of joblib."""
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    here = {"PYTHONPATH": str(Path(__file__).parents[2])}  # workers know this folder only if they are told
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": here})
    register_ray()
    yield ray
    ray.shutdown()


@pytest.fixture
def search(quick, table):
    """Return ``search(kind)``, the scores that a search finds."""

    def run(kind, n_jobs):
        found = kind(quick(dtype="float64"), {"kl_strength": [0.0, 0.1]}, cv=3, n_jobs=n_jobs, scoring="neg_log_loss")
        return found.fit(*table).cv_results_["mean_test_score"]

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_in_two_processes_finds_what_one_here_does(
    kind, search, same_but_for_rounding, global_state_untouched
):
    with global_state_untouched():
        there = search(kind, n_jobs=2)
    same_but_for_rounding(there, search(kind, n_jobs=1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_on_a_dask_cluster_finds_what_one_here_does(
    kind, dask, search, table, same_but_for_rounding, monkeypatch
):
    # not in processes of this machine
    monkeypatch.setattr(_workers, "ProcessPoolExecutor", None)
    with parallel_config(backend="dask", scatter=list(table)):
        there = search(kind, n_jobs=-1)
    same_but_for_rounding(there, search(kind, n_jobs=1))


@pytest.mark.filterwarnings("ignore")  # what Ray and its backend do is not ours
@pytest.mark.parametrize("kind", KINDS)
def test_a_search_on_ray_finds_what_one_here_does(kind, ray, search, same_but_for_rounding, monkeypatch):
    monkeypatch.setattr(_workers, "ProcessPoolExecutor", None)
    with parallel_config(backend="ray"):
        there = search(kind, n_jobs=2)
    same_but_for_rounding(there, search(kind, n_jobs=1))
