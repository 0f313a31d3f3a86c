"""Label maps drawn as text."""

import numpy as np

LETTERS = ".chl"


def draw(picture: str, scale: int = 1) -> np.ndarray:
    rows = picture.split()
    labels = np.array([[LETTERS.index(letter) for letter in row] for row in rows], np.uint8)
    return labels.repeat(scale, axis=0).repeat(scale, axis=1)


def same(picture: str) -> str:
    return "\n".join(picture.split())
