"""Steps that are taken to their end, whatever interrupts them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from threading import Thread


def insist(step: Callable[[], object]) -> bool:
    """Take a step; if it is interrupted, take it again from its beginning, and return True.

    For short steps whose repetition does no harm.
    """
    try:
        step()
    except KeyboardInterrupt:
        insist(step)
        return True
    return False


def import_whole(name: str) -> None:
    """Import a module that takes long in a thread, where no interruption strikes, unless it was imported before.

    Python removes a module whose import is interrupted but keeps what that has imported so far, and for a package such
    as torch's compiler all later imports in this process may fail. An error is left to who uses the module.
    """

    def run() -> None:
        with suppress(Exception):
            import_module(name)

    if name not in sys.modules:
        thread = Thread(target=run)
        thread.start()
        thread.join()
