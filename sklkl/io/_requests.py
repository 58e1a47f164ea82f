"""Metadata requests in a file: by the name of their owner, in place of the owner, which has them in turn."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from sklearn.utils.metadata_routing import MetadataRequest

from sklkl._utils.optional import optional

# Those of an estimator, and of one of its methods.
REQUESTS = (MetadataRequest, type(MetadataRequest(owner="").fit))


@cache
def register_requests() -> None:
    """Tell skops, which follows references without an end, how to store what ``set_fit_request`` leaves behind.

    The owner is named in messages only, and scikit-learn takes a name as well.
    """
    object_state = optional("skops.io._general", "skops").object_get_state
    register = optional("skops.io._utils", "skops")._get_state.register

    def state(request: Any, context: Any) -> Any:
        named = copy.copy(request)
        named.owner = request.owner if isinstance(request.owner, str) else type(request.owner).__name__
        return object_state(named, context)

    for kind in REQUESTS:
        register(kind)(state)
