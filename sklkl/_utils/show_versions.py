"""What a report of a bug should say about the machine."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

__all__ = ["show_versions"]

DEPENDENCIES = ["array-api-compat", "joblib", "numpy", "scikit-learn", "scipy", "skorch", "torch", "tqdm"]
OPTIONAL = [
    "dask",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "skl2onnx",
    "skops",
]
PACKAGES = ["sklkl", *DEPENDENCIES, *OPTIONAL]


def show_versions() -> None:
    """Print versions of Python, of packages and of what torch computes with: for reports of bugs.

    Packages that are not installed are None.

    Examples
    --------
    >>> import sklkl
    >>> sklkl.show_versions()
    System
    ...
    """
    sections: dict[str, dict[str, Any]] = {"System": _system(), "Packages": _packages(), "Torch": _torch()}
    for title, entries in sections.items():
        print(title)
        for name, value in entries.items():
            print(f"{name:>18}: {value}")


def _system() -> dict[str, str]:
    return {"python": sys.version.replace("\n", " "), "executable": sys.executable, "machine": platform.platform()}


def _packages() -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _torch() -> dict[str, Any]:
    cuda = torch.cuda.is_available()
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())] if cuda else []
    return {"threads": torch.get_num_threads(), "built for CUDA": torch.version.cuda, "devices": devices or "CPU only"}
