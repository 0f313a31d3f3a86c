"""Label maps, masks of one organ and probabilities, as TIFF or PNG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .._util.files import atomic_path, write_bytes
from ..errors import OutputError
from ..labels import CLASSES
from .mask_set import Masks, naming

if TYPE_CHECKING:
    from ..kernels import Runs
    from ..segmenter import Segmentation

#: zlib's fastest level, for PNG and probabilities.
_ZLIB_LEVEL = 1
_MM_PER_CM = 10

LABEL_SUFFIXES = (".tif", ".tiff", ".png")


def save_labels(
    path: Path,
    labels: npt.NDArray[np.uint8],
    spacing: tuple[float, float] | None = None,
    runs: Runs | None = None,
) -> None:
    """Write an (H, W) uint8 map as TIFF (with its resolution, where known) or PNG.

    Args:
        path: its suffix, one of LABEL_SUFFIXES, tells which.
        labels: the map.
        spacing: (row, column) distance of pixel centres in mm.
        runs: of the map, where they are known.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise OutputError(f"{path}: label maps are written as .tif or .png")
    with naming(path):
        if path.suffix.lower() == ".png":
            import imagecodecs

            write_bytes(path, imagecodecs.png_encode(labels, level=_ZLIB_LEVEL))
        else:
            from ..kernels import deflate, find_runs

            _write_tiff(path, labels, [deflate(runs or find_runs(labels))], spacing)


def save_probabilities(path: Path, segmentation: Segmentation) -> None:
    """Write (4, H, W) uint16 probabilities in 65535ths at the radiograph's resolution, as TIFF.

    Raises:
        OutputError: the file cannot be written.
    """
    import imagecodecs

    from ..kernels import upsample_plane

    planes = np.empty((CLASSES, *segmentation.labels.shape), np.uint16)
    for label in range(CLASSES):
        plane = upsample_plane(segmentation.probabilities[..., label], segmentation.labels.shape)
        planes[label] = np.clip(plane * 65535 + 0.5, 0, 65535)
    # zlib-ng is several times as fast as what tifffile would call.
    encode = imagecodecs.zlibng_encode if imagecodecs.ZLIBNG.available else imagecodecs.zlib_encode
    strips = (bytes(encode(plane, level=_ZLIB_LEVEL)) for plane in planes)
    with naming(path):
        _write_tiff(path, planes, strips, segmentation.radiograph.spacing)


def labels_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """One label map."""
    path = Path(stem + suffix)
    save_labels(path, masks.labels, masks.segmentation.radiograph.spacing, masks.runs)
    return [path]


def organs_kind(stem: str, suffix: str, masks: Masks) -> Iterator[Path]:
    """A mask of 0 and 255 for each organ or part."""
    for part in masks.parts:
        path = Path(f"{stem}.{part.name.replace(' ', '-')}{suffix}")
        mask = np.where(masks.labels == part.label, np.uint8(255), np.uint8(0))
        save_labels(path, mask, masks.segmentation.radiograph.spacing)
        yield path


def probabilities_kind(stem: str, suffix: str, masks: Masks) -> list[Path]:
    """A plane for each class of the network, which does not tell right from left."""
    path = Path(stem + ".tif")
    save_probabilities(path, masks.segmentation)
    return [path]


def _write_tiff(
    path: Path,
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    strips: Iterable[bytes],
    spacing: tuple[float, float] | None,
) -> None:
    """Planes whose zlib streams are given, a strip each."""
    import tifffile

    # TIFF 6.0, section 8: pixels per centimetre, along columns first.
    resolution = (_MM_PER_CM / spacing[1], _MM_PER_CM / spacing[0]) if spacing else None
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            iter(strips),
            shape=planes.shape,
            dtype=planes.dtype,
            photometric="minisblack",
            compression="zlib",
            rowsperstrip=planes.shape[-2],
            resolution=resolution,
            resolutionunit="CENTIMETER" if resolution else None,
            metadata=None,
            software=False,
        )
