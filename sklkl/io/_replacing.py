"""Writing a file so that at any moment, whatever happens, there is the old one or the new one, whole."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress


def replace_file(path: str, data: bytes) -> None:
    """Write a file beside its place, then put it there in one step.

    Parameters
    ----------
    path : str
        The place; if it is a symbolic link, where that points to.
    data : bytes
        The content.

    Raises
    ------
    OSError
        If it cannot be written; what was at the place is as it was. A process that is killed may leave the file beside
        it, whose name begins with a dot and ends in ``.tmp``.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    staged = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(staged, data)
        os.replace(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise
    _sync_folder(folder)


def _write(path: str, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Make the new name last through a power failure, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
