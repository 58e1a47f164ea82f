"""Where the stacks of a search are trained: here, or in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import ProcessPoolExecutor
from sklearn import config_context, get_config

from sklkl._fit.parameters import FitData
from sklkl._fit.plan import Train, train_here
from sklkl._fit.prediction import NetClassifier


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
    n_threads = str(max(1, cpu_count() // n_jobs))
    # of joblib: pickles can hold what was defined in a script or a notebook. Its shared one may be in use.
    executor = ProcessPoolExecutor(n_jobs, env={"OMP_NUM_THREADS": n_threads, "MKL_NUM_THREADS": n_threads})
    finished = False
    try:
        yield partial(_train_there, executor, options)
        finished = True
    finally:
        executor.shutdown(kill_workers=not finished)


def _train_there(
    executor: Any, options: dict[str, Any], estimators: list[NetClassifier], data: FitData
) -> Sequence[NetClassifier | None]:
    future = executor.submit(_with_config, get_config(), options, estimators, data)
    trained: list[NetClassifier | None] = future.result()
    return trained


def _with_config(config: dict[str, Any], options: dict[str, Any], *args: Any) -> list[NetClassifier | None]:
    with config_context(**config):
        return train_here(*args, **options)
