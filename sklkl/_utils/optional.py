"""Packages that need not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def optional(name: str, extra: str) -> Any:
    """Return a module of a package that need not be installed.

    Raises
    ------
    ImportError
        If it is not, with the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = (error.name or name).split(".")[0]  # what the package itself needs may be missing
        raise ImportError(f'This needs {package}, which is not installed: pip install "sklkl[{extra}]"') from error
