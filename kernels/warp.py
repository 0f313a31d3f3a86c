"""Warp a radiograph and its soft target together, for augmentation."""

import numpy as np
import numpy.typing as npt

from ._jit import kernel


def warp(
    image: npt.NDArray[np.float32],
    fractions: npt.NDArray[np.uint8],
    places: npt.NDArray[np.float32],
    fill: float = 0.0,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Resample an image and its class fractions at the same positions, with 2 x 2 supersampling.

    Args:
        image: (H, W) float32.
        fractions: (H, W, classes) uint8, class fractions times 255; class 0 is the background.
        places: (2 h, 2 w, 2) float32 (row, column) of each bilinear sample, in source pixels;
            (0, 0) is the centre of the first pixel.
        fill: value of the image outside the source, where the target is background.

    Returns:
        (h, w) float32 image, and (h, w, classes) float32 soft target that sums to 1 per pixel.

    Raises:
        ValueError: the shapes do not match.
    """
    if image.shape != fractions.shape[:2] or fractions.ndim != 3:
        raise ValueError(f"image {image.shape} and fractions {fractions.shape} do not fit")
    if places.ndim != 3 or places.shape[2] != 2 or places.shape[0] % 2 or places.shape[1] % 2:
        raise ValueError(f"places must be (2 h, 2 w, 2), not {places.shape}")
    height, width = places.shape[0] // 2, places.shape[1] // 2
    warped = np.empty((height, width), np.float32)
    target = np.empty((height, width, fractions.shape[2]), np.float32)
    _warp(image, fractions, places, np.float32(fill), warped, target)
    return warped, target


@kernel
def _warp(image, fractions, places, fill, warped, target):
    rows, columns, classes = fractions.shape
    height, width = warped.shape
    shares = np.empty(classes, np.float32)
    for i in range(height):
        for j in range(width):
            grey = np.float32(0)
            shares[:] = 0
            for sample in range(4):
                y = places[2 * i + sample // 2, 2 * j + sample % 2, 0]
                x = places[2 * i + sample // 2, 2 * j + sample % 2, 1]
                if not (y > -0.5 and x > -0.5 and y < rows - 0.5 and x < columns - 0.5):
                    grey += fill
                    shares[0] += 255
                    continue
                y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
                top, left = int(y), int(x)
                bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
                v, u = np.float32(y - top), np.float32(x - left)
                a, b, c, d = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u
                grey += (
                    a * image[top, left]
                    + b * image[top, right]
                    + c * image[bottom, left]
                    + d * image[bottom, right]
                )
                for k in range(classes):
                    shares[k] += (
                        a * fractions[top, left, k]
                        + b * fractions[top, right, k]
                        + c * fractions[bottom, left, k]
                        + d * fractions[bottom, right, k]
                    )
            warped[i, j] = grey / 4
            total = shares.sum()
            for k in range(classes):
                target[i, j, k] = shares[k] / total
