"""A radiograph on the review page: a small grey picture and the outlines of its organs."""

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

#: Longer side of the picture in pixels, and its JPEG quality; about 10 KB.
SIDE, _JPEG_QUALITY = 360, 72
#: Largest distance in pixels of a simplified outline from the mask's.
_TOLERANCE = 0.7

Points = npt.NDArray[np.float64]


def fragment_path(folder: Path, key: str) -> Path:
    """Where the fragment of an input lies, below an output folder's hidden one."""
    return resolve_inside(folder / "report", f"{key}.json")


def save_fragment(path: Path, masks: MaskSet) -> None:
    """Write the fragment of a masks.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(make_fragment(masks), separators=(",", ":")), durable=False)


def make_fragment(masks: MaskSet) -> dict[str, Any]:
    """``size`` (width, height), ``jpeg`` in base64, ``paths`` as SVG has them by organ."""
    import imagecodecs

    from ...kernels import area_mean, nearest

    height, width = shape_within(masks.grey.shape, SIDE)
    small = area_mean(masks.grey, (height, width))
    jpeg = imagecodecs.jpeg_encode((small + 0.5).astype(np.uint8), level=_JPEG_QUALITY)
    labels = nearest(masks.labels, (height, width))
    return {
        "size": [width, height],
        "jpeg": base64.b64encode(jpeg).decode(),
        "paths": {organ.name: outline(labels, organ.label) for organ in ORGANS},
    }


def outline(labels: npt.NDArray[np.uint8], label: int) -> str:
    """An SVG path round the pixels that have a label, holes included (even-odd), to half pixels."""
    from ...kernels import trace

    rings = (_simplified(_rounded(ring.astype(float))) for ring in trace(labels, label))
    return "".join(
        "M" + "L".join(f"{x:g} {y:g}" for x, y in ring.tolist()) + "Z"
        for ring in rings
        if len(ring) > 2
    )


def _rounded(ring: Points) -> Points:
    """Cut the corners by half a pixel, which turns steps of a pixel into slopes."""
    sides = np.roll(ring, -1, axis=0) - ring
    step = 0.5 * sides / np.abs(sides).sum(axis=1, keepdims=True)
    return np.stack([ring + step, ring + sides - step], axis=1).reshape(-1, 2)


def _simplified(ring: Points) -> Points:
    """The points that a ring needs, from its first one to the farthest from that and back."""
    from ...kernels import simplify

    far = int(np.hypot(*(ring - ring[0]).T).argmax())
    closed = np.concatenate([ring, ring[:1]])
    there, back = closed[: far + 1], closed[far:]
    one, other = simplify(there, _TOLERANCE), simplify(back, _TOLERANCE)
    return np.concatenate([there[one], back[other][1:-1]])
