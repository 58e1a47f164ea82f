"""Whether a file keeps the keys of dicts: skops has them as texts, and of the text of False ``bool`` makes True."""

from __future__ import annotations

import io
import json
from typing import Any
from zipfile import ZipFile

_LOST = ("bool", "bool_", "NoneType")


def check_keys(data: bytes) -> None:
    """Look at all dicts in a file of skops.

    Raises
    ------
    TypeError
        If one has keys that would come back as others, or not at all.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        schema = archive.read("schema.json")
    json.loads(schema, object_hook=_checked)


def _checked(node: dict[str, Any]) -> dict[str, Any]:
    types = node["key_types"]["content"] if "__loader__" in node and "key_types" in node else []
    for kind in types:
        if kind.get("__class__") in _LOST:
            keys = list(node["content"])
            raise TypeError(f"A dict with the keys {keys}, booleans or None, cannot be stored without pickle.")
    return node
