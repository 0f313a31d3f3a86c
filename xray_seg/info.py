"""What is installed and what runs here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import __version__

_PACKAGES = (
    "tensorflow",
    "tensorflow-text",
    "keras",
    "ai-edge-litert",
    "numba",
    "numpy",
    "scipy",
    "imagecodecs",
    "tifffile",
    "pydicom",
    "python-gdcm",
    "highdicom",
    "click",
    "rich",
)


def versions() -> dict[str, str]:
    """Versions of this package, Python and what it stands on, read without importing them."""
    found = {"xray-seg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def devices() -> dict[str, Any]:
    """Cores that may be used and GPUs that TensorFlow sees; imports TensorFlow."""
    from .engines import available_cores
    from .engines.saved_model import gpu_count

    return {"machine": platform.platform(), "cores": available_cores(), "gpus": gpu_count()}
