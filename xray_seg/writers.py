"""Label maps, organ masks, probabilities and overlays, as files that are whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .anatomy import CLASSES, ORGANS
from .atomic import atomic_path, write_bytes
from .errors import OutputError
from .radiograph import BLACK_PERCENTILE, WHITE_PERCENTILE, Radiograph

if TYPE_CHECKING:
    from .segmenter import Segmentation

#: Longer side of an overlay in pixels: enough to judge a mask, small enough to leaf through.
OVERLAY_SIDE = 1024
OVERLAY_OPACITY = 0.3
_JPEG_QUALITY = 85
#: zlib's fastest level; label maps shrink to a few tens of kilobytes at any.
_ZLIB_LEVEL = 1
_MM_PER_CM = 10

LABEL_SUFFIXES = (".tif", ".tiff", ".png")


def save_labels(
    path: Path, labels: npt.NDArray[np.uint8], spacing: tuple[float, float] | None = None
) -> None:
    """Write an (H, W) uint8 map as TIFF (with its resolution, where known) or PNG.

    Raises:
        OutputError: another suffix, or the file cannot be written.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise OutputError(f"{path}: label maps are written as .tif or .png")
    with _naming(path):
        if path.suffix.lower() == ".png":
            import imagecodecs

            write_bytes(path, imagecodecs.png_encode(labels, level=_ZLIB_LEVEL))
        else:
            _write_tiff(path, labels, spacing)


def save_probabilities(path: Path, segmentation: Segmentation) -> None:
    """Write (4, H, W) uint16 probabilities in 65535ths at the radiograph's resolution, as TIFF.

    Raises:
        OutputError: the file cannot be written.
    """
    from .kernels import upsample_plane

    planes = np.empty((CLASSES, *segmentation.labels.shape), np.uint16)
    for label in range(CLASSES):
        plane = upsample_plane(segmentation.probabilities[..., label], segmentation.labels.shape)
        planes[label] = np.clip(plane * 65535 + 0.5, 0, 65535)
    with _naming(path):
        _write_tiff(path, planes, segmentation.radiograph.spacing)


def save_overlay(path: Path, segmentation: Segmentation, lines: bool = False) -> None:
    """Write the overlay as JPEG, with the lines of the cardiothoracic ratio if asked for.

    Raises:
        OutputError: the file cannot be written.
    """
    import imagecodecs

    with _naming(path):
        picture = segmentation.overlay(measurements=lines)
        write_bytes(path, imagecodecs.jpeg_encode(picture, level=_JPEG_QUALITY))


def render_overlay(
    radiograph: Radiograph, labels: npt.NDArray[np.uint8], longest: int
) -> npt.NDArray[np.uint8]:
    """(h, w, 3) uint8 picture of a radiograph under its coloured, outlined organs."""
    from .kernels import area_mean, blend

    scale = min(1.0, longest / max(radiograph.shape))
    shape = tuple(max(1, round(side * scale)) for side in radiograph.shape)
    grey = area_mean(radiograph.pixels, (shape[0], shape[1]))
    low, high = np.percentile(grey[::4, ::4], (BLACK_PERCENTILE, WHITE_PERCENTILE))
    share = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    shown = ((1 - share if radiograph.inverted else share) * 255).astype(np.uint8)
    colours = np.zeros((CLASSES, 3), np.uint8)
    for organ in ORGANS:
        colours[organ.label] = organ.colour
    return blend(shown, labels, colours, OVERLAY_OPACITY)


def _write_tiff(
    path: Path,
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    spacing: tuple[float, float] | None,
) -> None:
    import tifffile

    # TIFF 6.0, section 8: pixels per centimetre, along columns first.
    resolution = (_MM_PER_CM / spacing[1], _MM_PER_CM / spacing[0]) if spacing else None
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            planes,
            photometric="minisblack",
            compression="zlib",
            compressionargs={"level": _ZLIB_LEVEL},
            rowsperstrip=planes.shape[-2],
            resolution=resolution,
            resolutionunit="CENTIMETER" if resolution else None,
            metadata=None,
            software=False,
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError that names the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def save_outputs(
    folder: Path,
    key: str,
    kinds: Sequence[str],
    suffix: str,
    segmentation: Segmentation,
    lines: bool = False,
) -> list[Path]:
    """Write what is asked for to ``folder/<kind>/<key>...`` and return the paths.

    Args:
        folder: the output folder.
        key: relative path without suffix, by which the input is known there.
        kinds: some of KINDS.
        suffix: of label maps and organ masks, ``.tif`` or ``.png``.
        segmentation: what to write.
        lines: whether the overlay shows the cardiothoracic ratio.

    Raises:
        OutputError: a file cannot be written.
    """
    made: list[Path] = []
    try:
        for kind in kinds:
            saver = _measured_overlay if lines and kind == "overlay" else _SAVERS[kind]
            made += saver(str(folder / kind / key), suffix, segmentation)
    except BaseException:
        for path in made:  # all of it, or nothing
            path.unlink(missing_ok=True)
        raise
    return made


def _labels(stem: str, suffix: str, segmentation: Segmentation) -> list[Path]:
    path = Path(stem + suffix)
    save_labels(path, segmentation.labels, segmentation.radiograph.spacing)
    return [path]


def _organs(stem: str, suffix: str, segmentation: Segmentation) -> list[Path]:
    paths = []
    for organ in ORGANS:
        path = Path(f"{stem}.{organ.name}{suffix}")
        mask = np.where(segmentation.labels == organ.label, np.uint8(255), np.uint8(0))
        save_labels(path, mask, segmentation.radiograph.spacing)
        paths.append(path)
    return paths


def _overlay(stem: str, suffix: str, segmentation: Segmentation, lines: bool = False) -> list[Path]:
    path = Path(stem + ".jpg")
    save_overlay(path, segmentation, lines)
    return [path]


def _measured_overlay(stem: str, suffix: str, segmentation: Segmentation) -> list[Path]:
    return _overlay(stem, suffix, segmentation, lines=True)


def _probabilities(stem: str, suffix: str, segmentation: Segmentation) -> list[Path]:
    path = Path(stem + ".tif")
    save_probabilities(path, segmentation)
    return [path]


_SAVERS: dict[str, Callable[[str, str, Segmentation], list[Path]]] = {
    "labels": _labels,
    "organs": _organs,
    "overlay": _overlay,
    "probabilities": _probabilities,
}
#: What ``--save`` can ask for.
KINDS = tuple(_SAVERS)
