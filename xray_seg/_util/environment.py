"""What is installed and what runs here."""

from __future__ import annotations

import platform
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version

from .._version import __version__

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

#: The name that a requirement begins with, and the extra that it is for (PEP 508).
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)")


def versions() -> dict[str, str]:
    """Versions of this package, Python and what it stands on, read without importing them."""
    found = {"xray-seg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def components() -> list[dict[str, str | bool]]:
    """What this package stands on, as a bill of materials: this package first, then by name.

    Each has ``name``, ``version``, ``licence`` (as it states it itself) and ``optional`` (needed
    by extras alone); what is not installed is left out, and so is what only development needs.
    """
    root = distribution("xray-seg")
    found = {"xray-seg": _component(root, False)}
    waiting: list[tuple[Distribution, bool, tuple[str, ...]]] = [
        (root, False, ("gpu", "dicom", "dicom-seg", "parquet", "ray"))
    ]
    while waiting:
        parent, optional, extras = waiting.pop(0)
        for text in parent.requires or ():
            match = _REQUIREMENT.match(text)
            if match is None:
                continue
            extra = _EXTRA.search(text)
            if extra and extra[1] not in extras:
                continue
            name = _canonical(match[1])
            try:
                child = distribution(name)
            except PackageNotFoundError:
                continue
            if name not in found:
                found[name] = _component(child, optional or extra is not None)
                waiting.append((child, optional or extra is not None, ()))
    first, *others = found
    return [found[first], *(found[name] for name in sorted(others))]


def _component(package: Distribution, optional: bool) -> dict[str, str | bool]:
    about = package.metadata
    stated = next((about[key] for key in ("License-Expression", "License") if key in about), "")
    of_classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    # Some state the whole text of their licence: then its first line, or the classifier.
    licence = "; ".join(of_classifiers) if "\n" in stated or not stated else stated
    return {
        "name": _canonical(about["Name"]),
        "version": package.version,
        "licence": licence or stated.strip().partition("\n")[0] or "not stated",
        "optional": optional,
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
