"""How a function is run on the cluster of a joblib backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# From a function, the rows that it gets first and its other arguments to what it returns.
Run = Callable[..., Any]


def cluster_of(backend: Any) -> Run | None:
    """Return what runs a function on a backend's cluster; None for a backend that is no cluster, or one not known."""
    make = _CLUSTERS.get(type(backend).__name__)
    return None if make is None else make(backend)


def _dask(backend: Any) -> Run:
    client = backend.client

    def run(function: Callable[..., Any], rows: Any, *args: Any) -> Any:
        # not as a part of the task, which goes through the scheduler
        sent = client.scatter(rows, hash=False)
        return client.submit(function, sent, *args, pure=False).result()

    return run


def _ray(backend: Any) -> Run:
    import ray

    def run(function: Callable[..., Any], rows: Any, *args: Any) -> Any:
        return ray.get(ray.remote(function).remote(rows, *args))

    return run


_CLUSTERS: dict[str, Callable[[Any], Run]] = {"DaskDistributedBackend": _dask, "RayBackend": _ray}
