"""Fragments of the review page: for each radiograph a small picture and its organs' outlines."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..._util.files import write_text
from ..._util.paths import resolve_inside
from ...labels import ORGANS
from ...outputs import MaskSet
from ...preprocessing.letterbox import shape_within

#: Longer side of the picture in pixels, and its JPEG quality. A picture takes about 10 KB.
SIDE, _JPEG_QUALITY = 360, 72
#: Largest distance in pixels between a simplified outline and the original one.
_TOLERANCE = 0.7

Points = npt.NDArray[np.float64]


def fragment_path(folder: Path, key: str) -> Path:
    """Return the path of an input's fragment within the hidden folder of an output folder."""
    return resolve_inside(folder / "report", f"{key}.json")


def save_fragment(path: Path, masks: MaskSet) -> None:
    """Write the fragment of one radiograph.

    Raises:
        OSError: the fragment cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(make_fragment(masks), separators=(",", ":")), durable=False)


def make_fragment(masks: MaskSet) -> dict[str, Any]:
    """Make the fragment of one radiograph, upright.

    Returns:
        ``size``: width and height of the picture in pixels; ``jpeg``: the grey picture, in base64;
        ``paths``: an SVG path for each organ, in pixels of the picture.
    """
    import imagecodecs

    from ...kernels import area_mean, nearest

    height, width = shape_within(masks.grey.shape, SIDE)
    small = area_mean(masks.grey, (height, width))
    jpeg = imagecodecs.jpeg_encode((small + 0.5).astype(np.uint8), level=_JPEG_QUALITY)
    labels = nearest(masks.upright.labels, (height, width))
    return {
        "size": [width, height],
        "jpeg": base64.b64encode(jpeg).decode(),
        "paths": {organ.name: outline(labels, organ.label) for organ in ORGANS},
    }


def outline(labels: npt.NDArray[np.uint8], label: int) -> str:
    """Outline the pixels that have a label as an SVG path with the even-odd fill rule.

    Args:
        labels: (h, w) uint8 label map.
        label: the label to outline.

    Returns:
        One closed subpath for each outline and each hole, empty without such pixels.
    """
    from ...kernels import trace

    rings = (_simplify_ring(_cut_corners(ring.astype(float))) for ring in trace(labels, label))
    return "".join(
        "M" + "L".join(f"{x:g} {y:g}" for x, y in ring.tolist()) + "Z"
        for ring in rings
        if len(ring) > 2
    )


def _cut_corners(ring: Points) -> Points:
    """Cut each corner by half a pixel, which turns pixel steps into slopes."""
    sides = np.roll(ring, -1, axis=0) - ring
    step = 0.5 * sides / np.abs(sides).sum(axis=1, keepdims=True)
    return np.stack([ring + step, ring + sides - step], axis=1).reshape(-1, 2)


def _simplify_ring(ring: Points) -> Points:
    """Simplify a ring as two lines, which meet at its first point and the farthest from it."""
    from ...kernels import simplify

    far = int(np.hypot(*(ring - ring[0]).T).argmax())
    closed = np.concatenate([ring, ring[:1]])
    first, second = (half[simplify(half, _TOLERANCE)] for half in (closed[: far + 1], closed[far:]))
    return np.concatenate([first, second[1:-1]])
