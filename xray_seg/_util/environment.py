"""Versions and licences of the installed packages."""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Iterator
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

#: Extras whose packages users install, unlike those that only development needs.
_USER_EXTRAS = ("gpu", "dicom", "dicom-seg", "parquet", "ray")


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of main dependencies, without importing them."""
    found = {"xray-seg": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def engine_build(name: str) -> str:
    """Package and version that an engine of this package computes with; empty for others."""
    package = {"litert": "ai-edge-litert", "saved-model": "tensorflow"}.get(name)
    return f"{package} {versions()[package]}" if package else ""


def components() -> list[dict[str, str | bool]]:
    """A bill of materials: this package, then each installed dependency in order of names.

    Dependencies of dependencies are listed; packages that only development needs are not.

    Returns:
        For each its ``name``, ``version``, ``licence`` as the package states it, and ``optional``:
        whether only extras need it.
    """
    root = distribution("xray-seg")
    found = {"xray-seg": _component(root, optional=False)}
    waiting: deque[tuple[Distribution, bool, tuple[str, ...]]]
    waiting = deque([(root, False, _USER_EXTRAS)])
    while waiting:
        parent, parent_optional, extras = waiting.popleft()
        for name, for_extra in _required(parent, extras):
            try:
                child = distribution(name)
            except PackageNotFoundError:
                continue
            if name not in found:
                optional = parent_optional or for_extra
                found[name] = _component(child, optional)
                waiting.append((child, optional, ()))
    first, *others = found
    return [found[first], *(found[name] for name in sorted(others))]


def _required(package: Distribution, extras: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Names of the packages that a package requires here, and whether only its extras do."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for text in package.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        if always or any(marker and marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(requirement.name), not always


def _component(package: Distribution, optional: bool) -> dict[str, str | bool]:
    from packaging.utils import canonicalize_name

    about = package.metadata
    stated = next((about[key] for key in ("License-Expression", "License") if key in about), "")
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    # Some packages state the whole text of their licence; its first line may say little.
    licence = "; ".join(classified) if "\n" in stated or not stated else stated
    return {
        "name": canonicalize_name(about["Name"]),
        "version": package.version,
        "licence": licence or stated.strip().partition("\n")[0] or "not stated",
        "optional": optional,
    }
