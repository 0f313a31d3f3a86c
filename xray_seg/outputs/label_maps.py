"""Encode label maps, masks of single structures, and probabilities as TIFF or PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import OutputError
from ..labels import BACKGROUND, CLASSES, ORGAN_LABELS, LabelScheme
from .encoder import OutputFile
from .mask_set import MaskSet

if TYPE_CHECKING:
    from ..kernels import Runs

#: zlib compression level of PNG and probabilities: the fastest.
_ZLIB_LEVEL = 1
_MM_PER_CM = 10
#: Probability 1 in a TIFF of probabilities.
_CERTAIN = 65535

LABEL_SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class LabelMapEncoder:
    """One label map per radiograph.

    Attributes:
        suffix: ``.tif`` or ``.png``.
        scheme: the label scheme of the map.
    """

    suffix: str = ".tif"
    scheme: LabelScheme = ORGAN_LABELS

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        spacing, runs = masks.radiograph.spacing, masks.runs(self.scheme)
        data = encode_label_map(masks.label_map(self.scheme), self.suffix, spacing, runs)
        yield OutputFile(f"labels/{key}{self.suffix}", data)


@dataclass(frozen=True)
class OrganMaskEncoder:
    """A mask with values 0 and 255 for each structure of a label scheme.

    Attributes:
        suffix: ``.tif`` or ``.png``.
        scheme: the label scheme.
        whole: whether lungs include what clavicles cover.
    """

    suffix: str = ".tif"
    scheme: LabelScheme = ORGAN_LABELS
    whole: bool = False

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        for structure in self.scheme.structures:
            found = masks.mask(structure, self.scheme, whole=self.whole)
            mask = np.where(found, np.uint8(255), np.uint8(0))
            data = encode_label_map(mask, self.suffix, masks.radiograph.spacing)
            name = structure.name.replace(" ", "-")
            yield OutputFile(f"organs/{key}.{name}{self.suffix}", data)


@dataclass(frozen=True)
class ProbabilityEncoder:
    """A plane for each class of the network: background and organs, without right and left."""

    def encode(self, key: str, masks: MaskSet) -> Iterator[OutputFile]:
        """See Encoder."""
        yield OutputFile(f"probabilities/{key}.tif", encode_probabilities(masks))


def encode_label_map(
    labels: npt.NDArray[np.uint8],
    suffix: str,
    spacing: tuple[float, float] | None = None,
    runs: Runs | None = None,
) -> bytes:
    """Encode a label map as TIFF, with its resolution if known, or as PNG.

    Args:
        labels: (H, W) uint8 label map.
        suffix: one of LABEL_SUFFIXES, in any case.
        spacing: (row, column) distance of pixel centres in mm.
        runs: the runs of the map, if known.

    Raises:
        OutputError: the suffix is unknown.
    """
    if suffix.lower() not in LABEL_SUFFIXES:
        raise OutputError(f"label maps are written as .tif or .png, not as {suffix!r}")
    if suffix.lower() == ".png":
        import imagecodecs

        return bytes(imagecodecs.png_encode(labels, level=_ZLIB_LEVEL))
    from ..kernels import deflate, find_runs

    return _encode_tiff(labels, [deflate(runs or find_runs(labels))], spacing)


def encode_probabilities(masks: MaskSet) -> bytes:
    """Encode (4, H, W) uint16 probabilities in 65535ths at the radiograph's resolution, as TIFF."""
    import imagecodecs

    from ..kernels import upsample_plane

    planes = np.zeros((CLASSES, *masks.labels.shape), np.uint16)
    planes[BACKGROUND] = _CERTAIN  # outside the field of view
    region = masks.radiograph.region
    for label in range(CLASSES):
        plane = upsample_plane(masks.probabilities[..., label], (region.height, region.width))
        region.crop(planes[label])[:] = np.clip(plane * _CERTAIN + 0.5, 0, _CERTAIN)
    # zlib-ng is several times as fast as the compressor of tifffile.
    encode = imagecodecs.zlibng_encode if imagecodecs.ZLIBNG.available else imagecodecs.zlib_encode
    strips = (bytes(encode(plane, level=_ZLIB_LEVEL)) for plane in planes)
    return _encode_tiff(planes, strips, masks.radiograph.spacing)


def _encode_tiff(
    planes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    strips: Iterable[bytes],
    spacing: tuple[float, float] | None,
) -> bytes:
    """Assemble a TIFF from the compressed planes.

    Args:
        planes: (H, W) or (planes, H, W), for shape and dtype.
        strips: the zlib stream of each plane.
        spacing: (row, column) distance of pixel centres in mm, if known.
    """
    import tifffile

    # TIFF 6.0, section 8: pixels per centimetre, XResolution first.
    resolution = (_MM_PER_CM / spacing[1], _MM_PER_CM / spacing[0]) if spacing else None
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
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
    return buffer.getvalue()
