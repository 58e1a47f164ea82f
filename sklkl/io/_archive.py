"""Whether a file is whole, and takes no more memory than its size lets expect, before anything in it is read."""

from __future__ import annotations

import io
import math
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

# What is read may be so many times as large as the file: more means that somebody wants memory, not a model.
MOST_GROWTH = 10


def check_archive(data: bytes) -> None:
    """Look at all members of an archive.

    Raises
    ------
    ValueError
        If it is damaged, its members are larger than a file of this size should have, or an array is not of the size
        that its header says.
    """
    try:
        _check_members(data, MOST_GROWTH * len(data))
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, KeyError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _check_members(data: bytes, most: int) -> int:
    """Return how many bytes the members claim to be; of arrays and archives, which go by their first bytes, look in."""
    with ZipFile(io.BytesIO(data)) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
        if claimed > most:
            raise ValueError(f"its parts claim to be more than {MOST_GROWTH} times as large as the file")
        for member in archive.infolist():
            content = archive.read(member)  # its checksum is checked
            if content.startswith(np.lib.format.MAGIC_PREFIX):
                _check_array(member.filename, content)
            elif content.startswith(b"PK"):  # sparse matrices
                claimed += _check_members(content, most - claimed)
    return claimed


def _check_array(name: str, content: bytes) -> None:
    """Raise a ValueError unless an array has the bytes that its header says: numpy would take memory for them first."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"the array {name} holds objects")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"the array {name} has not the size that its header says")
