"""Writing a file so that at any moment, whatever happens, there is the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from functools import partial


def replace_file(path: str, data: bytes) -> None:
    """Write a file beside its place, then put it there in one step.

    Parameters
    ----------
    path : str
        The place; if it is a symbolic link, where that points to. The rights of a file that is there are kept.
    data : bytes
        The content.

    Raises
    ------
    OSError
        If it cannot be written, or there is a folder or a device; what was at the place is as it was. A process that is
        killed may leave the file beside it, whose name begins with a dot and ends in ``.tmp``.
    """
    path = os.path.realpath(path)
    rights = _rights_of(path)
    folder, name = os.path.split(path)
    staged = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        _write(staged, data, rights)
        os.replace(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise
    _sync_folder(folder)


def _rights_of(path: str) -> int | None:
    """Return the rights of the file that is there, None if there is none."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(code, f"{os.strerror(code)} (no file that can be replaced)", path)
    return stat.S_IMODE(mode)


def _write(path: str, data: bytes, rights: int | None) -> None:
    # whoever may not read the old file may not read the new one at any moment
    opener = partial(os.open, mode=0o666 if rights is None else 0o600)
    with open(path, "xb", opener=opener) as file:
        if rights is not None:
            os.chmod(path, rights)
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
