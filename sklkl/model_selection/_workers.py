"""Where the stacks of a search are trained: here, in processes of their own, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import ThreadingBackend, get_active_backend
from sklearn import config_context, get_config

from sklkl._fit.parameters import FitData
from sklkl._fit.plan import Train, train_here
from sklkl._fit.prediction import NetClassifier
from sklkl.model_selection._clusters import Run, cluster_of


class WaitingThreads(ThreadingBackend):
    """joblib's threads, which wait for what is trained elsewhere: on the cluster of the backend before, if it has one.

    Attributes
    ----------
    cluster : callable or None
        What runs a function there.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cluster = cluster_of(get_active_backend()[0])


@contextmanager
def trainer(n_jobs: int, **options: Any) -> Iterator[Train]:
    """Yield what trains classifiers together, in processes that share the processors where there are several jobs.

    Parameters
    ----------
    n_jobs : int
        Number of processes; 1 trains here.
    **options : dict
        Those of `train_here`.
    """
    if n_jobs == 1:
        yield partial(train_here, **options)
        return
    cluster = getattr(get_active_backend()[0], "cluster", None)
    if cluster is not None:
        yield partial(_train_there, cluster, options)
        return
    n_threads = str(max(1, cpu_count() // n_jobs))
    # of joblib: pickles can hold what was defined in a script or a notebook. Its shared one may be in use.
    executor = ProcessPoolExecutor(n_jobs, env={"OMP_NUM_THREADS": n_threads, "MKL_NUM_THREADS": n_threads})
    finished = False
    try:
        yield partial(_train_there, partial(_in_a_process, executor), options)
        finished = True
    finally:
        executor.shutdown(kill_workers=not finished)


def _in_a_process(executor: Any, *args: Any) -> Any:
    return executor.submit(*args).result()


def _train_there(
    run: Run, options: dict[str, Any], estimators: list[NetClassifier], data: FitData
) -> Sequence[NetClassifier | None]:
    varied = [estimator._varied for estimator in estimators]  # which their pickles are without
    trained: list[NetClassifier | None] = run(_with_config, data, estimators, varied, options, get_config())
    return trained


def _with_config(
    data: FitData,
    estimators: list[NetClassifier],
    varied: list[tuple[str, ...]],
    options: dict[str, Any],
    config: dict[str, Any],
) -> list[NetClassifier | None]:
    for estimator, names in zip(estimators, varied, strict=True):
        estimator._varied = names
    with config_context(**config):
        return train_here(estimators, data, **options)
