"""Normalisation of grey values by percentiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Percentiles of the pixels that become black and white. JSRT files hold single pixels and strips
#: near 65535, and radiographs carry label blocks, so minimum and maximum would be set by those.
BLACK_PERCENTILE, WHITE_PERCENTILE = 1.0, 99.0


def normalise(content: npt.NDArray[np.float32], *, inverted: bool) -> None:
    """Map the 1st and 99th percentile of an (H, W) float32 image to 0 and 1, in place.

    Values beyond them are clipped. An ``inverted`` image is turned so that bones are bright. A
    constant image becomes 0 everywhere.
    """
    low, high = np.percentile(content, (BLACK_PERCENTILE, WHITE_PERCENTILE)).astype(np.float32)
    if not high > low:
        content[:] = 0
        return
    if inverted:
        low, high = high, low
    content -= low
    content /= high - low
    np.clip(content, 0, 1, out=content)
